"""Deep Learning Recommendation Model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..fields import Field, Rows, part_name
from ..layers import MLP, FieldEmbedding, dot_interaction
from .base import Model


class DLRM(Model):
    r"""A bottom network makes the numbers one more vector; all dot products of pairs go into a top network.

    .. math:: z_0 = \mathrm{MLP}_{bottom}(x_{dense}), \quad T = [z_0, e_1, \dots, e_C], \quad
        z = \mathrm{MLP}_{top}\big([z_0, \mathrm{tril}(T T^\top)]\big)

    With C categorical fields there are :math:`C + \binom{C}{2}` dots, and the top network reads
    :math:`d + C + \binom{C}{2}` numbers. The dots are strictly below the diagonal. Numbers arrive as log(1 + x), see
    :func:`recsys_lite.data.criteo.log_transform`. A data set without numeric fields, which the paper does not
    consider, gets a learned vector :math:`z_0` in the place of a bottom network's output.

    Args:
        fields: the columns.
        dim: d, embedding size. Default 16 (the authors' benchmark on Criteo).
        bottom: hidden widths of the bottom network, before its last layer of width d. Default (64, 32) (authors: 512,
            256, 64).
        top: hidden widths of the top network. Default (64, 32) (authors: 512, 256).
        dropout: in the top network. Default 0.

    Shapes: rows -> logits (B,). A linear layer of m inputs and n outputs starts with weights N(0, 2/(m+n)) and biases
    N(0, 1/n), a table of V rows as U(-√(1/V), √(1/V)), its reserved row at zero; ReLU follows every bottom layer,
    the last one too: all as in ``dlrm_s_pytorch.py``, and so is a sum, not a mean, of a bag's vectors there; here bags
    are means as in all our models.

    Source: Naumov et al., Deep Learning Recommendation Model for Personalization and Recommendation Systems, arXiv
    1906.00091, section 2. Derived in the chapter *DLRM*.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        dim: int = 16,
        bottom: Sequence[int] = (64, 32),
        top: Sequence[int] = (64, 32),
        dropout: float = 0.0,
    ):
        super().__init__(fields, dim=dim, bottom=list(bottom), top=list(top), dropout=dropout)
        embedded = [f for f in self.fields if f.kind != "numeric"]
        numbers = len(self.fields) - len(embedded)
        if not embedded:
            raise ValueError("DLRM: needs at least one categorical, multi-hot or history field")
        self.embedding = FieldEmbedding(embedded, dim=dim)
        self.bottom = MLP(numbers, (*bottom, dim)) if numbers else None
        self.constant = None if numbers else nn.Parameter(torch.rand(dim))
        self.vectors = ["numbers" if numbers else "constant", *(part_name(f.name) for f in embedded)]  # T's rows
        pairs = len(self.vectors) * (len(self.vectors) - 1) // 2
        self.top = MLP(dim + pairs, top, outputs=1, dropout=dropout)
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        for f in {f.table: f for f in self.embedding.fields}.values():
            first = self.embedding.row(f.name)
            block = self.embedding.table.weight[first : first + f.size]
            nn.init.uniform_(block, -((1 / f.size) ** 0.5), (1 / f.size) ** 0.5)
            block[0] = 0
        for linear in self.modules():
            if isinstance(linear, nn.Linear):
                n, m = linear.weight.shape
                nn.init.normal_(linear.weight, std=(2 / (m + n)) ** 0.5)
                nn.init.normal_(linear.bias, std=(1 / n) ** 0.5)

    def pairs(self) -> list[tuple[str, str]]:
        """The two vectors of each dot product, in the order in which the top network reads them."""
        row, column = torch.tril_indices(len(self.vectors), len(self.vectors), offset=-1)
        return [(self.vectors[b], self.vectors[a]) for a, b in zip(row.tolist(), column.tolist(), strict=True)]

    def interact(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """What the top network reads: z_0 (B, d) and the dots (B, C + C(C, 2))."""
        e = self.embedding(rows)  # (B, C, d)
        return self.dots(rows, e)

    def dots(self, rows: Rows, e: Tensor) -> tuple[Tensor, Tensor]:
        """The same from embeddings (B, C, d) that were looked up elsewhere."""
        if self.bottom is not None:
            z0 = self.bottom(rows.numeric.to(e.dtype))
        else:
            z0 = self.constant.expand(rows.ids.shape[0], -1)  # type: ignore[union-attr]
        return z0, dot_interaction(torch.cat([z0.unsqueeze(1), e], 1))  # (B, 1 + C, d) -> (B, pairs)

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        r"""One part: the top network is not a sum. ``fine`` gives what each input adds at this row, J_i x_i.

        See :meth:`recsys_lite.layers.MLP.linear_piece`: exact at the row, but another row may lie on another piece.
        """
        z0, dots = self.interact(rows)
        x = torch.cat([z0, dots], 1)
        if not fine:
            return {"top network": self.top(x).squeeze(-1)}
        products, rest = self.top.linear_piece(x)
        parts = {"bias": rest, self.vectors[0]: products[:, : z0.shape[1]].sum(1)}
        names = [f"{a} × {b}" for a, b in self.pairs()]
        return parts | {name: products[:, z0.shape[1] + k] for k, name in enumerate(names)}
