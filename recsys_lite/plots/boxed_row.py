"""Boxes with the numbers of one row: an architecture's drawing whose labels a chapter computes."""

from __future__ import annotations

from collections.abc import Sequence

from ..explain.boxes import Box
from .diagrams import _arrow, _draw, _svg
from .palette import BOX_COLOURS


def boxed_row(boxes: Sequence[Box], arrows: Sequence[tuple[int, int]]) -> str:
    """The drawing as an SVG text; show it with ``notebook.show_svg``.

    Args:
        boxes: from top to bottom, see :class:`recsys_lite.explain.boxes.Box`; the drawing is 340 units wide.
        arrows: from box to box, by place.

    Raises:
        ValueError: for a box of an unknown kind, or an arrow to a box that is not there.

    Example:
        >>> boxed_row([Box("input", "row", "", 170, 26), Box("output", "0.6", "", 170, 96)], [(0, 1)]).count("<path")
        2
    """
    if unknown := [b.kind for b in boxes if b.kind not in BOX_COLOURS]:
        raise ValueError(f"boxed_row: got kind {unknown[0]!r}, expected one of {sorted(BOX_COLOURS)}")
    if stray := [a for a in arrows if not all(0 <= place < len(boxes) for place in a)]:
        raise ValueError(f"boxed_row: arrow {stray[0]} leaves the {len(boxes)} boxes")
    height = max(b.y + b.height / 2 for b in boxes) + 4
    return _svg("".join(_arrow(boxes[a], boxes[b]) for a, b in arrows) + "".join(map(_draw, boxes)), height)
