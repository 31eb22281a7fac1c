"""Factorization machine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..fields import Field, Rows, part_name
from ..layers import FieldEmbedding, fm_interaction
from .base import Model
from .logistic_regression import linear_parts


class FM(Model):
    r"""A weight per feature and a weight per pair of features, the latter as a dot product.

    .. math:: z = w_0 + \sum_i w_i x_i + \sum_{i<j} \langle v_i, v_j\rangle x_i x_j

    The sum runs over all pairs of active features, also over two values of the same multi-hot or history field.

    Args:
        fields: the columns.
        dim: d, the length of :math:`v_i`. Default 16.
        std: :math:`v_i` starts as N(0, std²). Default 0.01. The linear weights start at zero.

    Shapes: rows -> logits (B,).

    Source: Rendle, Factorization Machines, ICDM 2010, eq. 1 and Lemma 3.1.
    Derived in the chapter *Factorization Machines*.
    """

    def __init__(self, fields: Sequence[Field], dim: int = 16, std: float = 0.01):
        super().__init__(fields, dim=dim, std=std)
        self.bias = nn.Parameter(torch.zeros(()))
        self.weights = FieldEmbedding(fields, dim=1, std=0, share=False)
        self.embedding = FieldEmbedding(fields, dim=dim, std=std)

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        return self.linear_and_pairs(rows, self.embedding.expand(rows), fine)

    def linear_and_pairs(self, rows: Rows, expanded: Tensor, fine: bool) -> dict[str, Tensor]:
        """The parts of the formula above; ``expanded`` (B, N, d) are the :math:`x_i v_i` of the active features."""
        parts = {"bias": self.bias.expand(rows.ids.shape[0]), **linear_parts(self.weights, rows, fine)}
        if not fine:
            return {**parts, "pairs": fm_interaction(expanded)}
        e = self.embedding.pool(expanded)  # (B, F, d)
        names = [part_name(f.name) for f in self.fields]
        for a, f in enumerate(self.fields):
            if f.is_bag:  # pairs of values within one bag
                parts[f"{names[a]} × {names[a]}"] = fm_interaction(expanded[:, self.embedding.segments == a])
            for b in range(a + 1, len(self.fields)):
                parts[f"{names[a]} × {names[b]}"] = (e[:, a] * e[:, b]).sum(-1)
        return parts
