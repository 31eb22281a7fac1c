"""Stored runs of several models as tables, and the best of them in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from recsys_lite.evaluation import compare_runs, metrics

from ..core.names import short_metric


def metric_table(runs: Sequence[Mapping[str, Any]], metric: str, models: Sequence[str]) -> pd.DataFrame:
    """Mean over seeds of a test metric with its 95 % interval; without an interval where there is one seed."""
    lines = []
    for model in models:
        values = [r["test"][metric] for r in runs if r["model"] == model and metric in r["test"]]
        if values:
            mean, low, high = metrics.interval(values) if len(values) > 1 else (values[0],) * 3
            lines.append((model, mean, low, high, len(values)))
    return pd.DataFrame(lines, columns=["name", "mean", "low", "high", "seeds"])


def cost_table(runs: Sequence[Mapping[str, Any]], models: Sequence[str], names: Mapping[str, str]) -> pd.DataFrame:
    """Parameters, and medians of seconds and best epoch, of each model's runs."""
    lines = []
    for model in models:
        if mine := [r for r in runs if r["model"] == model]:
            seconds, epoch = (float(np.median([r[key] for r in mine])) for key in ("seconds", "best_epoch"))
            lines.append((names[model], mine[0]["parameters"], seconds, epoch))
    return pd.DataFrame(lines, columns=["model", "parameters", "seconds", "best epoch"])


def curve_table(runs: Sequence[Mapping[str, Any]], models: Sequence[str]) -> pd.DataFrame:
    """All curves, a line per model, seed and epoch."""
    return pd.DataFrame(
        [
            {"model": r["model"], "seed": r["seed"], **point}
            for m in models
            for r in runs
            if r["model"] == m
            for point in r["curve"]
        ]
    )


def metric_sentence(
    runs: Sequence[Mapping[str, Any]], measured: pd.DataFrame, metric: str, names: Mapping[str, str]
) -> str:
    """The best mean, and the interval of its distance to the next (Welch, over seeds)."""
    if measured.empty:
        return "No run has this metric."
    down = metric in ("log_loss", "normalized_entropy")
    order = measured.sort_values("mean", ascending=down).reset_index(drop=True)
    best = order.iloc[0]
    text = (
        f"{names[best['name']]} has the best test {short_metric(metric)}, {best['mean']:.4f} over {best['seeds']} seeds"
    )
    if len(order) < 2:
        return text + "."
    second = order.iloc[1]
    text += f"; the next is {names[second['name']]} with {second['mean']:.4f}"
    if min(best["seeds"], second["seeds"]) < 2:
        return text + ". One seed says nothing about how sure that is."
    values = [
        [r["test"][metric] for r in runs if r["model"] == m and metric in r["test"]]
        for m in (best["name"], second["name"])
    ]
    found = compare_runs(*values, metric=metric)
    return f"{text}. The difference over seeds, on these test rows, is {found}."
