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
difference of means over draws, times U / (U - 1), is :math:`V_\text{users}`. The variance of the seeds' metrics on the
test part, with S - 1 in the denominator, over S, is :math:`\operatorname{var}(\sigma) / S + \operatorname{var}
(\varepsilon) / (S U)`: its second term is in :math:`V_\text{users}` already. The draws measure it (how the seeds'
differences move with the users), and it is taken off; what is left, if above 0, is the model's part of
:math:`V_\text{seeds}`.

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

from collections.abc import Mapping
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
        told = f"{self.difference:+.4f} [{self.low:+.4f}, {self.high:+.4f}], {self.word}"
        if self.word in WORDS[:2] and max(abs(self.low), abs(self.high)) <= self.delta:
            return f"{told}, by less than {self.delta:g}"
        return told.replace("δ", f"{self.delta:g}") + (f": {self.needed}" if self.needed else "")

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
            of one class only, probabilities outside [0, 1], fewer than two users, or fewer than 100 draws.

    Example:
        >>> compare([0.1, 0.2, 0.3, 0.4], [0.3, 0.3, 0.3, 0.3], metric="ndcg@10").word  # of four users
        'undecided'
    """
    delta = _delta(metric, delta)
    part = Part.of({"a": a, "b": b}, label, group, metric)
    found = _measured(part, part.resampled("a", draws, seed), part.resampled("b", draws, seed), delta)
    return _worded(found, found.p)


def compare_all(
    predictions: Mapping[str, object],
    label: object | None = None,
    group: object | None = None,
    *,
    against: str | None = None,
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
        label, group, metric, delta, draws, seed: as in :func:`compare`.

    Returns:
        a line per comparison: model, against and the fields of :class:`Verdict`. ``p`` is corrected, and ``better`` and
        ``worse`` ask that it is below 0.05; ``low`` and ``high`` are the interval of this comparison alone, so it may
        exclude 0 where the word is ``undecided``.

    Raises:
        ValueError: as :func:`compare`, and for fewer than two models or an unknown ``against``.
    """
    if len(predictions) < 2 or (against is not None and against not in predictions):
        raise ValueError(
            f"compare_all: needs two models or more, {against!r} among them if given, got {list(predictions)}"
        )
    delta = _delta(metric, delta)
    part = Part.of(predictions, label, group, metric)
    values = {name: part.resampled(name, draws, seed) for name in predictions}
    pairs = list(combinations(predictions, 2))
    if against is not None:
        pairs = [(name, against) for name in predictions if name != against]
    found = [_measured(part, values[one], values[other], delta, len(pairs)) for one, other in pairs]
    verdicts = [_worded(v, p) for v, p in zip(found, power.holm([v.p for v in found]), strict=True)]
    return pd.DataFrame([{"model": a, "against": b, **vars(v)} for (a, b), v in zip(pairs, verdicts, strict=True)])


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


def _measured(part: Part, a: Array, b: Array, delta: float, comparisons: int = 1) -> Verdict:
    """All but the word, from values (K + 1, S_a) and (K + 1, S_b), see :meth:`Part.resampled`."""
    variance = Variance.of(a, b, part.users)
    difference, error, df = float(a[0].mean() - b[0].mean()), float(np.sqrt(variance.total)), variance.df
    p = float(2 * stats.t.sf(abs(difference) / error, df)) if error else float(difference == 0)
    half = float(stats.t.ppf(1 - power.LEVEL / 2, df)) * error if error else 0.0
    needed = variance.needed(difference, delta, part.units, power.LEVEL / comparisons)
    return Verdict(part.metric, difference, difference - half, difference + half, delta, p, "", needed, error, df)


def _worded(found: Verdict, p: float) -> Verdict:
    """The verdict with this p value, and the word that follows."""
    gain = -found.difference if found.metric in LOWER_IS_BETTER else found.difference
    if p < power.LEVEL:
        word = "better" if gain > 0 else "worse"
    else:
        word = "equal within δ" if max(-found.low, found.high) <= found.delta else "undecided"
    return replace(found, p=p, word=word, needed=found.needed if word == "undecided" else "")
