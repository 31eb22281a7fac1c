"""scikit-learn's metrics beside ours."""

from __future__ import annotations

import numpy as np
from sklearn import metrics

from . import scores
from .entry import Entry, Value, answer

RANKING, CLASSES = "sklearn/metrics/_ranking.py", "sklearn/metrics/_classification.py"


def entropy() -> tuple[float, float]:
    """Two of its log losses: of the chances, and of the share of ones."""
    y, p, _ = scores.clicks()
    return scores.OURS["normalized_entropy"](), metrics.log_loss(y, p) / metrics.log_loss(y, np.full_like(y, y.mean()))


def grouped() -> tuple[float, float]:
    """Its AUC of each user, averaged by rows."""
    y, p, g = scores.clicks()
    users, rows = np.unique(g, return_counts=True)
    each = [metrics.roc_auc_score(y[g == user], p[g == user]) for user in users]
    return scores.OURS["grouped_auc"](), float(np.average(each, weights=rows))


def ndcg() -> tuple[float, float]:
    score, wanted = scores.ranked()
    return scores.OURS["ndcg@5"](), metrics.ndcg_score(wanted.double().numpy(), score.numpy(), k=scores.K)


def tied() -> tuple[float, float]:
    """Whole numbers as scores, so that many items share one: both take the mean over all orders of them."""
    score, wanted = scores.ranked(levels=4)
    return scores.OURS["ndcg@5, with ties"](), metrics.ndcg_score(wanted.double().numpy(), score.numpy(), k=scores.K)


def entries() -> list[Entry | Value]:
    y, p, _ = scores.clicks()
    ranking = (RANKING, "def roc_auc_score("), (RANKING, "def ndcg_score(")
    of = lambda name, theirs: lambda: (scores.OURS[name](), float(theirs(y, p)))  # noqa: E731
    return [
        Value("auc", "metric", "roc_auc_score", of("auc", metrics.roc_auc_score), ranking[0]),
        Value("log_loss", "metric", "log_loss", of("log_loss", metrics.log_loss), (CLASSES, "def log_loss(")),
        Value("normalized_entropy", "metric", "ratio of two log_loss", entropy, (CLASSES, "def log_loss(")),
        Value("grouped_auc", "metric", "roc_auc_score of each user", grouped, ranking[0]),
        Value("ndcg@5", "metric", "ndcg_score", ndcg, ranking[1], precision="float32"),
        Value("ndcg@5, with ties", "metric", "ndcg_score", tied, ranking[1], precision="float32"),
    ]  # fmt: skip


if __name__ == "__main__":
    answer("sklearn", entries)
