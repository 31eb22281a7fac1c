"""Where a model's own numbers point on one row: its maps of pairs of fields, and why it has none where it has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..fields import Rows
from ..layers import CrossNet, CrossNetMix, CrossNetV2, GatedCrossNet
from ..layers.ensemble import AttentionModule, CrossModule, DotModule, EnsembleLayer, LinearModule
from ..models import DHEN, GDCN, AutoInt, LogisticRegression, Model, NeuMF, SplitNetwork, TwoTowers, WideDeep
from ..models.cross_model import CrossModel
from .crosses import open_gates
from .own_maps import pair_strength

#: signed: around 0; size: from 0 up; ratio: around 1, the same share for all
Kind = Literal["signed", "size", "ratio"]


@dataclass(frozen=True)
class RowMap:
    """A map of a model's own numbers on one row.

    Attributes:
        name: what it is, such as ``layer 1, head 2``.
        table: lines and columns are named by fields, or by vectors that a model makes of several fields; ``nan`` where
            a pair has no number. Gates have a line per layer.
        unit: of the cells.
        kind: where its scale starts, see :data:`Kind`.
        reading: how to read a cell.
    """

    name: str
    table: pd.DataFrame
    unit: str
    kind: Kind
    reading: str


@torch.no_grad()
def row_maps(model: Model, row: Rows) -> tuple[list[RowMap], list[str]]:
    r"""All maps of a model's own numbers on one row, and in words why there is none, or none of a part.

    Dot products for FM, DeepFM, DLRM; two-field crosses for Wide & Deep; attention as a ratio to uniform for AutoInt,
    the mean first, then each layer and head; the sizes of :math:`x_{0,a} \odot W_{l,ab}\, x_{l,b}` for each layer of
    DCN, DCN V2 and GDCN, whose gates come last; for DHEN a map of each module of the first layer; the one product of
    two towers. A model of which nothing is known gets the pairs that its fine parts name.

    Raises:
        ValueError: for another number of rows than one.

    Example:
        >>> from recsys_lite.data.simulated.planted import planted
        >>> from recsys_lite.models import FM
        >>> data = planted(order=2, seed=0, rows=40, fields=3)
        >>> maps, missing = row_maps(FM(data.fields), data.test[0])
        >>> [m.name for m in maps], maps[0].table.shape, missing
        (['dot products'], (3, 3), [])
    """
    if len(row) != 1:
        raise ValueError(f"row_maps: expected one row, got {len(row)}")
    if isinstance(model, LogisticRegression):
        return [], ["Logistic regression adds one weight for each value: it has no number for a pair of fields."]
    if isinstance(model, AutoInt):
        maps = attention_maps([f.name for f in model.fields], model.attention(row))
        mean = sum(m.table for m in maps[1:]) + maps[0].table
        first = maps[0]
        return [RowMap("mean of all heads", mean / len(maps), first.unit, first.kind, first.reading), *maps], []
    if isinstance(model, CrossModel):
        return _crosses(model, row)
    if isinstance(model, DHEN):
        return _modules(model, row)
    if isinstance(model, WideDeep):
        return _wide(model, row)
    if isinstance(model, NeuMF):
        if model.gmf is None:
            return [], ["This network has no product: it reads the two vectors side by side."]
        columns = [f.name for f in model.fields if f.kind == "categorical"]
        user, item = (columns[k] for k in model.columns)
        map_ = _block("GMF product", model, [user], [item], float(model.parts(row)["gmf"]))
        return [map_], ["The other fields are not read at all."]
    if isinstance(model, TwoTowers | SplitNetwork):
        return _towers(model, row)
    try:
        table = pair_strength(model, row, signed=True)
    except ValueError:
        return [], [f"The logit of {type(model).__name__} has no parts of pairs."]
    for name in table.index:
        table.loc[name, name] = table.loc[name, name] or float("nan")  # no pair within a single value
    return [RowMap("dot products", table, "log-odds", "signed", "What the dot product of two vectors adds here.")], []


def strongest(table: pd.DataFrame, kind: Kind = "signed") -> tuple[str, str, float]:
    """The pair of two different fields that stands out most in a map, and its number, the mean of its two cells.

    The one that is farthest from 0, and in a ratio the largest: less than an even share is no strength.

    Raises:
        ValueError: for a table without a number for two different fields.

    Example:
        >>> strongest(pd.DataFrame([[9.0, 1.0], [-4.0, 9.0]], index=["x", "y"], columns=["x", "y"]))
        ('x', 'y', -1.5)
    """
    lines, columns = list(table.index), list(table.columns)
    names = [n for n in lines if n in columns]
    values = (table if names == lines == columns else table.loc[names, names]).to_numpy(float)
    means = (values + values.T) / 2
    sizes = np.where(np.triu(np.isfinite(means), 1), means if kind == "ratio" else np.abs(means), -np.inf)
    if not len(names) or np.isneginf(sizes).all():
        raise ValueError("strongest: no pair of two fields has a number")
    a, b = divmod(int(sizes.argmax()), len(names))
    return str(names[a]), str(names[b]), float(means[a, b])


def attention_maps(names: Sequence[str], maps: Sequence[Tensor]) -> list[RowMap]:
    """Attention (1, H, F, F) of each layer as a ratio to uniform: 1 is the share 1/F that all fields would get."""
    told = "How much of a field's look goes to another: 2 is twice the share of a look spread evenly."
    return [
        RowMap(
            f"layer {k + 1}, head {h + 1}", pd.DataFrame((weights * len(names)).numpy(), names, names),
            "× uniform", "ratio", told,
        )
        for k, of_layer in enumerate(maps) for h, weights in enumerate(of_layer[0])
    ]  # fmt: skip


def _products(left: Tensor, of_right: Tensor, blocks: dict[str, slice]) -> pd.DataFrame:
    """Sizes of left_a ⊙ right_(a from b); ``left`` (N,), ``of_right`` (F, N), a line for each b."""
    names = list(blocks)
    products = left * of_right  # (F, N)
    sizes = [[products[b, blocks[a]].norm().item() for b in range(len(names))] for a in names]
    return pd.DataFrame(sizes, index=names, columns=names)


def _crosses(model: CrossModel, row: Rows) -> tuple[list[RowMap], list[str]]:
    cross, blocks = model.cross, model.input.blocks
    if isinstance(cross, CrossNetMix):
        return [], ["Experts bend their input (g) before they multiply: no number of theirs belongs to one pair."]
    x0 = model.input(row)
    maps, told = [], "Size of the product that a cross layer makes of the line's field (x₀) and the column's (xₗ)."
    for k, x in enumerate(cross.states(x0)[:-1]):
        apart = torch.stack([torch.zeros_like(x[0]).index_copy(0, _places(b), x[0, b]) for b in blocks.values()])
        if isinstance(cross, CrossNet):
            made = (apart @ cross.weight[k]).unsqueeze(1).expand(-1, x0.shape[1])  # (F,) -> (F, N)
        else:
            assert isinstance(cross, CrossNetV2)
            made = cross.product(k, apart)  # (F, N), W x_b of each field b
        if isinstance(cross, GatedCrossNet):
            made = made * cross.gate(k, x)  # the gate of the whole row
        maps.append(RowMap(f"cross layer {k + 1}", _products(x0[0], made, blocks), "norm", "size", told))
    if isinstance(model, GDCN):
        gates = open_gates(model, row)
        maps.append(RowMap("gates", 2 * gates, "× ½", "ratio", "How far a field's gate is open: 1 is half open."))
    return maps, []


def _places(block: slice) -> Tensor:
    return torch.arange(block.start, block.stop)


def _modules(model: DHEN, row: Rows) -> tuple[list[RowMap], list[str]]:
    x, names = model.start(row), model.vectors
    first: EnsembleLayer = model.layers[0]  # type: ignore[assignment]
    maps, missing = [], []
    for kind, module in zip(first.names, first.interactions, strict=True):
        if isinstance(module, AttentionModule):
            (one,) = attention_maps(names, [module.attention(x).unsqueeze(1)])
            maps.append(RowMap("attention module", one.table, one.unit, one.kind, one.reading))
        elif isinstance(module, DotModule) and module.compress is None:
            table = pd.DataFrame((x[0] @ x[0].T).fill_diagonal_(float("nan")).numpy(), names, names)
            maps.append(
                RowMap("dot module", table, "dot", "signed", "The dot product that the module's network reads.")
            )
        elif isinstance(module, CrossModule):
            d = module.dim
            blocks = {name: slice(k * d, (k + 1) * d) for k, name in enumerate(names)}
            apart = torch.stack([torch.zeros(x[0].numel()).index_copy(0, _places(b), x[0, k])
                                 for k, b in enumerate(blocks.values())])  # fmt: skip
            made = apart @ module.cross.weight.T
            told = "Size of the module's product of the line's field and the column's."
            maps.append(RowMap("cross module", _products(x.flatten(), made, blocks), "norm", "size", told))
        elif isinstance(module, DotModule):
            missing.append("The dot module mixes the fields' vectors before it takes their dot products.")
        elif isinstance(module, LinearModule):
            missing.append("The linear module only mixes vectors: it multiplies no two fields.")
        else:
            missing.append(f"The {kind} module has no number for a pair of fields.")
    if len(model.layers) > 1:
        missing.append("Later layers cross vectors that the first one made, no fields.")
    return maps, list(dict.fromkeys(missing))


def _wide(model: WideDeep, row: Rows) -> tuple[list[RowMap], list[str]]:
    names = [f.name for f in model.fields]
    table = pd.DataFrame(float("nan"), index=names, columns=names)
    if model.crosses is not None:
        for cross, value in zip(model.crosses.crosses, model.crosses(row)[0].tolist(), strict=True):
            if len(cross) == 2:
                table.loc[cross[0], cross[1]] = table.loc[cross[1], cross[0]] = value
    if table.isna().all(axis=None):
        return [], ["This model has no cross of two fields."]
    told = "The weight of this row's exact combination of two values."
    return [RowMap("crosses", table, "log-odds", "signed", told)], [
        "Only the crosses that were chosen by hand have a weight; the deep part has no number for a pair."
    ]


def _towers(model: TwoTowers | SplitNetwork, row: Rows) -> tuple[list[RowMap], list[str]]:
    towers = model if isinstance(model, TwoTowers) else model.towers
    part = "dot" if isinstance(model, TwoTowers) else "query × candidate"
    parts = model.parts(row, fine=isinstance(model, SplitNetwork))
    why = ["The towers meet in one product: all pairs of a query and a candidate field share its one number."]
    if part not in parts:
        return [], ["The head reads the two towers side by side, without their product."]
    names = list(towers.query_names), list(towers.candidate_names)
    return [_block("product of the towers", model, *names, float(parts[part]))], why


def _block(name: str, model: Model, left: Sequence[str], right: Sequence[str], value: float) -> RowMap:
    names = [f.name for f in model.fields]
    table = pd.DataFrame(float("nan"), index=names, columns=names)
    table.loc[list(left), list(right)] = value
    table.loc[list(right), list(left)] = value
    return RowMap(name, table, "log-odds", "signed", "What the product adds here: one number for the whole block.")
