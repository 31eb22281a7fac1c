"""AutoInt."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..fields import Field, Rows, part_name
from ..layers import MLP, FieldEmbedding, InteractingLayer
from ..layers.attention import Variant
from .base import Model


class AutoInt(Model):
    r"""Self-attention between the fields of a row, several times, and one linear layer over what comes out.

    .. math:: z = \sum_m w_m^\top e^{(L)}_m + b, \qquad e^{(l+1)} = \mathrm{InteractingLayer}(e^{(l)})

    Args:
        fields: the columns; a numeric field is :math:`e_m = x_m v_m`, a bag the mean of its values' vectors.
        dim: d, embedding size. Default 16 (paper).
        layers: L. Default 3 (paper).
        heads, units: of each layer. Default 2 heads of 32 units (paper, section 5.1.4).
        hidden: widths of a network beside it, which makes AutoInt+. Default none, which is AutoInt.
        dropout: in that network. Default 0.
        variant: ``"paper"`` (default) or ``"code"``, see :class:`~recsys_lite.layers.InteractingLayer`: the authors'
            code has biases, ReLU on queries, keys, values and residual, a scale and LayerNorm, the paper has none.
        std: embeddings start as N(0, std²). Default 0.01 (the authors' code).

    Shapes: rows -> logits (B,).

    Source: Song et al., AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks, CIKM
    2019, eqs. 4-9. Derived in the chapter *AutoInt*.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        dim: int = 16,
        layers: int = 3,
        heads: int = 2,
        units: int = 32,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
        variant: Variant = "paper",
        std: float = 0.01,
    ):
        super().__init__(
            fields, dim=dim, layers=layers, heads=heads, units=units, hidden=list(hidden), dropout=dropout,
            variant=variant, std=std,
        )  # fmt: skip
        if layers < 1:
            raise ValueError(f"AutoInt: layers must be at least 1, got {layers}")
        self.embedding = FieldEmbedding(fields, dim=dim, std=std)
        widths = [dim, *[heads * units] * (layers - 1)]
        self.layers = nn.ModuleList(InteractingLayer(width, units, heads, variant) for width in widths)
        self.combine = nn.Linear(len(self.fields) * heads * units, 1)  # all w_m, and b
        nn.init.xavier_normal_(self.combine.weight)
        nn.init.zeros_(self.combine.bias)
        size = len(self.fields) * dim
        self.mlp = MLP(size, hidden, outputs=1, dropout=dropout, last_bias=False) if hidden else None

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        start = e = self.embedding(rows)  # (B, F, d)
        for layer in self.layers:
            e = layer(e)  # (B, F, H·d')
        by_field = (e * self.combine.weight.view(1, *e.shape[1:])).sum(-1)  # (B, F)
        parts = {"bias": self.combine.bias.expand(rows.ids.shape[0])}
        if fine:
            parts |= {part_name(f.name): by_field[:, k] for k, f in enumerate(self.fields)}
        else:
            parts["attention"] = by_field.sum(1)
        if self.mlp is not None:
            parts["deep"] = self.mlp(start.flatten(1)).squeeze(-1)
        return parts

    def attention(self, rows: Rows) -> list[Tensor]:
        """The weights of each layer, (B, H, F, F): row, head, field that looks, field looked at."""
        e, maps = self.embedding(rows), []
        for layer in self.layers:
            e, weights = layer.attend(e)  # type: ignore[operator]
            maps.append(weights)
        return maps
