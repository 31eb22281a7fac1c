"""Embedding tables of stored models in fewer bits: what it does to the test AUC, without any training.

    python -m bench.cost.quantise           what is missing
    python -m bench.cost.quantise --fresh   everything again

The tables (linear terms too) of the models that the leaderboard stored are rounded to each format of
``recsys_lite.retrieval.quantise.BITS``; all other weights stay in float32. The difference of the AUC to float32 is
paired: both score the same resampled test rows, 1,000 times, seed 0; where rows belong to people, people are drawn.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from bench import pool
from bench.leaderboard import load
from recsys_lite.evaluation import bootstrap_gaps, predict
from recsys_lite.fields import Dataset
from recsys_lite.models import Model
from recsys_lite.retrieval.quantise import BITS, quantised, table_bytes, tables
from recsys_lite.store import RESULTS, load_model, weights_path

FILE = RESULTS / "quantise.json"
DATASETS = [("movielens-100k", "click"), ("criteo-sample", "click")]
MODELS = ["logistic_regression", "fm", "deepfm", "dlrm", "dcn_v2"]
SAMPLES, SEED = 1000, 0

Record = dict[str, Any]


def measure(name: str, task: str, model: str) -> list[Record]:
    """One stored model in every format."""
    dataset = load(name, task)
    return compared(load_model(weights_path(name, task, model), dataset.fields), dataset, model)


def compared(trained: Model, dataset: Dataset, model: str, samples: int = SAMPLES) -> list[Record]:
    """A line per format: AUC, its difference to float32 with the interval, bytes of all tables."""
    test = dataset.test
    predictions = {kind: predict(quantised(trained, kind), test).numpy() for kind in BITS}
    people = test.group is not None and bool((test.group >= 0).all())
    group = test.group if people else None
    gaps = bootstrap_gaps(test.label, predictions, group, best="float32", samples=samples, seed=SEED)
    shapes = [(len(t), t.shape[1]) for t in tables(trained).values()]
    weights = sum(p.numel() for p in trained.parameters())
    lines = []
    for kind in BITS:
        line = gaps[gaps["model"] == kind].iloc[0]
        lines.append({
            "dataset": dataset.name, "task": dataset.task, "model": model, "format": kind, "auc": float(line["auc"]),
            "difference": -float(line["gap"]) + 0.0, "low": -float(line["high"]) + 0.0,
            "high": -float(line["low"]) + 0.0, "bytes": sum(table_bytes(v, d, kind) for v, d in shapes),
            "tables": [list(shape) for shape in shapes], "other weights": weights - sum(v * d for v, d in shapes),
        })  # fmt: skip
    return lines


def run(record: Record, save: Callable[[], None], arguments: argparse.Namespace) -> None:
    """Fill what is missing, saving after each model."""
    order = {(*where, model): k for k, (where, model) in enumerate((w, m) for w in DATASETS for m in MODELS)}
    done = {(r["dataset"], r["task"], r["model"]) for r in record["runs"]}
    place: Callable[[Record], Any] = lambda r: (  # noqa: E731
        order[r["dataset"], r["task"], r["model"]], list(BITS).index(r["format"]),
    )  # fmt: skip

    def keep(_: pool.Job, lines: list[Record]) -> None:
        record["runs"] = sorted(record["runs"] + lines, key=place)
        save()

    pool.run(measure, partial(list, [job for job in order if job not in done]), keep, arguments.processes)


def main() -> None:
    sources = {".".join(where): load(*where).about["data_sha256"] for where in DATASETS}
    about = {"data_sha256": sources, "samples": SAMPLES, "seed": SEED, "interval": "95 %, paired, over test rows"}
    pool.command(__doc__, FILE, {"about": about, "runs": []}, run)


if __name__ == "__main__":
    main()
