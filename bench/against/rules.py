"""Our modules with a rule that a public library follows and the paper does not; nothing else is changed in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recsys_lite.fields import Field, Rows
from recsys_lite.layers import MLP, CrossNetMix, CrossNetV2, FieldEmbedding, InteractingLayer, add_batch_norm
from recsys_lite.layers.fm import fm_interaction
from recsys_lite.models import DCNV2, AutoInt, TwoTowers


class BiasOutside(CrossNetV2):
    """x_0 ⊙ (W x) + b + x: the bias is not multiplied."""

    def added(self, layer: int, x0: Tensor, x: Tensor) -> Tensor:
        return x0 * self.product(layer, x) + self.bias[layer]


class SharedGates(CrossNetMix):
    """One list of gates for all layers."""

    def __init__(self, inputs: int, layers: int, rank: int, experts: int):
        super().__init__(inputs, layers, rank, experts)
        self.gate = nn.Parameter(self.gate.data[:1])

    def gates(self, layer: int, x: Tensor) -> Tensor:
        return super().gates(0, x)


class Scaled(InteractingLayer):
    """Scores are divided by √d'."""

    @property
    def scale(self) -> float:
        return self.units**-0.5


class Heads(Scaled):
    """The heads side by side: neither residual nor ReLU."""

    def _join(self, heads: Tensor, residual: Tensor) -> Tensor:
        return heads.transpose(1, 2).flatten(2)


def dcn_v2_bias_outside(fields: Sequence[Field], dim: int, hidden: Sequence[int]) -> DCNV2:
    """DCN V2, parallel, over :class:`BiasOutside`."""
    model = DCNV2(fields, dim=dim, hidden=hidden, structure="parallel")
    model.cross = BiasOutside(model.input.width, 2)
    return model


def dcn_v2_shared_gates(
    fields: Sequence[Field], rank: int, experts: int, dim: int, hidden: Sequence[int]
) -> DCNV2:  # fmt: skip
    """DCN V2, parallel, over :class:`SharedGates`."""
    model = DCNV2(fields, dim=dim, rank=rank, experts=experts, hidden=hidden, structure="parallel")
    model.cross = SharedGates(model.input.width, 2, rank, experts)
    return model


def scaled_autoint(fields: Sequence[Field], dim: int, layers: int, hidden: Sequence[int]) -> nn.Module:
    """AutoInt+ of :class:`Scaled` layers, with batch norm in its network and a linear part on the vectors."""
    model = LinearBeside(fields, dim=dim, layers=layers, heads=2, units=dim // 2, hidden=hidden)
    model.layers = nn.ModuleList(Scaled(dim, dim // 2, 2) for _ in range(layers))
    return add_batch_norm(model)


class LinearBeside(AutoInt):
    """AutoInt with one more sum: a linear layer that reads the embeddings."""

    def __init__(self, fields: Sequence[Field], **options: Any):
        super().__init__(fields, **options)
        self.linear = nn.Linear(len(fields) * options["dim"], 1, bias=False)

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        vectors = self.embedding(rows).flatten(1)
        return super().parts(rows, fine) | {"linear": self.linear(vectors).squeeze(-1)}


class ResidualAtEnd(nn.Module):
    """Attention layers without residual and ReLU, then the residual of the embeddings and one ReLU."""

    def __init__(self, fields: Sequence[Field], dim: int, layers: int):
        super().__init__()
        self.embedding = FieldEmbedding(fields, dim=dim)
        self.layers = nn.ModuleList(Heads(dim, dim // 2, 2) for _ in range(layers))
        for layer in self.layers:
            layer.residual.requires_grad_(False)  # not read
        self.residual = nn.Linear(dim, dim, bias=False)
        self.combine = nn.Linear(len(fields) * dim, 1)

    def forward(self, rows: Rows) -> Tensor:
        start = e = self.embedding(rows)
        for layer in self.layers:
            e = layer(e)
        return self.combine(torch.relu(e + self.residual(start)).flatten(1)).squeeze(-1)


class LinearOnVectors(nn.Module):
    """The linear term has no weights of features: it is a linear layer that reads the embeddings; batch norm."""

    def __init__(self, fields: Sequence[Field], dim: int, hidden: Sequence[int], pairs: bool):
        super().__init__()
        self.embedding, self.pairs = FieldEmbedding(fields, dim=dim), pairs
        self.linear = nn.Linear(len(fields) * dim, 1)
        self.mlp = add_batch_norm(MLP(len(fields) * dim, hidden, outputs=1, last_bias=False))

    def forward(self, rows: Rows) -> Tensor:
        e = self.embedding(rows)
        z = (self.linear(e.flatten(1)) + self.mlp(e.flatten(1))).squeeze(-1)
        return z + fm_interaction(e) if self.pairs else z


def tanh_towers(fields: Sequence[Field], **options: Any) -> nn.Module:
    """Two towers with batch norm and tanh after every layer."""
    model = TwoTowers(fields, **options)
    for tower in (model.query_tower, model.candidate_tower):
        layers: list[nn.Module] = []
        for linear in [m for m in tower.mlp if isinstance(m, nn.Linear)]:
            layers += [linear, nn.BatchNorm1d(linear.out_features), nn.Tanh()]
        tower.mlp = nn.Sequential(*layers)  # type: ignore[assignment]
    return model


def relu_towers(fields: Sequence[Field], **options: Any) -> nn.Module:
    """Two towers whose last layers have a ReLU, too, and batch norm."""
    model = TwoTowers(fields, **options)
    for tower in (model.query_tower, model.candidate_tower):
        widths = [m.out_features for m in tower.mlp if isinstance(m, nn.Linear)]
        tower.mlp = MLP(len(tower.embedding.fields) * options["dim"], widths)
    return add_batch_norm(model)
