"""One row on its way through DLRM, with all dot products of its vectors; and how several processes exchange vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .cross_flow import _chain, _text
from .diagrams import WIDTH, _svg
from .palette import BLUE, BOX_COLOURS, RED, SERIES

SIDE, LEFT, TOP = 186, 150, 42  # of the triangle: how wide, and where it begins
CELL_WIDE, CELL_HIGH = 24, 19  # of the exchange

Steps = Sequence[tuple[str, str, str]]


def dot_drawing(dots: pd.DataFrame, numbers: Steps, categories: Steps, chain: Steps) -> str:
    """The drawing as an SVG text; show it with ``notebook.show_svg``.

    Args:
        dots: symmetric table of the dot products of one row; only what is below the diagonal is drawn. Blue is above 0,
            orange below, opacity grows with the root of the size; the largest gets a frame.
        numbers, categories: boxes on the left, from top to bottom: kind (a key of ``BOX_COLOURS``), name, size.
        chain: what follows, from left to right, in the same form.

    Raises:
        ValueError: for a table that is not square, or has fewer than two lines.
    """
    n = len(dots)
    if n < 2 or dots.shape[1] != n:
        raise ValueError(f"dot_drawing: expected a square table of two vectors or more, got {dots.shape}")
    values, size = np.tril(dots.to_numpy(float), -1), SIDE / n
    at = np.unravel_index(np.abs(values).argmax(), values.shape)
    top = abs(float(values[at])) or 1.0
    parts = [_text(LEFT + SIDE / 2, 16, f"{n * (n - 1) // 2} dot products", 13, bold=True)]
    parts.append(_text(LEFT + SIDE / 2, 32, "of all pairs, this row", 12))
    for i in range(n):
        y = TOP + i * size
        if not i % 5:
            parts.append(_text(LEFT - 5, y + size / 2 + 4, str(dots.index[i]), 12, "end"))
        for j in range(i):
            paint = f'fill="{BLUE if values[i, j] >= 0 else RED}" fill-opacity="{(abs(values[i, j]) / top) ** 0.5:.2f}"'
            parts.append(_cell(LEFT + j * size, y, size, size, paint))
    frame = 'fill="none" stroke="currentColor" stroke-width="1.6"'
    triangle = f"M{LEFT} {TOP + size:g}V{TOP + SIDE}H{LEFT + SIDE - size:g}z"
    parts.append(f'<path d="{triangle}" fill="none" stroke="currentColor" stroke-opacity="0.3"/>')
    parts.append(_cell(LEFT + at[1] * size - 1.5, TOP + at[0] * size - 1.5, size + 3, size + 3, frame))
    said = f"{values[at]:.2f}".replace("-", "−")
    parts.append(
        _text(WIDTH - 4, TOP + 30, f"{dots.columns[at[1]]} × {dots.index[at[0]]}: {said}", 12, "end", bold=True)
    )
    parts.append(_text(WIDTH - 4, TOP + 14, "framed, the largest:", 12, "end"))
    y, seam = 6.0, len(numbers)
    for k, (kind, name, note) in enumerate([*numbers, *categories]):
        y += 10 * (k == seam)
        parts.append(_box(1, y, 108, kind, name, note))
        if k not in (seam - 1, seam + len(categories) - 1):
            parts.append(_head(55, y + 49))
        y += 49
    return _svg("".join(parts) + _chain(chain, TOP + SIDE + 34), TOP + SIDE + 84)


def exchange_drawing(fields: Sequence[int], rows: Sequence[int]) -> str:
    """Two processes exchange looked-up vectors: from their fields of all rows to all fields of their rows.

    Args:
        fields: how many fields each of the two owns, 1 to 4.
        rows: how many rows of the batch each of the two gets, 1 to 3.

    Raises:
        ValueError: for other than two processes, or more than can be drawn.
    """
    if (
        len(fields) != 2
        or len(rows) != 2
        or not (1 <= min(fields) <= max(fields) <= 4 and 1 <= min(rows) <= max(rows) <= 3)
    ):
        raise ValueError(
            f"exchange_drawing: expected 1 to 4 fields and 1 to 3 rows of two processes, got {fields}, {rows}"
        )
    B, C, low = sum(rows), sum(fields), 62 + CELL_HIGH * sum(rows) + 78
    paint = [f'fill="{tint}" fill-opacity="0.3" stroke="{tint}" stroke-width="1"' for tint in SERIES[:2]]
    starts, parts = [24.0, WIDTH - 24 - CELL_WIDE * fields[1]], []
    ends = [2.0, WIDTH - 2.0 - CELL_WIDE * C]
    owner = [0] * fields[0] + [1] * fields[1]
    for r in (0, 1):
        own = [f for f in range(C) if owner[f] == r]
        anchor, x = ("start", 2.0) if r == 0 else ("end", WIDTH - 2.0)
        parts.append(_text(x, 14, f"process {r}", 13, anchor, bold=True))
        tables = ", ".join(str(f + 1) for f in own)
        parts.append(_text(x, 31, f"owns table{'s' * (len(own) > 1)} {tables}", 12, anchor))
        parts.append(_text(x, 48, f"looks up ({B}, {fields[r]}, d)", 12, anchor))
        for i in range(B):
            for k, f in enumerate(own):
                parts.append(_number(starts[r] + k * CELL_WIDE, 58 + i * CELL_HIGH, 10 * (f + 1) + i, paint[r]))
        for q in (0, 1):  # the piece that goes from r to q
            first = sum(rows[:q])
            y = 58 + CELL_HIGH * (first + rows[q] / 2)
            side = starts[r] if q == 0 else starts[r] + CELL_WIDE * fields[r]
            goal = ends[q] + CELL_WIDE * (sum(fields[:r]) + fields[r] / 2)
            bend = -16 if q == 0 else 16
            path = f"M{side:g} {y:g}C{side + 2.2 * bend:g} {y + 30:g} {goal:g} {low - 70:g} {goal:g} {low - 10:g}"
            parts.append(f'<path d="{path}" fill="none" stroke="{SERIES[r]}" stroke-width="1.8"/>')
            parts.append(f'<path d="M{goal:g} {low - 3:g}l-4 -8h8z" fill="{SERIES[r]}"/>')
    for q in (0, 1):
        first = sum(rows[:q])
        anchor, x = ("start", 2.0) if q == 0 else ("end", WIDTH - 2.0)
        for i in range(rows[q]):
            for f in range(C):
                where = ends[q] + f * CELL_WIDE, low + i * CELL_HIGH
                parts.append(_number(*where, 10 * (f + 1) + first + i, paint[owner[f]]))
        y = low + CELL_HIGH * max(rows)
        parts.append(_text(x, y + 17, f"holds ({rows[q]}, {C}, d)", 12, anchor))
        parts.append(_text(x, y + 34, "runs the networks", 12, anchor))
    parts.append(_text(WIDTH / 2, 58 + CELL_HIGH, "all-to-all", 13, bold=True))
    return _svg("".join(parts), low + CELL_HIGH * max(rows) + 42)


def _cell(x: float, y: float, wide: float, high: float, paint: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}" {paint}/>'


def _number(x: float, y: float, value: int, paint: str) -> str:
    return _cell(x, y, CELL_WIDE, CELL_HIGH, paint) + _text(x + CELL_WIDE / 2, y + 14, str(value), 12)


def _box(x: float, y: float, wide: float, kind: str, name: str, note: str) -> str:
    paint = f'fill="{BOX_COLOURS[kind]}" fill-opacity="0.16" stroke="{BOX_COLOURS[kind]}" stroke-width="1.5" rx="5"'
    words = _text(x + wide / 2, y + 17, name, 12.5, bold=True) + _text(x + wide / 2, y + 33, note, 12)
    return _cell(x, y, wide, 40, paint) + words


def _head(x: float, y: float) -> str:
    return f'<path d="M{x:g} {y:g}l-4 -7h8z" fill="currentColor" fill-opacity="0.6"/>'
