"""How uncertain a difference of two models is, split into what users and what seeds add to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from .power import LEVEL

Array = np.ndarray

MOST = 1000  # times as many users or seeds; beyond that they are said not to decide


@dataclass(frozen=True)
class Variance:
    """The variance V of a difference of two models' mean metrics, see :mod:`recsys_lite.evaluation.compare`.

    Args:
        users: :math:`V_\\text{users}`, for the seeds at hand.
        both: what of it is due to users and seeds together, of each model: :math:`\\operatorname{var}(\\varepsilon) /
            (S U)`.
        seeds: what seeds alone add, of each model: :math:`\\operatorname{var}(\\sigma) / S`, 0 for one seed.
        U: number of users.
        S: numbers of seeds.
        informative: how many of the users count for the degrees of freedom. Default U.
    """

    users: float
    both: tuple[float, float]
    seeds: tuple[float, float]
    U: int
    S: tuple[int, int]
    informative: int | None = None

    @classmethod
    def of(cls, a: Array, b: Array, users: int, informative: int | None = None) -> Variance:
        """From the metrics of the test part (first line) and of its resamples, (K + 1, S_a) and (K + 1, S_b).

        Resamples of one class, where a metric is NaN, are left out. ``informative``: how many users the variance is
        about, see :attr:`Part.informative`. Default: all.
        """
        informative = informative or users
        there = ~np.isnan(a).any(1)  # labels decide it, so both models lose the same
        a, b = a[there], b[there]
        correction = informative / (informative - 1)
        both, seeds = zip(*(_of_seeds(x, correction) for x in (a, b)), strict=True)
        by_users = float((a[1:].mean(1) - b[1:].mean(1)).var(ddof=1)) * correction
        return cls(by_users, both, seeds, users, (a.shape[1], b.shape[1]), informative)

    @property
    def total(self) -> float:
        return self.times(1, 1)[0]

    @property
    def df(self) -> float:
        """Satterthwaite's degrees of freedom."""
        return self.times(1, 1)[1]

    def times(self, users: float, seeds: float) -> tuple[float, float]:
        """V and its degrees of freedom with so many times the users and the seeds."""
        alone = max(self.users - sum(self.both), 0.0) / users
        both = [v / users / seeds for v in self.both]
        by_users = alone + sum(both) if users != 1 or seeds != 1 else self.users
        left = [v / seeds for v in self.seeds]
        total = by_users + sum(left)
        spread = by_users**2 / ((self.informative or self.U) * users - 1) + sum(
            (v + e) ** 2 / (s * seeds - 1) for v, e, s in zip(left, both, self.S, strict=True) if v
        )
        return total, total**2 / spread if spread else np.inf

    def needed(self, difference: float, delta: float, units: str, level: float = LEVEL) -> str:
        """How many users, or seeds, would decide with a chance of 0.8 if the difference is the true one.

        Decided is what is clear of 0 at the level, or has its 95 % interval within ±δ, whichever comes first.
        """
        far, near = abs(difference), delta - abs(difference)

        def decides(users: float, seeds: float) -> bool:
            total, df = self.times(users, seeds)
            error, chance = total**0.5, stats.t.ppf(0.8, df)
            clear, equal = (stats.t.ppf(1 - x / 2, df) + chance for x in (level, LEVEL))
            return bool(clear * error <= far or equal * error <= near)

        said = []
        if self.users and (more := _first(lambda k: decides(k, 1))):
            said.append(f"about {_rounded(more * self.U)} {units}")
        if max(self.S) > 1 and (more := _first(lambda k: decides(1, k))):
            said.append(f"about {int(np.ceil(more * max(self.S)))} seeds")
        return " or ".join(said) or (f"more {units} and more seeds, neither alone" if units else "very many seeds")


def _of_seeds(values: Array, correction: float) -> tuple[float, float]:
    """Variances of the mean over seeds of one model: of users and seeds together, of seeds alone."""
    seeds = values.shape[1]
    if seeds == 1:
        return 0.0, 0.0
    point, draws = values[0], values[1:]
    moved = (draws - point) - (draws - point).mean(1, keepdims=True)  # (K, S): apart from all seeds
    both = float(moved.var(0).sum()) / (seeds - 1) / seeds * correction
    return both, max(float(point.var(ddof=1)) / seeds - both, 0.0)


def _first(decides: Callable[[float], bool]) -> float | None:
    """The smallest factor from 1 to :data:`MOST` that decides, to a thousandth of it; ``None`` if there is none."""
    if not decides(MOST):
        return None
    low, high = 1.0, float(MOST)
    while high / low > 1.001:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def _rounded(count: float) -> str:
    """Up to two digits.

    Example:
        >>> _rounded(1234.0)
        '1,300'
    """
    step = 10 ** max(int(np.log10(count)) - 1, 0)
    return f"{int(np.ceil(count / step)) * step:,}"
