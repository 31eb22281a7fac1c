"""Neural collaborative filtering: GMF, MLP and NeuMF."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..fields import Field, Rows, check_columns, find_field
from ..layers import MLP, FieldEmbedding
from .base import Model


class NeuMF(Model):
    r"""A dot product with learned weights and a network, on two pairs of embeddings of one user and one item.

    .. math:: z = h_{GMF}^\top (p \odot q) + h_{MLP}^\top\, \phi([p', q']), \qquad
        \phi(x) = \mathrm{ReLU}(W_X \cdots \mathrm{ReLU}(W_1 x + b_1) \cdots + b_X)

    ``hidden=()`` with ``use_gmf`` is GMF, ``use_gmf=False`` is the paper's MLP; both together are its MLP-0, in which h
    weighs [p', q'] itself. The two parts have embeddings of their own. There is no ReLU after the two are joined. With
    :math:`h_{GMF} = 1` held fixed GMF is matrix factorisation.

    Paper and author code differ: the paper's h has no bias (eqs. 7-12), the code's output layer has one
    (``output_bias=True``); the paper trains a pre-trained NeuMF on with plain SGD, the code offers any optimiser.

    Args:
        fields: columns with the two that are read; all others are ignored.
        dim: predictive factors of GMF. Default 8 (paper and code).
        hidden: widths of the tower. Its input [p', q'] is ``2 * side`` wide. Default (32, 16, 8). Empty: no tower, or a
            tower without layers if there is no GMF part.
        side: width of p' and of q'. Default 16: with (32, 16, 8) the paper's tower for 8 factors.
        use_gmf: whether there is a GMF part.
        output_bias: a bias beside h, as in the authors' code. Default none, as in the paper.
        user, item: names of the two fields.
        std: embeddings start as N(0, std²). Default 0.01 (both). h starts LeCun-uniform (code).
        dropout: share of the tower's hidden units dropped in training. Default 0.

    Shapes: rows -> logits (B,).

    Raises:
        ValueError: if a field is missing or not categorical.

    Source: He et al., Neural Collaborative Filtering, WWW 2017, eqs. 9-12; NeuMF.py of the authors. Derived in the
    chapter *Neural Collaborative Filtering*.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        dim: int = 8,
        hidden: Sequence[int] = (32, 16, 8),
        side: int = 16,
        use_gmf: bool = True,
        output_bias: bool = False,
        user: str = "user",
        item: str = "item",
        std: float = 0.01,
        dropout: float = 0.0,
    ):
        super().__init__(
            fields, dim=dim, hidden=list(hidden), side=side, use_gmf=use_gmf, output_bias=output_bias, user=user,
            item=item, std=std, dropout=dropout,
        )  # fmt: skip
        chosen = [find_field(fields, name) for name in (user, item)]
        for f in chosen:
            if f.kind != "categorical":
                raise ValueError(f"NeuMF: field {f.name!r} must be categorical, it is {f.kind}")
        columns = [f.name for f in fields if f.kind == "categorical"]
        self.columns = [columns.index(user), columns.index(item)]
        self.gmf = FieldEmbedding(chosen, dim=dim, std=std) if use_gmf else None
        tower = bool(hidden) or not use_gmf
        self.sides = FieldEmbedding(chosen, dim=side, std=std) if tower else None
        self.mlp = MLP(2 * side, hidden, dropout=dropout) if hidden else nn.Identity() if tower else None
        width = dim * use_gmf + (hidden[-1] if hidden else 2 * side if tower else 0)
        self.h = nn.Parameter(torch.empty(width).uniform_(-((3 / width) ** 0.5), (3 / width) ** 0.5))
        self.bias = nn.Parameter(torch.zeros(())) if output_bias else None

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        check_columns([f for f in self.fields if f.kind == "categorical"], rows)
        pair = Rows(rows.ids[:, self.columns], rows.numeric[:, :0])
        parts = {} if self.bias is None else {"bias": self.bias.expand(rows.ids.shape[0])}
        if self.gmf is not None:
            products = self.gmf(pair).prod(1) * self.h[: self.gmf.dim]  # (B, 2, d) -> (B, d)
            if fine:
                parts |= {f"factor {k + 1}": products[:, k] for k in range(products.shape[1])}
            else:
                parts["gmf"] = products.sum(1)
        if self.sides is not None and self.mlp is not None:
            out = self.mlp(self.sides(pair).flatten(1))  # (B, 2·side) -> (B, hidden[-1])
            parts["mlp"] = out @ self.h[-out.shape[1] :]
        return parts

    @torch.no_grad()
    def start_from(self, gmf: NeuMF, mlp: NeuMF, alpha: float = 0.5) -> NeuMF:
        r"""Pre-training: copy a trained GMF and a trained MLP, and :math:`h = [\alpha h_{GMF}, (1-\alpha) h_{MLP}]`.

        Args:
            gmf, mlp: trained models of the same sizes with only that part.
            alpha: trade-off. Default 0.5 (paper, eq. 13; fixed in the authors' code, which does the same to the
                output biases).

        Returns:
            this model.

        Raises:
            ValueError: if a part is missing or sizes differ.
        """
        if self.gmf is None or self.sides is None or self.mlp is None:
            raise ValueError("start_from: this model needs both parts")
        if gmf.gmf is None or gmf.mlp is not None or mlp.mlp is None or mlp.gmf is not None or mlp.sides is None:
            raise ValueError("start_from: expected a model with only a GMF part, then one with only a tower")
        state = {f"gmf.{k}": v for k, v in gmf.gmf.state_dict().items()}
        state |= {f"sides.{k}": v for k, v in mlp.sides.state_dict().items()}
        state |= {f"mlp.{k}": v for k, v in mlp.mlp.state_dict().items()}
        state["h"] = torch.cat([alpha * gmf.h, (1 - alpha) * mlp.h])
        if self.bias is not None:
            zero = self.bias.new_zeros(())
            state["bias"] = alpha * (zero if gmf.bias is None else gmf.bias)
            state["bias"] = state["bias"] + (1 - alpha) * (zero if mlp.bias is None else mlp.bias)
        own = self.state_dict()
        for name, tensor in state.items():
            if own[name].shape != tensor.shape:
                raise ValueError(f"start_from: {name} is {tuple(tensor.shape)}, expected {tuple(own[name].shape)}")
        self.load_state_dict(state)
        return self
