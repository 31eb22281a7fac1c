"""GDCN on MovieLens *click*: depth with and without gates, and field-level dimension optimisation.

    python -m bench.ranking.gdcn             all that is missing; an interrupted run goes on where it stopped
    python -m bench.ranking.gdcn --fresh     everything again

All runs train on the same 80,000 of the 242,424 training rows, drawn once, to be affordable, and keep the whole
validation and test parts; early stopping as on the leaderboard.

*Depth:* gated cross networks of one to eight layers, alone as in the paper's figure, against the same without gates
(DCN V2's). Embeddings of 4. Every depth, with and without gates, chooses between two rates by the validation log loss
of one seed, then runs three others.

*Sizes:* GDCN with both parts, two gated layers and embeddings of 16. Its rate is chosen among three. Each seed's
trained tables give sizes for five shares of variance, and a new model is trained with them, same seed, same settings.
Beside them stand models with one smaller size for all fields.

*Parts:* the same model at full size as GDCN-S (stacked) and with the gated cross network alone, three seeds each.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from bench import pool
from bench.leaderboard import BATCH, load
from recsys_lite.fields import Dataset
from recsys_lite.layers.field_sizes import field_sizes
from recsys_lite.models import DCNV2, GDCN
from recsys_lite.models.cross_model import Structure
from recsys_lite.store import RESULTS
from recsys_lite.training import fit, seed_everything

FILE = RESULTS / "gdcn.json"
ROWS = 80_000
TRAINING: dict[str, Any] = {
    "epochs": 20, "patience": 2, "weight_decay": 1e-5, "batch_size": BATCH["movielens-100k"], "progress": False
}  # fmt: skip
TUNING_SEED = 100  # none of the reported ones
DEPTHS, DEPTH_SEEDS, DEPTH_RATES, DEPTH_DIM = range(1, 9), range(3), (0.01, 0.03), 4
SHARES, SIZE_SEEDS, SIZE_RATES, DIM, LAYERS = (0.99, 0.95, 0.90, 0.85, 0.80), range(5), (0.003, 0.01, 0.03), 16, 2
FULL = f"{DIM} for all"
SAME = {FULL: DIM, "8 for all": 8, "4 for all": 4, "2 for all": 2}
KEPT = {f"{share:.0%} of variance": share for share in SHARES}
VERSIONS = [FULL, *KEPT, *list(SAME)[1:]]
PARTS, PART_SEEDS = ("stacked", "cross"), range(3)

LISTS = ("sizes tuning", "sizes", "parts", "depth tuning", "depth")

Record = dict[str, Any]
Job = tuple[str, dict[str, Any]]


@functools.cache
def part() -> Dataset:
    """MovieLens *click* with the training rows of this benchmark."""
    dataset = load("movielens-100k", "click")
    drawn = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(0))[:ROWS]
    return replace(dataset, train=dataset.train[drawn])


def deep(dataset: Dataset, gates: bool, layers: int) -> DCNV2 | GDCN:
    """A cross network alone, with or without gates."""
    kind = GDCN if gates else DCNV2
    return kind(dataset.fields, dim=DEPTH_DIM, cross_layers=layers, hidden=(), structure="cross")


def sized(dataset: Dataset, sizes: int | dict[str, int], structure: Structure = "parallel") -> GDCN:
    """The model whose embeddings are shortened."""
    return GDCN(dataset.fields, dim=sizes, cross_layers=LAYERS, structure=structure)


def work(kind: str, job: dict[str, Any], sizes: int | dict[str, int] = DIM) -> Record:
    """One run, in a process of the pool."""
    dataset = part()
    seed_everything(job["seed"])
    if kind.startswith("depth"):
        model: DCNV2 | GDCN = deep(dataset, job["gates"], job["layers"])
    else:
        model = sized(dataset, sizes, job.get("structure", "parallel"))
    tuning = kind.endswith("tuning")
    options = {"lr": job["lr"], "seed": job["seed"], "evaluate_test": not tuning}
    result = fit(model, dataset, **TRAINING, **options)
    metrics = result.validation if tuning else result.test
    made: Record = {**job, "auc": metrics["auc"], "log_loss": metrics["log_loss"], "best_epoch": result.best_epoch}
    made |= {"parameters": result.parameters, "width": model.input.width}
    if kind == "sizes":
        made["sizes"] = sizes
        if job["version"] == FULL:
            made["found"] = {name: field_sizes(model.input.embedding, share) for name, share in KEPT.items()}  # type: ignore[arg-type]
    return made


def best_rate(tried: list[Record], **about: Any) -> float:
    """The rate with the lowest validation log loss among the tuning runs of a model."""
    return min((r for r in tried if about.items() <= r.items()), key=lambda r: r["log_loss"])["lr"]


def wanted(record: Record) -> list[tuple[str, dict[str, Any], int | dict[str, int]]]:
    """The runs that are missing and can be made now: tuning first, then the seeds, and sizes once they are found."""
    jobs: list[tuple[str, dict[str, Any], int | dict[str, int]]] = []

    def ask(kind: str, sizes: int | dict[str, int] = DIM, **job: Any) -> bool:
        if any(job.items() <= r.items() for r in record[kind]):
            return False
        jobs.append((kind, job, sizes))
        return True

    asked = [ask("sizes tuning", lr=lr, seed=TUNING_SEED) for lr in SIZE_RATES]
    if not any(asked):
        rate = best_rate(record["sizes tuning"])
        for seed in SIZE_SEEDS:
            for name, dim in SAME.items():
                ask("sizes", dim, version=name, lr=rate, seed=seed)
            full = next((r for r in record["sizes"] if r["version"] == FULL and r["seed"] == seed), None)
            for name in KEPT if full else ():
                ask("sizes", full["found"][name], version=name, lr=rate, seed=seed)
        for structure in PARTS:
            for seed in PART_SEEDS:
                ask("parts", structure=structure, lr=rate, seed=seed)
    for layers in DEPTHS:
        for gates in (False, True):
            about = {"gates": gates, "layers": layers}
            asked = [ask("depth tuning", **about, lr=lr, seed=TUNING_SEED) for lr in DEPTH_RATES]
            if not any(asked):
                rate = best_rate(record["depth tuning"], **about)
                for seed in DEPTH_SEEDS:
                    ask("depth", **about, lr=rate, seed=seed)
    return jobs


def place(run: Record) -> list[Any]:
    """Where a run stands in its list, however the runs finish."""
    named = VERSIONS.index(run["version"]) if "version" in run else 0
    return [named, run.get("structure", ""), run.get("layers", 0), run.get("gates", False), run["lr"], run["seed"]]


def run(record: Record, save: Callable[[], None], processes: int) -> None:
    """Fill what is missing, saving after each run."""
    record["about"] = {"rows": ROWS, "training": TRAINING, "depth dim": DEPTH_DIM, "dim": DIM, "layers": LAYERS}
    pool.run(work, lambda: wanted(record), pool.into_lists(record, save, place), processes)


def main() -> None:
    empty: Record = {name: [] for name in LISTS}
    pool.command(__doc__, FILE, empty, lambda record, save, a: run(record, save, a.processes))


if __name__ == "__main__":
    main()
