"""A model's own map of pairs of fields: dots, attention, cross weights."""

from __future__ import annotations

import pandas as pd
import torch

from ..fields import Rows, part_name
from ..layers import on_cpu
from ..models import DHEN, AutoInt, Model
from ..models.cross_model import CrossModel


@torch.no_grad()
def pair_strength(model: Model, rows: Rows, signed: bool = False) -> pd.DataFrame:
    r"""The logit's parts of pairs, such as ⟨e_f, e_g⟩, as a symmetric table: the mean over rows of their size.

    For models whose fine parts name pairs: FM, DeepFM (its FM part) and DLRM (what each dot adds at a row, see
    :func:`recsys_lite.layers.linear_piece`). The diagonal holds the pairs within one bag and is zero for single values.

    Args:
        signed: the mean of the parts themselves in place of their absolute values.

    Raises:
        ValueError: for a model without parts of pairs.
    """
    model, rows = on_cpu(model), rows.to("cpu")
    pairs = {name: part for name, part in model.parts(rows, fine=True).items() if " × " in name}
    if not pairs:
        raise ValueError(f"pair_strength: the logit of {type(model).__name__} has no parts of pairs")
    names = list(getattr(model, "vectors", [part_name(f.name) for f in model.fields]))
    place, table = {name: k for k, name in enumerate(names)}, torch.zeros(len(names), len(names))
    means = torch.stack([part if signed else part.abs() for part in pairs.values()]).mean(1)
    for name, mean in zip(pairs, means.tolist(), strict=True):
        a, b = (place[n] for n in name.split(" × "))
        table[a, b] = table[b, a] = mean
    return pd.DataFrame(table.numpy().astype(float), index=names, columns=names)


@torch.no_grad()
def attention(
    model: AutoInt | DHEN, rows: Rows, layer: int | None = None, head: int | None = None
) -> pd.DataFrame:  # fmt: skip
    """Attention weights, mean over rows: a line per field that looks, a column per field looked at; lines sum to 1.

    Args:
        model: an AutoInt, or a DHEN whose first layer has an attention module; of a DHEN only that layer looks at
            fields, later ones look at what layers made, so it counts as one layer with one head.
        rows: one row for its own map, many for their mean.
        layer, head: which, from 0. Default: the mean over all.

    Raises:
        ValueError: for a layer or head that does not exist, or a DHEN without attention in its first layer.
    """
    model, rows = on_cpu(model), rows.to("cpu")
    found = model.attention(rows)
    if isinstance(model, DHEN):
        if "attention" not in model.config["modules"]:
            raise ValueError("attention: this DHEN has no attention module")
        found = found[:1]
    maps = torch.stack(found).mean(1)  # (L, B, H, F, F) -> (L, H, F, F)
    for what, chosen, count in (("layer", layer, len(maps)), ("head", head, maps.shape[1])):
        if chosen is not None and not 0 <= chosen < count:
            raise ValueError(f"attention: {what} {chosen} of {count}")
    part = maps if layer is None else maps[layer : layer + 1]
    part = part if head is None else part[:, head : head + 1]
    names = model.vectors if isinstance(model, DHEN) else [f.name for f in model.fields]
    return pd.DataFrame(part.mean((0, 1)).numpy(), index=names, columns=names)


@torch.no_grad()
def cross_strength(model: CrossModel, layer: int = 0) -> pd.DataFrame:
    """The weight view of a cross layer as a field-by-field table, see the model's ``block_norms``.

    Not symmetric: lines are the fields of :math:`x_0`, columns those of :math:`x_l`.
    """
    model = on_cpu(model)
    names = list(model.input.blocks)
    return pd.DataFrame(model.block_norms(layer).numpy(), index=names, columns=names)
