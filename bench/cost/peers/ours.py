"""Worker of ``bench.speed``: this library."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from recsys_lite.fields import Dataset, Field, Rows, Vocabulary
from recsys_lite.models import MODELS
from recsys_lite.training import Settings, fit_in_steps

from .problem import ATTENTION_LAYERS, BOTTOM, CROSS_LAYERS, HEADS, HIDDEN, LR, Task
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


class Ours:
    """A model with the optimiser of :class:`~recsys_lite.training.Settings`; an epoch is one of ``fit_in_steps``."""

    def __init__(self, name: str, optimizer: str, task: Task):
        fields = columns(task)
        more = {"units": task.dim // HEADS} if name == "autoint" else {}
        self.model = MODELS[name](fields, dim=task.dim, **OPTIONS[name], **more)  # type: ignore[call-arg]
        self.settings = {"batch_size": task.batch, "lr": LR, "optimizer": optimizer}
        self.optimizers = Settings(**self.settings).optimizers(self.model)  # type: ignore[arg-type]
        rows = Rows(task.ids.int(), task.numeric, label=task.label)
        self.data = Dataset("invented", "click", fields, rows, rows[:64], rows[:0])
        self.batches = [*rows.batches(task.batch)]
        self.turn, self.steps = 0, None

    def step(self) -> float:
        batch = self.batches[self.turn % len(self.batches)]
        self.turn += 1
        self.model.train()
        loss = bce(self.model(batch), batch.label)
        for each in self.optimizers:
            each.zero_grad()
        loss.backward()
        for each in self.optimizers:
            each.step()
        return loss.item()

    @torch.no_grad()
    def score(self) -> Any:
        self.model.eval()
        return self.model(self.batches[0])

    def epoch(self) -> Any:
        if self.steps is None:
            self.steps = fit_in_steps(self.model, self.data, epochs=1000, patience=1000, **self.settings)  # type: ignore[call-arg]
        return self.steps.step()


if __name__ == "__main__":
    serve(Ours)
