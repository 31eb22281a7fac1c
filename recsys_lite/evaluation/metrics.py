"""How good is a list of probabilities? AUC and log loss come from scikit-learn; the rest is here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics as sk

Array = np.ndarray


def _checked(label: object, probability: object) -> tuple[Array, Array]:
    y, p = np.asarray(label, np.float64), np.asarray(probability, np.float64)
    if y.shape != p.shape or y.ndim != 1 or not len(y):
        raise ValueError(f"expected two vectors of the same length, got shapes {y.shape} and {p.shape}")
    if np.isnan(y).any() or np.isnan(p).any():
        raise ValueError(f"{'labels' if np.isnan(y).any() else 'predictions'} hold NaN")
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"labels must be 0 or 1, got {np.setdiff1d(y, (0, 1))[:3].tolist()}")
    return y, p


def auc(label: object, score: object) -> float:
    """Chance that a random positive scores above a random negative; ties count half. Any monotone score will do.

    Raises:
        ValueError: for different lengths, NaN, labels other than 0 and 1, or only one class.

    Example:
        >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75
    """
    y, s = _checked(label, score)
    if y.min() == y.max():
        raise ValueError(f"AUC needs both classes, all {len(y)} labels are {y[0]:.0f}")
    return float(sk.roc_auc_score(y, s))


def auc_interval(label: object, score: object, confidence: float = 0.95) -> tuple[float, float, float]:
    r"""AUC and the ends of its interval over other rows, by the variance of DeLong et al. (1988).

    A positive's *placement* :math:`v_i` is the share of negatives below it, a negative's :math:`v_j` the share of
    positives above it (ties count half); with P positives and N negatives

    .. math:: \operatorname{se} = \sqrt{\operatorname{var}(v_i) / P + \operatorname{var}(v_j) / N}

    The interval is cut at 0 and 1. It takes rows for independent; rows of one person are not, so it is rather narrow.
    Derived in the chapter *Overview*.

    Raises:
        ValueError: with fewer than two rows of a class.

    Example:
        >>> [round(x, 3) for x in auc_interval([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])]
        [0.75, 0.057, 1.0]
    """
    y, s = _checked(label, score)
    positive, negative = s[y == 1], s[y == 0]
    if min(len(positive), len(negative)) < 2:
        raise ValueError(f"auc_interval: needs two rows of each class, got {len(positive)} and {len(negative)}")
    ranks = stats.rankdata(s)
    above = (ranks[y == 1] - stats.rankdata(positive)) / len(negative)
    below = 1 - (ranks[y == 0] - stats.rankdata(negative)) / len(positive)
    error = np.sqrt(above.var(ddof=1) / len(positive) + below.var(ddof=1) / len(negative))
    area, half = float(above.mean()), float(stats.norm.ppf(0.5 + confidence / 2) * error)
    return area, max(area - half, 0.0), min(area + half, 1.0)


def log_loss(label: object, probability: object, *, logits: bool = False) -> float:
    r"""Mean of -log p(label), in nats. Probabilities are kept within [1e-12, 1 - 1e-12].

    Args:
        label: (B,) 0 or 1.
        probability: (B,) within [0, 1].
        logits: whether ``probability`` holds logits z of any size instead; then the loss is exact,
            :math:`\frac1B \sum \log(1 + e^z) - y z`. Default no.

    Raises:
        ValueError: for different lengths, NaN, labels other than 0 and 1, or probabilities outside [0, 1].

    Example:
        >>> round(log_loss([1, 0], [0.8, 0.4]), 4)  # -(ln 0.8 + ln 0.6) / 2
        0.367
    """
    y, p = _checked(label, probability)
    if logits:
        return float(np.mean(np.logaddexp(0, p) - y * p))
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"probabilities must lie within [0, 1], got {p.min():.3g} to {p.max():.3g}")
    p = p.clip(1e-12, 1 - 1e-12)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))


def normalized_entropy(label: object, probability: object, *, logits: bool = False) -> float:
    """Log loss divided by that of always predicting the base rate of these same labels; 1 means nothing learned.

    ``logits`` as in :func:`log_loss`.

    Source: He et al., Practical Lessons from Predicting Clicks on Ads at Facebook, ADKDD 2014, eq. 1.

    Example:
        >>> normalized_entropy([1, 0, 0, 0], [0.25] * 4)
        1.0
    """
    y, p = _checked(label, probability)
    if y.min() == y.max():
        raise ValueError(f"normalized entropy needs both classes, all {len(y)} labels are {y[0]:.0f}")
    return log_loss(y, p, logits=logits) / log_loss(y, np.full_like(y, y.mean()))


def grouped_auc(label: object, score: object, group: object) -> float:
    """AUC within each group (user), averaged with the group's number of rows as weight.

    Groups with only one class have no AUC and are left out.

    Raises:
        ValueError: if no group has both classes.

    Source: Zhou et al., Deep Interest Network, KDD 2018, eq. 4 (GAUC).

    Example:
        >>> grouped_auc([1, 0, 1, 0], [0.2, 0.1, 0.8, 0.9], [7, 7, 8, 8])
        0.5
    """
    by = group_aucs(label, score, group)
    return float(np.average(by["auc"], weights=by["rows"]))


def group_aucs(label: object, score: object, group: object) -> pd.DataFrame:
    """AUC within each group that has both classes: group as index, rows, auc.

    Raises:
        ValueError: if no group has both classes.
    """
    y, s = _checked(label, score)
    g = np.asarray(group)
    frame = pd.DataFrame({"y": y, "g": g})
    frame["rank"] = pd.Series(s).groupby(g).rank()
    by = frame.groupby("g")
    n, positive = by["y"].size().astype(float), by["y"].sum()
    ranks = frame["rank"].where(frame["y"] == 1, 0.0).groupby(frame["g"]).sum()
    both = (positive > 0) & (positive < n)
    if not both.any():
        raise ValueError("grouped AUC: no group has both classes")
    aucs = (ranks - positive * (positive + 1) / 2) / (positive * (n - positive))
    return pd.DataFrame({"rows": n, "auc": aucs})[both]


def calibration_table(label: object, probability: object, bins: int = 10) -> pd.DataFrame:
    """Mean prediction against observed rate in bins of equal count: columns predicted, observed, low, high, rows.

    ``low`` and ``high`` are the 95 % Wilson interval of the observed rate.
    """
    y, p = _checked(label, probability)
    order = np.argsort(p, kind="stable")
    records = []
    for part in np.array_split(order, min(bins, len(y))):
        low, high = stats.binomtest(int(y[part].sum()), len(part)).proportion_ci(method="wilson")
        records.append((p[part].mean(), y[part].mean(), low, high, len(part)))
    return pd.DataFrame(records, columns=["predicted", "observed", "low", "high", "rows"])


def evaluate(
    label: object, probability: object, group: object | None = None, *, logits: bool = False
) -> dict[str, float]:
    """All metrics of one list of predictions that are defined; ``grouped_auc`` only with groups.

    AUC, normalized entropy and grouped AUC need both labels; what is not defined is left out.

    Args:
        label: (B,) 0 or 1.
        probability: (B,), see :func:`recsys_lite.evaluation.predict`.
        group: (B,) whom a row belongs to, -1 if nobody.
        logits: whether ``probability`` holds logits, which keep apart what probabilities round to 0 or 1. Default no.

    Example:
        >>> sorted(evaluate([1, 1], [0.9, 0.8]))
        ['log_loss']
    """
    y, _ = _checked(label, probability)
    result = {"log_loss": log_loss(label, probability, logits=logits)}
    if y.min() == y.max():
        return result
    entropy = normalized_entropy(label, probability, logits=logits)
    result = {"auc": auc(label, probability), **result, "normalized_entropy": entropy}
    if group is not None and (np.asarray(group) >= 0).all():
        both = pd.Series(y).groupby(np.asarray(group)).nunique()
        if (both > 1).any():
            result["grouped_auc"] = grouped_auc(label, probability, group)
    return result


def interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of the values of several seeds and the ends of its Student-t interval.

    The interval speaks of training noise (seeds) on one fixed test part, not of other test sets.

    Raises:
        ValueError: with fewer than two values.

    Example:
        >>> [round(x, 3) for x in interval([0.70, 0.72, 0.71])]
        [0.71, 0.685, 0.735]
    """
    x = np.asarray(values, np.float64)
    if len(x) < 2:
        raise ValueError(f"an interval needs at least two seeds, got {len(x)}")
    half = stats.t.ppf(0.5 + confidence / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
    return float(x.mean()), float(x.mean() - half), float(x.mean() + half)
