"""Deep & Cross Network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..fields import Field, Rows
from ..layers import MLP, CrossNet, StackedInput
from .base import Model


class DCN(Model):
    r"""A cross network beside a deep network, both on the same input, one linear layer over both.

    .. math:: z = w^\top [x_{L}, h] + b, \qquad x_{l+1} = x_0\,(x_l^\top w_l) + b_l + x_l, \quad h = \mathrm{MLP}(x_0)

    Args:
        fields: the columns; numbers enter :math:`x_0` as they are, all else as embeddings.
        dim: embedding size. Default 16 (the paper: :math:`6 \cdot V^{1/4}` for a vocabulary of V).
        cross_layers: L. Default 3 (the paper's best on Criteo: 6).
        hidden: widths of the deep part. Default (64, 32) (the paper: two layers of 1024). Empty: no deep part.
        dropout: in the deep part. Default 0.
        std: embeddings start as N(0, std²). Default 0.01.

    Shapes: rows -> logits (B,).

    Source: Wang et al., Deep & Cross Network for Ad Click Predictions, ADKDD 2017, eqs. 1-5. The paper normalises
    the deep part's batches; we do not. Derived in the chapter *Deep & Cross Network*.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        dim: int = 16,
        cross_layers: int = 3,
        hidden: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        std: float = 0.01,
    ):
        super().__init__(fields, dim=dim, cross_layers=cross_layers, hidden=list(hidden), dropout=dropout, std=std)
        self.input = StackedInput(fields, dim=dim, std=std)
        self.cross = CrossNet(self.input.width, cross_layers)
        self.mlp = MLP(self.input.width, hidden, dropout=dropout) if hidden else None
        self.combine = nn.Linear(self.input.width + (hidden[-1] if hidden else 0), 1)  # w, b

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        x0 = self.input(rows)  # (B, N)
        scales, crossed = self.cross.scales(x0)  # (B, L), (B, N)
        w_cross, w_deep = self.combine.weight[0].split([x0.shape[1], self.combine.in_features - x0.shape[1]])
        parts = {"bias": self.combine.bias.expand(len(rows))}
        if fine:  # x_L = x_0 + Σ_l (x_0 s_l + b_l)
            parts |= self.input.by_field(x0 * w_cross)
            layers = (x0 @ w_cross)[:, None] * scales + self.cross.bias @ w_cross  # (B, L)
            parts |= {f"cross layer {k + 1}": layers[:, k] for k in range(layers.shape[1])}
        else:
            parts["cross"] = crossed @ w_cross
        if self.mlp is not None:
            parts["deep"] = self.mlp(x0) @ w_deep
        return parts

    def block_norms(self, layer: int) -> Tensor:
        r"""How strongly a cross layer can multiply fields: :math:`\|w_a\| \cdot \|w_{l,b}\|` for fields a, b, (F, F).

        The layer's part of the logit is :math:`(w^\top x_0)(x_l^\top w_l)`; its matrix :math:`w w_l^\top` has rank 1,
        and these are the Frobenius norms of its blocks. Read row as the field in :math:`w`, column as that in
        :math:`w_l`.

        Raises:
            ValueError: for a layer that does not exist (they count from 0).
        """
        if not 0 <= layer < len(self.cross.weight):
            raise ValueError(f"block_norms: layer {layer} of {len(self.cross.weight)}")
        w_out = self.combine.weight[0, : self.input.width]
        norm = lambda v: torch.stack([v[block].norm() for block in self.input.blocks.values()])  # noqa: E731
        return torch.outer(norm(w_out), norm(self.cross.weight[layer]))
