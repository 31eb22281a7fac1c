"""Training on interactions and drawn negatives, judged by ranking one held-out item."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ..data.item_sets import ItemSets
from ..data.leave_one_out import LeaveOneOut
from ..evaluation.ranking import evaluate_ranking
from ..fields import Rows
from ..layers.device import fits
from .loop import Steps
from .losses import logits
from .negatives import draw_negatives
from .record import Result
from .settings import Settings, takes


def epoch_rows(data: LeaveOneOut, forbidden: ItemSets | Tensor, negatives: int, seed: int, epoch: int) -> Rows:
    """All training interactions, label 1, each followed by its negatives of this epoch, label 0.

    ``forbidden`` is that of :func:`~recsys_lite.training.draw_negatives`.
    """
    user, item = data.train.T
    generator = torch.Generator().manual_seed((1_000_000_007 + seed * 100_003 + epoch) % 2**63)  # not that of the order
    items = torch.cat([item[:, None], draw_negatives(forbidden, user, negatives, generator)], 1)  # (N, 1 + negatives)
    label = torch.zeros(items.shape).index_fill_(1, torch.tensor([0]), 1)
    return data.rows(user.repeat_interleave(items.shape[1]), items.flatten(), label.flatten())


class Interacted:
    """The :class:`~recsys_lite.training.loop.Task` of leave-one-out data; arguments as in :func:`fit_ranking`."""

    name = "leave-one-out"
    from_start = True  # a pre-trained model may be best untouched

    def __init__(self, data: LeaveOneOut, negatives: int, redraw: bool, spare_held_out: bool):
        if negatives < 1:
            raise ValueError(f"fit_ranking: expected at least 1 negative for each interaction, got {negatives=}")
        self.data, self.dataset, self.negatives, self.redraw = data, data.name, negatives, redraw
        self.options = {"negatives": negatives, "redraw": redraw, "spare_held_out": spare_held_out}
        self.forbidden = ItemSets.of(data, "train", *(("validation", "test") if spare_held_out else ()))

    def batches(
        self, epoch: int, settings: Settings, generator: torch.Generator, device: torch.device
    ) -> Iterator[Rows]:  # fmt: skip
        """Interactions and negatives in a new order."""
        drawn = epoch if self.redraw else 1
        rows = epoch_rows(self.data, self.forbidden, self.negatives, settings.seed, drawn)
        rows = rows.to(device) if fits(rows, device) else rows
        return rows.batches(settings.batch_size, generator=generator, device=device)

    def loss(self, model: nn.Module, batch: Rows, generator: torch.Generator) -> Tensor:
        """Log loss of the logits."""
        return binary_cross_entropy_with_logits(logits(model(batch)), batch.label)  # type: ignore[arg-type]

    def metrics(self, model: nn.Module, part: str) -> dict[str, float]:
        """Hit rate and NDCG of the held-out item among all."""
        return evaluate_ranking(model, self.data, part)

    def defined(self) -> Collection[str]:
        """Those among all items. Not asked for: the start is validated, and tells all."""
        return ("hr@10", "ndcg@10")

    def higher(self, metric: str) -> bool:
        """All of them."""
        return True

    def data_read(self) -> tuple[Tensor, Tensor]:
        """Both parts."""
        return self.data.train, self.data.validation


@takes(epochs=30, patience=3, monitor="ndcg@10")
def fit_ranking(
    model: nn.Module, data: LeaveOneOut, settings: Settings, *, negatives: int = 4, redraw: bool = True,
    spare_held_out: bool = False, progress: bool = True, evaluate_test: bool = True,
) -> Result:  # fmt: skip
    """Log loss on interactions and drawn negatives; stop by the validation item's full ranking; test once.

    Args:
        model: rows of user and item -> logits (B,). The start counts as epoch 0: a pre-trained model may be best
            untouched.
        negatives: how many stand beside each interaction. Default 4 (paper).
        redraw: draw them anew in every epoch (default, as in the paper), or keep those of the first.
        spare_held_out: never draw a user's validation and test items. Default off, as in the authors' code: what is
            never a negative stands out, so sparing tells the model what was held out (measured in the chapter).
        progress, evaluate_test: as in :func:`~recsys_lite.training.fit`.
        settings: each by its keyword, see :class:`~recsys_lite.training.Settings`; here at most 30 epochs, patience 3,
            and ``monitor`` is a metric of :func:`~recsys_lite.evaluation.ranking.evaluate_ranking`, NDCG@10.

    A ``ValueError`` tells of settings out of range, an unknown metric, or a loss that is not finite.
    """
    task = Interacted(data, negatives, redraw, spare_held_out)
    return Steps(model, task, settings).finish(progress, evaluate_test)
