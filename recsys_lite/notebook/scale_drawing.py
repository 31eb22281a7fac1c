"""The drawing of one row in a trained DCN."""

from __future__ import annotations

import torch

from ..explain.crosses import field_lengths
from ..fields import Rows
from ..models import DCN
from ..plots.scale_flow import scale_flow


@torch.no_grad()
def scale_drawing(model: DCN, row: Rows) -> str:
    """The drawing of one row in a trained model; more than three layers are drawn as two and the sum of the others.

    Raises:
        ValueError: for other than one row, or as :func:`scale_flow`.
    """
    lengths = field_lengths(model, row)["x₀"].to_dict()
    scales = model.cross.scales(model.input(row))[0][0].tolist()
    layers = {f"layer {k + 1}": scale for k, scale in enumerate(scales)}
    if len(scales) > 3:
        layers = {**dict(list(layers.items())[:2]), f"3 to {len(scales)}": sum(scales[2:])}
    parts = {name: float(value) for name, value in model.parts(row).items()}
    hidden = [str(layer.out_features) for layer in model.mlp or [] if isinstance(layer, torch.nn.Linear)]
    return scale_flow(lengths, layers, parts, ", ".join(hidden))
