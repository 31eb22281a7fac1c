"""What GDCN's gates do to one row, and how much of its deep network is alive."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from ..fields import Rows
from ..layers import on_cpu
from ..models import GDCN
from ..models.cross_model import CrossModel
from .crosses import check_one


@torch.no_grad()
def gated_lengths(model: GDCN, row: Rows, layer: int = 0) -> pd.DataFrame:
    r"""A gated cross layer in one row, a line for each field.

    Returns:
        ``product``: length of :math:`c_0 \odot (W_l c_l + b_l)` in the entries of the field; ``gate``: mean of the gate
        over them; ``added``: length of the gated product; ``after``: length of :math:`c_{l+1}`.

    Raises:
        ValueError: for other than one row, or a layer that does not exist (they count from 0).
    """
    check_one("gated_lengths", model, row, layer)
    model, row = on_cpu(model), row.to("cpu")
    states = model.cross.states(model.input(row))
    c0, c, after = states[0], states[layer], states[layer + 1]
    product = c0 * (model.cross.product(layer, c) + model.cross.bias[layer])
    columns = {"product": product, "gate": model.cross.gate(layer, c), "added": after - c, "after": after}
    sizes = {n: [_size(n, v[0, place]) for place in model.input.blocks.values()] for n, v in columns.items()}
    return pd.DataFrame(sizes, index=list(model.input.blocks))


def _size(name: str, values: Tensor) -> float:
    return float(values.mean() if name == "gate" else values.norm())


@dataclass(frozen=True)
class Alive:
    """How much of a deep network's last hidden layer fires: its units, those above 0 in any row, rows with any."""

    units: int
    firing: int
    rows: float


@torch.no_grad()
def alive(model: CrossModel, rows: Rows) -> Alive | None:
    """Which of the last hidden units of a cross model ever fire; ``None`` for a model without a network.

    A unit that is 0 in all rows gets no gradient: it is dead, and stays so.

    Example:
        >>> from recsys_lite import data
        >>> criteo = data.load("criteo-sample").select(["C1", "C2"])
        >>> alive(GDCN(criteo.fields, hidden=()), criteo.test[:5]) is None
        True
    """
    if model.mlp is None:
        return None
    model, rows = on_cpu(model), rows.to("cpu")
    x0 = model.input(rows)
    h = model.mlp(x0 if model.structure == "parallel" else model.cross.states(x0)[-1]) > 0  # type: ignore[misc]
    return Alive(h.shape[1], int(h.any(0).sum()), float(h.any(1).float().mean()))
