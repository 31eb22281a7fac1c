"""One row on its way through a model that adds up one number for each field: logistic regression."""

from __future__ import annotations

import pandas as pd

from .cross_flow import _chain, _text, _words
from .diagrams import WIDTH, _svg
from .palette import BAD, GOOD, NEUTRAL

MOST_FIELDS = 14
TOP, LINE = 38, 19  # where the first field begins, and the height of one
VALUE, SIZE, AXIS, REACH = 90, 226, 266, 32  # columns, and how far the longest bar reaches from the axis
MOST_LETTERS = 14


def sum_drawing(fields: pd.DataFrame, bias: float, chance: float) -> str:
    """The drawing as an SVG text; show it with ``notebook.show_svg``.

    Args:
        fields: a line per field, its name as index: ``value`` (text), ``size`` (weights in its table) and ``part``
            (what it adds to the logit).
        bias: what every row gets.
        chance: the predicted probability.

    Raises:
        ValueError: for no field or more than fourteen, or missing columns.
    """
    if not 0 < len(fields) <= MOST_FIELDS:
        raise ValueError(f"sum_drawing: {len(fields)} fields, expected 1 to {MOST_FIELDS}")
    if missing := {"value", "size", "part"} - set(fields.columns):
        raise ValueError(f"sum_drawing: columns {sorted(missing)} are missing")
    lines = [*fields[["value", "size", "part"]].itertuples(), ("bias", "", 1, bias)]
    top = max(abs(float(part)) for *_, part in lines) or 1.0
    heads = ((0, "field", "start"), (VALUE, "value", "start"), (SIZE, "weights", "end"), (WIDTH - 1, "adds", "end"))
    parts = [_text(x, 20, words, 12.5, anchor, bold=True) for x, words, anchor in heads]
    for k, (name, value, size, part) in enumerate(lines):
        y, long = TOP + k * LINE, abs(float(part)) / top * REACH
        shown = str(value) if len(str(value)) <= MOST_LETTERS else str(value)[: MOST_LETTERS - 1].rstrip() + "…"
        parts += [
            _text(0, y + 13, _words(name), 12, "start", bold=True),
            _text(VALUE, y + 13, shown, 12, "start"),
            _text(SIZE, y + 13, f"{size:,}", 12, "end"),
            _text(WIDTH - 1, y + 13, f"{part:+.2f}".replace("-", "−"), 12, "end"),
        ]
        left = AXIS if part >= 0 else AXIS - long
        paint = f'fill="{GOOD if part >= 0 else BAD}" fill-opacity="0.85"'
        parts.append(f'<rect x="{left:g}" y="{y + 3:g}" width="{long:g}" height="{LINE - 6}" {paint}/>')
    end = TOP + len(lines) * LINE
    parts.append(f'<path d="M{AXIS} {TOP}V{end}" stroke="{NEUTRAL}" stroke-width="1"/>')
    logit = float(fields["part"].sum()) + bias
    chain = [
        ("embedding", f"{len(fields)} fields", "look up weights"),
        ("sum", "sum", f"z = {logit:.2f}".replace("-", "−")),
        ("output", "sigmoid", f"click: {chance:.0%}".replace("%", " %")),
    ]
    return _svg("".join(parts) + _chain(chain, end + 14), end + 62)
