"""Which differences between models stand: over the seeds of training, and over the people or rows of the test part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .compare import LOWER_IS_BETTER, compare_runs
from .metrics import auc, interval
from .power import holm
from .resampling import METRICS

VERDICTS = ("best", "no difference", "worse")


def standings(runs: Sequence[Mapping[str, Any]], metric: str = "auc") -> pd.DataFrame:
    """Models by the mean of a test metric over seeds, each compared with the first.

    Args:
        runs: as from :func:`recsys_lite.store.load_results`, of one data set and task.
        metric: of their test part.

    Returns:
        a line per model, the best first: model, mean, low, high (95 % t interval over seeds), seeds, gap (to the
        best mean, above 0 for the worse), p (:func:`compare_runs`, Holm's correction for comparing many) and verdict:
        ``best``, ``no difference`` from it (p above 0.05), or ``worse``. It speaks of training noise only.

    Raises:
        ValueError: if no run has the metric, or a model has a single seed.

    Example:
        >>> runs = [{"model": m, "test": {"auc": a}} for m, a in
        ...         [("x", 0.80), ("x", 0.81), ("x", 0.80), ("y", 0.80), ("y", 0.81), ("z", 0.60), ("z", 0.61)]]
        >>> standings(runs)[["model", "verdict"]].to_numpy().tolist()
        [['y', 'best'], ['x', 'no difference'], ['z', 'worse']]
    """
    values: dict[str, list[float]] = {}
    for run in runs:
        if metric in run["test"]:
            values.setdefault(run["model"], []).append(run["test"][metric])
    if not values:
        raise ValueError(f"standings: no run has the metric {metric!r}")
    sign = -1 if metric in LOWER_IS_BETTER else 1
    names = sorted(values, key=lambda m: -sign * float(np.mean(values[m])))
    best = values[names[0]]
    lines = []
    for name in names:
        mean, low, high = interval(values[name])
        p = compare_runs(best, values[name], metric=metric).p
        lines.append((name, mean, low, high, len(values[name]), sign * (float(np.mean(best)) - mean), p))
    table = pd.DataFrame(lines, columns=["model", "mean", "low", "high", "seeds", "gap", "p"])
    table["p"] = [1.0, *holm(table["p"][1:].tolist())]
    table["verdict"] = ["best", *np.where(table["p"][1:] > 0.05, "no difference", "worse")]
    return table


def bootstrap_gaps(
    label: object,
    predictions: Mapping[str, object],
    group: object | None = None,
    best: str = "",
    samples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """How sure is the order of AUCs over other test parts? Each model against one, on the same resampled rows.

    Args:
        label: (B,) 0 or 1.
        predictions: model -> scores (B,), each of one trained model.
        group: whom a row belongs to; then people are drawn, with all their rows. Without groups rows are drawn.
        best: the model that the others are compared with. Default: that of the highest AUC.
        samples, seed: of the bootstrap.

    Returns:
        a line per model, in the order of their AUCs: model, auc, gap (to ``best``), low, high (95 % percentile
        interval of the gap), verdict (``worse`` if the interval lies above 0, ``better`` if below).

    Raises:
        ValueError: for fewer than two models, or an unknown ``best``.
    """
    if len(predictions) < 2 or (best and best not in predictions):
        raise ValueError(f"bootstrap_gaps: needs two models or more, and the best among them, got {list(predictions)}")
    y = np.asarray(label, np.float64)
    members = np.unique(np.arange(len(y)) if group is None else np.asarray(group), return_inverse=True)[1]
    count = int(members.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=samples)  # (S, people)
    point = {m: auc(y, s) for m, s in predictions.items()}
    names = sorted(point, key=lambda m: -point[m])
    best = best or names[0]
    areas = {}
    for m in names:
        weighted = METRICS["auc"](np.asarray(predictions[m])[None], y, members, count)
        areas[m] = np.concatenate([weighted(w)[:, 0] for w in np.array_split(drawn.astype(np.float64), samples)])
    both = ~np.isnan(areas[best])  # a draw may have one class only
    lines = []
    for name in names:
        low, high = np.quantile((areas[best] - areas[name])[both], [0.025, 0.975])
        verdict = "best" if name == best else "worse" if low > 0 else "better" if high < 0 else "no difference"
        lines.append((name, point[name], point[best] - point[name], float(low), float(high), verdict))
    return pd.DataFrame(lines, columns=["model", "auc", "gap", "low", "high", "verdict"])
