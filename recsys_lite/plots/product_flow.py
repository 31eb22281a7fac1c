"""A list of films in a model of position: examined times clicked if examined, and the order without the first."""

from __future__ import annotations

import pandas as pd

from .cross_flow import _text
from .diagrams import _svg
from .palette import BLUE, GREEN, ORANGE

COLUMNS = ("film", "seen", "click if seen", "click")
MOST_ROWS, MOST_LETTERS = 12, 16
TOP, STEP, WIDE = 48, 19, 54  # where the lines begin, how far apart, and the longest bar
LEFT = {"seen": 130, "click if seen": 194, "click": 258}  # where the bars begin
TINTS = {"seen": BLUE, "click if seen": ORANGE, "click": GREEN}


def product_drawing(table: pd.DataFrame) -> str:
    """The drawing as an SVG text; show it with ``notebook.show_svg``.

    Args:
        table: a line per position from the top of the list: ``film``, and the probabilities ``seen``, ``click if
            seen`` and their product ``click``. The last column of the drawing is the position in the order of ``click
            if seen``, which is what the model serves.

    Raises:
        ValueError: for no line or more than twelve, other columns, or a ``click`` that is not the product.
    """
    if not 0 < len(table) <= MOST_ROWS:
        raise ValueError(f"product_drawing: {len(table)} lines, expected 1 to {MOST_ROWS}")
    if missing := set(COLUMNS) - set(table.columns):
        raise ValueError(f"product_drawing: columns {sorted(missing)} are missing")
    if (table["click"] - table["seen"] * table["click if seen"]).abs().max() > 0.01:
        raise ValueError("product_drawing: click is not seen times click if seen")
    served = table["click if seen"].rank(ascending=False, method="first").astype(int)
    heads = (("chance", "seen", 157), ("click", "if seen", 221), ("click", "here", 285))
    parts = [_text(x, y, words, 12, bold=True) for *two, x in heads for words, y in zip(two, (16, 32), strict=True)]
    parts += [_text(x, 16, sign, 12, bold=True) for x, sign in ((192, "×"), (254, "="))]
    parts += [
        _text(x, 32, words, 12, at, bold=True) for x, words, at in ((0, "old list", "start"), (338, "new", "end"))
    ]
    for k, (line, new) in enumerate(zip(table.to_dict("records"), served, strict=True)):
        y = TOP + k * STEP
        film = str(line["film"])
        shown = film if len(film) <= MOST_LETTERS else film[: MOST_LETTERS - 1].rstrip() + "…"
        parts += [_text(8, y + 13, str(k + 1), 12), _text(20, y + 13, shown, 12, "start")]
        parts += [_text(327, y + 13, str(new), 12, bold=True)]
        for name, x in LEFT.items():
            size = f'x="{x}" y="{y + 2}" width="{WIDE * line[name]:.1f}" height="{STEP - 4}"'
            parts.append(f'<rect {size} fill="{TINTS[name]}" fill-opacity="0.45"/>')
            parts.append(_text(x + WIDE / 2, y + 13, f"{line[name]:.2f}", 12))
    return _svg("".join(parts), TOP + len(table) * STEP + 6)
