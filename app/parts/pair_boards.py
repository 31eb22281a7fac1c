"""The boards of the game: for each pair of fields how often the label is 1, as small grids of HTML."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd

from recsys_lite.plots.palette import BLUE, RED


def square(part: pd.DataFrame) -> pd.DataFrame:
    """The shares of one pair, values of the first field downwards."""
    return part.pivot(index="value of a", columns="value of b", values="share of 1")


def picture(part: pd.DataFrame) -> str:
    """The shares of one pair as a grid of HTML: blue above one half, orange below, the farther the stronger.

    Args:
        part: the lines of a pair of :func:`recsys_lite.lab.pair_game.shares`.

    Example:
        >>> part = pd.DataFrame([["A", "B", "A0", "B0", 4, 0.75]],
        ...     columns=["a", "b", "value of a", "value of b", "rows", "share of 1"])
        >>> "A × B: the share of label 1 runs from 75 to 75 per cent" in picture(part)
        True
    """
    table = square(part)
    a, b = part["a"].iloc[0], part["b"].iloc[0]
    low, high = (100 * float(f(table.to_numpy())) for f in (np.nanmin, np.nanmax))
    told = f"{a} × {b}: the share of label 1 runs from {low:.0f} to {high:.0f} per cent"
    cells = []
    for u, line in table.iterrows():
        for v, share in line.items():
            words, strong = f"{u}, {v}: no row", ""
            if not pd.isna(share):
                tint = ", ".join(str(int((BLUE if share >= 0.5 else RED)[k : k + 2], 16)) for k in (1, 3, 5))
                words, strong = (
                    f"{u}, {v}: {share:.0%}",
                    f"background:rgba({tint}, {min(1.0, 2 * abs(share - 0.5)):.2f});",
                )
            cells.append(
                f'<div title="{escape(words)}" style="{strong}aspect-ratio:1;outline:1px solid #8A8F9955"></div>'
            )
    return (
        f'<div role="img" aria-label="{escape(told)}" style="display:grid;gap:2px;'
        f'grid-template-columns:repeat({len(table.columns)},1fr)">{"".join(cells)}</div>'
    )
