"""Embedding tables in fewer bits, and the bytes that they take."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ..layers import FieldEmbedding

#: number format -> bits of a number; the integers come with a float32 scale
BITS = {"float32": 32, "float16": 16, "bfloat16": 16, "int8": 8, "int4": 4}
FLOATS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
SCALE_BYTES = 4


def rounded(table: Tensor, kind: str) -> Tensor:
    r"""A table as it reads after being stored in another number format.

    Floats are rounded to the nearest. Integers of b bits are symmetric with a scale :math:`s_i` for each row,

    .. math:: s_i = \frac{\max_j |w_{ij}|}{2^{b-1} - 1}, \qquad q_{ij} = \operatorname{round}(w_{ij} / s_i),
        \qquad \hat w_{ij} = s_i\, q_{ij}, \qquad |w_{ij} - \hat w_{ij}| \le s_i / 2,

    so that a row with small numbers keeps them, and a row of zeros stays zero. A table of single numbers (linear
    terms) has one scale for all: with a scale for each there would be nothing to save.

    Args:
        table: (V, d) finite numbers.
        kind: one of :data:`BITS`.

    Returns:
        (V, d) float32.

    Raises:
        ValueError: for an unknown format, a table of another shape, numbers that are not finite, or one that float16
            cannot hold.

    Source: a scale per row is how embedding tables are stored for serving, Guan et al., Post-Training 4-bit
    Quantization on Embedding Tables, 2019; they add an offset per row and search for the range, both left out here.

    Example:
        >>> rounded(torch.tensor([[1.0, 0.3, -0.6], [0.07, 0.0, 0.03]]), "int4").mul(70).round().tolist()
        [[70.0, 20.0, -40.0], [5.0, 0.0, 2.0]]
    """
    _known(kind)
    if table.ndim != 2 or not table.numel():
        raise ValueError(f"rounded: expected a table (V, d), got shape {tuple(table.shape)}")
    if not table.isfinite().all():
        raise ValueError("rounded: the table holds NaN or infinite numbers")
    if kind in FLOATS:
        out = table.to(FLOATS[kind]).float()
        if not out.isfinite().all():
            raise ValueError(f"rounded: {kind} cannot hold {table.abs().max():.3g}")
        return out
    if table.shape[1] == 1:
        return rounded(table.T, kind).T if len(table) > 1 else table.float()
    levels = 2 ** (BITS[kind] - 1) - 1
    scale = table.float().abs().amax(1, keepdim=True) / levels  # (V, 1)
    return scale * (table / scale.where(scale > 0, 1.0)).round()


def quantised(model: nn.Module, kind: str) -> nn.Module:
    """A copy of a model whose embedding tables are :func:`rounded`; all other weights stay as they are.

    Raises:
        ValueError: for an unknown format or a model without embedding tables.
    """
    _known(kind)
    model = copy.deepcopy(model)
    if not (found := tables(model)):
        raise ValueError(f"quantised: {type(model).__name__} has no embedding table")
    with torch.no_grad():
        for table in found.values():
            table.copy_(rounded(table, kind))
    return model


def tables(model: nn.Module) -> dict[str, Tensor]:
    """The embedding tables of a model by the names of their layers, each (V, d); linear terms are one with d = 1."""
    return {name: part.table.weight for name, part in model.named_modules() if isinstance(part, FieldEmbedding)}


def table_bytes(values: int, dim: int, kind: str = "float32", buckets: int | None = None) -> int:
    r"""Bytes of an embedding table: rows times numbers times bits / 8, and for integers a scale for each row.

    .. math:: R\, d\, b / 8 + [\text{integers}]\; 4\, S, \qquad R = \min(V, B), \qquad S = R \text{ if } d > 1,
        \text{ else } 1

    Args:
        values: V, rows of the vocabulary.
        dim: d, numbers of a row.
        kind: one of :data:`BITS`. A row of 4-bit numbers fills whole bytes.
        buckets: B, if values are hashed into so many rows. Default: a row for each value.

    Raises:
        ValueError: for an unknown format, or a number below 1.

    Example:
        >>> [table_bytes(1000, 16, kind) for kind in BITS]
        [64000, 32000, 32000, 20000, 12000]
    """
    _known(kind)
    for name, number in (("values", values), ("dim", dim), ("buckets", buckets)):
        if number is not None and number < 1:
            raise ValueError(f"table_bytes: {name} must be at least 1, got {number}")
    rows = values if buckets is None else min(values, buckets)
    if dim == 1:
        return -(-rows * BITS[kind] // 8) + (0 if kind in FLOATS else SCALE_BYTES)
    return rows * (-(-dim * BITS[kind] // 8) + (0 if kind in FLOATS else SCALE_BYTES))


def shared(values: int, buckets: int) -> float:
    r"""Expected share of values that share their row with another, if V values are hashed evenly into B rows.

    .. math:: 1 - (1 - 1/B)^{V - 1}

    Raises:
        ValueError: for a number below 1.

    Example:
        >>> shared(2, 4), shared(1, 4)
        (0.25, 0.0)
    """
    if values < 1 or buckets < 1:
        raise ValueError(f"shared: needs at least 1 value and 1 bucket, got {values} and {buckets}")
    return float(1 - (1 - 1 / buckets) ** (values - 1))


def _known(kind: str) -> None:
    if kind not in BITS:
        raise ValueError(f"unknown number format {kind!r}; known: {', '.join(BITS)}")
