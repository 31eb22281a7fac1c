"""Training on labelled rows: shuffled batches, log loss, early stopping on the validation part."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ..evaluation.inference import predict
from ..evaluation.metrics import evaluate
from ..fields import Dataset, Rows
from .loop import Steps
from .record import Result
from .settings import Settings, takes


class Labelled:
    """The :class:`~recsys_lite.training.loop.Task` of a data set with labels.

    Raises:
        ValueError: for an empty training or validation part.
    """

    from_start = False

    def __init__(self, data: Dataset):
        if len(data.train) == 0 or len(data.validation) == 0:
            raise ValueError(f"fit: data set {data.name!r} has an empty training or validation part")
        self.data, self.dataset, self.name = data, data.name, data.task
        self.options: dict[str, Any] = {}

    def batches(self, epoch: int, settings: Settings, generator: torch.Generator) -> Iterator[Rows]:
        """The training rows in a new order."""
        return self.data.train.batches(settings.batch_size, generator=generator)

    def loss(self, model: nn.Module, batch: Rows, generator: torch.Generator) -> Tensor:
        """Log loss of the logits."""
        return binary_cross_entropy_with_logits(model(batch), batch.label)  # type: ignore[arg-type]

    def metrics(self, model: nn.Module, part: str) -> dict[str, float]:
        """Those of :func:`~recsys_lite.evaluation.metrics.evaluate`; none for a part without rows."""
        rows: Rows = getattr(self.data, part)
        if not len(rows):
            return {}
        return evaluate(rows.label, predict(model, rows, logits=True), rows.group, logits=True)

    def defined(self) -> Collection[str]:
        """What the labels and groups of the validation part allow."""
        rows = self.data.validation
        return evaluate(rows.label, torch.full((len(rows),), 0.5), rows.group)

    def higher(self, metric: str) -> bool:
        """AUC rises, losses fall."""
        return metric in ("auc", "grouped_auc")

    def data_read(self) -> tuple[Rows, Rows]:
        """Both parts."""
        return self.data.train, self.data.validation


@takes()
def fit(
    model: nn.Module, dataset: Dataset, settings: Settings, *, progress: bool = True, evaluate_test: bool = True
) -> Result:  # fmt: skip
    """Train on ``dataset.train``, stop by ``dataset.validation``, keep the best epoch's weights, test once.

    Args:
        model: rows -> logits (B,). Build it after :func:`seed_everything` for a reproducible start.
        dataset: see :class:`~recsys_lite.fields.Dataset`.
        progress: show a bar.
        evaluate_test: look at the test part at the end. Off while settings are chosen.
        settings: each by its keyword, see :class:`~recsys_lite.training.Settings`; ``monitor`` is ``log_loss`` or
            another metric of :func:`~recsys_lite.evaluation.metrics.evaluate`.

    Returns:
        A :class:`~recsys_lite.training.Result`; the model holds the best weights.

    Raises:
        ValueError: for settings out of range, an unknown metric, a checkpoint of other settings, or a loss that is
            not finite.
    """
    return Steps(model, Labelled(dataset), settings).finish(progress, evaluate_test)


@takes()
def fit_in_steps(model: nn.Module, dataset: Dataset, settings: Settings) -> Steps:
    """The training of :func:`fit`, with the same settings and errors, for one who wants to look between its epochs.

    Returns:
        :class:`~recsys_lite.training.loop.Steps`: ``step()`` trains an epoch, ``finish()`` all that are left.
    """
    return Steps(model, Labelled(dataset), settings)
