"""One row on its way through a gated cross layer: product, gate and what is added, a line for each field."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .cross_flow import MOST_FIELDS, _chain, _text, _words
from .diagrams import _svg
from .palette import BLUE, RED

COLUMNS = ("product", "gate", "added", "after")
TOP, STEP, PLACES = 44, 18, (140, 205, 262, 316)  # where the lines begin, how far apart, and the columns' middles
SCALE = 0.25  # a gate this far from one half has the full colour


def gate_drawing(table: pd.DataFrame, chain: Sequence[tuple[str, str, str]]) -> str:
    """The drawing as an SVG text; show it with ``notebook.show_svg``.

    Args:
        table: a line for each field, see :func:`recsys_lite.explain.gates.gated_lengths`. A gate above one half is
            drawn in blue, one below in orange; the widest bar is the longest product.
        chain: what follows, from left to right: kind of box (a key of ``BOX_COLOURS``), name, and size or number.

    Raises:
        ValueError: for more than twelve fields, or other columns.
    """
    if len(table) > MOST_FIELDS:
        raise ValueError(f"gate_drawing: {len(table)} fields, at most {MOST_FIELDS} can be read")
    if tuple(table.columns) != COLUMNS:
        raise ValueError(f"gate_drawing: expected the columns {COLUMNS}, got {tuple(table.columns)}")
    longest = max(float(table["product"].max()), 1e-9)
    parts = [
        _text(x, 16, name, 12.5, bold=True) for x, name in zip(PLACES, ("product", "gate", "adds", "c₁"), strict=True)
    ]
    parts += [_text(x, 32, name, 12) for x, name in zip(PLACES, ("length", "mean", "length", "length"), strict=True)]
    for k, (name, line) in enumerate(table.iterrows()):
        y = TOP + k * STEP
        gate = float(line["gate"])
        shade, tint = min(abs(gate - 0.5) / SCALE, 1) * 0.85, BLUE if gate >= 0.5 else RED
        parts.append(_text(88, y + 13, _words(name), 12, "end"))
        parts += [_bar(x, y, float(line[c]) / longest) for x, c in zip(PLACES[::2], ("product", "added"), strict=True)]
        place = f'x="{PLACES[1] - 22}" y="{y + 1}" width="44" height="{STEP - 2}"'
        parts.append(f'<rect {place} rx="2" fill="{tint}" fill-opacity="{shade:.2f}" stroke="{tint}"/>')
        parts += [_text(x, y + 13, f"{line[c]:.2f}", 12) for x, c in zip(PLACES, COLUMNS, strict=True)]
    end = TOP + len(table) * STEP
    return _svg("".join(parts) + _chain(chain, end + 12), end + 62)


def _bar(middle: float, y: float, share: float) -> str:
    place = f'x="{middle - 24:g}" y="{y + 2:g}" width="{48 * share:.1f}" height="{STEP - 4}"'
    return f'<rect {place} fill="currentColor" fill-opacity="0.14"/>'
