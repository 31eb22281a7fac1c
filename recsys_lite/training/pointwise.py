"""Training on labelled rows: shuffled batches, log loss, early stopping on the validation part."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ..evaluation.inference import predict
from ..evaluation.metrics import evaluate
from ..fields import Dataset, Rows
from ..layers.device import fits
from .loop import Steps
from .losses import logits
from .record import Result
from .settings import Settings, takes


class Labelled:
    r"""The :class:`~recsys_lite.training.loop.Task` of a data set with labels.

    With weights, the loss of a batch is :math:`\frac{1}{B \bar w} \sum_i w_i\, \ell_i`, where :math:`\bar w` is the
    mean weight of the training part: a row of weight 2 counts as one that stands there twice.

    Args:
        data: its training rows may have weights.
        class_weight: see :func:`fit`.

    Raises:
        ValueError: for an empty training or validation part, or weights that are no weights.
    """

    from_start = False

    def __init__(self, data: Dataset, class_weight: ClassWeight = None):
        if len(data.train) == 0 or len(data.validation) == 0:
            raise ValueError(f"fit: data set {data.name!r} has an empty training or validation part")
        self.data, self.dataset, self.name = data, data.name, data.task
        self.rows = data.train
        self.options: dict[str, Any] = {}
        self.of_class = _of_class(data.train, class_weight)
        if class_weight is not None:
            self.options["class_weight"] = class_weight if isinstance(class_weight, str) else self.of_class.tolist()
        weighs = bool(self.options) or data.train.weight is not None
        self.mean = float(self._weight(data.train).mean()) if weighs else 1.0
        if not self.mean > 0:
            raise ValueError(f"fit: all training rows of {data.name!r} have weight 0")

    def batches(
        self, epoch: int, settings: Settings, generator: torch.Generator, device: torch.device
    ) -> Iterator[Rows]:  # fmt: skip
        """The training rows in a new order. They are moved once where they fit, else batch by batch."""
        if self.rows.ids.device != device and fits(self.rows, device):
            self.rows = self.rows.to(device)
        return self.rows.batches(settings.batch_size, generator=generator, device=device)

    def loss(self, model: nn.Module, batch: Rows, generator: torch.Generator) -> Tensor:
        """Log loss of the logits, each row by its weight."""
        if not self.options and batch.weight is None:
            return binary_cross_entropy_with_logits(logits(model(batch)), batch.label)  # type: ignore[arg-type]
        weight = self._weight(batch) / self.mean
        return binary_cross_entropy_with_logits(logits(model(batch)), batch.label, weight)  # type: ignore[arg-type]

    def _weight(self, rows: Rows) -> Tensor:
        """(B,) of the row times that of its class."""
        of_class = self.of_class.to(rows.ids.device)[rows.label.long()]  # type: ignore[union-attr]
        return of_class if rows.weight is None else of_class * rows.weight

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


#: of label 1 where that of 0 is 1, of both, or "balanced"
ClassWeight: TypeAlias = float | Sequence[float] | str | None


def _of_class(rows: Rows, given: ClassWeight) -> Tensor:
    """(2,) the weights of the labels 0 and 1."""
    if given is None:
        return torch.ones(2)
    label = cast(Tensor, rows.label)
    if given == "balanced":  # both classes weigh as much in all
        weight = torch.ones_like(label) if rows.weight is None else rows.weight
        ones = float((weight * label).sum() / weight.sum())
        if not 0 < ones < 1:
            raise ValueError("fit: class_weight 'balanced' needs training rows of both labels")
        return torch.tensor([0.5 / (1 - ones), 0.5 / ones])
    both = [1.0, given] if isinstance(given, (int, float)) else given
    if isinstance(both, str) or len(both) != 2 or not all(math.isfinite(w) and w > 0 for w in both):
        raise ValueError(f"fit: class_weight must be 'balanced', a number above 0, or two of them; got {given!r}")
    return torch.tensor([float(w) for w in both])


@takes()
def fit(
    model: nn.Module, dataset: Dataset, settings: Settings, *, class_weight: ClassWeight = None, progress: bool = True,
    evaluate_test: bool = True,
) -> Result:  # fmt: skip
    """Train on ``dataset.train``, stop by ``dataset.validation``, keep the best epoch's weights, test once.

    Args:
        model: rows -> logits (B,). Build it after :func:`seed_everything` for a reproducible start.
        dataset: see :class:`~recsys_lite.fields.Dataset`; its training rows may have weights, see
            :meth:`~recsys_lite.fields.Dataset.weighted`.
        class_weight: how much a row of label 1 counts where one of label 0 counts 1, or both weights as (of 0, of 1),
            or ``"balanced"``: both classes count as much in all. Predictions are then no longer the chances of the
            data. Default: all rows alike. Metrics know no weights.
        progress: show a bar.
        evaluate_test: look at the test part at the end. Off while settings are chosen.
        settings: each by its keyword, see :class:`~recsys_lite.training.Settings`; ``monitor`` is ``log_loss`` or
            another metric of :func:`~recsys_lite.evaluation.metrics.evaluate`.

    Returns:
        A :class:`~recsys_lite.training.Result`; the model holds the best weights.

    Raises:
        ValueError: for settings out of range, a device that this machine does not have, an unknown metric, a
            checkpoint of other settings, or a loss that is not finite.
    """
    return Steps(model, Labelled(dataset, class_weight), settings).finish(progress, evaluate_test)


@takes()
def fit_in_steps(
    model: nn.Module, dataset: Dataset, settings: Settings, *, class_weight: ClassWeight = None
) -> Steps:  # fmt: skip
    """The training of :func:`fit`, with the same settings and errors, for one who wants to look between its epochs.

    Returns:
        :class:`~recsys_lite.training.loop.Steps`: ``step()`` trains an epoch, ``finish()`` all that are left.
    """
    return Steps(model, Labelled(dataset, class_weight), settings)
