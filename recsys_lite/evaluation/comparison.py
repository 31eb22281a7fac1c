"""Every system of the book in one table: what it is, in words, and what was measured, from the committed results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ..store.files import RESULTS, load_results, read_json
from .metrics import interval

FILE = RESULTS.parent / "systems.json"
PHASES = ("candidate generation", "ranking", "final ranking")
USES = ("click prediction", "top-k", "position bias")


def systems() -> pd.DataFrame:
    """What each system is: a line per model with name, year, chapter, features, advantages, limits, use, phase, uses.

    Raises:
        ValueError: for a phase or a use that is not one of :data:`PHASES` or :data:`USES`.
    """
    listed = json.loads(FILE.read_text(encoding="utf-8"))
    for one in listed:
        for key, known in (("phase", PHASES), ("uses", USES)):
            if unknown := set(one[key]) - set(known):
                raise ValueError(f"systems.json, {one['model']}: unknown {key} {sorted(unknown)}; there are {known}")
    return pd.DataFrame(listed)


def measured() -> pd.DataFrame:
    """What was measured of each system, from ``results/``; empty where a system does not do a thing.

    Returns:
        a line per model: ``auc``, ``auc low``, ``auc high`` (MovieLens click, test, 95 % t interval over seeds),
        ``log loss``, ``ndcg``, ``ndcg low``, ``ndcg high`` (NDCG@20 among all films), ``gain``, ``gain low``,
        ``gain high`` (NDCG@10 over the naive model on simulated clicks with position bias), ``parameters``,
        ``seconds`` (of one training run, median), ``ms`` (to score 1,000 rows) and ``times`` (that, against logistic
        regression).
    """
    lines: dict[str, dict[str, float]] = {}
    click = load_results("movielens-100k", "click")
    found = read_json(RESULTS / "retrieval.json")["runs"]
    for runs, metric, name in ((click, "auc", "auc"), (found, "ndcg@20", "ndcg")):
        for model in dict.fromkeys(r["model"] for r in runs):
            own = [r for r in runs if r["model"] == model]
            line = lines.setdefault(model, {})
            line |= _interval(name, [r["test"][metric] for r in own])
            line.setdefault("parameters", own[0]["parameters"])
            line.setdefault("seconds", float(pd.Series([r["seconds"] for r in own]).median()))
            if name == "auc":
                line |= {"log loss": float(pd.Series([r["test"]["log_loss"] for r in own]).mean())}
    for model, gains in position_gains().items():
        lines.setdefault(model, {}).update(_interval("gain", gains))
    for one in read_json(RESULTS / "comparison.json")["ranking"]:
        lines.setdefault(one["model"], {}).update({"ms": one["ms"], "times": one["ratio"]})
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("model").reset_index()


def position_gains(log: str = "popular", metric: str = "ndcg@10") -> dict[str, list[float]]:
    """Gain of each debiased model over the naive one, a number per seed, on one of the simulated logs."""
    runs = [r for r in read_json(RESULTS / "position.json")["runs"] if r["condition"] == log]
    naive = {r["seed"]: r["test"][metric] for r in runs if r["model"] == "naive"}
    out: dict[str, list[float]] = {}
    for r in runs:
        if r["model"] in ("pal", "watch_next") and r["seed"] in naive:
            out.setdefault(r["model"], []).append(r["test"][metric] - naive[r["seed"]])
    return out


def _interval(name: str, values: Sequence[float]) -> dict[str, float]:
    mean, low, high = interval(values) if len(values) > 1 else (values[0], float("nan"), float("nan"))
    return {name: mean, f"{name} low": low, f"{name} high": high}


def comparison() -> pd.DataFrame:
    """:func:`systems` and :func:`measured` side by side, in the order of the book."""
    return systems().merge(measured(), on="model", how="left")


def frontier(table: pd.DataFrame, quality: str, cost: str) -> list[str]:
    """The models that no other beats in both: those for which no model is at least as good and cheaper.

    Example:
        >>> t = pd.DataFrame({"model": ["a", "b", "c"], "auc": [0.8, 0.9, 0.7], "ms": [1.0, 2.0, 3.0]})
        >>> frontier(t, "auc", "ms")
        ['a', 'b']
    """
    known = table.dropna(subset=[quality, cost]).sort_values([cost, quality], ascending=[True, False])
    best, kept = -float("inf"), []
    for model, value in known[["model", quality]].itertuples(index=False):
        if value > best:
            best = value
            kept.append(model)
    return kept


def told(line: Mapping[str, Any], name: str, digits: int = 4) -> str:
    """A measured value with its interval, as text; a dash where there is none.

    Example:
        >>> told({"auc": 0.8887, "auc low": 0.8874, "auc high": 0.8901}, "auc")
        '0.8887 [0.8874, 0.8901]'
    """
    value, low, high = (line.get(key, float("nan")) for key in (name, f"{name} low", f"{name} high"))
    if pd.isna(value):
        return "–"
    return f"{value:.{digits}f}" + ("" if pd.isna(low) else f" [{low:.{digits}f}, {high:.{digits}f}]")
