"""DeepFM."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..fields import Field, Rows
from ..layers import MLP
from .fm import FM


class DeepFM(FM):
    r"""A factorization machine and a network that read the **same** embeddings, summed to one logit.

    .. math:: z = w_0 + \sum_i w_i x_i + \sum_{i<j} \langle v_i, v_j\rangle x_i x_j + \mathrm{MLP}([e_1, \dots, e_F]),
        \qquad e_f = \sum_{i \in f} x_i v_i

    There is one bias :math:`w_0` (the network's last layer has none: two biases would say the same thing) and no
    sigmoid inside: the loss takes the logit.

    Args:
        fields: the columns.
        dim: d, the length of :math:`v_i`. Default 16 (the paper: 10).
        hidden: widths of the network. Default (64, 32) (the paper: 400, 400, 400 on 45 million rows).
        dropout: in the network. Default 0 (the paper: 0.5).
        std: :math:`v_i` starts as N(0, std²). Default 0.01.

    Shapes: rows -> logits (B,).

    Source: Guo et al., DeepFM: A Factorization-Machine based Neural Network for CTR Prediction, IJCAI 2017, eqs. 1-4.
    Derived in the chapter *DeepFM*.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        dim: int = 16,
        hidden: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        std: float = 0.01,
    ):
        super().__init__(fields, dim=dim, std=std)
        self.config |= {"hidden": list(hidden), "dropout": dropout}
        self.mlp = MLP(len(self.fields) * dim, hidden, outputs=1, dropout=dropout, last_bias=False)

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        expanded = self.embedding.expand(rows)  # (B, N, d), looked up once for both parts
        deep = self.mlp(self.embedding.pool(expanded).flatten(1)).squeeze(-1)  # (B, F·d) -> (B,)
        return {**self.linear_and_pairs(rows, expanded, fine), "deep": deep}
