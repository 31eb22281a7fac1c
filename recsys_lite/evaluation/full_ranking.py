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
from .ranking import hit_rate, ndcg, place

K = 20  # length of the list, as in the LightGCN paper


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
def scored(retriever: Retriever, users: Tensor, batch: int = 1024) -> Iterator[tuple[Tensor, Tensor]]:
    """Users in batches with their scores; a module is in evaluation mode meanwhile."""
    training = isinstance(retriever, nn.Module) and retriever.training
    if isinstance(retriever, nn.Module):
        retriever.eval()
    try:
        for some in users.split(batch):
            yield some, retriever.scores(some)
    finally:
        if isinstance(retriever, nn.Module):
            retriever.train(training)


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
    known, wanted = data.mask(*earlier(part)), data.mask(part)
    users = wanted.any(1).nonzero().squeeze(1)
    ideal = (1 / torch.log2(torch.arange(k, dtype=torch.float64) + 2)).cumsum(0)
    lines = []
    for some, scores in scored(retriever, users):
        if scores.shape != (len(some), data.num_items):
            raise ValueError(f"scores: expected {(len(some), data.num_items)}, got {tuple(scores.shape)}")
        row, item = wanted[some].nonzero().T  # (M,) what is to be found
        for chunk in torch.arange(len(row)).split(8192):
            at = row[chunk]
            above, tied = place(scores[at], scores[at, item[chunk]], ~known[some[at]])
            tied = tied - 1  # the item is no rival of itself
            lines.append(
                torch.stack([some[at].double(), hit_rate(above, tied, k).double(), ndcg(above, tied, k).double()], 1)
            )
    table = pd.DataFrame(torch.cat(lines).numpy(), columns=["user", "recall", "ndcg"]).astype({"user": int})
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


def top_k(retriever: Retriever, users: Tensor, k: int, seen: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The k items of highest score for each user: scores (B, k) and items (B, k), the best first.

    Args:
        seen: (B, I) items that are left out, at most I - k of them for each user; they never appear.

    Raises:
        ValueError: if too few items are left.
    """
    scores = torch.cat([s for _, s in scored(retriever, users)])
    if seen is not None:
        if (short := (~seen).sum(1) < k).any():
            raise ValueError(f"top_k: user number {int(users[short][0])} has fewer than {k} items left")
        scores = scores.masked_fill(seen, -torch.inf)
    elif k > scores.shape[1]:
        raise ValueError(f"top_k: {k} of {scores.shape[1]} items asked for")
    found = scores.topk(k, 1)
    return found.values, found.indices
