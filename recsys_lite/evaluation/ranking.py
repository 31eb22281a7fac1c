"""Ranking one held-out item: hit rate and NDCG with fair ties, full and sampled, and the training that leads there."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data.item_sets import ItemSets
from ..data.leave_one_out import LeaveOneOut
from ..layers.device import device_of

K = 10  # length of the list that a user sees


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
    """(B, I) scores of all items for B users, in evaluation mode; the model's mode is put back afterwards.

    The model may lie on any device; the scores come to the CPU.
    """
    was_training = model.training
    model.eval()
    try:
        items = torch.arange(data.num_items)
        rows = data.rows(users.repeat_interleave(len(items)), items.repeat(len(users)))
        return model(rows.to(device_of(model), pinned=True)).view(len(users), -1).cpu()
    finally:
        model.train(was_training)


def places(model: nn.Module, data: LeaveOneOut, part: str = "test") -> dict[str, tuple[Tensor, ...]]:
    """:func:`place` of every user's held-out item: ``{"": among all items, " (99 neg)": among its negatives}``.

    Items known by then are no rivals: those of training and, for the test item, the validation item.
    """
    if part not in ("validation", "test"):
        raise ValueError(f"places: unknown part {part!r}; there are 'validation' and 'test'")
    known = ItemSets.of(data, "train", "validation", part)  # the test item is a rival of the validation item
    target, full, sampled = getattr(data, part), [], []
    for users in torch.arange(data.num_users).split(max(1, 2**14 // data.num_items)):
        scores = score_all(model, data, users)  # (B, I)
        own = scores.gather(1, target[users, None]).squeeze(1)  # (B,)
        full.append(place(scores, own, ~known.mask(users)))
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
