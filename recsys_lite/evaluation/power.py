"""Power of a test, the smallest effect that it finds, Holm's correction, and exact intervals of counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import optimize, stats

LEVEL = 0.05  # of all tests and intervals


def power(difference: float, error: float, df: float = np.inf, level: float = LEVEL) -> float:
    r"""The chance that a two-sided t test finds a true difference.

    .. math:: P\left(|T_{\nu}(\theta / \mathrm{se})| > t_{1 - \alpha/2, \nu}\right)

    with :math:`T_\nu(\delta)` of the noncentral t distribution; for :math:`\nu = \infty` of the normal one. Computed as
    the mean over the distribution of the standard error, to about 0.0005.

    Args:
        difference: the true difference θ.
        error: the standard error se of its estimate, above 0.
        df: degrees of freedom ν of the standard error. Default: infinitely many.
        level: α. Default 0.05.

    Raises:
        ValueError: for an error or degrees of freedom that are not above 0, or a level outside (0, 1).

    Example:
        >>> round(power(0.0, 0.001), 3), round(power(0.0028, 0.001), 2)
        (0.05, 0.8)
    """
    if not (0 < error < np.inf and df > 0 and 0 < level < 1 and np.isfinite(difference)):
        raise ValueError(f"power: got difference {difference}, error {error}, df {df}, level {level}")
    shift, bound = abs(difference) / error, stats.t.ppf(1 - level / 2, df)
    if df == np.inf:
        scale = np.ones(1)
    else:  # what the estimated error is of the true one: the middle quantiles of a chi distribution
        scale = np.sqrt(stats.chi2.ppf((np.arange(4000) + 0.5) / 4000, df) / df)
    return float(np.mean(stats.norm.sf(bound * scale - shift) + stats.norm.cdf(-bound * scale - shift)))


def smallest_effect(error: float, df: float = np.inf, chance: float = 0.8, level: float = LEVEL) -> float:
    """The smallest true difference that a test with this standard error finds with a given chance.

    A failure to reproduce a paper's gain says something only if this is below the gain.

    Args:
        error: standard error of the difference, as :attr:`Verdict.error`.
        df: its degrees of freedom, as :attr:`Verdict.df`. Default: infinitely many.
        chance: the power. Default 0.8.
        level: of the two-sided test. Default 0.05.

    Raises:
        ValueError: as :func:`power`, or for a chance that is not between the level and 1.

    Example:
        >>> round(smallest_effect(0.001), 5)  # (1.96 + 0.842) standard errors
        0.0028
        >>> round(smallest_effect(0.001, df=4), 5)  # the error of five differences is itself uncertain
        0.00376
    """
    if not level < chance < 1:
        raise ValueError(f"smallest_effect: chance must lie between {level} and 1, got {chance}")
    high = 4.0
    while power(high, 1, df, level) < chance:
        high *= 2
    found = optimize.brentq(lambda shift: power(shift, 1, df, level) - chance, 0, high, xtol=1e-6)
    power(0, error, df, level)  # names a bad error
    return float(found * error)


def holm(p: Sequence[float]) -> list[float]:
    """p values corrected for their number, after Holm (1979): times the number of those not yet rejected, in order.

    Example:
        >>> [round(x, 3) for x in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    out, largest = [0.0] * len(p), 0.0
    for rank, k in enumerate(np.argsort(p)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[k]))
        out[k] = largest
    return out


def exact(k: int, n: int, confidence: float = 0.95) -> tuple[float, float, float]:
    """Share k / n and its exact interval (Clopper and Pearson, 1934): for "recovered k of n".

    Raises:
        ValueError: unless 0 <= k <= n and n >= 1.

    Example:
        >>> [round(x, 4) for x in exact(5, 5)]  # low = 0.025 ** (1 / 5)
        [1.0, 0.4782, 1.0]
    """
    _check_count(k, n)
    ends = stats.binomtest(int(k), int(n)).proportion_ci(confidence, method="exact")
    return k / n, float(ends.low), float(ends.high)


def compare_counts(k: int, n: int, other: int, of: int, level: float = LEVEL) -> tuple[str, float]:
    """Is k of n more than ``other`` of ``of``? Fisher's exact two-sided test.

    Returns:
        ``better``, ``worse`` or ``undecided``, and the p value. Few counts cannot show that two rates are equal, so
        there is no such word here.

    Example:
        >>> word, p = compare_counts(5, 5, 0, 5)
        >>> word, round(p, 4)  # 2 / C(10, 5)
        ('better', 0.0079)
        >>> compare_counts(3, 3, 0, 3)[0]  # 2 / C(6, 3) = 0.1: three against three decide nothing
        'undecided'
    """
    _check_count(k, n)
    _check_count(other, of)
    p = float(stats.fisher_exact([[k, n - k], [other, of - other]]).pvalue)
    return ("undecided" if p >= level else "better" if k / n > other / of else "worse"), p


def _check_count(k: int, n: int) -> None:
    if k != int(k) or n != int(n) or not (0 <= k <= n and n >= 1):
        raise ValueError(f"a count must be k of n with 0 <= k <= n and n >= 1, got {k} of {n}")
