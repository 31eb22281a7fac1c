r"""The one rule by which the book says that a model is better.

**What is estimated.** The difference θ of the mean metric of two *methods*: over all seeds that one could train with,
and over all users like those of the test part. Seed s of a model has on user u (AUC: to first order) the metric

.. math:: y_{su} = \mu + \sigma_s + \beta_u + \varepsilon_{su}

so users and seeds are both drawn, and an interval over seeds alone, or over users alone, is too narrow. The difference
of the means over S_a and S_b seeds, judged on the same users, has the variance

.. math:: V = \underbrace{\frac{\operatorname{var}(\beta_a - \beta_b) + \operatorname{var}(\varepsilon_a) / S_a +
    \operatorname{var}(\varepsilon_b) / S_b}{U}}_{V_\text{users}} +
    \underbrace{\frac{\operatorname{var}(\sigma_a)}{S_a} + \frac{\operatorname{var}(\sigma_b)}{S_b}}_{V_\text{seeds}}

**How.** 2,000 bootstrap draws of U users, with all of their rows, the same for both models. The variance of the
difference of means over draws, times U / (U - 1), is :math:`V_\text{users}`. (Where a metric needs both classes, U is
here and in ν the number of users who hold the rarer one: with five clicks in all, five is what varies.) The variance of
the seeds' metrics on the test part, with S - 1 in the denominator, over S, is
:math:`\operatorname{var}(\sigma) / S + \operatorname{var}(\varepsilon) / (S U)`: its second term is in
:math:`V_\text{users}` already. The draws measure it (how the seeds' differences move with the users), and it is taken
off; what is left, if above 0, is the model's part of :math:`V_\text{seeds}`.

The interval is :math:`D \pm t_\nu \sqrt V` with Satterthwaite's degrees of freedom,

.. math:: \nu = V^2 \Big/ \Big(\frac{V_\text{users}^2}{U - 1} + \sum_m \frac{v_m^2}{S_m - 1}\Big)

and :math:`v_m` the variance of the mean over model m's seeds before anything is taken off (0 if nothing is left).

**Why no percentiles.** The plain bootstrap of users and seeds draws S of S seeds: its variance is too small by
(S - 1) / S, it has no t quantile for the few seeds, and it counts ε three times (Owen, The Pigeonhole Bootstrap, Annals
of Applied Statistics 2007). For equal models with five seeds it says "better" or "worse" in anything from 0.3 % to 14 %
of cases, with two seeds in up to a third; the rule here in 2 % to 7 % (``tests/library/evaluation``). And 2,000 draws
know no p value below 0.001, while Holm's correction for 153 pairs of models asks for 0.0003.

One row of predictions counts as a model without randomness (a closed form); for a network the verdict then speaks of
that trained model only. Seeds of two models are taken for independent, which is cautious where they share negatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from . import power
from .resampling import DRAWS, METRICS, PROBABILITIES, Part
from .variance import Variance

Array = np.ndarray

#: δ of each metric: a smaller difference does not matter to anyone. Stated before anything was compared.
MARGINS = {
    "auc": 0.002,
    "grouped_auc": 0.002,
    "log_loss": 0.002,
    "normalized_entropy": 0.002,
    "ndcg": 0.01,
    "recall": 0.01,
    "hr": 0.01,
}
LOWER_IS_BETTER = PROBABILITIES
WORDS = ("better", "worse", "equal within δ", "undecided")


@dataclass(frozen=True)
class Verdict:
    """What a comparison of a with b shows.

    Args:
        metric: its name.
        difference: mean metric of a less that of b, as the metric counts: of two log losses, below 0 is a gain.
        low, high: the 95 % interval of the difference, not corrected for other comparisons.
        delta: the margin δ.
        p: of the two-sided t test of no difference; from :func:`compare_all` with Holm's correction.
        word: ``better`` or ``worse`` (a than b) if p is below 0.05; else ``equal within δ`` if the interval lies within
            [-δ, δ]; else ``undecided``.
        needed: if undecided, how many users or seeds would decide with a chance of 0.8, were the difference as
            measured (in a table of m comparisons p below 0.05 / m is asked for); else empty.
        error, df: standard error of the difference and its degrees of freedom, see
            :func:`~recsys_lite.evaluation.power.smallest_effect`.
    """

    metric: str
    difference: float
    low: float
    high: float
    delta: float
    p: float
    word: str
    needed: str
    error: float
    df: float

    def __str__(self) -> str:
        return f"{self.difference:+.4f} [{self.low:+.4f}, {self.high:+.4f}], {self.told}"

    @property
    def told(self) -> str:
        """The word with its margin, and with what is needed."""
        if self.word in WORDS[:2] and max(abs(self.low), abs(self.high)) <= self.delta:
            return f"{self.word}, by less than {self.delta:g}"
        return self.word.replace("δ", f"{self.delta:g}") + (f": {self.needed}" if self.needed else "")

    def smallest_effect(self, chance: float = 0.8) -> float:
        """The smallest true difference that this comparison finds with a given chance."""
        return power.smallest_effect(self.error, self.df, chance) if self.error else 0.0


def compare(
    a: object,
    b: object,
    label: object | None = None,
    group: object | None = None,
    *,
    metric: str = "auc",
    delta: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Verdict:
    """Is model a better than model b? Over users and seeds, see the module's text for the estimator.

    Args:
        a, b: predictions of the same test rows, (S, N) for S seeds or (N,) for one; the models may differ in S.
            Probabilities for ``log_loss`` and ``normalized_entropy``, any scores for ``auc`` and ``grouped_auc``. For
            ``ndcg@k``, ``recall@k`` and ``hr@k``: values of the same users (S, U).
        label: (N,) 0 or 1; ``None`` with values of users.
        group: (N,) whose row it is. ``None``, or -1 everywhere: the rows are independent. Not with values of users.
        metric: ``auc`` (default), ``log_loss``, ``normalized_entropy``, ``grouped_auc``, ``ndcg@k``, ``recall@k`` or
            ``hr@k``.
        delta: δ in units of the metric. Default: :data:`MARGINS`.
        draws: of the bootstrap, at least 100. Default 2,000, which leave the standard error uncertain by 2 %.
        seed: of the draws.

    Raises:
        ValueError: for an unknown metric, shapes that do not fit, NaN, labels other than 0 and 1 or (but for log loss)
            of one class only, probabilities outside [0, 1], fewer than two users (of each class), or fewer than 100
                draws.

    Example:
        >>> compare([0.1, 0.2, 0.3, 0.4], [0.3, 0.3, 0.3, 0.3], metric="ndcg@10").word  # of four users
        'undecided'
    """
    delta = _delta(metric, delta)
    part = Part.of({"a": a, "b": b}, label, group, metric)
    found = _of(part, part.resampled("a", draws, seed), part.resampled("b", draws, seed), delta)
    return _worded(found, found.p)


def compare_all(
    predictions: Mapping[str, object],
    label: object | None = None,
    group: object | None = None,
    *,
    against: str | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
    metric: str = "auc",
    delta: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """The comparisons of one table, with Holm's correction for their number.

    Args:
        predictions: model -> predictions, each as in :func:`compare`.
        against: the model that all others are compared with. Default: every pair, in the order given. It must not be
            chosen for its result on these rows.
        pairs: the comparisons themselves, in place of ``against``: (model, the one it is compared with).
        label, group, metric, delta, draws, seed: as in :func:`compare`.

    Returns:
        a line per comparison: model, against and the fields of :class:`Verdict`. ``p`` is corrected, and ``better`` and
        ``worse`` ask that it is below 0.05; ``low`` and ``high`` are the interval of this comparison alone, so it may
        exclude 0 where the word is ``undecided``.

    Raises:
        ValueError: as :func:`compare`, and for fewer than two models, an unknown ``against`` or unknown ``pairs``.
    """
    if pairs is not None:
        if against is not None or not pairs:
            raise ValueError(f"compare_all: expected against or pairs, one of the two, got {against!r}, {pairs}")
        if unknown := {name for pair in pairs for name in pair} - set(predictions):
            raise ValueError(f"compare_all: no predictions of {sorted(unknown)}; there are {list(predictions)}")
    if len(predictions) < 2 or (against is not None and against not in predictions):
        raise ValueError(
            f"compare_all: needs two models or more, {against!r} among them if given, got {list(predictions)}"
        )
    delta = _delta(metric, delta)
    part = Part.of(predictions, label, group, metric)
    values = {name: part.resampled(name, draws, seed) for name in predictions}
    if pairs is None:
        others = [(name, against) for name in predictions if name != against] if against is not None else None
        pairs = others or list(combinations(predictions, 2))
    found = [_of(part, values[one], values[other], delta, len(pairs)) for one, other in pairs]
    verdicts = [_worded(v, p) for v, p in zip(found, power.holm([v.p for v in found]), strict=True)]
    return pd.DataFrame([{"model": a, "against": b, **vars(v)} for (a, b), v in zip(pairs, verdicts, strict=True)])


def compare_runs(
    a: Sequence[float], b: Sequence[float], *, metric: str = "auc", delta: float | None = None, paired: bool = False
) -> Verdict:
    """The same words from one value a run, where no predictions are at hand.

    With a test part of its own for each seed (planted data, simulated logs) the values hold both noises, and runs of
    the same seed are ``paired``: Student's t over their differences. On **one** test part they hold the seeds' noise
    only, so the verdict is about this test part, and :func:`compare` is to be preferred.

    Args:
        a, b: the metric of each run, two or more of each; if paired, as many, in the order of the same seeds.
        metric, delta: as in :func:`compare`.
        paired: default False: Welch's t test.

    Raises:
        ValueError: for an unknown metric, fewer than two runs, values that are not finite, or pairs that do not fit.

    Example:
        >>> print(compare_runs([0.81, 0.83, 0.82], [0.80, 0.81, 0.81], paired=True))
        +0.0133 [-0.0010, +0.0277], undecided: about 4 seeds
    """
    delta = _delta(metric, delta)
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if x.ndim != 1 or y.ndim != 1 or min(x.size, y.size) < 2 or (paired and x.size != y.size):
        raise ValueError(
            f"compare_runs: needs two runs of each or more{', in pairs' * paired}, got {x.shape}, {y.shape}"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError(f"compare_runs: {metric} is not finite in every run")
    noise = [x - y] if paired else [x, y]
    seeds = [float(v.var(ddof=1)) / v.size for v in noise] + [0.0] * paired
    variance = Variance(0.0, (0.0, 0.0), (seeds[0], seeds[1]), 2, (x.size, 1 if paired else y.size))
    found = _measured(float(x.mean() - y.mean()), variance, metric, delta, "")
    return _worded(found, found.p)


def margin(metric: str) -> float:
    """δ of a metric, whatever its k.

    Raises:
        ValueError: for an unknown metric.

    Example:
        >>> margin("ndcg@20"), margin("auc")
        (0.01, 0.002)
    """
    if (known := metric.partition("@")[0]) not in MARGINS or (known in METRICS) != (known == metric):
        per_user = [f"{name}@k" for name in MARGINS if name not in METRICS]
        raise ValueError(f"compare: unknown metric {metric!r}; there are {', '.join([*METRICS, *per_user])}")
    return MARGINS[known]


def _delta(metric: str, delta: float | None) -> float:
    usual = margin(metric)  # names an unknown metric
    delta = usual if delta is None else delta
    if not delta >= 0:
        raise ValueError(f"compare: delta must be at least 0, got {delta}")
    return float(delta)


def _of(part: Part, a: Array, b: Array, delta: float, comparisons: int = 1) -> Verdict:
    """All but the word, from values (K + 1, S_a) and (K + 1, S_b), see :meth:`Part.resampled`."""
    variance = Variance.of(a, b, part.users, part.informative)
    return _measured(float(a[0].mean() - b[0].mean()), variance, part.metric, delta, part.units, comparisons)


def _measured(
    difference: float, variance: Variance, metric: str, delta: float, units: str, comparisons: int = 1
) -> Verdict:
    """All but the word."""
    error, df = float(np.sqrt(variance.total)), variance.df
    p = float(2 * stats.t.sf(abs(difference) / error, df)) if error else float(difference == 0)
    half = float(stats.t.ppf(1 - power.LEVEL / 2, df)) * error if error else 0.0
    needed = variance.needed(difference, delta, units, power.LEVEL / comparisons)
    return Verdict(metric, difference, difference - half, difference + half, delta, p, "", needed, error, df)


def word_of(low: float, high: float, metric: str = "auc", delta: float | None = None) -> str:
    """The word of a difference of which only the 95 % interval is at hand, without Holm's correction.

    Example:
        >>> word_of(0.001, 0.004), word_of(0.001, 0.004, "log_loss"), word_of(-0.001, 0.0015), word_of(-0.001, 0.004)
        ('better', 'worse', 'equal within δ', 'undecided')
    """
    delta = _delta(metric, delta)
    if not low <= high:
        raise ValueError(f"word_of: low must not be above high, got [{low}, {high}]")
    if low > 0 or high < 0:
        return WORDS[int((low > 0) == (metric in LOWER_IS_BETTER))]
    return WORDS[2] if max(-low, high) <= delta else WORDS[3]


def _worded(found: Verdict, p: float) -> Verdict:
    """The verdict with this p value, and the word that follows."""
    word = word_of(found.low, found.high, found.metric, found.delta)
    if p >= power.LEVEL and word in WORDS[:2]:
        word = WORDS[2] if max(-found.low, found.high) <= found.delta else WORDS[3]
    return replace(found, p=p, word=word, needed=found.needed if word == WORDS[3] else "")
