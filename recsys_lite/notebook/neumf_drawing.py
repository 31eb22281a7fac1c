"""The drawing of one user and one item on their way through NeuMF."""

from __future__ import annotations

import math

import torch
from torch import nn

from ..explain.boxes import LEFT, RIGHT, Box
from ..fields import Rows
from ..models.ncf import NeuMF
from ..plots.diagrams import _arrow, _draw, _svg


@torch.no_grad()
def neumf_drawing(model: NeuMF, row: Rows, names: str = "user and item") -> str:
    """The architecture with the sizes of its layers and the numbers of one row, as an SVG text.

    Args:
        model: with both parts.
        row: one row.
        names: of the user and the item.

    Raises:
        ValueError: for a model without one of the parts, or other than one row.
    """
    if model.gmf is None or model.sides is None or model.mlp is None:
        raise ValueError("neumf_drawing: the model needs a GMF part and a network")
    if len(row.ids) != 1:
        raise ValueError(f"neumf_drawing: expected one row, got {len(row.ids)}")
    ids = Rows(row.ids[:, model.columns], row.numeric[:, :0])
    widths = [2 * model.sides.dim, *(m.out_features for m in model.mlp.modules() if isinstance(m, nn.Linear))]
    parts = {name: float(value) for name, value in model.parts(row).items()}
    z = sum(parts.values())

    def first(vectors: torch.Tensor) -> str:
        a, b = vectors.flatten()[:2].tolist()
        return f"{_signed(a)}, {_signed(b)}, …"

    boxes = [
        Box("input", names, "two ids, nothing else", 170, 26, 330),
        Box("embedding", f"p, q: {model.gmf.dim} each", f"p = ({first(model.gmf(ids)[:, 0])})", LEFT, 104, 160),
        Box("embedding", f"p′, q′: {model.sides.dim} each", f"p′ = ({first(model.sides(ids)[:, 0])})", RIGHT, 104, 160),
        Box("cross", f"p ⊙ q: {model.gmf.dim}", f"hᵀ(p ⊙ q) = {_signed(parts['gmf'])}", LEFT, 182, 160),
        Box("mlp", " → ".join(map(str, widths)), f"h′ᵀφ = {_signed(parts['mlp'])}", RIGHT, 182, 164),
        Box("sum", "+", "", 170, 246, 34, 34),
        Box("output", f"{100 / (1 + math.exp(-z)):.0f} %", f"σ({_signed(z)}), chance of a click", 170, 314, 210),
    ]
    arrows = [(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5), (5, 6)]
    return _svg("".join(_arrow(boxes[a], boxes[b]) for a, b in arrows) + "".join(map(_draw, boxes)), 340)


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
