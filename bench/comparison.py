"""How long each stored model takes to score: side by side in one process, on one thread, in turns.

    python -m bench.comparison          a few minutes

Two kinds: 1,000 test rows of MovieLens click by each ranking model, and all 1,682 films for one person by each
retriever. Models take turns, so that a busy machine slows all of them alike; a ratio is taken within each turn, against
logistic regression and popularity, and its median and quartiles over turns are stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from recsys_lite import data
from recsys_lite.data.interactions import interactions
from recsys_lite.explain.speed import round_ratios
from recsys_lite.models import MODELS
from recsys_lite.store import RESULTS, RETRIEVERS, load_model, load_retriever, weights_path, write_json

FILE = RESULTS / "comparison.json"
ROWS = 1000
TURNS = 40
Call = Callable[[], Any]


def in_turns(calls: dict[str, Call], against: str, turns: int = TURNS) -> list[dict[str, Any]]:
    """Time of each call: its median in ms, and the median and quartiles of its ratio to one of them, turn by turn.

    Example:
        >>> [line["model"] for line in in_turns({"a": lambda: 1, "b": lambda: 2}, "a", turns=3)]
        ['a', 'b']
    """
    if against not in calls:
        raise ValueError(f"in_turns: {against!r} is none of {list(calls)}")
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()  # the first call of everything is slower
    for _ in range(turns):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - started)
    lines = round_ratios(taken, against).rename(columns={"name": "model"}).to_dict("records")
    return [{str(k): v if isinstance(v, str) else float(f"{v:.4g}") for k, v in line.items()} for line in lines]


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    dataset, films = data.load("movielens-100k"), interactions()
    rows, one = dataset.test[:ROWS], torch.tensor([0])
    models = {name: load_model(weights_path("movielens-100k", "click", name), dataset.fields) for name in MODELS}
    retrievers = {name: load_retriever(name, films) for name in RETRIEVERS}
    ranking: dict[str, Call] = {name: (lambda m=model: m(rows)) for name, model in models.items()}
    retrieval: dict[str, Call] = {name: (lambda r=r: r.scores(one)) for name, r in retrievers.items()}
    record = {
        "about": {"rows": ROWS, "films": films.num_items, "turns": TURNS, "threads": 1},
        "ranking": in_turns(ranking, "logistic_regression"),
        "retrieval": in_turns(retrieval, "popularity"),
    }
    write_json(FILE, record)
    for part in ("ranking", "retrieval"):
        for line in record[part]:  # type: ignore[attr-defined]
            print(f"{line['model']:22} {line['ms']:9.3f} ms   {line['ratio']:7.2f} times")


if __name__ == "__main__":
    main()
