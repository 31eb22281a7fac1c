"""Tune, train and test all ranking models on all data sets: the one source of the book's and explorer's numbers.

    python -m bench.leaderboard             all that is missing; an interrupted run goes on where it stopped
    python -m bench.leaderboard --fresh     everything again

Every model gets the same effort: six settings, tried with one seed and judged on the validation part, then five
seeds with the best one. The test part is looked at once per seed, at the end. Weights of seed 0 are stored.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from tqdm import tqdm

from recsys_lite import data
from recsys_lite.fields import Dataset
from recsys_lite.models import MODELS, Model, WideDeep
from recsys_lite.store import RESULTS, read_json, save_model, weights_path, write_json
from recsys_lite.train import Result, fit, seed_everything

SEEDS = range(5)
TUNING_SEED = 100  # none of the reported ones
TASKS = [("movielens-100k", "click"), ("movielens-100k", "like"), ("criteo-sample", "click")]
BATCH = {"movielens-100k": 1024, "criteo-sample": 256}
FILE = RESULTS / "leaderboard.json"

CROSSES = {
    "movielens-100k": [
        ("history", "item"), ("user", "genres"),  # fine: memorise
        ("gender", "genres"), ("age", "genres"), ("occupation", "genres"),  # coarse: generalise
    ],
    "criteo-sample": [("C1", "C2"), ("C5", "C8"), ("C6", "C9"), ("C14", "C17"), ("C20", "C23")],
}  # fmt: skip

ADAM = [{"lr": lr, "weight_decay": wd} for lr in (1e-3, 3e-3, 1e-2) for wd in (0.0, 1e-5)]
FTRL_ADAGRAD = [{"l1": l1, "lr_deep": lr} for lr in (0.01, 0.03, 0.1) for l1 in (1e-4, 1e-3)]


def build(name: str, dataset: Dataset) -> Model:
    """A model with its default sizes."""
    if name == "wide_deep":
        return WideDeep(dataset.fields, CROSSES[dataset.name])
    return MODELS[name](dataset.fields)


def search_space(name: str) -> list[dict[str, float]]:
    """The six settings that are tried for a model."""
    return FTRL_ADAGRAD if name == "wide_deep" else ADAM


def train(name: str, dataset: Dataset, setting: dict[str, float], seed: int, test: bool) -> tuple[Model, Result]:
    """One run of a model with one setting and seed."""
    seed_everything(seed)
    model = build(name, dataset)
    options: dict[str, Any] = {
        "batch_size": BATCH[dataset.name],
        "seed": seed,
        "progress": False,
        "evaluate_test": test,
    }
    if isinstance(model, WideDeep):
        result = fit(model, dataset, optimizer=lambda _: model.optimizers(**setting), **options)
        result.settings |= {"optimizer": "FTRL + AdaGrad", **setting}
    else:
        result = fit(model, dataset, **setting, **options)
    result.model = name
    return model, result


def run(record: dict[str, Any], save: Callable[[], None], names: list[str]) -> None:
    """Fill what is missing in the record, saving after each run."""
    bar = tqdm(total=len(TASKS) * len(names) * (len(ADAM) + len(SEEDS)), unit="run")
    for dataset_name, task in TASKS:
        dataset = data.load(dataset_name, task=task)
        record["about"][f"{dataset_name}.{task}"] = {
            k: v for k, v in dataset.about.items() if isinstance(v, str | int | float)
        }
        for name in names:
            key = f"{dataset_name}.{task}.{name}"
            bar.set_description(key)
            tried = record["tuning"].setdefault(key, [])
            for setting in search_space(name)[len(tried) :]:
                _, result = train(name, dataset, setting, TUNING_SEED, test=False)
                tried.append({"setting": setting, "validation": result.validation, "best_epoch": result.best_epoch})
                save()
                bar.update()
            best = min(tried, key=lambda t: t["validation"]["log_loss"])["setting"]
            done = {
                r["seed"] for r in record["runs"] if (r["dataset"], r["task"], r["model"]) == (dataset_name, task, name)
            }
            for seed in sorted(set(SEEDS) - done):
                model, result = train(name, dataset, best, seed, test=True)
                record["runs"].append(result.to_dict())
                if seed == 0:
                    save_model(model, weights_path(dataset_name, task, name), seed=seed, test=result.test)
                save()
                bar.update()
    bar.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fresh", action="store_true", help="forget the stored runs")
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=list(MODELS), help="only these")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the models are too small to share out
    record: dict[str, Any] = {"about": {}, "tuning": {}, "runs": []}
    if FILE.exists() and not arguments.fresh:
        record = read_json(FILE)
    started = time.time()
    run(record, lambda: write_json(FILE, record), arguments.models)
    print(f"{len(record['runs'])} runs in {FILE.name}, {time.time() - started:.0f} s this time")


if __name__ == "__main__":
    main()
