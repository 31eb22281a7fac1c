"""Deep & Cross Network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..fields import Field
from ..layers import CrossNet
from .cross_model import CrossModel


class DCN(CrossModel):
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

    cross: CrossNet

    def __init__(
        self,
        fields: Sequence[Field],
        dim: int = 16,
        cross_layers: int = 3,
        hidden: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        std: float = 0.01,
    ):
        config = {
            "dim": dim, "cross_layers": cross_layers, "hidden": list(hidden), "dropout": dropout, "std": std,
        }  # fmt: skip
        super().__init__(fields, CrossNet, {"layers": cross_layers}, dim, hidden, dropout, "parallel", std, config)

    def block_matrices(self, layer: int) -> Tensor:
        r"""The rank-1 matrix :math:`w w_l^\top` that a layer has in the logit, :math:`(w^\top x_0)(x_l^\top w_l)`."""
        return torch.outer(self.combine.weight[0, : self.input.width], self.cross.weight[layer]).unsqueeze(0)
