"""Drawings of architectures and the map of the book: one grammar, SVG from code.

Every kind of box has one colour and one shape through the book and the explorer. Text is text, in the page's own
colour, and large enough on a page 360 px wide.
"""

from __future__ import annotations

import html
from itertools import groupby

from ..explain.boxes import ARCHITECTURES, Box
from ..store.chapters import CHAPTERS
from .palette import BLUE, BOX_COLOURS, NEUTRAL

WIDTH = 340  # units; about one pixel each on a telephone
FONT = 'font-family="system-ui, sans-serif"'


def _outline(box: Box) -> str:
    """The shape of a kind of box, as an SVG element without its paint."""
    left, right = box.x - box.width / 2, box.x + box.width / 2
    top, bottom = box.y - box.height / 2, box.y + box.height / 2
    if box.kind == "sum":
        return f'<circle cx="{box.x:g}" cy="{box.y:g}" r="{box.height / 2:g}"'
    if box.kind in ("cross", "attention"):  # hexagon, parallelogram
        cut = 12 if box.kind == "cross" else 16
        corners = [
            (left + cut, top),
            (right - cut, top),
            (right, box.y),
            (right - cut, bottom),
            (left + cut, bottom),
            (left, box.y),
        ]
        if box.kind == "attention":
            corners = [(left + cut, top), (right, top), (right - cut, bottom), (left, bottom)]
        return '<polygon points="' + " ".join(f"{x:g},{y:g}" for x, y in corners) + '"'
    if box.kind == "mlp":  # trapezium: layers that narrow
        corners = [(left, top), (right, top), (right - 14, bottom), (left + 14, bottom)]
        return '<polygon points="' + " ".join(f"{x:g},{y:g}" for x, y in corners) + '"'
    radius = {"input": 8, "embedding": 2, "output": box.height / 2}[box.kind]
    return f'<rect x="{left:g}" y="{top:g}" width="{box.width:g}" height="{box.height:g}" rx="{radius:g}"'


def _draw(box: Box) -> str:
    colour = BOX_COLOURS[box.kind]
    shape = f'{_outline(box)} fill="{colour}" fill-opacity="0.16" stroke="{colour}" stroke-width="1.8"/>'
    middle = f'x="{box.x:g}" text-anchor="middle"'
    size = 20 if box.kind == "sum" else 14.5
    lift = -2 if box.note else size / 3
    text = f'<text {middle} y="{box.y + lift:g}" font-size="{size:g}" font-weight="600">{html.escape(box.label)}</text>'
    if box.note:
        text += f'<text {middle} y="{box.y + 15:g}" font-size="12.5" opacity="0.8">{html.escape(box.note)}</text>'
    return shape + text


def _arrow(a: Box, b: Box) -> str:
    """A line from the lower side of one box to the upper side of the next, with its head."""
    start, end = a.y + a.height / 2, b.y - b.height / 2
    if b.kind == "sum" and abs(a.x - b.x) > 1:  # come in from the side
        side = b.x + (b.width / 2 if a.x > b.x else -b.width / 2)
        path = f"M{a.x:g} {start:g}V{b.y:g}H{side + (4 if a.x > b.x else -4):g}"
        tip = 1 if a.x < b.x else -1
        head = f"M{side:g} {b.y:g}l{-7 * tip:g} -4v8z"
    else:
        x = b.x if a.width > b.width else a.x  # straight down, within the wider of the two
        path = f"M{x:g} {start:g}V{end - 4:g}"
        head = f"M{x:g} {end:g}l-4 -7h8z"
    return (
        f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity="0.6" stroke-width="1.4"/>'
        f'<path d="{head}" fill="currentColor" fill-opacity="0.6"/>'
    )


def architecture(name: str) -> str:
    """The drawing of a model as an SVG text; show it with ``notebook.show_svg``.

    Raises:
        ValueError: for a name without a drawing.

    Example:
        >>> architecture("fm").startswith("<svg")
        True
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"architecture: got {name!r}, expected one of {sorted(ARCHITECTURES)}")
    boxes, arrows = ARCHITECTURES[name]
    height = max(b.y + b.height / 2 for b in boxes) + 4
    inner = "".join(_arrow(boxes[a], boxes[b]) for a, b in arrows) + "".join(map(_draw, boxes))
    return _svg(inner, height)


def _svg(inner: str, height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH * 1.25:g}" '
        f'{FONT} fill="currentColor" aria-hidden="true">{inner}</svg>'
    )


def book_map(here: str) -> tuple[str, str]:
    """The map of the book with one chapter lit: SVG text and the chapter's short title.

    Raises:
        ValueError: for a slug that is not on the ladder.

    Example:
        >>> book_map("factorization_machines")[1]
        'FM'
    """
    titles = {c["slug"]: c["short"] for c in CHAPTERS}
    if here not in titles:
        raise ValueError(f"book_map: got {here!r}, expected one of {sorted(titles)}")
    parts, y = [], 0.0
    for part, chapters in groupby(CHAPTERS, key=lambda c: c["part"]):
        parts.append(f'<text x="2" y="{y + 13:g}" font-size="12.5" font-weight="600" opacity="0.75">{part}</text>')
        y += 20
        x = 2.0
        for chapter in chapters:
            title = chapter["short"]
            wide = 7.4 * len(title) + 22
            if x + wide > WIDTH:
                x, y = 2.0, y + 32
            parts.append(_pill(title, x, y, wide, chapter["slug"] == here, "planned" not in chapter))
            x += wide + 6
        y += 36
    return _svg("".join(parts), y - 4), titles[here]


def _pill(title: str, x: float, y: float, wide: float, lit: bool, written: bool) -> str:
    paint = f'fill="{BLUE}" stroke="{BLUE}"' if lit else 'fill="none" stroke="currentColor" stroke-opacity="0.45"'
    dash = "" if written else ' stroke-dasharray="3 3"'
    ink = 'fill="#ffffff" font-weight="600"' if lit else "" if written else 'opacity="0.72"'
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="26" rx="13" {paint}{dash}/>'
        f'<text x="{x + wide / 2:g}" y="{y + 17.5:g}" text-anchor="middle" font-size="13" {ink}>'
        f"{html.escape(title)}</text>"
    )


def timeline_drawing(marks: list[tuple[str, str, bool]]) -> str:
    """A line of time from top to bottom: year, system, and whether the book has a chapter on it (filled).

    Example:
        >>> timeline_drawing([("2010", "FM", True), ("2016", "FFM", False)]).count("<circle")
        2
    """
    step, axis = 27, 62
    parts = [f'<path d="M{axis} 12V{step * len(marks) - 12:g}" stroke="currentColor" stroke-opacity="0.45"/>']
    for k, (year, system, lit) in enumerate(marks):
        y = step * k + step / 2
        if k == 0 or marks[k - 1][0] != year:
            parts.append(f'<text x="6" y="{y + 5:g}" font-size="14" opacity="0.8">{html.escape(year)}</text>')
        paint = (
            f'fill="{BLUE}" stroke="{BLUE}"'
            if lit
            else f'fill="var(--pst-color-background, Canvas)" stroke="{NEUTRAL}"'
        )
        weight = ' font-weight="600"' if lit else ""
        parts.append(f'<circle cx="{axis}" cy="{y:g}" r="6" stroke-width="1.8" {paint}/>')
        parts.append(f'<text x="{axis + 16}" y="{y + 5:g}" font-size="14.5"{weight}>{html.escape(system)}</text>')
    return _svg("".join(parts), step * len(marks))
