"""The baseline of every chapter."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..fields import Field, Rows, part_name
from ..layers import FieldEmbedding
from .base import Model


class LogisticRegression(Model):
    r"""A weight per feature, :math:`z = w_0 + \sum_i w_i x_i`.

    Args:
        fields: the columns.

    Shapes: rows -> logits (B,). All weights start at zero.

    Source: Richardson et al., Predicting Clicks, WWW 2007. Derived in the chapter *Overview*.
    """

    def __init__(self, fields: Sequence[Field]):
        super().__init__(fields)
        self.bias = nn.Parameter(torch.zeros(()))
        self.weights = FieldEmbedding(fields, dim=1, std=0, share=False)

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        return {"bias": self.bias.expand(rows.ids.shape[0]), **linear_parts(self.weights, rows, fine)}


def linear_parts(weights: FieldEmbedding, rows: Rows, fine: bool) -> dict[str, Tensor]:
    """The parts of a linear term: one in all, or one per field."""
    if not fine:
        return {"linear": weights.expand(rows).squeeze(-1).sum(1)}  # (B, N, 1) -> (B,)
    by_field = weights(rows).squeeze(-1)  # (B, F)
    return {part_name(f.name): by_field[:, k] for k, f in enumerate(weights.fields)}
