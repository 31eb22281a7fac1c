"""One row on its way through DHEN: the vectors before and after each layer, and the modules between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .cross_flow import _chain, _text, _words
from .diagrams import WIDTH, _svg
from .palette import BLUE, BOX_COLOURS, RED

GRID_LEFT, GRID_WIDE, LINE = 86, 112, 13  # of a state: where its numbers begin, how wide they are, height of a vector
BOX_LEFT, BOX_HIGH, HEAD, GAP = 228, 22, 22, 24
MOST_VECTORS = 30

Boxes = Sequence[tuple[str, str]]


def ensemble_drawing(
    states: Sequence[tuple[str, pd.DataFrame]],
    layers: Sequence[tuple[str, Boxes]],
    chain: Sequence[tuple[str, str, str]],
) -> str:
    """The drawing as an SVG text; show it with ``notebook.show_svg``.

    Args:
        states: title and numbers of :math:`X_0`, :math:`X_1`, … in one row, a line for each vector, a column for each
            of its d entries. Blue is above 0, orange below; opacity is the root of the size, over the state's largest.
        layers: what stands between two states: a title and boxes from top to bottom, each a kind (a key of
            ``BOX_COLOURS``) and a name. One less than there are states.
        chain: what follows the last state, from left to right: kind, name, note.

    Raises:
        ValueError: for other numbers of states and layers, no vector, or more than :data:`MOST_VECTORS` of them.
    """
    if len(states) != len(layers) + 1 or not layers:
        raise ValueError(
            f"ensemble_drawing: expected one state more than layers, got {len(states)} states, {len(layers)} layers"
        )
    parts, y = [], 0.0
    for k, (title, table) in enumerate(states):
        if not 1 <= len(table) <= MOST_VECTORS:
            raise ValueError(f"ensemble_drawing: expected 1 to {MOST_VECTORS} vectors, got {len(table)}")
        parts += _state(title, table, y)
        high = float(HEAD + LINE * len(table))
        if k < len(layers):
            name, boxes = layers[k]
            parts.append(_text((BOX_LEFT + WIDTH) / 2, y + 14, name, 12.5, bold=True))
            for i, (kind, word) in enumerate(boxes):
                parts.append(_box(y + HEAD + i * (BOX_HIGH + 6), kind, word))
            middle = y + HEAD + LINE * len(table) / 2
            parts.append(
                _arrow(f"M{GRID_LEFT + GRID_WIDE + 4} {middle:g}H{BOX_LEFT - 8}", BOX_LEFT - 4, middle, "right")
            )
            foot = y + HEAD + len(boxes) * (BOX_HIGH + 6) - 6
            high = max(high, foot - y)
            below, centre = y + high + GAP, GRID_LEFT + GRID_WIDE / 2
            bend = f"M{(BOX_LEFT + WIDTH) / 2:g} {foot:g}V{y + high + GAP / 2 - 2:g}H{centre:g}V{below - 4:g}"
            parts.append(_arrow(bend, centre, below + 1, "down"))
        y += high + GAP
    return _svg("".join(parts) + _chain(chain, y), y + 48)


def _state(title: str, table: pd.DataFrame, y: float) -> list[str]:
    """The numbers of a state as coloured cells, with the names of its vectors."""
    values = table.to_numpy(float)
    top, wide = float(np.abs(values).max()) or 1.0, GRID_WIDE / values.shape[1]
    parts = [_text(GRID_LEFT + GRID_WIDE / 2, y + 14, title, 12.5, bold=True)]
    for i, name in enumerate(table.index):
        line = y + HEAD + i * LINE
        parts.append(_text(GRID_LEFT - 5, line + LINE - 2.5, _words(name), 12, "end"))
        for j, value in enumerate(values[i]):
            paint = f'fill="{BLUE if value >= 0 else RED}" fill-opacity="{(abs(value) / top) ** 0.5:.2f}"'
            place = f'x="{GRID_LEFT + j * wide:g}" y="{line:g}" width="{wide:g}" height="{LINE - 1}"'
            parts.append(f"<rect {place} {paint}/>")
    return parts


def _box(y: float, kind: str, word: str) -> str:
    paint = f'fill="{BOX_COLOURS[kind]}" fill-opacity="0.16" stroke="{BOX_COLOURS[kind]}" stroke-width="1.5" rx="5"'
    wide = WIDTH - 1 - BOX_LEFT
    return (
        f'<rect x="{BOX_LEFT}" y="{y:g}" width="{wide}" height="{BOX_HIGH}" {paint}/>'
        + _text(BOX_LEFT + wide / 2, y + 15.5, word, 12)
    )  # fmt: skip


def _arrow(path: str, x: float, y: float, towards: str) -> str:
    head = f"M{x:g} {y:g}" + {"right": "l-7 -4v8z", "down": "l-4 -7h8z"}[towards]
    line = f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity="0.6" stroke-width="1.4"/>'
    return line + f'<path d="{head}" fill="currentColor" fill-opacity="0.6"/>'
