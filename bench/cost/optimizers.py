"""What an optimiser of the tables does to quality: dense Adam, lazy Adam and row-wise AdaGrad on the same models.

    python -m bench.cost.optimizers             what is missing
    python -m bench.cost.optimizers --fresh     everything again

FM, DeepFM and DCN V2 on MovieLens click and on Frappe. Each pair of model and optimiser gets the same effort: three
rates, tried with one seed and judged by the log loss of the validation part, then five seeds with the best one, looked
at once on the test part. No penalty, patience 2: only the optimiser of the tables differs; all else has fused Adam of
that rate.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from scipy import stats

from bench import pool
from bench.ranking.study import BATCH, TUNING_SEED, load
from recsys_lite.models import MODELS
from recsys_lite.store import RESULTS
from recsys_lite.training import fit, seed_everything

FILE = RESULTS / "optimizers.json"
TASKS = ("movielens-100k.click", "frappe.click")
NAMES = ("fm", "deepfm", "dcn_v2")
OPTIMIZERS = ("adam", "lazy_adam", "rowwise_adagrad")
RATES = (1e-3, 3e-3, 1e-2)
SEEDS = range(5)
EPOCHS = 40

Record = dict[str, Any]


def work(kind: str, task: str, name: str, optimizer: str, lr: float, seed: int) -> Record:
    """One run, in a process of the pool."""
    seed_everything(seed)
    dataset = load(task)
    model, test = MODELS[name](dataset.fields), kind == "runs"
    options = {"epochs": EPOCHS, "batch_size": BATCH[dataset.name], "progress": False, "evaluate_test": test}
    result = fit(model, dataset, lr=lr, seed=seed, optimizer=optimizer, **options)
    run = {"task": task, "model": name, "optimizer": optimizer, "lr": lr, "seed": seed, "epoch": result.best_epoch}
    return run | {"metrics": result.test if test else result.validation, "seconds": round(result.seconds, 1)}


def wanted(record: Record) -> list[pool.Job]:
    """The missing runs that can be made now: the rates of a pair first, then its seeds."""
    keys = ("task", "model", "optimizer", "lr", "seed")
    have = {(kind, *(r[k] for k in keys)) for kind in ("tuning", "runs") for r in record[kind]}
    jobs: list[pool.Job] = []
    for pair in product(TASKS, NAMES, OPTIMIZERS):
        if left := [job for lr in RATES if (job := ("tuning", *pair, lr, TUNING_SEED)) not in have]:
            jobs += left
            continue
        lr = chosen(record, *pair)
        jobs += [job for seed in SEEDS if (job := ("runs", *pair, lr, seed)) not in have]
    return jobs


def chosen(record: Record, *pair: str) -> float:
    """The rate with the lowest validation log loss."""
    tried = [r for r in record["tuning"] if (r["task"], r["model"], r["optimizer"]) == pair]
    return min(tried, key=lambda r: r["metrics"]["log_loss"])["lr"]


def place(run: Record) -> tuple[int, int, int, float, int]:
    """The order of runs in a list."""
    at = TASKS.index(run["task"]), NAMES.index(run["model"]), OPTIMIZERS.index(run["optimizer"])
    return *at, run["lr"], run["seed"]


def gaps(record: Record, metric: str = "auc") -> list[Record]:
    """Each optimiser of the tables against dense Adam: mean difference over the seeds, with its 95 % t interval."""
    lines = []
    for task, name, optimizer in product(TASKS, NAMES, OPTIMIZERS[1:]):
        values = {
            o: [
                r["metrics"][metric]
                for r in record["runs"]
                if (r["task"], r["model"], r["optimizer"]) == (task, name, o)
            ]
            for o in ("adam", optimizer)
        }
        mean, low, high = welch(values[optimizer], values["adam"])
        line = {"task": task, "model": name, "optimizer": optimizer, "gap": mean, "low": low, "high": high}
        lines.append({k: v if isinstance(v, str) else float(f"{v:.5f}") for k, v in line.items()})
    return lines


def welch(a: list[float], b: list[float]) -> tuple[float, float, float]:
    """Difference of two means over seeds and its 95 % interval, without equal variances."""
    found = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    return float(np.mean(a) - np.mean(b)), float(found.low), float(found.high)


def run(record: Record, save: Callable[[], None], arguments: argparse.Namespace) -> None:
    """Fill what is missing, saving after each run."""
    keep = pool.into_lists(record, save, place)
    pairs = len(TASKS) * len(NAMES) * len(OPTIMIZERS)
    total = pairs * (len(RATES) + len(SEEDS)) - len(record["tuning"]) - len(record["runs"])
    pool.run(work, lambda: wanted(record), keep, arguments.processes, total)
    for line in gaps(record):
        print(line)


def main() -> None:
    about = {task: {"data_sha256": load(task).about["data_sha256"]} for task in TASKS}
    about |= {"batch": BATCH, "epochs": EPOCHS}
    pool.command(__doc__, FILE, {"about": about, "tuning": [], "runs": []}, run)


if __name__ == "__main__":
    main()
