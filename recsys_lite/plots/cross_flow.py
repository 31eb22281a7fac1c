"""One row on its way through a cross network: the blocks of the first layer's matrix, and the lengths of the fields."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd

from .diagrams import WIDTH, _svg
from .palette import BOX_COLOURS, RED

MOST_FIELDS = 12
LABELS, TOP, SIDE = 86, 104, 140  # where the names end, where the blocks begin, and how wide they are all together


def strongest(blocks: pd.DataFrame) -> tuple[str, str]:
    """The line and the column of the largest block that joins two different fields."""
    values = blocks.to_numpy(float).copy()
    np.fill_diagonal(values, -1)
    a, b = np.unravel_index(values.argmax(), values.shape)
    return str(blocks.index[a]), str(blocks.columns[b])


def cross_drawing(blocks: pd.DataFrame, lengths: pd.DataFrame, chain: Sequence[tuple[str, str, str]]) -> str:
    """The drawing as an SVG text; show it with ``notebook.show_svg``.

    Args:
        blocks: norms of the blocks, fields of x_0 downwards, fields of x_l to the right, see
            :func:`recsys_lite.explain.cross_strength`. The largest off the diagonal gets a frame.
        lengths: three columns with a number for each field, see :func:`recsys_lite.explain.crosses.field_lengths`.
        chain: what follows, from left to right: kind of box (a key of ``BOX_COLOURS``), name, and size or number.

    Raises:
        ValueError: for more than twelve fields, other fields in the two tables, or other than three columns.
    """
    if len(blocks) > MOST_FIELDS:
        raise ValueError(f"cross_drawing: {len(blocks)} fields, at most {MOST_FIELDS} can be read")
    if list(blocks.index) != list(lengths.index) or lengths.shape[1] != 3:
        raise ValueError(f"cross_drawing: lengths of {list(lengths.index)} x {list(lengths.columns)} do not fit")
    size, top = SIDE / len(blocks), float(blocks.to_numpy().max()) or 1.0
    framed = strongest(blocks)
    parts = [
        _text(LABELS + SIDE / 2, 14, "‖blocks of W‖", 12.5, bold=True),
        _text(280, 14, "lengths, this row", 12.5, bold=True),
    ]
    for k, name in enumerate(blocks.columns):
        x = LABELS + 4 + (k + 0.5) * size
        parts.append(_text(0, 4, _words(name), 12, "start", f' transform="translate({x:g} {TOP - 6}) rotate(-58)"'))
    for column, name in enumerate(lengths.columns):
        parts.append(_text(_strip(column), TOP - 8, str(name), 12.5, bold=True))
    for line, name in enumerate(blocks.index):
        y = TOP + line * size
        parts.append(_text(LABELS, y + size / 2 + 4, _words(name), 12, "end"))
        for k, other in enumerate(blocks.columns):
            shade = 0.06 + 0.94 * float(blocks.loc[name, other]) / top
            frame = ' stroke="currentColor" stroke-width="2"' if (name, other) == framed else ""
            place = f'x="{LABELS + 4 + k * size:g}" y="{y:g}" width="{size - 1:g}" height="{size - 1:g}"'
            parts.append(f'<rect {place} fill="{RED}" fill-opacity="{shade:.2f}"{frame}/>')
        for column, value in enumerate(lengths.loc[name]):
            parts.append(_text(_strip(column), y + size / 2 + 4, f"{value:.2f}", 12))
    return _svg("".join(parts) + _chain(chain, TOP + SIDE + 24), TOP + SIDE + 74)


def _words(name: object) -> str:
    """The name of a field without underscores."""
    return str(name).replace("_", " ")


def _strip(column: int) -> float:
    return 250 + 35 * column


def _text(
    x: float, y: float, words: str, size: float, anchor: str = "middle", more: str = "", bold: bool = False
) -> str:
    if not words:
        return ""
    weight = ' font-weight="600"' if bold else ""
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size:g}"'
    return f"<text {place}{weight}{more}>{html.escape(words)}</text>"


def _chain(boxes: Sequence[tuple[str, str, str]], y: float) -> str:
    """Boxes side by side with arrows between them, over the whole width."""
    gap = 9.0
    wide, parts = (WIDTH - 2 - gap * (len(boxes) - 1)) / len(boxes), []
    for k, (kind, name, note) in enumerate(boxes):
        x = 1 + k * (wide + gap)
        paint = f'fill="{BOX_COLOURS[kind]}" fill-opacity="0.16" stroke="{BOX_COLOURS[kind]}" stroke-width="1.5"'
        parts.append(f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="44" rx="5" {paint}/>')
        parts.append(_text(x + wide / 2, y + 18, name, 12, bold=True) + _text(x + wide / 2, y + 35, note, 12))
        if k:
            head = f"M{x - 1:g} {y + 22:g}l-6 -4v8z"
            parts.append(f'<path d="{head}" fill="currentColor" fill-opacity="0.6"/>')
    return "".join(parts)
