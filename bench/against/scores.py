"""Predictions and lists on which metrics and losses are compared, and what ours say of them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsys_lite.evaluation import auc, grouped_auc, log_loss, normalized_entropy, per_user
from recsys_lite.training.losses import bpr

K, USERS, ITEMS = 5, 20, 30


def clicks() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, chances with ties, and users who all have both labels."""
    random = np.random.default_rng(0)
    label, group = (random.random(400) < 0.3).astype(float), np.arange(400) % USERS
    label[: 2 * USERS] = np.repeat([0.0, 1.0], USERS)
    chance = np.round(0.05 + 0.6 * random.random(400) + 0.2 * label, 2)
    return label, chance, group


def ranked(levels: int = 0) -> tuple[Tensor, Tensor]:
    """Scores (U, I), and which items are wanted; every user wants one at least, some more than K.

    Args:
        levels: how many different scores there are; 0: no two are the same.
    """
    g = torch.Generator().manual_seed(0)
    score = torch.randperm(USERS * ITEMS, generator=g).view(USERS, ITEMS).double() / 7
    score = score.floor() % levels if levels else score
    wanted = torch.rand(USERS, ITEMS, generator=g) < torch.linspace(0.05, 0.4, USERS)[:, None]
    wanted[torch.arange(USERS), torch.arange(USERS)] = True
    return score, wanted


def lists() -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """What users want, and the K items of highest score."""
    score, wanted = ranked()
    best = score.topk(K, 1).indices
    every = range(USERS)
    return {u: wanted[u].nonzero().flatten().tolist() for u in every}, {u: best[u].tolist() for u in every}


def ranking(column: str, levels: int = 0) -> float:
    """Ours of all users: the mean of ``recall`` or ``ndcg``."""
    score, wanted = ranked(levels)
    none = torch.zeros(0, 2, dtype=torch.int64)
    data = SimpleNamespace(train=none, validation=none, test=wanted.nonzero(), num_users=USERS, num_items=ITEMS)
    retriever = SimpleNamespace(scores=lambda users: score[users])
    return float(per_user(retriever, data, "test", K)[column].mean())  # type: ignore[arg-type]


def _of(metric: Callable[..., float], groups: bool = False) -> Callable[[], float]:
    return lambda: metric(*clicks()[: 3 if groups else 2])


def gaps() -> tuple[Tensor, Tensor]:
    """Scores of positives and negatives."""
    g = torch.Generator().manual_seed(1)
    return tuple(torch.randn(16, generator=g, dtype=torch.float64) for _ in range(2))  # type: ignore[return-value]


#: metric or loss -> ours
OURS: dict[str, Callable[[], float]] = {
    "auc": _of(auc),
    "log_loss": _of(log_loss),
    "normalized_entropy": _of(normalized_entropy),
    "grouped_auc": _of(grouped_auc, groups=True),
    "recall@5": lambda: ranking("recall"),
    "ndcg@5": lambda: ranking("ndcg"),
    "ndcg@5, with ties": lambda: ranking("ndcg", levels=4),
    "bpr": lambda: bpr(*gaps()).item(),
}


def losses(theirs: Any) -> Callable[[], tuple[float, float]]:
    """Ours and theirs of the same scores."""
    return lambda: (OURS["bpr"](), theirs(*gaps()).item())


def gap(theirs: Any, size: float, dtype: torch.dtype) -> Callable[[], tuple[float, float]]:
    """Ours and theirs of one pair that is so far apart, the negative above where the gap is negative."""
    positive, negative = torch.tensor([size], dtype=dtype), torch.zeros(1, dtype=dtype)
    return lambda: (bpr(positive, negative).item(), theirs(positive, negative).item())
