"""From catalogue to screen on MovieLens-100K: retrieval, ranking, final ranking, against ranking everything.

    python -m bench.retrieval.funnel             all that is missing; an interrupted run goes on where it stopped
    python -m bench.retrieval.funnel --fresh     everything again

One request per user, at the first event of a part; candidates are all films that the user has in no earlier part; to be
found are the user's films of the part. Retrieval is EASE, ranking a split network with kept film vectors, final ranking
DCN V2, both rankers with the settings chosen on the leaderboard. There, four models lie within 0.003 of the lowest
validation log loss; of these DCN V2 needs half the time of the first, GDCN, to train and to score, which is why it is
taken.

The rankers are trained here anew. The leaderboard's negatives spare what a user rates *later*, which would tell a
ranker of the whole catalogue what to look for; here they spare only what is known (*open*). *Spared* is the
leaderboard's rule. *Retrieved* draws half of the negatives among the 200 films that retrieval brings for the user.

*Tuning:* one seed, judged on the validation part: EASE's setting by what its list holds, the kinds of negatives, and
how many films each stage keeps. *Runs:* other seeds, the test part. *Timings:* one request at a time, CPU time of one
thread, all stages side by side in one process.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bench import pool
from bench.leaderboard import BATCH, TUNING_SEED, build, load
from recsys_lite.data.interactions import Interactions, interactions
from recsys_lite.evaluation import earlier
from recsys_lite.fields import Dataset, Rows, concatenate
from recsys_lite.models import EASE, Model, SplitNetwork
from recsys_lite.models.neighbours import ItemSums, interaction_matrix
from recsys_lite.retrieval.funnel import (  # fmt: skip
    Pairs,
    Scores,
    arrange,
    best,
    by_item_sums,
    by_model,
    by_retriever,
    by_split_network,
    moments,
    open_items,
    quality,
    variety,
)
from recsys_lite.store import RESULTS, read_json
from recsys_lite.training import fit, seed_everything

FILE = RESULTS / "funnel.json"
HEAVY, MEDIUM = "dcn_v2", "split_network"
SEEDS = range(5)
L2 = (50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)
WIDTHS = (20, 50, 100, 200, 400, 800, 1682)  # kept by retrieval
MIDDLE = (20, 50, 100, 200)  # kept by the ranking stage of three
SCREEN, MOST = 10, 4  # places, films of a genre on them
COUNTS = (10, 20, 50, 100, 200, 400, 800, 1682)  # candidates of a timing
Record = dict[str, Any]


@functools.cache
def known() -> tuple[Interactions, Pairs]:
    """The interactions, and rows for any user and film."""
    return interactions(), Pairs(load("movielens-100k", "click"))


@functools.cache
def ease(l2: float, part: str) -> ItemSums:
    """EASE fitted on training, asked with all that is known at the part's requests."""
    data, _ = known()
    return ItemSums(interaction_matrix(data, *earlier(part)), EASE(data, l2).weights)


@functools.cache
def candidates(part: str) -> Tensor:
    """(U, n) films that a user has in no earlier part."""
    return open_items(known()[0].mask(*earlier(part)))


def redrawn(part: Rows, taken: Tensor, seed: int, lists: Tensor | None = None) -> Rows:
    """The clicks of a part beside two new films each, which the user has not ``taken``; half of them from ``lists``."""
    data, pairs = known()
    clicks = part[part.label.nonzero().squeeze(1)]  # type: ignore[union-attr]
    user = torch.from_numpy(np.searchsorted(data.users, clicks.group.numpy()))  # type: ignore[union-attr]
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randint(data.num_items, (len(clicks), 2), generator=generator)  # noqa: E731
    films = draw()
    if lists is not None:
        place = torch.randint(lists.shape[1], films.shape, generator=generator)
        films[:, 1] = lists[user].gather(1, place)[:, 1]  # one anywhere, one of those that retrieval brings
    while (again := taken[user[:, None], films]).any():
        films = torch.where(again, draw(), films)
    rows = replace(pairs.rows(clicks, films), label=torch.zeros(films.numel()))
    return concatenate([clicks, replace(rows, group=clicks.group.repeat_interleave(2))])  # type: ignore[union-attr]


def negatives(kind: str, seed: int, l2: float) -> Dataset:
    """The data of a kind of negatives."""
    dataset = load("movielens-100k", "click")
    if kind == "spared":
        return dataset
    data, _ = known()
    parts = {}
    for k, (name, taken) in enumerate({"train": ("train",), "validation": ("train", "validation")}.items()):
        mask, lists = data.mask(*taken), None
        if kind == "retrieved":
            lists = best(by_retriever(ease(l2, "validation"))(*everybody("validation")), candidates("validation"), 200)
        parts[name] = redrawn(getattr(dataset, name), mask, 1000 * seed + k, lists)
    return replace(dataset, **parts)


def everybody(part: str) -> tuple[Tensor, Tensor]:
    """All users and their candidates."""
    return torch.arange(known()[0].num_users), candidates(part)


def trained(name: str, kind: str, seed: int, l2: float) -> Model:
    """A ranking model with the setting that the leaderboard chose, for its runs' median of best epochs at most."""
    board = read_json(RESULTS / "leaderboard.json")
    tried = board["tuning"][f"movielens-100k.click.{name}"]
    setting = min(tried, key=lambda t: t["validation"]["log_loss"])["setting"]
    runs = [r for r in board["runs"] if (r["dataset"], r["task"], r["model"]) == ("movielens-100k", "click", name)]
    epochs = int(np.median([r["best_epoch"] for r in runs]))
    dataset = negatives(kind, seed, l2)
    seed_everything(seed)
    model = build(name, dataset)
    options = {"batch_size": BATCH[dataset.name], "epochs": epochs, "progress": False, "evaluate_test": False}
    fit(model, dataset, seed=seed, **options, **setting)
    return model.eval()


def stage_scores(model: Model, part: str) -> Scores:
    """How a stage scores with a model at the requests of a part."""
    requests = moments(getattr(load("movielens-100k", "click"), part))
    return (by_split_network if isinstance(model, SplitNetwork) else by_model)(model, known()[1], requests)  # type: ignore[arg-type]


def in_table(scores: Scores, part: str) -> Tensor:
    """(U, I) scores of all candidates, so that every design can be tried without scoring again."""
    users, items = everybody(part)
    values = torch.cat([scores(u, items[u]) for u in users.split(8)])
    out = torch.full((len(users), known()[0].num_items), -torch.inf)
    row, column = (items >= 0).nonzero().T
    out[row, items[row, column]] = values[row, column]
    return out


def look_up(table: Tensor) -> Scores:
    """A stage's scores from a table."""
    return lambda users, items: table[users].gather(1, items.clamp(min=0))


def designs(tables: dict[str, Tensor], part: str) -> list[Record]:
    """Every design with every width: NDCG@10 and recall@10 of the screen, and the recall of what each stage kept."""
    users, start = everybody(part)
    wanted = known()[0].mask(part)
    out = []

    def note(design: str, widths: tuple[int, ...], kept: Tensor, held: Tensor) -> None:
        screen = quality(kept, wanted, SCREEN).mean()
        bound = float(quality(held, wanted)["recall"].mean())
        out.append({"design": design, "widths": list(widths), "recall": screen["recall"], "ndcg": screen["ndcg"],
                    "bound": bound})  # fmt: skip

    rank = {name: look_up(table) for name, table in tables.items()}
    order = {name: best(f(users, start), start, WIDTHS[-1]) for name, f in rank.items()}
    for name in rank:
        note(name, (), order[name], order[name])
    for w in WIDTHS:
        first = order["retrieval"][:, :w]
        for name in sorted(set(rank) - {"retrieval"}):
            note(f"retrieval, {name}", (w,), best(rank[name](users, first), first, SCREEN), first)
        if "medium" not in rank:
            continue
        second = best(rank["medium"](users, first), first, MIDDLE[-1])
        for m in (m for m in MIDDLE if m <= w):
            held = second[:, :m]
            note("retrieval, medium, heavy", (w, m), best(rank["heavy"](users, held), held, SCREEN), held)
    return out


def rows_of(table: pd.Series) -> str:
    """Numbers of all users as short text."""
    return " ".join(f"{v:.3g}" for v in table.tolist())


def followed(tables: dict[str, Tensor], part: str, widths: list[int]) -> tuple[list[Record], dict[str, Record]]:
    """What the stages of the chosen funnel keep, and each user's result on the screen of the designs beside it."""
    data, users, start = known()[0], *everybody(part)
    wanted, count = data.mask(part), data.degree().float()
    rank = {name: look_up(table) for name, table in tables.items()}
    go = lambda stages: functools.reduce(lambda c, s: best(rank[s[0]](users, c), c, s[1]), stages, start)  # noqa: E731
    w, m = widths
    kept = {
        "retrieval": go([("retrieval", w)]), "ranking": go([("retrieval", w), ("medium", m)]),
        "final ranking": go([("retrieval", w), ("medium", m), ("heavy", m)]),
    }  # fmt: skip
    genres = [frozenset(g) for g in load("movielens-100k", "click").extras["items"]["genres"]]
    placed = [arrange(r, genres, SCREEN, MOST) for r in kept["final ranking"].tolist()]
    screens = {
        "retrieval": kept["retrieval"], "medium": go([("medium", SCREEN)]), "heavy": go([("heavy", SCREEN)]),
        "retrieval, medium": go([("retrieval", w), ("medium", SCREEN)]),
        "retrieval, heavy": go([("retrieval", w), ("heavy", SCREEN)]),
        "medium, heavy": go([("medium", m), ("heavy", SCREEN)]),
        "retrieval, medium, heavy": kept["final ranking"], "arranged": torch.tensor(placed),
    }  # fmt: skip
    kept["catalogue"], kept["heavy alone"], kept["screen"] = start, screens["heavy"], kept["final ranking"][:, :SCREEN]

    def about(items: Tensor) -> Record:
        shown = items[items >= 0]
        return {"recall": float(quality(items, wanted)["recall"].mean()), "clicks": float(count[shown].mean()),
                "films": len(shown.unique()), "never": float((count[shown] == 0).float().mean())}  # fmt: skip

    people = {}
    for name, items in screens.items():
        result, top = quality(items, wanted, SCREEN), items[:, :SCREEN]
        seen = np.array([variety(s, genres) for s in top.tolist()]).mean(0)
        people[name] = {"ndcg": rows_of(result["ndcg"]), "recall": rows_of(result["recall"]),
                        "clicks": float(count[top].mean()), "films": len(top.unique()), "genres": seen[0],
                        "distance": seen[1]}  # fmt: skip
    return [{"stage": name, **about(items)} for name, items in kept.items()], people


def choose(tuning: list[Record]) -> tuple[float, list[int], str]:
    """By the validation part: EASE's λ, the widths of the three stages, and the kind of negatives."""
    l2 = max((t for t in tuning if t["kind"] == "ease"), key=lambda t: t["bound"])["l2"]
    cells = [c | {"kind": t["kind"]} for t in tuning if t["kind"] != "ease" for c in t["designs"]]
    three = max((c for c in cells if len(c["widths"]) == 2), key=lambda c: c["ndcg"])
    return l2, three["widths"], three["kind"]


def work(part: str, kind: str, seed: int, l2: float, widths: list[int]) -> Record:
    """One run, in a process of the pool."""
    if kind == "ease":
        wanted = known()[0].mask("validation")
        top = best(by_retriever(ease(l2, "validation"))(*everybody("validation")), candidates("validation"), 200)
        return {"kind": kind, "l2": l2, "seed": seed, "bound": float(quality(top, wanted)["recall"].mean())}
    if part == "timings":
        return {"kind": kind, "seed": seed, "lines": timings(l2)}
    where = "validation" if part == "tuning" else "test"
    tables = {"retrieval": in_table(by_retriever(ease(l2, where)), where)}
    tables["heavy"] = in_table(stage_scores(trained(HEAVY, kind, seed, l2), where), where)
    if part == "tuning" or widths:
        tables["medium"] = in_table(stage_scores(trained(MEDIUM, kind, seed, l2), where), where)
    out: Record = {"kind": kind, "seed": seed, "designs": designs(tables, where)}
    if widths:
        out["stages"], out["people"] = followed(tables, where, widths)
    return out


def timings(l2: float, requests: int = 25) -> list[Record]:
    """Milliseconds of CPU time of one request, by stage and number of candidates: medians over users."""
    dataset, data = load("movielens-100k", "click"), known()[0]
    models = {name: build(name, dataset).eval() for name in (MEDIUM, HEAVY)}  # time does not depend on the weights
    stages = {"retrieval": by_item_sums(ease(l2, "test"))} | {
        label: stage_scores(models[name], "test") for label, name in (("medium", MEDIUM), ("heavy", HEAVY))
    }
    genres = [frozenset(g) for g in dataset.extras["items"]["genres"]]
    lines = []
    generator = torch.Generator().manual_seed(0)
    users = torch.randperm(data.num_users, generator=generator)[:requests]
    for n in COUNTS:
        spent: dict[str, list[float]] = {name: [] for name in [*stages, "arrange"]}
        for user in users.split(1):
            items = torch.randperm(data.num_items, generator=generator)[None, :n]
            for name, scores in stages.items():  # side by side: what disturbs one disturbs all
                spent[name].append(milliseconds(lambda f=scores, u=user, i=items: best(f(u, i), i, SCREEN)))  # type: ignore[misc]
            ranked = items[0].tolist()
            spent["arrange"].append(milliseconds(lambda r=ranked: arrange(r, genres, SCREEN, MOST)))  # type: ignore[misc]
        lines += [{"stage": s, "candidates": n, "ms": float(np.median(ts))} for s, ts in spent.items()]
    return lines


def milliseconds(call: Callable[[], Any]) -> float:
    """The faster of two calls, in CPU time of this thread."""
    times = []
    for _ in range(2):
        start = time.thread_time()
        call()
        times.append(1000 * (time.thread_time() - start))
    return min(times)


def missing(record: Record) -> list[pool.Job]:
    """The runs that are missing and can be made now: (list, kind, seed, λ, widths)."""
    tuning = record["tuning"]
    if jobs := [("tuning", "ease", 0, l2, []) for l2 in L2 if l2 not in [t.get("l2") for t in tuning]]:
        return jobs
    l2 = max((t for t in tuning if t["kind"] == "ease"), key=lambda t: t["bound"])["l2"]
    done = {(name, r["kind"], r["seed"]) for name in ("tuning", "runs", "timings") for r in record[name]}
    first = [("tuning", kind, TUNING_SEED, l2, []) for kind in ("open", "retrieved")]
    if jobs := [j for j in first if j[:3] not in done]:
        return jobs
    _, widths, kind = choose(tuning)
    others = [k for k in ("open", "retrieved", "spared") if k != kind]
    order = [("runs", kind, s) for s in SEEDS] + [("timings", "one request", 0)]
    order += [("runs", k, s) for s in SEEDS for k in others]
    return [(*j, l2, widths if j[1] == kind else []) for j in order if j not in done]


def place(run: Record) -> tuple[Any, ...]:
    """Of a line in its list."""
    return ["ease", "open", "retrieved", "spared", "one request"].index(run["kind"]), run["seed"], run.get("l2", 0)


def run(record: Record, save: Callable[[], None], processes: int) -> None:
    """Fill what is missing in the record, saving after each run."""
    data = known()[0]
    record["about"] = {k: data.about[k] for k in ("split", "ratings", "data_sha256")} | {
        "retrieval": "ease", "medium": MEDIUM, "heavy": HEAVY, "users": data.num_users, "items": data.num_items,
        "screen": SCREEN, "most": MOST,
    }  # fmt: skip
    pool.run(work, lambda: missing(record), pool.into_lists(record, save, place), processes)


def main() -> None:
    empty: Record = {"about": {}, "tuning": [], "runs": [], "timings": []}
    pool.command(__doc__, FILE, empty, lambda record, save, a: run(record, save, a.processes))


if __name__ == "__main__":
    main()
