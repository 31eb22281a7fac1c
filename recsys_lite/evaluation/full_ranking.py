"""Finding candidates among all items: metrics of full ranking, lists, and the training that leads there.

A *retriever* is anything with ``scores(users)``: (B,) numbers of users -> (B, I) scores of all items.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pandas as pd
import torch
from torch import Tensor, nn

from ..data.interactions import Interactions
from ..data.item_sets import ItemSets
from .ranking import hit_rate, ndcg

K = 20  # length of the list, as in the LightGCN paper
#: bytes that the scores of one block of users may take
BLOCK = 2**26


class Retriever(Protocol):
    """Scores all items for some users."""

    def scores(self, users: Tensor) -> Tensor:
        """(B,) numbers of users -> (B, I), nothing masked."""
        ...


def earlier(part: str) -> tuple[str, ...]:
    """The parts that are known when a part is judged: their items are no candidates.

    Example:
        >>> earlier("test")
        ('train', 'validation')
    """
    if part not in ("validation", "test"):
        raise ValueError(f"retrieval: unknown part {part!r}; there are 'validation' and 'test'")
    return ("train", "validation")[: 1 + (part == "test")]


@torch.no_grad()
def scored(retriever: Retriever, users: Tensor, num_items: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Users in blocks with their scores (B, I); a module is in evaluation mode meanwhile.

    Blocks of at most 1,024 users whose scores take at most :data:`BLOCK` bytes. Where I is not given, the first block
    of 64 users tells it.
    """
    size = lambda items: max(1, min(1024, BLOCK // (4 * items)))  # noqa: E731
    training = isinstance(retriever, nn.Module) and retriever.training
    if isinstance(retriever, nn.Module):
        retriever.eval()
    try:
        at, block = 0, size(num_items) if num_items else 64
        while at < len(users):
            some = users[at : at + block]
            yield some, (scores := retriever.scores(some))
            at, block = at + block, size(scores.shape[1])
    finally:
        if isinstance(retriever, nn.Module):
            retriever.train(training)


def wanted_places(
    retriever: Retriever, data: Interactions, part: str = "test", k: int = K
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Every interaction of a part: user, item, and its place among the items that the user has not in earlier parts.

    An item of the part that the user has in an earlier one, too, is no candidate and not asked for.

    The place is two numbers as :func:`~recsys_lite.evaluation.hit_rate` and :func:`~recsys_lite.evaluation.ndcg` take
    them: how many candidates stand above the item, and how many others share its score. From k above on, where both
    metrics are 0 whatever is tied, it says k and 0. So the k best of each user are all that is sought.

    Returns:
        four times (N,), by user and then by item.

    Raises:
        ValueError: as :func:`per_user`.
    """
    known = ItemSets.of(data, *earlier(part))
    wanted = ItemSets.of(data, part).without(known)  # what is known is no candidate, so nobody can find it
    found, done = torch.empty(4, int(wanted.count.sum()), dtype=torch.int64), 0
    for users, scores in scored(retriever, wanted.count.nonzero().flatten(), data.num_items):
        if scores.shape != (len(users), data.num_items):
            raise ValueError(f"scores: expected {(len(users), data.num_items)}, got {tuple(scores.shape)}")
        row, item = wanted.pairs(users)
        hidden, at, of = (t.to(scores.device) for t in (known.mask(users), row, item))
        above, tied = (t.cpu() for t in _places(scores, hidden, at, of, k))
        found[:, done : done + len(row)] = torch.stack([users[row], item, above, tied])
        done += len(row)
    user, item, above, tied = found
    return user, item, above, tied


def _places(scores: Tensor, known: Tensor, row: Tensor, item: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Scores and what is known (B, I), the places (M,), (M,) of what is wanted -> above and tied, each (M,)."""
    if scores.isnan().any():
        raise ValueError("scores: one of them is NaN")  # nothing is above NaN, so it would count as found
    best = scores.masked_fill(known, -torch.inf).topk(min(k, scores.shape[1]), 1).values  # (B, k)
    target = scores[row, item]
    above = (best[row] > target[:, None]).sum(1)
    tied = (best[row] == target[:, None]).sum(1)  # all of them, unless the last of the best shares the score
    at_end = target == best[row, -1]
    users, which = row[at_end].unique(return_inverse=True)
    tied[at_end] = ((scores[users] == best[users, -1:]) & ~known[users]).sum(1)[which]
    return above, (tied - 1).clamp(min=0)  # the item is no rival of itself


def per_user(retriever: Retriever, data: Interactions, part: str = "test", k: int = K) -> pd.DataFrame:
    r"""Recall and NDCG of every user who has items in a part, among all items that the user has not in earlier parts.

    .. math:: \mathrm{recall@}k = \frac{1}{|R|} \sum_{i \in R} [\mathrm{place}_i < k], \qquad
        \mathrm{NDCG@}k = \frac{\sum_{i \in R,\ \mathrm{place}_i < k} 1 / \log_2(\mathrm{place}_i + 2)}
        {\sum_{p < \min(k, |R|)} 1 / \log_2(p + 2)}

    with the places from 0 and R the user's items in the part. Items of equal score stand in random order, and both are
    expected values, so a scorer that knows nothing gains nothing. Source: as in the LightGCN authors' code.

    Returns:
        a line per user: user, items (how many there are to find), recall, ndcg.

    Raises:
        ValueError: for an unknown part, scores of a wrong shape, or NaN among them.
    """
    user, _, above, tied = wanted_places(retriever, data, part, k)
    table = pd.DataFrame({
        "user": user.numpy(), "recall": hit_rate(above, tied, k).double().numpy(),
        "ndcg": ndcg(above, tied, k).double().numpy(),
    })  # fmt: skip
    ideal = (1 / torch.log2(torch.arange(k, dtype=torch.float64) + 2)).cumsum(0)
    grouped = table.groupby("user")
    items = grouped.size()
    return pd.DataFrame({
        "items": items, "recall": grouped["recall"].mean(),
        "ndcg": grouped["ndcg"].sum() / ideal.numpy()[items.clip(upper=k) - 1],
    }).reset_index()  # fmt: skip


def evaluate_retrieval(retriever: Retriever, data: Interactions, part: str = "test", k: int = K) -> dict[str, float]:
    """Means of :func:`per_user` over users: ``recall@20`` and ``ndcg@20``."""
    table = per_user(retriever, data, part, k)
    return {f"recall@{k}": float(table["recall"].mean()), f"ndcg@{k}": float(table["ndcg"].mean())}


def top_k(retriever: Retriever, users: Tensor, k: int, seen: ItemSets | Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The k items of highest score for each user: scores (B, k) and items (B, k), the best first, on the CPU.

    Args:
        retriever: on any device.
        seen: items that are left out, at most I - k of them for each user; they never appear. Item sets of all users,
            or a mask (B, I) of the users asked for.

    Raises:
        ValueError: if too few items are left.
    """
    if seen is not None:
        left = seen.num_items - seen.count[users] if isinstance(seen, ItemSets) else (~seen).sum(1)
        if (short := left < k).any():
            raise ValueError(f"top_k: user number {int(users[short][0])} has fewer than {k} items left")
    num_items = seen.num_items if isinstance(seen, ItemSets) else None if seen is None else seen.shape[1]
    values, items, done = torch.empty(len(users), k), torch.empty(len(users), k, dtype=torch.int64), 0
    for some, scores in scored(retriever, users, num_items):
        if k > scores.shape[1]:
            raise ValueError(f"top_k: {k} of {scores.shape[1]} items asked for")
        place = slice(done, done + len(some))
        if seen is not None:
            hidden = seen.mask(some) if isinstance(seen, ItemSets) else seen[place]
            scores = scores.masked_fill(hidden.to(scores.device), -torch.inf)
        values = values.to(scores.dtype)
        values[place], items[place] = (t.cpu() for t in scores.topk(k, 1))
        done = place.stop
    return values, items
