"""Does a graph find what it should? Planted groups and chains, every model tuned alike and trained to the end.

    python -m bench.retrieval.planted_graphs            all that is missing
    python -m bench.retrieval.planted_graphs --fresh    everything again

Groups with two films a user to learn from, and chains. Matrix factorisation and LightGCN (three layers) try two rates
on each data set and train until validation has not improved for 15 epochs; EASE tries three penalties. The
validation part chooses; the test part is judged once. Three seeds, each with data of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bench import pool
from recsys_lite.data.interactions import Interactions
from recsys_lite.data.simulated.graphs import chains, communities
from recsys_lite.evaluation import Retriever, evaluate_retrieval
from recsys_lite.models import EASE, ItemKNN, LightGCN, Popularity
from recsys_lite.store import RESULTS
from recsys_lite.training import bpr_step, fit_retrieval, seed_everything

FILE = RESULTS / "planted_graphs.json"
SEEDS = range(3)
KINDS: dict[str, Callable[[int], Interactions]] = {"groups": communities, "chains": chains}
SETTINGS = [{"lr": lr, "decay": 3e-2} for lr in (1e-2, 5e-2)]
PENALTIES = (5.0, 20.0, 100.0)
LAYERS = {"mf": 0, "lightgcn": 3}
FIXED: dict[str, Any] = {"epochs": 300, "batch_size": 512, "patience": 15, "progress": False, "evaluate_test": False}

Tried = tuple[Retriever, dict[str, Any]]  # a retriever, and what is known of it


def candidates(data: Interactions, seed: int) -> Iterator[tuple[str, list[Tried]]]:
    """Each model with all that it tried."""
    yield "popularity", [(Popularity(data), {})]
    yield "item_knn", [(ItemKNN(data, 50, 0.0), {})]
    yield "ease", [(EASE(data, l2), {"setting": {"l2": l2}}) for l2 in PENALTIES]
    for name, layers in LAYERS.items():
        tried: list[Tried] = []
        for setting in SETTINGS:
            seed_everything(seed)
            model, step = LightGCN(data, dim=64, layers=layers), bpr_step(data, setting["decay"])
            made = fit_retrieval(model, data, step, lr=setting["lr"], seed=seed, **FIXED)
            tried.append((model, {"setting": setting, "best_epoch": made.best_epoch, "epochs": len(made.curve)}))
        yield name, tried


def work(part: str, kind: str, seed: int) -> dict[str, Any]:
    """All models on one data set."""
    data = KINDS[kind](seed)
    found: dict[str, Any] = {}
    for name, tried in candidates(data, seed):
        best, about = max(tried, key=lambda one: evaluate_retrieval(one[0], data, "validation")["ndcg@20"])
        found[name] = about | {"recall": evaluate_retrieval(best, data)["recall@20"]}
    return {"kind": kind, "seed": seed, "users": data.num_users, "items": data.num_items, "models": found}


def missing(record: dict[str, Any]) -> list[tuple[str, str, int]]:
    """The data sets that have not been judged."""
    done = {(r["kind"], r["seed"]) for r in record["runs"]}
    return [("runs", kind, seed) for seed in SEEDS for kind in KINDS if (kind, seed) not in done]


def run(record: dict[str, Any], save: Callable[[], None], processes: int) -> None:
    """Fill what is missing in the record, saving after each data set."""
    place = lambda r: ([*KINDS].index(r["kind"]), r["seed"])  # noqa: E731
    pool.run(work, lambda: missing(record), pool.into_lists(record, save, place), processes)


def main() -> None:
    pool.command(__doc__, FILE, {"runs": []}, lambda record, save, a: run(record, save, a.processes))


if __name__ == "__main__":
    main()
