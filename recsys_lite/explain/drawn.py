"""The drawing of one model as it is set up, from its own configuration."""

from __future__ import annotations

from dataclasses import replace

from ..models import DHEN, Model
from ..models.cross_model import CrossModel
from .boxes import ARCHITECTURES, Box

Arrows = list[tuple[int, int]]


def drawn(name: str, model: object = None) -> tuple[list[Box], Arrows]:
    """The boxes and arrows of a model as it is set up: stacked or parallel, with the modules that it has.

    Args:
        name: a key of :data:`~recsys_lite.explain.boxes.ARCHITECTURES`.
        model: the model itself. Default: the drawing of the book. The boxes keep their places in the list, so that
            the steps of a trace belong to the same ones; a box of a part that the model has not says so.

    Raises:
        ValueError: for a name without a drawing.

    Example:
        >>> from recsys_lite.data.simulated.planted import planted
        >>> from recsys_lite.models import DCNV2
        >>> fields = planted(order=2, seed=0, rows=40).fields
        >>> drawn("dcn_v2", DCNV2(fields, structure="stacked"))[1]
        [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"drawn: got {name!r}, expected one of {sorted(ARCHITECTURES)}")
    boxes, arrows = list(ARCHITECTURES[name][0]), list(ARCHITECTURES[name][1])
    if isinstance(model, Model) and boxes[0].note == "user, item, hour, …":
        names = [f.name for f in model.fields]
        boxes[0] = replace(boxes[0], note=", ".join(names[:3]) + ", …" * (len(names) > 3))
    if isinstance(model, CrossModel):
        return _crossed(boxes, arrows, model)
    return _ensemble(boxes, arrows, model) if isinstance(model, DHEN) else (boxes, arrows)


def _crossed(
    boxes: list[Box], arrows: list[tuple[int, int]], model: CrossModel
) -> tuple[list[Box], list[tuple[int, int]]]:
    if model.structure == "parallel":
        boxes[3] = replace(boxes[3], note="beside, ReLU")
        return boxes, arrows
    if model.structure == "cross":
        boxes[3] = replace(boxes[3], kind="input", label="no network", note="cross layers alone")
        return boxes, [a for a in arrows if 3 not in a]
    boxes[2] = replace(boxes[2], x=170)
    boxes[3] = replace(boxes[3], x=170, y=260, note="on top, ReLU")
    boxes[4:] = [replace(b, y=b.y + 78) for b in boxes[4:]]
    return boxes, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]


def _ensemble(boxes: list[Box], arrows: Arrows, model: DHEN) -> tuple[list[Box], Arrows]:
    names = list(dict.fromkeys(model.config["modules"]))
    for place, kinds in ((2, ("dot", "cross")), (3, ("attention", "linear", "convolution"))):
        own = [n for n in names if n in kinds]
        kind = "cross" if place == 2 else "attention" if "attention" in own else "mlp"
        if own:
            note = "a module" if len(own) == 1 else "each a module"
            boxes[place] = replace(boxes[place], kind=kind, label=", ".join(own), note=note)
        else:
            boxes[place] = replace(boxes[place], kind="input", label="no module", note=f"no {' or '.join(kinds[:2])}")
    depth = len(model.layers)
    told = "one layer" if depth == 1 else f"{depth} layers in all"
    boxes[4] = replace(boxes[4], note=f"X₁; {told}")
    return boxes, arrows
