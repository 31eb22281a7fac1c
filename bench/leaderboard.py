"""Tune, train and test all ranking models on all data sets: the one source of the book's and explorer's numbers.

    python -m bench.leaderboard             all that is missing; an interrupted run goes on where it stopped
    python -m bench.leaderboard --fresh     everything again

Every model gets the same effort: six settings, tried with one seed and judged on the validation part, then five
seeds with the best one. The test part is looked at once per seed, at the end. Weights of seed 0 are stored.
Runs are shared out to one process per core, each of one thread.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bench import pool
from bench.ranking.entries import CROSSES, possible
from bench.ranking.entries import QUERY as QUERIES
from recsys_lite import data
from recsys_lite.fields import Dataset
from recsys_lite.models import MODELS, GradientBoostedTrees, Model, WideDeep
from recsys_lite.store import RESULTS, save_model, weights_path
from recsys_lite.training import Result, fit, fit_trees, seed_everything, wide_deep_optimizers

SEEDS = range(5)
TUNING_SEED = 100  # none of the reported ones
TASKS = [("movielens-100k", "click"), ("movielens-100k", "like"), ("criteo-sample", "click")]
BATCH = {"movielens-100k": 1024, "criteo-sample": 256}
FILE = RESULTS / "leaderboard.json"
NAMES = [*MODELS, "gbdt"]

QUERY = QUERIES["movielens-100k"]
#: where the class's default is the paper's size, a size that fits 240,000 rows and embeddings of 16; towers read all
SIZES: dict[str, dict[str, Any]] = {
    "autoint": {"units": 8}, "two_towers": {"query": QUERY}, "split_network": {"query": QUERY},
}  # fmt: skip

ADAM = [{"lr": lr, "weight_decay": wd} for lr in (1e-3, 3e-3, 1e-2) for wd in (0.0, 1e-5)]
FTRL_ADAGRAD = [{"l1": l1, "lr_deep": lr} for lr in (0.01, 0.03, 0.1) for l1 in (1e-4, 1e-3)]
BOOSTING = [{"learning_rate": lr, "max_leaf_nodes": n} for lr in (0.05, 0.1, 0.3) for n in (15, 31)]

Key = tuple[str, str, str]  # data set, task, model


def build(name: str, dataset: Dataset) -> Model:
    """A model with the leaderboard's sizes: its defaults but for :data:`SIZES`."""
    if name == "wide_deep":
        return WideDeep(dataset.fields, CROSSES[dataset.name])
    return MODELS[name](dataset.fields, **SIZES.get(name, {}))


def search_space(name: str) -> list[dict[str, Any]]:
    """The six settings that are tried for a model."""
    return {"wide_deep": FTRL_ADAGRAD, "gbdt": BOOSTING}.get(name, ADAM)


@functools.cache
def load(dataset: str, task: str) -> Dataset:
    """A data set, once per process."""
    return data.load(dataset, task=task)


def train(name: str, dataset: Dataset, setting: dict[str, Any], seed: int, test: bool) -> tuple[Model | None, Result]:
    """One run of a model with one setting and seed; trees give no model to store."""
    seed_everything(seed)
    if name == "gbdt":
        return None, fit_trees(GradientBoostedTrees(seed=seed, **setting), dataset, evaluate_test=test)
    model = build(name, dataset)
    options: dict[str, Any] = {
        "batch_size": BATCH[dataset.name],
        "seed": seed,
        "progress": False,
        "evaluate_test": test,
    }
    if isinstance(model, WideDeep):
        result = fit(model, dataset, optimizer=lambda _: wide_deep_optimizers(model, **setting), **options)
        result.settings |= {"optimizer": "FTRL + AdaGrad", **setting}
    else:
        result = fit(model, dataset, **setting, **options)
    result.model = name
    return model, result


def work(key: Key, setting: dict[str, Any], seed: int, test: bool) -> dict[str, Any]:
    """One run, in a process of the pool. The weights of seed 0 are stored when the test part was looked at."""
    dataset, task, name = key
    model, result = train(name, load(dataset, task), setting, seed, test)
    if test and seed == 0 and model is not None:
        save_model(model, weights_path(dataset, task, name), seed=seed, test=result.test)
    return result.to_dict()


def missing(record: dict[str, Any], key: Key) -> Iterator[tuple[dict[str, Any], int, bool]]:
    """The runs (setting, seed, test) that a model lacks: first the tuning ones; once these are there, the seeds."""
    tried = record["tuning"].setdefault(".".join(key), [])
    left = [s for s in search_space(key[2]) if s not in [t["setting"] for t in tried]]
    if left:
        yield from ((setting, TUNING_SEED, False) for setting in left)
        return
    best = min(tried, key=lambda t: t["validation"]["log_loss"])["setting"]
    done = {r["seed"] for r in record["runs"] if (r["dataset"], r["task"], r["model"]) == key}
    yield from ((best, seed, True) for seed in SEEDS if seed not in done)


def lacking(record: dict[str, Any], key: Key) -> int:
    """How many runs a model lacks in all."""
    jobs = list(missing(record, key))
    return len(jobs) + (len(SEEDS) if jobs and not jobs[0][2] else 0)


def note(record: dict[str, Any], key: Key, setting: dict[str, Any], test: bool, result: dict[str, Any]) -> None:
    """Put a finished run into the record, which is kept in one order however the runs finish."""
    if test:
        record["runs"].append(result)
        record["runs"].sort(key=lambda r: (TASKS.index((r["dataset"], r["task"])), NAMES.index(r["model"]), r["seed"]))
        return
    tried, space = record["tuning"][".".join(key)], search_space(key[2])
    tried.append({"setting": setting, "validation": result["validation"], "best_epoch": result["best_epoch"]})
    tried.sort(key=lambda t: space.index(t["setting"]))


def run(
    record: dict[str, Any], save: Callable[[], None], names: list[str], processes: int, datasets: Sequence[str] = ()
) -> None:  # fmt: skip
    """Fill what is missing in the record, saving after each run; of all data sets if none is named."""
    tasks = [pair for pair in TASKS if not datasets or pair[0] in datasets]
    for dataset, task in tasks:
        about = load(dataset, task).about
        record["about"][f"{dataset}.{task}"] = {k: v for k, v in about.items() if isinstance(v, str | int | float)}
    keys = [(d, t, n) for d, t in tasks for n in names if possible(d, n)]

    def keep(job: pool.Job, result: dict[str, Any]) -> None:
        key, setting, _, test = job
        note(record, key, setting, test, result)
        save()

    wanted = lambda: [(key, *job) for key in keys for job in missing(record, key)]  # noqa: E731
    pool.run(work, wanted, keep, processes, sum(lacking(record, key) for key in keys))


def main() -> None:
    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--models", nargs="+", choices=NAMES, default=NAMES, help="only these")
        parser.add_argument("--data", nargs="+", choices=list(BATCH), default=list(BATCH), help="only these data sets")

    pool.command(
        __doc__,
        FILE,
        {"about": {}, "tuning": {}, "runs": []},
        lambda record, save, a: run(record, save, a.models, a.processes, a.data),
        options,
    )


if __name__ == "__main__":
    main()
