"""How often is a planted cross found, if every model is trained until its validation loss stops improving?

    python -m bench.ranking.converged_crosses             all that is missing; goes on where it stopped
    python -m bench.ranking.converged_crosses --fresh     everything again

Planted data of order 3 and 4, as in :mod:`bench.ranking.planted_crosses`, whose models these are: the cross network
of order - 1 layers, a network with at least as many parameters, a larger network, and DCN with both parts. There all
trained for 40 epochs, and many had their best epoch among the last. Here a run ends when 40 epochs brought no lower
validation log loss, or after 300. Each model tries the same three rates with three seeds, judged by mean validation log
loss, and repeats the best with ten other seeds. All runs of a model are trained side by side, as one stack of tensors:
the models are so small that a step of many costs little more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.functional import binary_cross_entropy_with_logits as log_loss

from bench import pool
from bench.ranking.planted_crosses import DIM, PLANTED, TUNING_SEEDS, build, in_tables
from recsys_lite.data.simulated.planted import planted
from recsys_lite.evaluation import auc
from recsys_lite.fields import Rows
from recsys_lite.store import RESULTS
from recsys_lite.training import seed_everything

FILE = RESULTS / "converged_crosses.json"
ORDERS, SEEDS = (3, 4), range(10)
RATES, STD = (0.003, 0.01, 0.03), 0.1  # embeddings that start small leave the plateau later
NAMES = ("cross", "network, equal", "network, large", "dcn")
TRAINING = {"epochs": 300, "patience": 40, "batch_size": 250}

Job = tuple[str, dict[str, Any]]


def train(order: int, name: str, runs: Sequence[tuple[float, int]], part: str) -> list[dict[str, Any]]:
    """Runs of one model, each with its rate, its seed and its own data, side by side.

    Args:
        part: ``validation`` or ``test``, of which AUC and log loss are told for the weights of the best epoch.
    """
    data = [planted(order, seed, **PLANTED) for _, seed in runs]
    models = []
    for (_, seed), dataset in zip(runs, data, strict=True):
        seed_everything(seed)
        models.append(build(f"cross {order - 1}" if name == "cross" else name, dataset, order, STD))
    weights, _ = stack_module_state(models)  # type: ignore[arg-type]
    weights = {k: w.detach() for k, w in weights.items()}
    one = models[0]

    def logits(w: dict[str, Tensor], ids: Tensor) -> Tensor:
        return functional_call(one, w, (Rows(ids, ids.new_zeros(ids.shape[0], 0, dtype=torch.float32)),))

    def loss(w: dict[str, Tensor], ids: Tensor, label: Tensor) -> Tensor:
        return log_loss(logits(w, ids), label)

    parts = {p: [getattr(d, p) for d in data] for p in ("train", "validation", part)}
    ids = {p: torch.stack([r.ids for r in rows]) for p, rows in parts.items()}
    label = {p: torch.stack([r.label for r in rows]) for p, rows in parts.items()}
    slope, both = vmap(grad(loss)), vmap(loss)
    step = Adam(weights, torch.tensor([rate for rate, _ in runs]))
    kept, best = {k: w.clone() for k, w in weights.items()}, torch.full((len(runs),), torch.inf)
    left, best_epoch, epoch = torch.arange(len(runs)), torch.zeros(len(runs)), 0
    generator = torch.Generator().manual_seed(0)
    while epoch < TRAINING["epochs"] and (waits := epoch - best_epoch[left] < TRAINING["patience"]).any():
        if waits.sum() <= len(left) // 2:  # go on without those that have stopped
            left, weights = left[waits], {k: w[waits] for k, w in weights.items()}
            step.keep(waits)
            waits = waits[waits]
        epoch += 1
        order_of_rows = torch.rand(len(left), label["train"].shape[1], generator=generator).argsort(1)
        for batch in order_of_rows.split(TRAINING["batch_size"], 1):
            slopes = slope(weights, ids["train"][left[:, None], batch], label["train"][left[:, None], batch])
            weights = step(weights, slopes)
        with torch.no_grad():
            now = both(weights, ids["validation"][left], label["validation"][left])
        new = waits & (now < best[left])
        best[left[new]], best_epoch[left[new]] = now[new], float(epoch)
        for k, w in weights.items():
            kept[k][left[new]] = w[new]
    with torch.no_grad():
        scores, losses = vmap(logits)(kept, ids[part]), both(kept, ids[part], label[part])
    about = {"order": order, "model": name, "outside": one.parameter_count - in_tables(one)}
    found = zip(runs, label[part], scores, losses.tolist(), best_epoch.int().tolist(), strict=True)
    return [{**about, "lr": rate, "seed": seed, "auc": auc(y, z), "log_loss": value, "best_epoch": k}
            for (rate, seed), y, z, value, k in found]  # fmt: skip


class Adam:
    """Adam for a stack of models, each with a rate of its own."""

    def __init__(self, weights: dict[str, Tensor], rates: Tensor, betas: tuple[float, float] = (0.9, 0.999)):
        self.rates, self.betas, self.count = rates, betas, 0
        self.mean, self.square = ({k: torch.zeros_like(w) for k, w in weights.items()} for _ in range(2))

    def keep(self, which: Tensor) -> None:
        """Go on with some of the models."""
        self.rates = self.rates[which]
        self.mean, self.square = ({k: v[which] for k, v in part.items()} for part in (self.mean, self.square))

    def __call__(self, weights: dict[str, Tensor], slopes: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weights after a step."""
        self.count += 1
        a, b = self.betas
        new = {}
        for k, g in slopes.items():
            self.mean[k].lerp_(g, 1 - a)
            self.square[k].mul_(b).addcmul_(g, g, value=1 - b)
            root = (self.square[k] / (1 - b**self.count)).sqrt() + 1e-8
            rate = self.rates.view(-1, *[1] * (g.dim() - 1)) / (1 - a**self.count)
            new[k] = weights[k] - rate * self.mean[k] / root
        return new


def work(kind: str, job: dict[str, Any]) -> list[dict[str, Any]]:
    """All runs of one kind of one model, in a process of the pool."""
    part = "validation" if kind == "tuning" else "test"
    return train(job["order"], job["model"], job["runs"], part)


def chosen(record: dict[str, Any], order: int, name: str) -> float:
    """The rate of a model with the lowest validation log loss, summed over the tuning seeds."""
    tried = [r for r in record["tuning"] if (r["order"], r["model"]) == (order, name)]
    return min(RATES, key=lambda rate: sum(r["log_loss"] for r in tried if r["lr"] == rate))


def wanted(record: dict[str, Any]) -> list[Job]:
    """The runs that are missing and can be made now: a model's seeds come after its tuning."""
    jobs: list[Job] = []
    for order in ORDERS:
        for name in NAMES:
            kind, runs = "tuning", [(rate, seed) for rate in RATES for seed in TUNING_SEEDS]
            if _done(record, kind, order, name):
                kind, runs = "runs", [(chosen(record, order, name), seed) for seed in SEEDS]
            if not _done(record, kind, order, name):
                jobs.append((kind, {"order": order, "model": name, "runs": runs}))
    return jobs


def _done(record: dict[str, Any], kind: str, order: int, name: str) -> bool:
    return any((r["order"], r["model"]) == (order, name) for r in record[kind])


def run(record: dict[str, Any], save: Callable[[], None], processes: int) -> None:
    """Fill what is missing, saving after each model."""
    record["about"] = {"planted": PLANTED, "training": TRAINING, "dim": DIM, "rates": list(RATES), "std": STD}

    def keep(job: tuple[Any, ...], results: list[dict[str, Any]]) -> None:
        record[job[0]] += results
        record[job[0]].sort(key=lambda r: (r["order"], NAMES.index(r["model"]), r["lr"], r["seed"]))
        save()

    pool.run(work, lambda: wanted(record), keep, processes)


def main() -> None:
    pool.command(__doc__, FILE, {"tuning": [], "runs": []}, lambda record, save, a: run(record, save, a.processes))


if __name__ == "__main__":
    main()
