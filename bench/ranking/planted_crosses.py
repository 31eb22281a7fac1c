"""Which model finds a planted cross, and how many cross layers does it take? Against networks of equal size.

    python -m bench.ranking.planted_crosses             all that is missing; an interrupted run goes on where it stopped
    python -m bench.ranking.planted_crosses --fresh     everything again

Planted data (:mod:`recsys_lite.data.simulated.planted`) of order 2, 3 and 4: FM, cross networks of one to four layers,
a network with at least as many parameters as the cross network that order needs, a larger network, and DCN with both
parts. All read embeddings of the same size and get the same effort: six settings (three rates, embeddings that start
small or ten times as large), tried with three seeds and judged by mean validation log loss, then five seeds with the
best; the same epochs and batches for all. The control repeats the five seeds of order 3 on labels by coin. MovieLens
*click*: DCN with one to six cross layers, and each part alone, three seeds each, with the settings that the leaderboard
chose for DCN.

The modern three join with the same effort, seeds and control: the cross networks of DCN V2 and GDCN alone, with the
order - 1 layers that DCN V2 needs; DHEN with two layers of dots, crosses and linear mixtures, two vectors each. Beside
them stand two networks of one hidden layer: one with at least the parameters outside of the tables of GDCN (so also of
DCN V2, which has about half as many), one with at least those of DHEN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from bench import pool
from bench.leaderboard import BATCH, load
from recsys_lite.data.simulated.planted import planted
from recsys_lite.fields import Dataset
from recsys_lite.models import DCN, DCNV2, DHEN, FM, GDCN, Model, WideDeep
from recsys_lite.store import RESULTS, load_results
from recsys_lite.training import fit, seed_everything

FILE = RESULTS / "planted_crosses.json"
ORDERS = (2, 3, 4)
SEEDS, MOVIELENS_SEEDS = range(5), range(3)
TUNING_SEEDS = (100, 101, 102)  # none of the reported ones
SETTINGS = [{"lr": lr, "std": std} for std in (0.01, 0.1) for lr in (0.003, 0.01, 0.03)]
DIM, LARGE = 4, (64, 32)
PLANTED: dict[str, Any] = {"rows": 8000, "fields": 6, "values": 10, "noise": 0.1}
TRAINING: dict[str, Any] = {"epochs": 40, "patience": 40, "batch_size": 250, "progress": False}
MODERN = ["dcn_v2", "dhen", "gdcn"]
EQUAL_TO = "network, equal to "
NAMES = ["fm", *(f"cross {k}" for k in range(1, 5)), "network, equal", "network, large", "dcn"]
NAMES += [*MODERN, EQUAL_TO + "gdcn", EQUAL_TO + "dhen"]
VERSIONS: dict[str, dict[str, Any]] = {
    **{f"both, {k} cross layer{'s' * (k > 1)}": {"cross_layers": k} for k in range(1, 7)},
    "cross only": {"hidden": ()},
    "deep only": {},
}

Job = tuple[str, dict[str, Any]]


def equal_width(numbers: int, inputs: int) -> int:
    """Units of one hidden layer, with at least as many numbers as given outside of the tables."""
    return -(-(numbers - 1) // (inputs + 2))  # a unit takes inputs + 2 numbers, and there is one bias more


def in_tables(model: Model) -> int:
    """How many of a model's numbers are embeddings."""
    return sum(p.numel() for n, p in model.named_parameters() if n.endswith("table.weight"))


def build(name: str, dataset: Dataset, order: int, std: float = 0.01) -> Model:
    """A model for planted data; all have embeddings of the same size that start as N(0, std²)."""
    model = _build(name, dataset, order)
    with torch.no_grad():
        for parameter, values in model.named_parameters():
            if parameter.endswith("embedding.table.weight"):
                values *= std / 0.01  # they start as N(0, 0.01²)
    return model


def _build(name: str, dataset: Dataset, order: int) -> Model:
    fields = dataset.fields
    if name == "fm":
        return FM(fields, dim=DIM)
    if name == "dcn":
        return DCN(fields, dim=DIM, cross_layers=order - 1, hidden=LARGE)
    if name.startswith("cross"):
        return DCN(fields, dim=DIM, cross_layers=int(name.split()[1]), hidden=())
    if name == "dcn_v2":
        return DCNV2(fields, dim=DIM, cross_layers=order - 1, hidden=(), structure="cross")
    if name == "gdcn":
        return GDCN(fields, dim=DIM, cross_layers=order - 1, hidden=(), structure="cross")
    if name == "dhen":
        return DHEN(fields, dim=DIM, modules=("dot", "cross", "linear"), layers=2, out=2)
    if name == "network, large":
        return WideDeep(fields, dim=DIM, hidden=LARGE, use_wide=False)
    other = _build(name.removeprefix(EQUAL_TO) if name.startswith(EQUAL_TO) else f"cross {order - 1}", dataset, order)
    width = equal_width(other.parameter_count - in_tables(other), DIM * len(fields))
    return WideDeep(fields, dim=DIM, hidden=(width,), use_wide=False)


def version(name: str, dataset: Dataset) -> Model:
    """A DCN with a part changed or taken away; without its cross part it is a network."""
    if name == "deep only":
        return WideDeep(dataset.fields, use_wide=False)
    return DCN(dataset.fields, **VERSIONS[name])


def work(kind: str, job: dict[str, Any]) -> dict[str, Any]:
    """One run, in a process of the pool."""
    seed = job["seed"]
    if kind == "movielens":
        settings = load_results("movielens-100k", "click", "dcn")[0]["settings"]
        options = {k: settings[k] for k in ("lr", "weight_decay", "epochs", "patience")}
        dataset, make = load("movielens-100k", "click"), version
        options |= {"batch_size": BATCH["movielens-100k"], "progress": False}
    else:
        dataset = planted(job["order"], seed, **PLANTED, signal=job.get("signal", True))
        make, options = (lambda n, d: build(n, d, job["order"], job["std"])), {**TRAINING, "lr": job["lr"]}
    seed_everything(seed)
    model = make(job["model"], dataset)
    result = fit(model, dataset, seed=seed, evaluate_test=kind != "tuning", **options)
    metrics = result.validation if kind == "tuning" else result.test
    kept = {m: metrics[m] for m in ("auc", "log_loss")}
    sizes = {"parameters": result.parameters, "in_tables": in_tables(model)}
    return {**job, **kept, "best_epoch": result.best_epoch, **sizes}


def chosen(record: dict[str, Any], order: int, name: str) -> dict[str, Any]:
    """The setting of a model with the lowest validation log loss, summed over the tuning seeds."""

    def loss(setting: dict[str, Any]) -> float:
        about = {"order": order, "model": name, **setting}
        return sum(r["log_loss"] for r in record["tuning"] if all(r[k] == v for k, v in about.items()))

    return min(SETTINGS, key=loss)


def wanted(record: dict[str, Any]) -> list[Job]:
    """The runs that are missing and can be made now: a model's seeds come after its tuning."""
    jobs: list[Job] = []

    def ask(kind: str, **job: Any) -> bool:
        if any(all(r[k] == v for k, v in job.items()) for r in record[kind]):
            return False
        jobs.append((kind, job))
        return True

    for order in ORDERS:
        for name in NAMES:
            about = {"order": order, "model": name}
            asked = [ask("tuning", **about, **setting, seed=s) for setting in SETTINGS for s in TUNING_SEEDS]
            if any(asked):
                continue
            best = chosen(record, order, name)
            for seed in SEEDS:
                ask("planted", **about, **best, seed=seed)
                if order == 3:
                    ask("control", **about, **best, seed=seed, signal=False)
    for name in VERSIONS:
        for seed in MOVIELENS_SEEDS:
            ask("movielens", model=name, seed=seed)
    return jobs


def place(run: dict[str, Any]) -> list[Any]:
    """Where a run stands in its list."""
    names = [*NAMES, *VERSIONS]
    return [run.get("order"), names.index(run["model"]), run.get("std"), run.get("lr"), run["seed"]]


def run(record: dict[str, Any], save: Callable[[], None], processes: int) -> None:
    """Fill what is missing, saving after each run."""
    record["about"] = {"planted": PLANTED, "training": TRAINING, "dim": DIM, "settings": SETTINGS}
    pool.run(work, lambda: wanted(record), pool.into_lists(record, save, place), processes)


def main() -> None:
    empty: dict[str, Any] = {"tuning": [], "planted": [], "control": [], "movielens": []}
    pool.command(__doc__, FILE, empty, lambda record, save, a: run(record, save, a.processes))


if __name__ == "__main__":
    main()
