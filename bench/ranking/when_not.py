"""When deep learning does not pay: learning curves of shallow and deep models, and sparse and homogeneous data.

    python -m bench.ranking.when_not             all that is missing; an interrupted run goes on where it stopped
    python -m bench.ranking.when_not --fresh     everything again

*Curves:* MovieLens *like* and *click* and the Criteo sample with 300 to all training rows. *Regimes:* MovieLens *click*
with few rows a person or a film beside as many rows drawn uniformly; data with few kinds of columns; one segment.
The field history is left out throughout: it would show rows that were not drawn.

At every point every model tries four settings with one seed, judged by validation log loss, then runs five other seeds;
the seed also draws the rows. Where all rows of *click* are used, it takes the setting of 100,000 rows and runs three
seeds. The test part is always the whole one, but for a segment's own. Batches grow with the rows, so that small data
are passed in more than one step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bench import pool
from bench.leaderboard import load
from recsys_lite.data.simulated.regimes import homogeneous, sparsen, subsample
from recsys_lite.fields import Dataset
from recsys_lite.models import FM, DeepFM, FieldMLP, GradientBoostedTrees, LogisticRegression, Model
from recsys_lite.store import RESULTS
from recsys_lite.training import fit, fit_trees, seed_everything

FILE = RESULTS / "when_not.json"
SIZES = (300, 1_000, 3_000, 10_000, 30_000, 100_000)
ALL = {"movielens-100k.like": 80_808, "movielens-100k.click": 242_424, "criteo-sample.click": 8_000}  # training rows
SHALLOW, DEEP = ("logistic_regression", "mf", "fm", "gbdt"), ("mlp", "deepfm")
MODELS = (*SHALLOW, *DEEP)
SEEDS, FEW_SEEDS, TUNING_SEED = range(5), range(3), 100  # the last is none of the reported ones
DIM, HIDDEN, EPOCHS, PATIENCE = 8, (64, 32), 20, 2
ADAM = [{"lr": lr, "weight_decay": wd} for lr in (0.003, 0.01) for wd in (1e-5, 1e-3)]
BOOSTING = [{"learning_rate": lr, "max_leaf_nodes": n} for lr in (0.1, 0.3) for n in (7, 31)]

PROPERTIES = ["gender", "age", "occupation", "genres", "release_year"]
NUMBERS, CATEGORIES = [f"I{k}" for k in range(1, 14)], [f"C{k}" for k in range(1, 27)]

Make = Callable[[Dataset, int], Dataset]
LIKE, CLICK, CRITEO = ALL
#: name -> data set and task, and how it is made from the whole data and a seed
REGIMES: dict[str, tuple[str, Make]] = {
    "10 rows a person": (CLICK, lambda d, seed: sparsen(d, 10, seed, by="user")),
    "6 rows a film": (CLICK, lambda d, seed: sparsen(d, 6, seed, by="item")),
    "user and film only": (LIKE, lambda d, seed: homogeneous(subsample(d, 30_000, seed), ["user", "item"])),
    "no ids": (LIKE, lambda d, seed: homogeneous(subsample(d, 30_000, seed), PROPERTIES)),
    "one age group": (LIKE, lambda d, seed: subsample(homogeneous(d, where={"age": ["18-24"]}), 10_000, seed)),
    "numbers only": (CRITEO, lambda d, seed: homogeneous(d, NUMBERS)),
    "categories only": (CRITEO, lambda d, seed: homogeneous(d, CATEGORIES)),
}

LISTS = ("tuning", "runs")
Record = dict[str, Any]
Point = tuple[str, str, int]  # data set and task, regime ("rows" for a curve), training rows asked (0 for a regime)


def points() -> list[Point]:
    """All points, the cheap ones first."""
    curves = [(data, "rows", n) for data, most in ALL.items() for n in (*(s for s in SIZES if s < most), most)]
    regimes = [(data, name, 0) for name, (data, _) in REGIMES.items()]
    return sorted([*curves, *regimes], key=lambda p: p[2] or 20_000)


def models_of(point: Point) -> tuple[str, ...]:
    """Matrix factorization needs user and item, and is the factorization machine where there is nothing else."""
    ids = point[0].startswith("movielens") and point[1] not in ("no ids", "user and film only")
    return tuple(m for m in MODELS if m != "mf" or ids)


def tuned_at(point: Point) -> Point:
    """The point whose tuning a point uses: its own, but at the largest size that of 100,000 rows."""
    return (*point[:2], min(point[2], SIZES[-1]))


def seeds_of(point: Point) -> range:
    return FEW_SEEDS if point != tuned_at(point) else SEEDS


@functools.lru_cache(maxsize=4)
def made(point: Point, seed: int) -> Dataset:
    """The data of a point as a seed draws them."""
    name, task = point[0].split(".")
    whole = load(name, task)
    whole = whole.drop("history") if name.startswith("movielens") else whole
    return subsample(whole, point[2], seed) if point[1] == "rows" else REGIMES[point[1]][1](whole, seed)


def batch_size(rows: int) -> int:
    """Rows of a batch: the first power of two above a fortieth of the rows, within 32 and 1,024."""
    size = 32
    while size < 1024 and size * 40 <= rows:
        size *= 2
    return size


def build(name: str, dataset: Dataset) -> Model:
    kinds = {"logistic_regression": LogisticRegression, "mf": FM, "fm": FM, "mlp": FieldMLP, "deepfm": DeepFM}
    sizes: dict[str, Any] = {} if name == "logistic_regression" else {"dim": DIM}
    if name in DEEP:
        sizes["hidden"] = HIDDEN
    return kinds[name](dataset.fields, **sizes)


def space(name: str) -> list[dict[str, Any]]:
    """The four settings that are tried for a model."""
    return BOOSTING if name == "gbdt" else ADAM


def work(kind: str, point: Point, name: str, setting: dict[str, Any], seed: int) -> Record:
    """One run, in a process of the pool."""
    dataset = made(point, seed)
    if name == "mf":
        dataset = dataset.select(["user", "item"])
    seed_everything(seed)
    test = kind == "runs"
    if name == "gbdt":
        trees = GradientBoostedTrees(seed=seed, max_iter=200, **setting)
        result = fit_trees(trees, dataset, evaluate_test=test)
    else:
        options = {"epochs": EPOCHS, "patience": PATIENCE, "batch_size": batch_size(len(dataset.train))}
        model = build(name, dataset)
        result = fit(model, dataset, **options, **setting, seed=seed, progress=False, evaluate_test=test)  # type: ignore[arg-type]
    metrics = result.test if test else result.validation
    run: Record = {"data": point[0], "regime": point[1], "asked": point[2], "model": name, "seed": seed}
    run |= {"rows": len(dataset.train), "setting": setting, "best_epoch": result.best_epoch}
    return run | {m: metrics[m] for m in ("auc", "log_loss")} | {"parameters": result.parameters}


def wanted(record: Record) -> list[pool.Job]:
    """The missing runs of the first two unfinished points that can be made now: tuning first, then the seeds."""
    have = {(k, *point_of(r), r["model"], repr(r["setting"]), r["seed"]) for k in LISTS for r in record[k]}
    jobs: list[pool.Job] = []
    for point in points():
        if len({job[1] for job in jobs}) == 2:
            break
        for name in models_of(point):
            at = tuned_at(point)
            left = [s for s in space(name) if ("tuning", *at, name, repr(s), TUNING_SEED) not in have]
            if point == at:
                jobs += [("tuning", point, name, s, TUNING_SEED) for s in left]
            if not left:
                best = chosen(record, point, name)
                missing = [s for s in seeds_of(point) if ("runs", *point, name, repr(best), s) not in have]
                jobs += [("runs", point, name, best, seed) for seed in missing]
    return jobs


def point_of(run: Record) -> Point:
    return run["data"], run["regime"], run["asked"]


def chosen(record: Record, point: Point, name: str) -> dict[str, Any]:
    """The setting with the lowest validation log loss."""
    tried = [r for r in record["tuning"] if point_of(r) == tuned_at(point) and r["model"] == name]
    return min(tried, key=lambda r: r["log_loss"])["setting"]


def place(run: Record) -> list[Any]:
    """Where a run stands in its list, however the runs finish."""
    regimes = ["rows", *REGIMES]
    settings = space(run["model"])
    where = [regimes.index(run["regime"]), list(ALL).index(run["data"]), run["asked"]]
    return [*where, MODELS.index(run["model"]), settings.index(run["setting"]), run["seed"]]


def run(record: Record, save: Callable[[], None], processes: int) -> None:
    """Fill what is missing, saving after each run."""
    record["about"] = {
        "dim": DIM, "hidden": HIDDEN, "epochs": EPOCHS, "patience": PATIENCE, "adam": ADAM, "boosting": BOOSTING,
        "shallow": SHALLOW, "deep": DEEP, "tuning seed": TUNING_SEED,
    }  # fmt: skip
    total = sum(len(models_of(p)) * (len(ADAM) * (p == tuned_at(p)) + len(seeds_of(p))) for p in points())
    total -= sum(len(record[name]) for name in LISTS)
    pool.run(work, lambda: wanted(record), pool.into_lists(record, save, place), processes, total)


def main() -> None:
    empty: Record = {name: [] for name in LISTS}
    pool.command(__doc__, FILE, empty, lambda record, save, a: run(record, save, a.processes))


if __name__ == "__main__":
    main()
