"""The drawing of one row in a trained cross network."""

from __future__ import annotations

import math

import torch

from ..explain.crosses import field_lengths
from ..explain.own_maps import cross_strength
from ..fields import Rows
from ..models.cross_model import CrossModel
from ..plots.cross_flow import cross_drawing, strongest


def row_drawing(model: CrossModel, row: Rows) -> tuple[str, tuple[str, str]]:
    """The drawing of one row in a trained model, and the pair of fields whose block is the largest.

    Raises:
        ValueError: as :func:`cross_drawing`, and for other than one row.
    """
    blocks, lengths = cross_strength(model, 0), field_lengths(model, row)
    width, deep = model.input.width, [layer.out_features for layer in model.mlp or [] if hasattr(layer, "out_features")]
    chain = [("embedding", "x₀", str(width))]
    chain += [("cross", f"layer {k + 1}" if k < 2 else "…", str(width)) for k in range(min(model.cross.depth, 3))]
    if deep:
        name = "beside" if model.structure == "parallel" else "hidden"
        chain.append(("mlp", name, ", ".join(map(str, deep[:2])) + (" …" if len(deep) > 2 else "")))
    with torch.no_grad():
        z = float(model(row))
    chain += [("sum", "logit", f"{z:.2f}".replace("-", "−")), ("output", "click", f"{100 / (1 + math.exp(-z)):.0f} %")]
    return cross_drawing(blocks, lengths, chain), strongest(blocks)
