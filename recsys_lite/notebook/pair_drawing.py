"""The drawing of one row in a trained factorization machine."""

from __future__ import annotations

import math

import pandas as pd
import torch

from ..explain.own_maps import pair_strength
from ..fields import Rows, part_name
from ..models import FM
from ..plots.pair_flow import pair_drawing, strongest_pair


def fm_drawing(model: FM, row: Rows) -> tuple[str, tuple[str, str, float]]:
    """The drawing of one row in a trained FM, and its largest pair of fields with the term.

    Raises:
        ValueError: as :func:`~recsys_lite.plots.pair_flow.pair_drawing`, and for other than one row.
    """
    if len(row) != 1:
        raise ValueError(f"fm_drawing: expected one row, got {len(row)}")
    with torch.no_grad():
        fine = {name: float(part) for name, part in model.parts(row, fine=True).items()}
        sums = {name: float(part) for name, part in model.parts(row).items()}
    pairs = pair_strength(model, row, signed=True)
    weights = pd.Series({name: fine[name] for name in map(part_name, (f.name for f in model.fields))})
    told = {name: f"{value:+.2f}".replace("-", "−") for name, value in sums.items()}
    z = sum(sums.values())
    chain = [
        ("", "cross", "pairs", told["pairs"]),
        ("+", "embedding", "weights", told["linear"]),
        ("+", "input", "bias", told["bias"]),
        ("=", "sum", "logit", f"{z:+.2f}".replace("-", "−")),
        ("→", "output", "click", f"{100 / (1 + math.exp(-z)):.0f} %"),
    ]
    a, b = strongest_pair(pairs)
    size = f"{len(pairs)} fields, {model.embedding.dim} entries each"
    return pair_drawing(pairs, weights, chain, size), (a.replace("_", " "), b.replace("_", " "), float(pairs.loc[a, b]))
