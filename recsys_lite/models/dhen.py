"""Deep and Hierarchical Ensemble Network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..fields import Field, Rows, part_name
from ..layers import MLP, EnsembleLayer, FieldEmbedding
from ..layers.ensemble import Join
from .base import Model


class DHEN(Model):
    r"""Layers of several kinds of interaction each, joined, so that every layer crosses what the layers below found.

    .. math:: X_{n+1} = \mathrm{Norm}\big(\mathrm{Ensemble}_i\, u_i(X_n) + \mathrm{Shortcut}(X_n)\big), \qquad
        z = w^\top \mathrm{vec}(X_L) + b

    Args:
        fields: the columns. As in DLRM all numbers go through a bottom network and become one vector.
        dim: d, embedding size. Default 16.
        modules: interaction modules of every layer, any of ``"dot"``, ``"attention"``, ``"convolution"``,
            ``"linear"``, ``"cross"``. Default ``("dot", "linear")``: cheap. The paper uses up to five.
        layers: L. Default 2 (the paper: up to 8).
        out: l, vectors that each module makes. Default 4.
        join: ``"concat"`` (default) or ``"sum"``.
        bottom: hidden widths of the numbers' network, before its last layer of width d. Default (64,).
        std: embeddings start as N(0, std²). Default 0.01; the first layer's norm takes them to scale 1.
        dropout: share of the numbers of each layer's vectors dropped in training. Default 0 (the paper has none).

    Shapes: rows -> logits (B,).

    Raises:
        ValueError: for no fields to embed, an unknown module or join, or sizes below 1.

    Source: Zhang et al., DHEN, arXiv 2203.11014, 2022. No public code. Derived in the chapter *DHEN*.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        dim: int = 16,
        modules: Sequence[str] = ("dot", "linear"),
        layers: int = 2,
        out: int = 4,
        join: Join = "concat",
        bottom: Sequence[int] = (64,),
        std: float = 0.01,
        dropout: float = 0.0,
    ):
        super().__init__(
            fields, dim=dim, modules=list(modules), layers=layers, out=out, join=join, bottom=list(bottom), std=std,
            dropout=dropout,
        )  # fmt: skip
        if layers < 1:
            raise ValueError(f"DHEN: layers must be at least 1, got {layers}")
        embedded = [f for f in self.fields if f.kind != "numeric"]
        numbers = len(self.fields) - len(embedded)
        if not embedded:
            raise ValueError("DHEN: needs at least one categorical, multi-hot or history field")
        self.embedding = FieldEmbedding(embedded, dim=dim, std=std)
        self.bottom = MLP(numbers, (*bottom, dim)) if numbers else None
        self.vectors = ["numbers"] * bool(numbers) + [part_name(f.name) for f in embedded]  # names of X_0's vectors
        stack, m = [], len(self.vectors)
        for _ in range(layers):
            stack.append(EnsembleLayer(m, dim, modules, out, join))
            m = stack[-1].outputs
        self.layers = nn.ModuleList(stack)
        self.combine = nn.Linear(m * dim, 1)
        self.dropout = nn.Dropout(dropout)

    def start(self, rows: Rows) -> Tensor:
        """X_0, (B, m, d): a vector of the numbers, where there are any, and one per other field."""
        e = self.embedding(rows)
        return e if self.bottom is None else torch.cat([self.bottom(rows.numeric.to(e.dtype)).unsqueeze(1), e], 1)

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        """One part per vector that the last layer makes, grouped by module where they are side by side.

        With ``join="sum"`` there is one part. ``fine`` gives each of the vectors.
        """
        x = self.start(rows)
        for layer in self.layers:
            x = self.dropout(layer(x))
        by_vector = (x * self.combine.weight.view(1, *x.shape[1:])).sum(-1)  # (B, m)
        last: EnsembleLayer = self.layers[-1]  # type: ignore[assignment]
        parts = {"bias": self.combine.bias.expand(rows.ids.shape[0])}
        out = int(last.interactions[0].out)  # type: ignore[arg-type]
        for k in range(by_vector.shape[1]):
            place = f"{k // out + 1} {last.names[k // out]}" if last.weights is None else "sum of modules"
            name = f"{place}, vector {k % out + 1}" if fine else place
            parts[name] = parts[name] + by_vector[:, k] if name in parts else by_vector[:, k]
        return parts

    def attention(self, rows: Rows) -> list[Tensor]:
        """The weights of the attention module of each layer that has one, (B, 1, m, m): row, head, vector, vector."""
        x, maps = self.start(rows), []
        for layer in self.layers:
            maps += [m.attention(x).unsqueeze(1) for m in layer.interactions if hasattr(m, "attention")]  # type: ignore[union-attr]
            x = layer(x)
        return maps
