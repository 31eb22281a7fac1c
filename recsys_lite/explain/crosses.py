"""What the matrices and gates of DCN V2's and GDCN's cross layers do, as plain tables."""

from __future__ import annotations

from itertools import combinations

import pandas as pd
import torch
from torch import Tensor

from ..evaluation import metrics
from ..fields import Rows
from ..layers import CrossNetMix, CrossNetV2, on_cpu
from ..models import DCNV2, GDCN
from ..models.cross_model import CrossModel


def with_full_matrices(model: DCNV2) -> DCNV2:
    """A copy, on the CPU, of a model whose low-rank matrices are multiplied out: :math:`W_l = U_l V_l^T`.

    Raises:
        ValueError: for experts, which are no matrix.
    """
    model = on_cpu(model)
    if not isinstance(model.cross, CrossNetV2):
        raise ValueError("with_full_matrices: experts with gates have no matrix of their own; take a model without")
    copy = DCNV2(model.fields, **{**model.config, "rank": 0})
    state = {k: v for k, v in model.state_dict().items() if k not in ("cross.u", "cross.v")}
    weight = torch.cat([model.cross.matrices(layer) for layer in range(model.cross.depth)])  # (L, N, N)
    copy.load_state_dict({**state, "cross.weight": weight.detach()})
    return copy.eval()


@torch.no_grad()
def block_ablation(model: DCNV2, rows: Rows) -> pd.DataFrame:
    r"""What each pair of fields is worth to the cross layers: its blocks of :math:`W_l` set to 0.

    Both :math:`W_{l,ab}` and :math:`W_{l,ba}`, in all layers at once, without training afterwards. What a deep part
    does with the pair stays.

    Args:
        model: a DCN V2 with full or low-rank matrices.
        rows: labelled rows.

    Returns:
        a line per pair: a, b, ``strength`` (mean size of the change of the logit), ``log_loss`` and ``auc`` (their
        change when the blocks go: a useful pair raises log loss and lowers AUC). Sorted by ``log_loss``, the most
        useful first; :func:`recsys_lite.explain.square` makes a map of a column.

    Raises:
        ValueError: for rows without labels, or experts.
    """
    if rows.label is None:
        raise ValueError("block_ablation: the rows have no labels")
    copy, rows = with_full_matrices(model), rows.to("cpu")
    z = copy(rows)
    before = metrics.evaluate(rows.label, z, logits=True)
    weight: Tensor = copy.cross.weight  # type: ignore[union-attr, assignment]
    lines = []
    for (a, places_a), (b, places_b) in combinations(copy.input.blocks.items(), 2):
        kept = weight.clone()
        weight[:, places_a, places_b] = 0
        weight[:, places_b, places_a] = 0
        without = copy(rows)
        weight.copy_(kept)
        after = metrics.evaluate(rows.label, without, logits=True)
        change = {m: after[m] - before[m] for m in ("log_loss", "auc")}
        lines.append({"a": a, "b": b, "strength": (z - without).abs().mean().item(), **change})
    return pd.DataFrame(lines).sort_values("log_loss", ascending=False, kind="stable", ignore_index=True)


@torch.no_grad()
def gate_shares(model: DCNV2, rows: Rows, layer: int = 0) -> pd.DataFrame:
    """The gates of a layer: a line per row, a column per expert; every line sums to 1.

    Raises:
        ValueError: for a model without experts, or a layer that does not exist (they count from 0).
    """
    model, rows = on_cpu(model), rows.to("cpu")
    if not isinstance(model.cross, CrossNetMix):
        raise ValueError("gate_shares: this model has no experts")
    if not 0 <= layer < model.cross.depth:
        raise ValueError(f"gate_shares: layer {layer} of {model.cross.depth}")
    shares = model.cross.gates(layer, model.cross.states(model.input(rows))[layer])
    return pd.DataFrame(shares.numpy(), columns=[f"expert {k + 1}" for k in range(shares.shape[1])])


@torch.no_grad()
def field_lengths(model: CrossModel, row: Rows, layer: int = 0) -> pd.DataFrame:
    """How long each field's part of a cross layer's input, of what it adds, and of its output is, in one row.

    Returns:
        a line per field, with the Euclidean lengths as columns ``x₀``, ``adds`` and ``x₁`` (for the first layer).

    Raises:
        ValueError: for other than one row, or a layer that does not exist (they count from 0).
    """
    check_one("field_lengths", model, row, layer)
    states = model.cross.states(model.input(row))
    before, after = states[layer][0], states[layer + 1][0]
    columns = {f"x{_low(layer)}": before, "adds": after - before, f"x{_low(layer + 1)}": after}
    lengths = {n: [v[place].norm().item() for place in model.input.blocks.values()] for n, v in columns.items()}
    return pd.DataFrame(lengths, index=list(model.input.blocks))


def check_one(asked: str, model: CrossModel, row: Rows, layer: int) -> None:
    """Refuse other than one row and a cross layer that does not exist, naming what was asked."""
    if len(row) != 1:
        raise ValueError(f"{asked}: got {len(row)} rows, expected one")
    if not 0 <= layer < model.cross.depth:
        raise ValueError(f"{asked}: layer {layer} of {model.cross.depth}")


def _low(number: int) -> str:
    """A number in subscript.

    Example:
        >>> _low(12)
        '₁₂'
    """
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


@torch.no_grad()
def open_gates(model: GDCN, rows: Rows) -> pd.DataFrame:
    """How far GDCN's gates are open, between 0 and 1: a line per layer, a column per field.

    Mean over the rows and over the field's places in :math:`c_l`; one row shows its own gates. Before training all are
    near 1/2.

    Example:
        >>> from recsys_lite import data
        >>> criteo = data.load("criteo-sample").select(["C1", "C2"])
        >>> model = GDCN(criteo.fields, cross_layers=2)
        >>> _ = model.cross.gate_weight.data.zero_()
        >>> open_gates(model, criteo.test[:5]).to_numpy().tolist()
        [[0.5, 0.5], [0.5, 0.5]]
    """
    model, rows = on_cpu(model), rows.to("cpu")
    gates = [gate.mean(0) for gate in model.gates(rows)]  # L times (N,)
    means = [{name: gate[place].mean().item() for name, place in model.input.blocks.items()} for gate in gates]
    return pd.DataFrame(means, index=[f"layer {k + 1}" for k in range(len(gates))])
