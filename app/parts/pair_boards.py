"""The boards of the game: for each pair of fields how often the label is 1, as small pictures without a script."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd

from recsys_lite.plots.palette import BLUE, RED

SIDE, GAP = 22, 1  # of a cell, in units of the picture


def square(part: pd.DataFrame) -> pd.DataFrame:
    """The shares of one pair, values of the first field downwards."""
    return part.pivot(index="value of a", columns="value of b", values="share of 1")


def picture(part: pd.DataFrame) -> str:
    """The shares of one pair as an SVG: blue above one half, orange below, the stronger the farther; text for all.

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
    high_, wide = len(table) * SIDE, len(table.columns) * SIDE
    cells = []
    for i, (u, line) in enumerate(table.iterrows()):
        for j, (v, share) in enumerate(line.items()):
            known = not pd.isna(share)
            fill = f'fill="{BLUE if share >= 0.5 else RED}" fill-opacity="{min(1.0, 2 * abs(share - 0.5)):.2f}"'
            words = f"{u}, {v}: " + (f"{share:.0%}" if known else "no row")
            cells.append(
                f'<rect x="{j * SIDE + GAP}" y="{i * SIDE + GAP}" width="{SIDE - 2 * GAP}" height="{SIDE - 2 * GAP}" '
                f'stroke="#8A8F98" stroke-opacity="0.45" {fill if known else "fill=" + chr(34) + "none" + chr(34)}>'
                f"<title>{escape(words)}</title></rect>"
            )
    return (
        f'<svg viewBox="0 0 {wide} {high_}" role="img" aria-label="{escape(told)}" '
        f'style="width:100%;display:block">{"".join(cells)}</svg>'
    )
