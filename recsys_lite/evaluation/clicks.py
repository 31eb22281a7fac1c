"""Models of clicks against the ratings behind a simulated log."""

from __future__ import annotations

import numpy as np
from torch import nn

from ..data.simulated.clicks import PLACES, Clicks
from .inference import predict
from .metrics import auc, grouped_auc


def against_truth(model: nn.Module, clicks: Clicks, part: str = "test") -> dict[str, float]:
    """How well served scores put a person's films in the order of the ratings.

    Args:
        model: rows -> scores (B,); higher is better.

    Returns:
        ``ndcg@10`` of each person's films of this part with gains 2^r - 1, mean over persons; ``auc`` of ratings 4
        and 5 against the rest over all rows, ``grouped_auc`` within persons.
    """
    rows, truth = getattr(clicks.dataset, part), clicks.truth[part]
    scores, liked = predict(model, rows, logits=True), (truth.rating >= 4).float()
    return {
        "ndcg@10": ndcg(scores.numpy(), truth.rating.numpy(), rows.group.numpy()),
        "auc": auc(liked, scores),
        "grouped_auc": grouped_auc(liked, scores, rows.group),
    }


def ndcg(score: np.ndarray, rating: np.ndarray, group: np.ndarray, k: int = PLACES) -> float:
    """Mean over groups of :func:`ndcg_by_group`.

    Example:
        >>> round(ndcg(np.array([0.9, 0.5]), np.array([1, 2]), np.array([0, 0])), 4)  # (1 + 3/log2 3) / (3 + 1/log2 3)
        0.7967
    """
    return float(np.mean(ndcg_by_group(score, rating, group, k)))


def ndcg_by_group(score: np.ndarray, rating: np.ndarray, group: np.ndarray, k: int = PLACES) -> np.ndarray:
    """DCG@k of each group with gains 2^r - 1, divided by that of the best order; tied scores by their order.

    Groups come in the order of their numbers.

    Source: Järvelin and Kekäläinen, TOIS 2002, with the gains of Burges et al., ICML 2005.
    """
    gain = 2.0 ** np.asarray(rating, float) - 1
    start = np.unique(np.sort(group), return_index=True)[1]
    within = np.arange(len(group)) - np.repeat(start, np.diff(np.r_[start, len(group)]))
    weight = np.where(within < k, 1 / np.log2(within + 2), 0)
    dcg, best = (np.add.reduceat(gain[np.lexsort((-key, group))] * weight, start) for key in (score, gain))
    return np.asarray(dcg / best)
