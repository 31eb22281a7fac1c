"""DHEN's layer: several kinds of interaction side by side, joined, with a shortcut and a norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from .dot import dot_interaction
from .mlp import MLP

Join = Literal["concat", "sum"]


class _Module(nn.Module):
    """An interaction module: m vectors of length d in, l out, (B, m, d) -> (B, l, d)."""

    def __init__(self, m: int, out: int, dim: int):
        super().__init__()
        self.m, self.out, self.dim = m, out, dim


class DotModule(_Module):
    r"""AdvancedDLRM: dots of all pairs beside the vectors themselves, through a network, back to l vectors.

    .. math:: u = \mathrm{MLP}\big([X, \mathrm{tril}(Y Y^\top)]\big) \in \mathbb{R}^{l \times d}, \qquad Y = W_c X

    :math:`W_c` compresses m vectors to at most ``compress`` before the pairs are taken.
    """

    def __init__(self, m: int, out: int, dim: int, hidden: int = 64, compress: int = 16):
        super().__init__(m, out, dim)
        self.compress = nn.Linear(m, compress, bias=False) if m > compress else None
        k = min(m, compress)
        self.mlp = MLP(m * dim + k * (k - 1) // 2, (hidden,), outputs=out * dim)

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.compress is None else self.compress(x.transpose(1, 2)).transpose(1, 2)  # (B, k, d)
        made = self.mlp(torch.cat([x.flatten(1), dot_interaction(y)], 1))  # (B, l·d)
        return made.unflatten(1, (self.out, self.dim))


class AttentionModule(_Module):
    r"""A transformer encoder layer over the m vectors, then :math:`W_m` to l of them. One head, norm after the sum."""

    def __init__(self, m: int, out: int, dim: int, hidden: int = 64):
        super().__init__(m, out, dim)
        self.encoder = nn.TransformerEncoderLayer(dim, 1, hidden, dropout=0.0, batch_first=True)
        self.project = nn.Linear(m, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.encoder(x).transpose(1, 2)).transpose(1, 2)  # (B, l, d)

    @torch.no_grad()
    def attention(self, x: Tensor) -> Tensor:
        """The weights (B, m, m); each line sums to 1."""
        return self.encoder.self_attn(x, x, x, need_weights=True)[1]


class ConvolutionModule(_Module):
    r"""A 3 × 3 convolution over the m × d grid, ReLU, then :math:`W_m` to l vectors."""

    def __init__(self, m: int, out: int, dim: int, channels: int = 4):
        super().__init__(m, out, dim)
        self.convolution = nn.Conv2d(1, channels, 3, padding=1)
        self.project = nn.Linear(channels * m, out)

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.relu(self.convolution(x.unsqueeze(1)))  # (B, C, m, d)
        return self.project(maps.flatten(1, 2).transpose(1, 2)).transpose(1, 2)  # (B, l, d)


class LinearModule(_Module):
    r""":math:`u = W X`, l mixtures of the m vectors."""

    def __init__(self, m: int, out: int, dim: int):
        super().__init__(m, out, dim)
        self.project = nn.Linear(m, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(x.transpose(1, 2)).transpose(1, 2)  # (B, l, d)


class CrossModule(_Module):
    r"""DCN V2's product over the vectors, :math:`X \odot (W X + b)` along the fields, then :math:`W_m` to l vectors."""

    def __init__(self, m: int, out: int, dim: int):
        super().__init__(m, out, dim)
        self.cross = nn.Linear(m * dim, m * dim)
        self.project = nn.Linear(m, out)

    def forward(self, x: Tensor) -> Tensor:
        crossed = x * self.cross(x.flatten(1)).view_as(x)  # (B, m, d)
        return self.project(crossed.transpose(1, 2)).transpose(1, 2)


#: name -> class, the five kinds of the paper
MODULES: dict[str, type[_Module]] = {
    "dot": DotModule,
    "attention": AttentionModule,
    "convolution": ConvolutionModule,
    "linear": LinearModule,
    "cross": CrossModule,
}


class EnsembleLayer(nn.Module):
    r"""One layer of DHEN.

    .. math:: X_{n+1} = \mathrm{Norm}\big(\mathrm{Ensemble}_i\, u_i(X_n) + \mathrm{Shortcut}(X_n)\big)

    Args:
        m: number of vectors that come in.
        dim: d, their length.
        modules: names of interaction modules, any subset of :data:`MODULES`, in any order; a name may repeat.
        out: l, vectors that each module makes. Default 4.
        join: ``"concat"`` (default): the modules' vectors side by side, k·l of them; ``"sum"``: a weighted sum with
            a learned weight per module that starts at 1/k, l of them.

    Attributes:
        outputs: number of vectors that come out.

    Shapes: (B, m, d) -> (B, outputs, d). The shortcut is the identity where the numbers of vectors agree, otherwise a
    linear map over the vectors. The norm is a LayerNorm over d.

    Raises:
        ValueError: for an unknown or no module, an unknown join, or sizes below 1.

    Source: Zhang et al., DHEN, arXiv 2203.11014, eqs. 2-8. The paper's sizes inside of the modules are not given; ours
    are small. Derived in the chapter *DHEN*.

    Example:
        >>> EnsembleLayer(5, 8, ["dot", "linear"], out=3)(torch.randn(2, 5, 8)).shape
        torch.Size([2, 6, 8])
    """

    def __init__(self, m: int, dim: int, modules: Sequence[str], out: int = 4, join: Join = "concat"):
        super().__init__()
        if min(m, dim, out) < 1:
            raise ValueError(f"EnsembleLayer: sizes must be at least 1, got {m=}, {dim=}, {out=}")
        if not modules:
            raise ValueError(f"EnsembleLayer: no modules given; there are {sorted(MODULES)}")
        if unknown := [name for name in modules if name not in MODULES]:
            raise ValueError(f"EnsembleLayer: unknown module {unknown[0]!r}; there are {sorted(MODULES)}")
        if join not in ("concat", "sum"):
            raise ValueError(f"EnsembleLayer: unknown join {join!r}; there are 'concat' and 'sum'")
        self.names = list(modules)
        self.interactions = nn.ModuleList(MODULES[name](m, out, dim) for name in modules)
        k = len(self.names)
        self.outputs = k * out if join == "concat" else out
        self.weights = nn.Parameter(torch.full((k,), 1 / k)) if join == "sum" else None
        self.shortcut = nn.Linear(m, self.outputs, bias=False) if m != self.outputs else None
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        made = [module(x) for module in self.interactions]  # k of (B, l, d)
        if self.weights is None:
            joined = torch.cat(made, 1)  # (B, k·l, d)
        else:
            joined = torch.einsum("k,kbld->bld", self.weights, torch.stack(made))
        short = x if self.shortcut is None else self.shortcut(x.transpose(1, 2)).transpose(1, 2)
        return self.norm(joined + short)
