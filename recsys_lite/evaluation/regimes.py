"""From which amount of data on a deep model beats the shallow ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from .compare import compare_runs


def gaps(runs: Sequence[Mapping[str, Any]], deep: str, shallow: Sequence[str], metric: str = "auc") -> pd.DataFrame:
    """A deep model against the best shallow one, size by size and seed by seed.

    The best shallow model of a size is that of the highest mean **on the same runs**: a choice in its favour.

    Args:
        runs: each with rows, model, seed and the metric (higher is better).
        deep, shallow: names of models.

    Returns:
        a line per size, smallest first: rows, best (the shallow model), gap, low, high (mean and 95 % t interval of
        the difference by seed), seeds, verdict (``deep``, ``shallow`` or ``no difference``).

    Raises:
        ValueError: if a size lacks a model, or shares fewer than two seeds.
    """
    table = pd.DataFrame(runs)
    lines = []
    for rows, part in table.groupby("rows"):
        by_seed = part.pivot_table(index="seed", columns="model", values=metric)
        there = [name for name in shallow if name in by_seed]
        if deep not in by_seed or not there:
            raise ValueError(
                f"gaps: at {rows} rows there are only {list(by_seed)}, expected {deep!r} and {list(shallow)}"
            )
        best = str(by_seed[there].mean().idxmax())
        both = by_seed[[deep, best]].dropna()
        found = compare_runs(both[deep].tolist(), both[best].tolist(), metric=metric, paired=True)
        verdict = {"better": "deep", "worse": "shallow"}.get(found.word, "no difference")
        lines.append((int(rows), best, found.difference, found.low, found.high, len(both), verdict))  # type: ignore[call-overload]
    return pd.DataFrame(lines, columns=["rows", "best", "gap", "low", "high", "seeds", "verdict"])


def crossing_point(table: pd.DataFrame) -> int | None:
    """The smallest size from which on the gap's interval lies above zero at this and **all** larger sizes.

    Args:
        table: with columns rows and low, as from :func:`gaps`.

    Returns:
        rows, or ``None``: the curves do not cross within the sizes that were tried.

    Example:
        >>> crossing_point(pd.DataFrame({"rows": [100, 300, 1000, 3000], "low": [0.1, -0.1, 0.02, 0.05]}))
        1000
        >>> crossing_point(pd.DataFrame({"rows": [100, 300], "low": [0.1, -0.1]})) is None
        True
    """
    found = None
    for rows, low in sorted(zip(table["rows"], table["low"], strict=True), reverse=True):
        if not low > 0:
            break
        found = int(rows)
    return found
