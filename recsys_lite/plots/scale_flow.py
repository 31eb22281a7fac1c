"""One row on its way through DCN: each cross layer adds its whole input, multiplied by one number."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .cross_flow import MOST_FIELDS, _text, _words
from .diagrams import WIDTH, _svg
from .palette import BLUE, BOX_COLOURS, RED

LABELS, TOP, LINE = 84, 50, 15  # where the names end, where the bars begin, and the height of a line


def scale_flow(
    lengths: Mapping[str, float], layers: Mapping[str, float], parts: Mapping[str, float], hidden: str
) -> str:
    """The drawing as an SVG text; show it with ``notebook.show_svg``.

    Args:
        lengths: field -> length of its part of x_0.
        layers: name of a layer -> the number by which it multiplies x_0; one to three of them.
        parts: ``cross``, ``bias`` and, with a network, ``deep``: the logit is their sum.
        hidden: widths of the hidden layers, in words.

    Raises:
        ValueError: for more than twelve fields, or other than one to three layers.
    """
    if len(lengths) > MOST_FIELDS or not 1 <= len(layers) <= 3:
        raise ValueError(f"scale_flow: {len(lengths)} fields and {len(layers)} layers do not fit the drawing")
    total = 1 + sum(layers.values())
    heads = ["input", *layers, "sum"]
    names = ["1", *map(_signed, layers.values()), f"= {_signed(total, '')}"]
    factors = [1.0, *layers.values(), total]
    step = (WIDTH - LABELS - 6) / len(factors)
    unit = (step - 8) / (max(map(abs, factors)) * max(lengths.values()))
    drawn = [_text(LABELS, 32, "x₀ times", 12, "end")]
    for k, (head, name, factor) in enumerate(zip(heads, names, factors, strict=True)):
        left = LABELS + 6 + k * step
        drawn += [_text(left, 14, head, 12, "start"), _text(left, 32, name, 12, "start", bold=True)]
        for line, value in enumerate(lengths.values()):
            box = f'x="{left:g}" y="{TOP + line * LINE - 9:g}" width="{unit * abs(factor) * value:.1f}" height="10"'
            drawn.append(f'<rect {box} fill="{RED if factor < 0 else BLUE}" fill-opacity="0.75"/>')
    drawn += [_text(LABELS, TOP + k * LINE, _words(n), 12, "end") for k, n in enumerate(lengths)]
    low = TOP + len(lengths) * LINE + 8
    last = f"{_signed(parts['cross'])} cross part"
    drawn.append(_box(1, low, 156, "cross", last, "reads sum and biases"))
    z = sum(parts.values())
    drawn.append(_box(180, low + 26, 80, "sum", f"logit {_signed(z, '')}", f"bias {_signed(parts['bias'])}"))
    drawn.append(_box(280, low + 26, 59, "output", f"{100 / (1 + math.exp(-z)):.0f} %", "click"))
    drawn.append(_arrow(158, low + 22, 179, low + 42))
    if "deep" in parts:
        drawn.append(_box(1, low + 52, 156, "mlp", f"{_signed(parts['deep'])} network", f"of x₀, {hidden} units"))
        drawn.append(_arrow(158, low + 74, 179, low + 54))
    return _svg("".join([*drawn, _arrow(261, low + 48, 279, low + 48)]), low + 100)


def _signed(value: float, plus: str = "+") -> str:
    return f"{plus if value >= 0 else '−'}{abs(value):.2f}"


def _box(x: float, y: float, wide: float, kind: str, name: str, note: str) -> str:
    paint = f'fill="{BOX_COLOURS[kind]}" fill-opacity="0.16" stroke="{BOX_COLOURS[kind]}" stroke-width="1.5"'
    rect = f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="44" rx="5" {paint}/>'
    return rect + _text(x + wide / 2, y + 18, name, 12, bold=True) + _text(x + wide / 2, y + 35, note, 12)


def _arrow(x: float, y: float, to: float, end: float) -> str:
    line = f'd="M{x:g} {y:g}L{to - 5:g} {end:g}" stroke="currentColor" stroke-opacity="0.6" fill="none"'
    return f'<path {line}/><path d="M{to:g} {end:g}l-6 -4v8z" fill="currentColor" fill-opacity="0.6"/>'
