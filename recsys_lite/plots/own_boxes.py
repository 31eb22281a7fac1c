"""A drawing of boxes and arrows whose texts come from the caller: an architecture with the numbers of one row."""

from __future__ import annotations

from collections.abc import Sequence

from ..explain.boxes import Box
from .diagrams import WIDTH, _arrow, _draw, _svg
from .palette import BOX_COLOURS


def boxes_drawing(boxes: Sequence[Box], arrows: Sequence[tuple[int, int]]) -> str:
    """The drawing as an SVG text, in the grammar of :func:`recsys_lite.plots.diagrams.architecture`.

    Args:
        boxes: from top to bottom, inside a width of 340.
        arrows: from box to box, by place in ``boxes``.

    Raises:
        ValueError: without boxes, for a box of an unknown kind or beyond the sides, or an arrow to no box.

    Example:
        >>> boxes_drawing([Box("input", "row", "", 170, 26), Box("output", "0.5", "", 170, 100)], [(0, 1)])[:4]
        '<svg'
    """
    if not boxes:
        raise ValueError("boxes_drawing: expected boxes, got none")
    if unknown := sorted({box.kind for box in boxes} - set(BOX_COLOURS)):
        raise ValueError(f"boxes_drawing: unknown kinds {unknown}, expected some of {sorted(BOX_COLOURS)}")
    if outside := [b.label for b in boxes if b.x - b.width / 2 < 0 or b.x + b.width / 2 > WIDTH]:
        raise ValueError(f"boxes_drawing: {outside} reach beyond the width of {WIDTH}")
    if lost := [pair for pair in arrows if not all(0 <= place < len(boxes) for place in pair)]:
        raise ValueError(f"boxes_drawing: arrows {lost} lead to no box; there are {len(boxes)} boxes")
    inner = "".join(_arrow(boxes[a], boxes[b]) for a, b in arrows) + "".join(map(_draw, boxes))
    return _svg(inner, max(b.y + b.height / 2 for b in boxes) + 4)
