"""How deep, and with which modules? DHEN on MovieLens and on planted data, and its training in four processes.

    python -m bench.ranking.dhen             all that is missing; an interrupted run goes on where it stopped
    python -m bench.ranking.dhen --fresh     everything again

MovieLens *click*, 100,000 of the training rows (the same for all), one to eight layers, and one layer with each module
alone, each left out, and all five. Planted data with two kinds of structure (:func:`two_kinds`): each module alone, two
together, all five; the control has labels by coin. Two rates are tried with a seed of its own and judged by validation
NE: on planted data for each version, on MovieLens with the versions in :data:`DECIDE`, whose mean decides for all of
their group. All keep the best epoch by validation. ``time`` holds the time of a training step by depth, best of several
taken in turns, as multiples of one layer. ``four`` holds the reports of ``recsys_lite.distributed.four_processes``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from bench import pool
from bench.leaderboard import load
from bench.timing import step_seconds
from recsys_lite.distributed.four_processes import KINDS, MODULE
from recsys_lite.distributed.two_processes import launch
from recsys_lite.fields import Dataset, Field, Rows, Vocabulary
from recsys_lite.models import DHEN
from recsys_lite.store import RESULTS
from recsys_lite.training import fit, seed_everything

FILE = RESULTS / "dhen.json"
ROWS, CHECKED = 100_000, 10_000  # training and validation rows of MovieLens; the test part is whole
SEEDS = {"depth": range(3), "modules": range(3), "planted": range(5), "control": range(5)}
TUNING_SEED = 100  # none of the reported ones
RATES = (0.003, 0.01)
TRAINING: dict[str, dict[str, Any]] = {
    "movielens": {"epochs": 2, "patience": 2, "batch_size": 1024, "progress": False},
    "planted": {"epochs": 20, "patience": 3, "batch_size": 250, "progress": False},
}
DEPTHS = range(1, 9)
ONE: dict[str, Any] = {"layers": 1, "dim": 8}
ALONE: dict[str, dict[str, Any]] = {k: {"modules": [k], **ONE} for k in KINDS}
TOGETHER: dict[str, dict[str, Any]] = {
    "dot + attention": {"modules": ["dot", "attention"], **ONE},
    "dot + linear": {"modules": ["dot", "linear"], **ONE},
    "all five": {"modules": KINDS, **ONE},
}
VERSIONS: dict[str, dict[str, dict[str, Any]]] = {
    "planted": {**ALONE, **TOGETHER},
    "control": {**ALONE, **TOGETHER},
    "depth": {str(k): {"layers": k} for k in DEPTHS},
    "modules": {
        "all five": {"modules": KINDS, "layers": 1},
        **{f"only {k}": {"modules": [k], "layers": 1} for k in KINDS},
        **{f"without {k}": {"modules": [m for m in KINDS if m != k], "layers": 1} for k in KINDS},
    },
}
DECIDE = {"depth": ["1", "4", "8"], "modules": ["all five", "only dot", "only cross"]}  # the rate of their group

Job = tuple[str, dict[str, Any]]


def two_kinds(seed: int, rows: int = 8000, values: int = 40, signal: bool = True) -> Dataset:
    """Eight fields: the logit is a product of hidden factors of A and B, plus the sign of the loudest of C to H.

    Each value of A and B has two hidden N(0, 1) factors, each value of C to H a loudness and a sign, half of them +.
    Both parts have variance 4.5, so each half of the logit. ``extras``: ``parts`` (2, rows) and ``probability`` of the
    test rows. ``signal=False`` draws labels by coin.
    """
    g = torch.Generator().manual_seed(seed)
    total, names = rows + 2 * (rows // 4), "ABCDEFGH"
    ids = torch.randint(values, (total, len(names)), generator=g)
    factors = torch.randn(2, values, 2, generator=g)
    loudness = torch.rand(6, values, generator=g)
    signs = torch.stack([torch.randperm(values, generator=g) % 2 * 2.0 - 1 for _ in range(6)])
    product = (factors[0][ids[:, 0]] * factors[1][ids[:, 1]]).sum(1)
    places = torch.arange(6), ids[:, 2:]
    loudest = signs[places].gather(1, loudness[places].argmax(1, keepdim=True)).squeeze(1)
    parts = torch.stack([product / product.std(), loudest / loudest.std()]) * 4.5**0.5
    probability = torch.sigmoid(parts.sum(0) * signal)
    label = (torch.rand(total, generator=g) < probability).float()
    fields = tuple(Field(n, "categorical", Vocabulary([f"{n}{k:02d}" for k in range(values)])) for n in names)
    x = Rows((ids + 1).int(), torch.zeros(total, 0), {}, label, torch.full((total,), -1))
    a, b = rows, rows + rows // 4
    truth = {"parts": parts[:, b:], "probability": probability[b:]}
    return Dataset("planted", "two kinds" if signal else "coin", fields, x[:a], x[a:b], x[b:], extras=truth)


def sample(seed: int = 0) -> Dataset:
    """MovieLens click with fewer rows to train and to stop by."""
    whole = load("movielens-100k", "click")
    some = lambda rows, n: rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:n]]  # noqa: E731
    train, validation = some(whole.train, ROWS), some(whole.validation, CHECKED)
    return Dataset(whole.name, whole.task, whole.fields, train, validation, whole.test, extras=whole.extras)


def work(kind: str, job: dict[str, Any]) -> dict[str, Any]:
    """One run, in a process of the pool."""
    seed, group, started = job["seed"], job["group"], time.process_time()
    made_up = group in ("planted", "control")
    dataset = two_kinds(seed, signal=group == "planted") if made_up else sample()
    seed_everything(seed)
    model = DHEN(dataset.fields, **VERSIONS[group][job["model"]])
    how = TRAINING["planted" if made_up else "movielens"]
    result = fit(model, dataset, seed=seed, lr=job["lr"], evaluate_test=kind == "runs", **how)
    found = dict(result.test if kind == "runs" else result.validation)
    if made_up and kind == "runs":
        found["product"], found["loudest"] = shares(model, dataset)
    seconds = time.process_time() - started
    return {**job, **found, "best_epoch": result.best_epoch, "parameters": result.parameters, "seconds": seconds}


@torch.no_grad()
def shares(model: DHEN, dataset: Dataset) -> list[float]:
    """Correlations of the test logits with each planted part."""
    z = model(dataset.test)
    return [torch.corrcoef(torch.stack([z, part]))[0, 1].item() for part in dataset.extras["parts"]]


def wanted(record: dict[str, Any]) -> list[Job]:
    """The runs that are missing and can be made now: a version's seeds come after its tuning."""
    jobs: list[Job] = []
    for group, versions in VERSIONS.items():
        tuned = "planted" if group == "control" else group
        for name in versions:
            judges = DECIDE.get(group, [name])
            tried = [r for r in record["tuning"] if r["group"] == tuned and r["model"] in judges]
            left = [(m, lr) for m in judges for lr in RATES if (m, lr) not in [(r["model"], r["lr"]) for r in tried]]
            if left:
                asked = [{"group": tuned, "model": m, "lr": lr, "seed": TUNING_SEED} for m, lr in left]
                jobs += [("tuning", job) for job in asked if ("tuning", job) not in jobs]
                continue
            loss = {lr: sum(r["normalized_entropy"] for r in tried if r["lr"] == lr) for lr in RATES}
            best = min(loss, key=lambda lr: loss[lr])
            done = [r["seed"] for r in record["runs"] if r["group"] == group and r["model"] == name]
            todo = [s for s in SEEDS[group] if s not in done]
            jobs += [("runs", {"group": group, "model": name, "lr": best, "seed": s}) for s in todo]
    return jobs


def place(r: dict[str, Any]) -> list[float]:
    """Where a run stands in its list."""
    return [list(VERSIONS).index(r["group"]), list(VERSIONS[r["group"]]).index(r["model"]), r["lr"], r["seed"]]


def run(record: dict[str, Any], save: Callable[[], None], processes: int) -> None:
    """Fill what is missing, saving after each run."""
    record["about"] = {"rows": ROWS, "rates": RATES, "training": TRAINING, "decide": DECIDE, "versions": VERSIONS}
    pool.run(work, lambda: wanted(record), pool.into_lists(record, save, place), processes)
    if "time" not in record:
        record["time"] = step_times()
    for name in ("adam", "sgd"):
        if name not in record.setdefault("four", {}):
            record["four"][name] = launch(4, "--optimizer", name, module=MODULE)
    save()


def step_times(repeats: int = 8) -> list[float]:
    """Best time of a training step with 1, 2, … layers, taken in turns, as multiples of that with one layer."""
    dataset = load("movielens-100k", "click")
    models = {k: DHEN(dataset.fields, layers=k) for k in DEPTHS}
    best = list(step_seconds(models, dataset.train[:1024], repeats).values())
    return [t / best[0] for t in best]


def main() -> None:
    empty: dict[str, Any] = {"tuning": [], "runs": []}
    pool.command(__doc__, FILE, empty, lambda record, save, a: run(record, save, a.processes))


if __name__ == "__main__":
    main()
