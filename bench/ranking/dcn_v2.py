"""What do DCN V2's matrices, ranks, experts and structures buy? Sweeps on MovieLens click, and planted crosses.

    python -m bench.ranking.dcn_v2             all that is missing; an interrupted run goes on where it stopped
    python -m bench.ranking.dcn_v2 --fresh     everything again

MovieLens *click*, two cross layers, three seeds each: full matrices and ranks 1 to 40 (N/4, the paper's advice), one
to eight experts of rank 8, the three structures, embeddings sized by vocabulary, and DCN. All get one setting, that
which the leaderboard chose for DCN V2 (for DCN, while there are no runs of DCN V2): no version is tuned for itself.
Planted data, five seeds each, one setting: three disjoint pairs with one cross layer, and one cross of three fields
with two, without deep parts. Last, the time of a training step of each version against DCN's, taken in turns.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

from bench import pool
from bench.leaderboard import BATCH, load
from bench.ranking.planted_crosses import in_tables
from bench.timing import step_seconds
from recsys_lite import explain
from recsys_lite.data.simulated.planted import planted
from recsys_lite.evaluation import auc
from recsys_lite.fields import Dataset, Field
from recsys_lite.models import DCN, DCNV2, FM, Model
from recsys_lite.store import RESULTS, load_results
from recsys_lite.training import fit, seed_everything

FILE = RESULTS / "dcn_v2.json"
SEEDS, PLANTED_SEEDS = range(3), range(5)
LAYERS, RANK = 2, 8  # cross layers of every version; rank of each expert
TRAINING: dict[str, Any] = {"epochs": 8, "patience": 1, "progress": False}
PLANTED: dict[str, Any] = {"epochs": 20, "patience": 20, "lr": 0.01, "batch_size": 250, "progress": False}
VERSIONS: dict[str, dict[str, Any]] = {
    **{f"rank {r}": {"rank": r} for r in (1, 2, 4, 8, 16, 40)},
    "full": {},
    **{f"{k} expert{'s' * (k > 1)}": {"rank": RANK, "experts": k} for k in (1, 2, 4, 8)},
    "parallel": {"structure": "parallel"},
    "cross only": {"structure": "cross"},
    "sizes by vocabulary": {"dim": "by vocabulary"},
    "dcn": {},
    "dcn, cross only": {"hidden": ()},
}
#: task -> the data, cross layers, and the models that are asked
TASKS: dict[str, tuple[dict[str, int], int, tuple[str, ...]]] = {
    "pairs": ({"order": 2, "crosses": 3}, 1, ("fm", "dcn", "rank 1", "rank 2", "rank 3", "rank 4", "full")),
    "three fields": ({"order": 3}, 2, ("fm", "dcn", "rank 1", "rank 4", "full")),
}

Job = tuple[str, dict[str, Any]]


def sizes(fields: tuple[Field, ...], factor: float = 2.5) -> dict[str, int]:
    """Embedding sizes by the rule of DCN's paper, a multiple of the fourth root of the vocabulary (there: 6)."""
    size = {f.name: f.size for f in fields}
    return {f.name: round(factor * size.get(f.table, f.size) ** 0.25) for f in fields if f.kind != "numeric"}


def version(name: str, dataset: Dataset) -> Model:
    """A DCN V2, or DCN, of two cross layers for MovieLens."""
    options = {"cross_layers": LAYERS, **VERSIONS[name]}
    if options.get("dim"):
        options["dim"] = sizes(dataset.fields)
    return (DCN if name.startswith("dcn") else DCNV2)(dataset.fields, **options)


def build(name: str, dataset: Dataset, layers: int) -> Model:
    """A model of crosses alone for planted data; FM's vectors have the length of the embeddings."""
    if name == "fm":
        return FM(dataset.fields, dim=4)
    if name == "dcn":
        return DCN(dataset.fields, dim=4, cross_layers=layers, hidden=())
    rank = 0 if name == "full" else int(name.split()[1])
    return DCNV2(dataset.fields, dim=4, cross_layers=layers, rank=rank, structure="cross")


def named(model: Model, dataset: Dataset) -> int:
    """How many of the planted pairs are among as many largest of the block map, both triangles summed."""
    strength = explain.cross_strength(model)  # type: ignore[arg-type]
    both = {pair: strength.loc[pair] + strength.loc[pair[::-1]] for pair in combinations(strength.index, 2)}
    truth = dataset.extras["crosses"]
    return len(set(sorted(both, key=both.__getitem__, reverse=True)[: len(truth)]) & set(truth))


def settings() -> dict[str, Any]:
    """Rate and penalty that the leaderboard chose, and for which model."""
    chosen = load_results("movielens-100k", "click", "dcn_v2")[0]["settings"]
    return {"of": "dcn_v2", "lr": chosen["lr"], "weight_decay": chosen["weight_decay"]}


def work(kind: str, job: dict[str, Any], setting: dict[str, Any]) -> dict[str, Any]:
    """One run, in a process of the pool."""
    seed, name = job["seed"], job["model"]
    if kind == "movielens":
        dataset = load("movielens-100k", "click")
        options = {**TRAINING, "batch_size": BATCH["movielens-100k"], **setting}
        make: Callable[[], Model] = lambda: version(name, dataset)  # noqa: E731
    else:
        about, layers, _ = TASKS[job["task"]]
        dataset = planted(seed=seed, signal=job["signal"], **about)
        make, options = (lambda: build(name, dataset, layers)), PLANTED
    seed_everything(seed)
    model = make()
    result = fit(model, dataset, seed=seed, **options)
    kept = {m: result.test[m] for m in ("auc", "log_loss")}
    if kind == "planted":
        kept["best"] = auc(dataset.test.label, dataset.extras["probability"]) if job["signal"] else 0.5
        if job["task"] == "pairs" and name != "fm":
            kept["named"] = named(model, dataset)
    size = {"parameters": result.parameters, "in_tables": in_tables(model)}
    return {**job, **kept, "best_epoch": result.best_epoch, **size}


def place(r: dict[str, Any]) -> list[Any]:
    """Where a run stands in its list."""
    names = TASKS[r["task"]][2] if "task" in r else tuple(VERSIONS)
    return [r.get("task", ""), not r.get("signal"), names.index(r["model"]), r["seed"]]


def wanted(record: dict[str, Any]) -> list[Job]:
    """The runs that are missing."""
    jobs = [("movielens", {"model": name, "seed": seed}) for seed in SEEDS for name in VERSIONS]
    for task, (_, _, names) in TASKS.items():
        for signal in (True, False):
            about = [{"task": task, "signal": signal, "model": n, "seed": s} for s in PLANTED_SEEDS for n in names]
            jobs += [("planted", job) for job in about if signal or job["model"] in ("dcn", "full")]
    return [(k, job) for k, job in jobs if not any(all(r[n] == v for n, v in job.items()) for r in record[k])]


def run(record: dict[str, Any], save: Callable[[], None], processes: int) -> None:
    """Fill what is missing, saving after each run.

    Raises:
        ValueError: if the stored runs have settings that the leaderboard no longer chooses.
    """
    chosen = settings()
    if record["movielens"] and {**record["settings"], "of": chosen["of"]} != chosen:
        raise ValueError(f"{FILE.name} holds runs with {record['settings']}, but now {chosen} is chosen; use --fresh")
    record["settings"] = chosen
    setting = {k: chosen[k] for k in ("lr", "weight_decay")}
    jobs = lambda: [(kind, job, setting) for kind, job in wanted(record)]  # noqa: E731
    pool.run(work, jobs, pool.into_lists(record, save, place), processes)
    if "time" not in record:
        record["time"] = step_times()
        save()


def step_times(repeats: int = 20) -> dict[str, float]:
    """Forward and backward pass of a batch against DCN's: the best of several, all versions in turns."""
    dataset = load("movielens-100k", "click")
    models = {name: version(name, dataset) for name in VERSIONS}
    best = step_seconds(models, dataset.train[: BATCH["movielens-100k"]], repeats)
    return {name: round(seconds / best["dcn"], 2) for name, seconds in best.items()}


def main() -> None:
    empty: dict[str, Any] = {"movielens": [], "planted": []}
    pool.command(__doc__, FILE, empty, lambda record, save, a: run(record, save, a.processes))


if __name__ == "__main__":
    main()
