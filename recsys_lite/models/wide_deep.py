"""Wide & Deep."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..fields import Field, Rows
from ..layers import MLP, FieldEmbedding, HashedCrosses
from .base import Model
from .logistic_regression import linear_parts


class WideDeep(Model):
    r"""A linear model on features and crosses beside a neural network, one logit and one loss.

    .. math:: z = w^\top [x, \phi(x)] + \mathrm{MLP}(e) + b

    Many libraries leave :math:`\phi(x)` out, and with it the memory that the wide part is there for.

    Args:
        fields: the columns.
        crosses: the fields of each cross of the wide part, see :class:`~recsys_lite.layers.HashedCrosses`.
        buckets: most weights of one cross. Default 2**18.
        dim: embedding size of the deep part. Default 16 (the paper: 32).
        hidden: widths of the deep part. Default (64, 32) (the paper: 1024, 512, 256 on 500 billion examples).
        dropout: in the deep part. Default 0.
        use_wide, use_deep: switch a part off, to see what it is worth.

    Shapes: rows -> logits (B,).

    Raises:
        ValueError: if both parts are off, or a cross is not possible.

    Source: Cheng et al., Wide & Deep Learning for Recommender Systems, DLRS 2016, eq. 3.
    Derived in the chapter *Wide & Deep*.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        crosses: Sequence[Sequence[str]] = (),
        buckets: int = 2**18,
        dim: int = 16,
        hidden: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        use_wide: bool = True,
        use_deep: bool = True,
    ):
        super().__init__(
            fields, crosses=[list(c) for c in crosses], buckets=buckets, dim=dim, hidden=list(hidden),
            dropout=dropout, use_wide=use_wide, use_deep=use_deep,
        )  # fmt: skip
        if not use_wide and not use_deep:
            raise ValueError("WideDeep: at least one of use_wide and use_deep must be on")
        self.bias = nn.Parameter(torch.zeros(()))
        self.weights = FieldEmbedding(fields, dim=1, std=0, share=False) if use_wide else None
        self.crosses = HashedCrosses(fields, crosses, buckets) if use_wide else None
        self.embedding = FieldEmbedding(fields, dim=dim) if use_deep else None
        self.mlp = MLP(len(self.fields) * dim, hidden, outputs=1, dropout=dropout) if use_deep else None

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        parts = {"bias": self.bias.expand(rows.ids.shape[0])}
        if self.weights is not None and self.crosses is not None:
            parts |= linear_parts(self.weights, rows, fine)
            crosses = self.crosses(rows)  # (B, K)
            if fine:
                names = [" AND ".join(c) for c in self.crosses.crosses]
                parts |= {name: crosses[:, k] for k, name in enumerate(names)}
            else:
                parts["crosses"] = crosses.sum(1)
        if self.embedding is not None and self.mlp is not None:
            parts["deep"] = self.mlp(self.embedding(rows).flatten(1)).squeeze(-1)  # (B, F·d) -> (B,)
        return parts
