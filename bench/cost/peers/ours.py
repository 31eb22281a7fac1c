"""Worker of ``bench.speed``: this library."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from recsys_lite.data.interactions import Interactions
from recsys_lite.fields import Dataset, Field, Rows, Vocabulary
from recsys_lite.models import MODELS, LightGCN
from recsys_lite.training import Settings, Steps, bpr_step, fit_in_steps
from recsys_lite.training.retrieval import Retrieved

from .problem import ATTENTION_LAYERS, BOTTOM, CROSS_LAYERS, HEADS, HIDDEN, LR, Graph, Task
from .protocol import serve

OPTIONS: dict[str, dict[str, Any]] = {
    "fm": {},
    "wide_deep": {"hidden": HIDDEN},
    "deepfm": {"hidden": HIDDEN},
    "dcn": {"hidden": HIDDEN, "cross_layers": CROSS_LAYERS},
    "dcn_v2": {"hidden": HIDDEN, "cross_layers": CROSS_LAYERS, "structure": "parallel"},
    "dlrm": {"bottom": BOTTOM, "top": HIDDEN},
    "autoint": {"hidden": HIDDEN, "layers": ATTENTION_LAYERS, "heads": HEADS},
    "gdcn": {"hidden": HIDDEN, "cross_layers": CROSS_LAYERS},
    "dhen": {"bottom": BOTTOM},
}


def columns(task: Task) -> list[Field]:
    """The fields of a task; row 0 of a vocabulary stands for unseen values, so one value less has as many rows."""
    categorical, numeric = task.names
    fields = [
        Field(name, "categorical", Vocabulary(np.arange(size - 1)))
        for name, size in zip(categorical, task.sizes, strict=True)
    ]
    return fields + [Field(name, "numeric") for name in numeric]


def descend(loss: torch.Tensor, steps: Steps) -> float:
    """The gradients of a loss, and a step of all optimisers; returns the loss."""
    for each in steps.optimizers:
        each.zero_grad()
    loss.backward()
    for each in steps.optimizers:
        each.step()
    return loss.item()


class Ours:
    """A model and ``fit_in_steps``: a step takes its optimisers, an epoch is its own, validation on 64 rows too."""

    def __init__(self, name: str, optimizer: str, task: Task):
        fields = columns(task)
        more = {"units": task.dim // HEADS} if name == "autoint" else {}
        self.model = MODELS[name](fields, dim=task.dim, **OPTIONS[name], **more)  # type: ignore[call-arg]
        rows = Rows(task.ids.int(), task.numeric, label=task.label)
        data = Dataset("invented", "click", fields, rows, rows[:64], rows[:0])
        self.batches, self.turn = [*rows.batches(task.batch)], 0
        self.steps = fit_in_steps(
            self.model, data, batch_size=task.batch, lr=LR, optimizer=optimizer, epochs=1000, patience=1000
        )  # type: ignore[call-arg]

    def step(self) -> float:
        batch = self.batches[self.turn % len(self.batches)]
        self.turn += 1
        self.model.train()
        loss = bce(self.model(batch), batch.label)
        return descend(loss, self.steps)

    @torch.no_grad()
    def score(self) -> Any:
        self.model.eval()
        return self.model(self.batches[0])

    def epoch(self) -> Any:
        return self.steps.step()


def interactions(task: Graph) -> Interactions:
    """The pairs as a data set whose only features are the numbers; 64 of them are for validation."""
    fields = [
        (Field(name, "categorical", Vocabulary(range(count))),)
        for name, count in (("user", task.users), ("item", task.items))
    ]
    rows = [Rows(torch.arange(n)[:, None].int() + 1, torch.zeros(n, 0)) for n in (task.users, task.items)]
    train = task.pairs[64:]
    queries = {"train": rows[0][train[:, 0]], "known": rows[0], "fresh": rows[0]}
    numbers = [np.arange(n) for n in (task.users, task.items)]
    return Interactions("invented", train, *[task.pairs[:64]] * 2, *numbers, *fields, queries, rows[1])  # type: ignore[arg-type]


class Spread:
    """LightGCN with BPR in the loop of ``fit_retrieval``, validation on 64 pairs too."""

    def __init__(self, optimizer: str, task: Graph):
        self.model = LightGCN((task.pairs[64:], task.users, task.items), dim=task.dim, layers=task.layers)
        data = interactions(task)
        self.task = Retrieved(data, bpr_step(data))
        self.steps = Steps(self.model, self.task, Settings(
            batch_size=task.batch, lr=LR, optimizer=optimizer, epochs=1000, patience=1000, monitor="ndcg@20"
        ))  # fmt: skip
        self.generator = torch.Generator().manual_seed(0)
        self.batch = next(self.task.batches(1, self.steps.settings, self.generator, torch.device("cpu")))

    def step(self) -> float:
        loss = self.task.loss(self.model, self.batch, self.generator)
        return descend(loss, self.steps)

    @torch.no_grad()
    def score(self) -> Any:
        return self.model(*self.task.data.train[self.batch].T)

    def epoch(self) -> Any:
        return self.steps.step()


def runner(name: str, optimizer: str, task: Any) -> Ours | Spread:
    """What times a model."""
    return Spread(optimizer, task) if name == "lightgcn" else Ours(name, optimizer, task)


if __name__ == "__main__":
    serve(runner)
