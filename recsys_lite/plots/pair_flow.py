"""One row on its way through a factorization machine: a weight for each field, a term for each pair of fields."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .cross_flow import MOST_FIELDS, _text, _words
from .diagrams import WIDTH, _svg
from .palette import BLUE, BOX_COLOURS, RED

TOP, LINE, WEIGHTS, PAIRS = 52, 18, 108, 136  # first line, its height, middle of the weights, where the pairs begin


def pair_drawing(
    pairs: pd.DataFrame, weights: pd.Series, chain: Sequence[tuple[str, str, str, str]], size: str = ""
) -> str:
    """The drawing as an SVG text; show it with ``notebook.show_svg``.

    Args:
        pairs: field by field, symmetric, the term of each pair; the diagonal holds the pairs within a bag. Blue raises
            the logit, orange lowers it; the largest off the diagonal gets a frame.
        weights: field -> the part of its weights.
        chain: what follows, from left to right: the sign before the box, its kind (a key of ``BOX_COLOURS``), its name,
            and its size or number.
        size: of the vectors, in words.

    Raises:
        ValueError: for more than twelve fields, or other fields in table and weights.
    """
    if len(pairs) > MOST_FIELDS:
        raise ValueError(f"pair_drawing: {len(pairs)} fields, at most {MOST_FIELDS} can be read")
    if not list(pairs.index) == list(pairs.columns) == list(weights.index):
        raise ValueError(f"pair_drawing: weights of {list(weights.index)} do not fit pairs of {list(pairs.index)}")
    top = float(pairs.abs().to_numpy().max()) or 1.0
    framed = strongest_pair(pairs)
    parts = [_text(WEIGHTS + 18, 14, "weights", 12.5, "end", bold=True), _text(WEIGHTS + 18, 31, "wᵢ xᵢ", 12, "end")]
    parts += [_text(PAIRS, 14, "pairs of vectors", 12.5, "start", bold=True), _text(PAIRS, 31, size, 12, "start")]
    for line, name in enumerate(pairs.index):
        y = TOP + line * LINE
        parts.append(_text(84, y + 13, _words(name), 12, "end"))
        parts.append(_text(WEIGHTS, y + 13, f"{weights[name]:+.2f}".replace("-", "−"), 12))
        for k, other in enumerate(pairs.columns[: line + 1]):
            value, x = float(pairs.loc[name, other]), PAIRS + k * LINE
            if k == line and value == 0:
                continue
            frame = ' stroke="currentColor" stroke-width="2"' if {name, other} == set(framed) else ""
            paint = f'fill="{BLUE if value > 0 else RED}" fill-opacity="{0.05 + 0.95 * abs(value) / top:.2f}"{frame}'
            parts.append(f'<rect x="{x:g}" y="{y:g}" width="{LINE - 1}" height="{LINE - 1}" {paint}/>')
        place = f"translate({PAIRS + (line + (1.3 if pairs.iloc[line, line] else 0.6)) * LINE:g} {y + LINE - 4})"
        if line < len(pairs) - 1:  # the last field has no column below its name
            parts.append(_text(0, 0, _words(name), 12, "start", f' transform="{place} rotate(-30)"'))
    bottom = TOP + len(pairs) * LINE + 20
    return _svg("".join(parts) + _boxes(chain, bottom), bottom + 50)


def strongest_pair(pairs: pd.DataFrame) -> tuple[str, str]:
    """The two different fields whose term is the largest by size.

    Example:
        >>> strongest_pair(pd.DataFrame([[9, 1, -3], [1, 0, 2], [-3, 2, 0]], list("abc"), list("abc")))
        ('a', 'c')
    """
    values = pairs.abs().to_numpy(float)
    k = max((values[a, b], -a, -b) for a in range(len(values)) for b in range(a + 1, len(values)))
    return str(pairs.index[-k[1]]), str(pairs.index[-k[2]])


def _boxes(chain: Sequence[tuple[str, str, str, str]], y: float) -> str:
    """Boxes side by side, each with a sign before it, over the whole width."""
    gap = 14.0
    wide, parts = (WIDTH - 2 - gap * (len(chain) - 1)) / max(len(chain), 1), []
    for k, (sign, kind, name, note) in enumerate(chain):
        x = 1 + k * (wide + gap)
        paint = f'fill="{BOX_COLOURS[kind]}" fill-opacity="0.16" stroke="{BOX_COLOURS[kind]}" stroke-width="1.5"'
        parts.append(f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="44" rx="5" {paint}/>')
        parts.append(_text(x + wide / 2, y + 18, name, 12, bold=True) + _text(x + wide / 2, y + 35, note, 12))
        if k:
            parts.append(_text(x - gap / 2, y + 26, sign, 13))
    return "".join(parts)
