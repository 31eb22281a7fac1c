"""Metrics of resampled test parts: every user counts as often as it was drawn, with all of its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import xlog1py, xlogy

from .metrics import group_aucs

Array = np.ndarray
#: (K, U) how often each user was drawn -> (K, S) the metric of each seed; NaN if the drawn rows have one class only.
Weighted = Callable[[Array], Array]

DRAWS = 2000
PROBABILITIES = ("log_loss", "normalized_entropy")  # they take no other scores; lower is better
BLOCK = 50  # draws at a time


@dataclass(frozen=True)
class Part:
    """A test part and what models predict for it, checked.

    Args:
        metric: of :data:`METRICS`, or a name whose values are given for each user.
        predictions: model -> (S, N), or (S, U) values of each user.
        label: (N,) 0 or 1; ``None`` with values of users.
        unit: (N,) the number of the row's user, 0 to U - 1.
        units: ``users``, or ``rows`` where no users are known.
    """

    metric: str
    predictions: Mapping[str, Array]
    label: Array | None
    unit: Array
    units: str

    @classmethod
    def of(cls, predictions: Mapping[str, object], label: object, group: object, metric: str) -> Part:
        """From what :func:`~recsys_lite.evaluation.compare` takes; a ``ValueError`` names what does not fit."""
        arrays = {name: _two_dimensional(name, values, metric) for name, values in predictions.items()}
        sizes = {name: x.shape[1] for name, x in arrays.items()}
        size = next(iter(sizes.values()))
        if len(set(sizes.values())) > 1:
            raise ValueError(f"compare: predictions of different numbers of rows or users: {sizes}")
        if metric not in METRICS:
            if label is not None or group is not None:
                raise ValueError(f"compare: {metric} takes values of users (S, U), without labels and groups")
            return cls(metric, arrays, None, _units(None, size), "users")
        y = np.asarray(label, np.float64)
        if y.shape != (size,):
            raise ValueError(f"compare: {metric} needs labels ({size},), got {None if label is None else y.shape}")
        if not np.isin(y, (0, 1)).all():
            raise ValueError(f"compare: labels must be 0 or 1, got {np.unique(y)[:4].tolist()}")
        if metric != "log_loss" and y.min() == y.max():
            raise ValueError(f"compare: {metric} needs both classes, all {size} labels are {y[0]:.0f}")
        known = _known(group, size)
        if metric == "grouped_auc" and known is None:
            raise ValueError("compare: grouped_auc needs the user of each row")
        part = cls(metric, arrays, y, _units(known, size), "rows" if known is None else "users")
        if part.informative < 2:
            with_both = "both classes" if metric == "grouped_auc" else "each class"
            raise ValueError(f"compare: {metric} needs two {part.units} with {with_both}, got {part.informative}")
        return part

    @property
    def users(self) -> int:
        return int(self.unit.max()) + 1

    @property
    def informative(self) -> int:
        """How many users hold the rarer class, or for grouped AUC both: so many vary, where clicks are few."""
        if self.label is None or self.metric == "log_loss":
            return self.users
        has = [np.bincount(self.unit, self.label == k, self.users) > 0 for k in (0, 1)]
        return int((has[0] & has[1]).sum() if self.metric == "grouped_auc" else min(h.sum() for h in has))

    def resampled(self, name: str, draws: int = DRAWS, seed: int = 0) -> Array:
        """A model's metric for each of its seeds, on the test part itself and on resampled ones.

        A draw takes U users out of U with replacement, each with all of its rows. Equal ``seed`` gives equal draws, so
        models can be resampled one after the other and are still judged on the same users. Predictions are sorted
        once; a draw only changes the users' weights.

        Returns:
            (K + 1, S): the first line is the test part itself. NaN where the drawn rows have one class only.

        Raises:
            ValueError: for fewer than 100 draws.
        """
        if draws < 100:
            raise ValueError(f"compare: needs at least 100 draws, got {draws}")
        users, own = self.users, self.predictions[name]
        value = _mean(own) if self.label is None else METRICS[self.metric](own, self.label, self.unit, users)
        rng = np.random.default_rng(seed)
        found = [value(np.ones((1, users)))]
        for start in range(0, draws, BLOCK):
            drawn = [rng.integers(0, users, users) for _ in range(min(BLOCK, draws - start))]
            found.append(value(np.stack([np.bincount(d, minlength=users) for d in drawn]).astype(np.float64)))
        return np.concatenate(found)


def _two_dimensional(name: str, values: object, metric: str) -> Array:
    x = np.asarray(values, np.float64)
    x = x[None] if x.ndim == 1 else x
    if x.ndim != 2 or not x.size:
        raise ValueError(f"compare: predictions of {name!r} must be (S, N) or (N,), got shape {x.shape}")
    if np.isnan(x).any():
        raise ValueError(f"compare: predictions of {name!r} hold NaN")
    if metric in PROBABILITIES and (x.min() < 0 or x.max() > 1):
        raise ValueError(
            f"compare: {metric} needs probabilities, those of {name!r} lie within [{x.min():.3g}, {x.max():.3g}]"
        )
    return x


def _known(group: object, size: int) -> Array | None:
    if group is None:
        return None
    g = np.asarray(group)
    if g.shape != (size,):
        raise ValueError(f"compare: groups must be ({size},), got {g.shape}")
    nobody = g < 0 if np.issubdtype(g.dtype, np.number) else np.zeros(size, bool)
    if nobody.any() and not nobody.all():
        raise ValueError(f"compare: {nobody.sum()} of {size} rows have no user (group below 0)")
    return None if nobody.all() else g


def _units(group: Array | None, size: int) -> Array:
    unit = np.arange(size) if group is None else np.unique(group, return_inverse=True)[1].reshape(-1)
    if (count := int(unit.max()) + 1) < 2:
        raise ValueError(f"compare: resampling needs two users or more, got {count}")
    return np.asarray(unit, np.intp)


def _auc(score: Array, label: Array, unit: Array, users: int) -> Weighted:
    r"""AUC of weighted rows, ties half.

    With the negatives in the order of their scores and C the cumulated weights of the first of them, a positive i with
    ``low`` negatives below it and ``high`` not above it stands above a weight of (C[low] + C[high]) / 2:

    .. math:: \mathrm{AUC}(w) = \frac{\sum_{i \in P} w_i (C_{\text{low}(i)} + C_{\text{high}(i)}) / 2}
        {\sum_{i \in P} w_i \sum_{j \in N} w_j}
    """
    is_positive = label == 1
    seeds = []
    for own in score:
        negative, positive = own[~is_positive], own[is_positive]
        down, up = np.argsort(negative, kind="stable"), np.argsort(positive, kind="stable")  # near in memory, so faster
        negative, positive = negative[down], positive[up]
        low, high = np.searchsorted(negative, positive, "left"), np.searchsorted(negative, positive, "right")
        seeds.append((unit[~is_positive][down], unit[is_positive][up], low, high))
    positives, negatives = (_sums(x[None], unit, users)[:, 0] for x in (is_positive, ~is_positive))
    below = np.zeros((~is_positive).sum() + 1)

    def value(w: Array) -> Array:
        won = np.empty((len(w), len(seeds)))
        for s, (negative, positive, low, high) in enumerate(seeds):
            for k, own in enumerate(w):
                np.cumsum(own[negative], out=below[1:])
                won[k, s] = (own[positive] * (below[low] + below[high])).sum() / 2
        return _over(won, (w @ positives) * (w @ negatives))

    return value


def _grouped_auc(score: Array, label: Array, unit: Array, users: int) -> Weighted:
    tables = [group_aucs(label, own, unit) for own in score]
    rows = tables[0]["rows"].to_numpy()  # of the users with both classes
    who = tables[0].index.to_numpy()
    sums = rows[:, None] * np.column_stack([t["auc"].to_numpy() for t in tables])  # (users with both, S)
    return lambda w: _over(w[:, who] @ sums, w[:, who] @ rows)


def _log_loss(probability: Array, label: Array, unit: Array, users: int) -> Weighted:
    losses, rows = _losses(probability, label, unit, users)
    return lambda w: _over(w @ losses, w @ rows)


def _normalized_entropy(probability: Array, label: Array, unit: Array, users: int) -> Weighted:
    losses, rows = _losses(probability, label, unit, users)
    clicks = _sums(label[None], unit, users)[:, 0]

    def value(w: Array) -> Array:
        n = w @ rows
        rate = w @ clicks / n
        return _over(w @ losses, -n * (xlogy(rate, rate) + xlog1py(1 - rate, -rate)))

    return value


def _mean(values: Array) -> Weighted:
    return lambda w: _over(w @ values.T, w.sum(1))


def _over(sums: Array, weight: Array) -> Array:
    """(K, S) divided by (K,); NaN where the weight is 0."""
    return np.asarray(sums / np.where(weight == 0, np.nan, weight)[:, None])


def _losses(probability: Array, label: Array, unit: Array, users: int) -> tuple[Array, Array]:
    """Sums of the log loss of each user (U, S), and their numbers of rows (U,)."""
    p = probability.clip(1e-12, 1 - 1e-12)
    return _sums(-np.where(label == 1, np.log(p), np.log1p(-p)), unit, users), np.bincount(unit, minlength=users)


def _sums(values: Array, unit: Array, users: int) -> Array:
    return np.column_stack([np.bincount(unit, own.astype(np.float64), users) for own in values])


METRICS: dict[str, Callable[[Array, Array, Array, int], Weighted]] = {
    "auc": _auc,
    "grouped_auc": _grouped_auc,
    "log_loss": _log_loss,
    "normalized_entropy": _normalized_entropy,
}
