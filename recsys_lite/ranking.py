"""Ranking one held-out item: hit rate and NDCG with fair ties, full and sampled, and the training that leads there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from .data.leave_one_out import LeaveOneOut
from .fields import Rows
from .train import Optimizers, Result, _train_epoch, run_epochs

K = 10  # length of the list that a user sees


class Popularity(nn.Module):
    """The same order for everybody: an item scores the number of its training interactions."""

    def __init__(self, data: LeaveOneOut):
        super().__init__()
        counts = torch.bincount(data.train[:, 1], minlength=data.num_items)
        self.register_buffer("counts", torch.cat([counts.new_zeros(1), counts]).float())  # row 0: no such item

    def forward(self, rows: Rows) -> Tensor:
        return self.get_buffer("counts")[rows.ids[:, 1].long()]


def place(scores: Tensor, target: Tensor, rival: Tensor) -> tuple[Tensor, Tensor]:
    """How many rivals stand above a target, and how many share its score: two (B,) of whole numbers.

    Args:
        scores: (B, n). target: (B,) the held-out item's score. rival: (B, n) which of the scores count.

    A ``ValueError`` tells of NaN: nothing is above NaN or tied with it, so it would count as a hit.
    """
    if scores.isnan().any() or target.isnan().any():
        raise ValueError("place: a score is NaN")
    t = target[:, None]
    return ((scores > t) & rival).sum(1), ((scores == t) & rival).sum(1)


def hit_rate(above: Tensor, tied: Tensor, k: int = K) -> Tensor:
    r"""Expected hit of each list when items of equal score stand in random order, the target among them.

    .. math:: \mathrm{HR@}k = \frac{\min(\max(k - a, 0),\, t + 1)}{t + 1}

    With a items above and t tied the target takes each of the places a, …, a + t (from 0) with the same chance.

    Example:
        >>> hit_rate(torch.tensor([0, 9, 9, 10, 0]), torch.tensor([0, 0, 1, 0, 99]))  # the last: a constant scorer
        tensor([1.0000, 1.0000, 0.5000, 0.0000, 0.1000])
    """
    return (k - above).clamp(min=0).minimum(tied + 1) / (tied + 1)


def ndcg(above: Tensor, tied: Tensor, k: int = K) -> Tensor:
    r"""Expected gain :math:`1 / \log_2(\text{place} + 2)` within the first k; with one held-out item this is NDCG.

    Example:
        >>> ndcg(torch.tensor([0, 2, 0, 10]), torch.tensor([0, 0, 1, 0]))  # 1, 1/2, (1 + 1/log2(3)) / 2, 0
        tensor([1.0000, 0.5000, 0.8155, 0.0000])
    """
    gains = 1 / torch.log2(torch.arange(k, dtype=torch.float64) + 2)
    summed = torch.cat([gains.new_zeros(1), gains.cumsum(0)])  # of the first 0, 1, …, k places
    return ((summed[(above + tied + 1).clamp(max=k)] - summed[above.clamp(max=k)]) / (tied + 1)).float()


@torch.no_grad()
def score_all(model: nn.Module, data: LeaveOneOut, users: Tensor) -> Tensor:
    """(B, I) scores of all items for B users, in evaluation mode; the model's mode is put back afterwards."""
    was_training = model.training
    model.eval()
    try:
        items = torch.arange(data.num_items)
        return model(data.rows(users.repeat_interleave(len(items)), items.repeat(len(users)))).view(len(users), -1)
    finally:
        model.train(was_training)


def places(model: nn.Module, data: LeaveOneOut, part: str = "test") -> dict[str, tuple[Tensor, ...]]:
    """:func:`place` of every user's held-out item: ``{"": among all items, " (99 neg)": among its negatives}``.

    Items known by then are no rivals: those of training and, for the test item, the validation item.
    """
    if part not in ("validation", "test"):
        raise ValueError(f"places: unknown part {part!r}; there are 'validation' and 'test'")
    rival = ~data.mask("train", "validation", part)  # the test item is a rival of the validation item
    target, full, sampled = getattr(data, part), [], []
    for users in torch.arange(data.num_users).split(max(1, 2**14 // data.num_items)):
        scores = score_all(model, data, users)  # (B, I)
        own = scores.gather(1, target[users, None]).squeeze(1)  # (B,)
        full.append(place(scores, own, rival[users]))
        negatives = data.negatives[users]  # (B, m)
        sampled.append(place(scores.gather(1, negatives), own, negatives != target[users, None]))
    join = lambda found: tuple(torch.cat(x) for x in zip(*found, strict=True))  # noqa: E731
    return {"": join(full), f" ({data.negatives.shape[1]} neg)": join(sampled)}


def evaluate_ranking(model: nn.Module, data: LeaveOneOut, part: str = "test", k: int = K) -> dict[str, float]:
    """Means over users: ``hr@10`` and ``ndcg@10`` among all items, ``hr@10 (99 neg)`` and ``ndcg@10 (99 neg)``.

    The two kinds need not order models alike: Krichene and Rendle, On Sampled Metrics, KDD 2020.
    """
    found = {}
    for suffix, (above, tied) in places(model, data, part).items():
        found[f"hr@{k}{suffix}"] = hit_rate(above, tied, k).mean().item()
        found[f"ndcg@{k}{suffix}"] = ndcg(above, tied, k).mean().item()
    return found


def draw_negatives(forbidden: Tensor, users: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(N, count) items for N users, uniform and independent over those that the mask (U, I) does not forbid.

    A ``ValueError`` names a user to whom every item is forbidden.
    """
    if (stuck := forbidden.all(1)[users]).any():
        raise ValueError(f"draw_negatives: user number {int(users[stuck][0])} has no item left to draw")
    items = torch.randint(forbidden.shape[1], (len(users), count), generator=generator)
    while (wrong := forbidden[users[:, None], items]).any():
        items[wrong] = torch.randint(forbidden.shape[1], (int(wrong.sum()),), generator=generator)
    return items


def epoch_rows(data: LeaveOneOut, forbidden: Tensor, negatives: int, seed: int, epoch: int) -> Rows:
    """All training interactions, label 1, each followed by its negatives of this epoch, label 0."""
    user, item = data.train.T
    generator = torch.Generator().manual_seed(1_000_000_007 + seed * 100_003 + epoch)  # not that of the order
    items = torch.cat([item[:, None], draw_negatives(forbidden, user, negatives, generator)], 1)  # (N, 1 + negatives)
    label = torch.zeros(items.shape).index_fill_(1, torch.tensor([0]), 1)
    return data.rows(user.repeat_interleave(items.shape[1]), items.flatten(), label.flatten())


def fit_ranking(
    model: nn.Module, data: LeaveOneOut, *, epochs: int = 30, batch_size: int = 1024, lr: float = 1e-3,
    weight_decay: float = 0.0, negatives: int = 4, redraw: bool = True, spare_held_out: bool = False,
    patience: int = 3, monitor: str = "ndcg@10", seed: int = 0,
    optimizer: Callable[[nn.Module], torch.optim.Optimizer] | None = None, checkpoint: str | Path | None = None,
    progress: bool = True, evaluate_test: bool = True,
) -> Result:  # fmt: skip
    """Log loss on interactions and drawn negatives; stop by the validation item's full ranking; test once.

    Args:
        model: rows of user and item -> logits (B,). All that is not named here is as in
            :func:`recsys_lite.train.fit`, but the start counts as epoch 0: a pre-trained model may be best untouched.
        negatives: how many stand beside each interaction. Default 4 (paper).
        redraw: draw them anew in every epoch (default, as in the paper), or keep those of the first.
        spare_held_out: never draw a user's validation and test items. Default off, as in the authors' code: what is
            never a negative stands out, so sparing tells the model what was held out (measured in the chapter).
        monitor: a metric of :func:`evaluate_ranking` on the validation items.

    A ``ValueError`` tells of settings out of range, an unknown metric, or a loss that is not finite.
    """
    if min(epochs, batch_size, negatives, patience) < 1 or lr <= 0 or weight_decay < 0:
        got = f"{epochs=}, {batch_size=}, {negatives=}, {patience=}, {lr=}, {weight_decay=}"
        raise ValueError(f"fit_ranking: expected counts of at least 1, lr above 0, weight_decay at least 0; got {got}")
    settings = {
        "epochs": epochs, "batch_size": batch_size, "lr": lr, "weight_decay": weight_decay, "negatives": negatives,
        "redraw": redraw, "spare_held_out": spare_held_out, "patience": patience, "monitor": monitor,
        "optimizer": "Adam" if optimizer is None else "custom", **getattr(model, "config", {}),
    }  # fmt: skip
    result = Result(data.name, "leave-one-out", type(model).__name__, seed, settings)
    result.parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    adam = lambda m: torch.optim.Adam(m.parameters(), lr=lr, weight_decay=weight_decay, fused=True)  # noqa: E731
    optimizers: Optimizers = [(optimizer or adam)(model)]
    forbidden = data.mask("train", "validation", "test") if spare_held_out else data.mask("train")

    def train_epoch(epoch: int) -> float:
        rows = epoch_rows(data, forbidden, negatives, seed, epoch if redraw else 1)
        return _train_epoch(model, rows, optimizers, batch_size, seed, epoch)

    run_epochs(
        model, result, optimizers, train_epoch=train_epoch,
        validate=lambda: evaluate_ranking(model, data, "validation"),
        epochs=epochs, patience=patience, monitor=monitor, higher=True, from_start=True,
        checkpoint=checkpoint, progress=progress,
    )  # fmt: skip
    if evaluate_test:
        result.test = evaluate_ranking(model, data, "test")
    return result
