"""The drawing of one row in a trained DHEN."""

from __future__ import annotations

import math
from typing import cast

import pandas as pd
import torch
from torch import Tensor

from ..fields import Rows
from ..layers import EnsembleLayer
from ..models import DHEN
from ..plots.ensemble_flow import ensemble_drawing

KINDS = {"dot": "mlp", "attention": "attention", "convolution": "embedding", "linear": "sum", "cross": "cross"}
MOST_LAYERS = 3  # that are drawn: of more the first, and all others as one


@torch.no_grad()
def ensemble_row(model: DHEN, row: Rows) -> str:
    """The drawing as an SVG text: the vectors of one row before and after the layers, logit and chance.

    Raises:
        ValueError: for other than one row, and as :func:`ensemble_drawing`.
    """
    if len(row) != 1:
        raise ValueError(f"ensemble_row: expected one row, got {len(row)}")
    layers = [cast(EnsembleLayer, layer) for layer in model.layers]
    x = model.start(row)
    states, between = [_state("X₀: fields", x, model.vectors)], []
    for k, layer in enumerate(layers, 1):
        x = layer(x)
        if k > 1 and len(layers) > MOST_LAYERS and k < len(layers):
            continue
        out = int(cast(int, layer.interactions[0].out))
        names = layer.names if layer.weights is None else ["sum"]
        states.append(_state(f"X{_sub(k)}: vectors", x, [f"{name} {i + 1}" for name in names for i in range(out)]))
        title = f"layer {k}" if len(layers) <= MOST_LAYERS or k == 1 else f"layers 2 to {k}"
        boxes = [(KINDS[name], name) for name in layer.names]
        between.append((title, [*boxes, ("input", "+ shortcut, norm")]))
    z = float(model(row))
    chance = f"{100 / (1 + math.exp(-z)):.0f} %"
    chain = [("mlp", "output layer", f"{x[0].numel()} to 1"), ("sum", "logit", f"{z:.2f}".replace("-", "−"))]
    return ensemble_drawing(states, between, [*chain, ("output", "click", chance)])


def _state(title: str, x: Tensor, names: list[str]) -> tuple[str, pd.DataFrame]:
    m, d = x.shape[1:]
    return f"{title}, {m} × {d}", pd.DataFrame(x[0].tolist(), names)


def _sub(number: int) -> str:
    return "".join("₀₁₂₃₄₅₆₇₈₉"[int(c)] for c in str(number))
