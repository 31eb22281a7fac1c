"""Self-attention between the fields of one row."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

Variant = Literal["paper", "code"]


class InteractingLayer(nn.Module):
    r"""Multi-head self-attention between fields with a residual, in the form of AutoInt.

    .. math::
        \alpha^{(h)}_{m,k} = \mathrm{softmax}_k \langle W^{(h)}_Q e_m, W^{(h)}_K e_k\rangle, \qquad
        \tilde e^{(h)}_m = \sum_k \alpha^{(h)}_{m,k} W^{(h)}_V e_k, \qquad
        e'_m = \mathrm{ReLU}\big([\tilde e^{(1)}_m, \dots, \tilde e^{(H)}_m] + W_{Res}\, e_m\big)

    Paper and author code differ. ``variant="paper"`` (default) is the formula above: no bias, no scale, ReLU only at
    the end. ``variant="code"`` does what ``featureRec/autoint/model.py`` of the authors does: Q, K, V and the residual
    are linear layers with bias and ReLU, scores are divided by :math:`\sqrt{d'}`, with d' the width of a head, and a
    LayerNorm (ε 1e-8) follows the final ReLU.

    Args:
        dim: d, width of the input of a field.
        units: d', width of a head. Default 32 (paper, section 5.1.4).
        heads: H. Default 2 (paper).
        variant: see above.

    Shapes: (B, F, d) -> (B, F, H·d'). Weights start Xavier-uniform, biases at zero.

    Raises:
        ValueError: for a size below 1, an unknown variant, or an input of another shape.

    Source: Song et al., AutoInt, CIKM 2019, eqs. 5-8. Derived in the chapter *AutoInt*.

    Example:
        >>> layer = InteractingLayer(4, units=3, heads=2)
        >>> out, attention = layer.attend(torch.randn(5, 7, 4))
        >>> out.shape, attention.shape  # attention: row, head, field that looks, field looked at
        (torch.Size([5, 7, 6]), torch.Size([5, 2, 7, 7]))
    """

    def __init__(self, dim: int, units: int = 32, heads: int = 2, variant: Variant = "paper"):
        super().__init__()
        if min(dim, units, heads) < 1:
            raise ValueError(f"InteractingLayer: sizes must be at least 1, got {dim=}, {units=}, {heads=}")
        if variant not in ("paper", "code"):
            raise ValueError(f"InteractingLayer: unknown variant {variant!r}; there are 'paper' and 'code'")
        self.dim, self.units, self.heads, self.variant = dim, units, heads, variant
        code = variant == "code"
        self.query, self.key, self.value, self.residual = (nn.Linear(dim, heads * units, bias=code) for _ in range(4))
        for each in (self.query, self.key, self.value, self.residual):
            nn.init.xavier_uniform_(each.weight)
            if code:
                nn.init.zeros_(each.bias)
        self.norm = nn.LayerNorm(heads * units, eps=1e-8) if code else None

    @property
    def scale(self) -> float:
        r"""What scores are multiplied by: 1, or :math:`1 / \sqrt{d'}` in the authors' code."""
        return self.units**-0.5 if self.variant == "code" else 1.0

    def project(self, e: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, H, F, d') and the residual (B, F, H·d'), in one product."""
        if e.dim() != 3 or e.shape[-1] != self.dim:
            raise ValueError(f"InteractingLayer: expected (B, F, {self.dim}), got {tuple(e.shape)}")
        linears = (self.query, self.key, self.value, self.residual)
        weight = torch.cat([each.weight for each in linears])  # (4·H·d', d)
        bias = torch.cat([each.bias for each in linears]) if self.variant == "code" else None
        made = linear(e, weight, bias)
        made = torch.relu(made) if self.variant == "code" else made
        q, k, v, residual = made.chunk(4, -1)  # each (B, F, H·d')
        split = lambda t: t.unflatten(-1, (self.heads, self.units)).transpose(1, 2)  # noqa: E731
        return split(q), split(k), split(v), residual

    def attend(self, e: Tensor) -> tuple[Tensor, Tensor]:
        """Output (B, F, H·d') and attention weights (B, H, F, F), whose last axis sums to 1."""
        q, k, v, residual = self.project(e)
        attention = (q @ k.transpose(-1, -2) * self.scale).softmax(-1)  # (B, H, F, F)
        return self._join(attention @ v, residual), attention

    def forward(self, e: Tensor) -> Tensor:
        q, k, v, residual = self.project(e)
        return self._join(scaled_dot_product_attention(q, k, v, scale=self.scale), residual)

    def _join(self, heads: Tensor, residual: Tensor) -> Tensor:
        """Heads (B, H, F, d') side by side, the residual, ReLU, and the norm of the authors' code."""
        out = torch.relu(heads.transpose(1, 2).flatten(2) + residual)  # (B, F, H·d')
        return out if self.norm is None else self.norm(out)
