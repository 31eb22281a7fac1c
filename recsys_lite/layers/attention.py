"""Self-attention between the fields of one row."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

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
        for linear in (self.query, self.key, self.value, self.residual):
            nn.init.xavier_uniform_(linear.weight)
            if code:
                nn.init.zeros_(linear.bias)
        self.norm = nn.LayerNorm(heads * units, eps=1e-8) if code else None

    def _project(self, linear: nn.Linear, e: Tensor) -> Tensor:
        return torch.relu(linear(e)) if self.variant == "code" else linear(e)

    def attend(self, e: Tensor) -> tuple[Tensor, Tensor]:
        """Output (B, F, H·d') and attention weights (B, H, F, F), whose last axis sums to 1."""
        if e.dim() != 3 or e.shape[-1] != self.dim:
            raise ValueError(f"InteractingLayer: expected (B, F, {self.dim}), got {tuple(e.shape)}")
        B, F, _ = e.shape
        q, k, v = (
            self._project(linear, e).view(B, F, self.heads, self.units).transpose(1, 2)  # (B, H, F, d')
            for linear in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(-1, -2)  # (B, H, F, F)
        if self.variant == "code":
            scores = scores / self.units**0.5
        attention = scores.softmax(-1)
        heads = (attention @ v).transpose(1, 2).reshape(B, F, -1)  # (B, F, H·d')
        out = torch.relu(heads + self._project(self.residual, e))
        return (out if self.norm is None else self.norm(out)), attention

    def forward(self, e: Tensor) -> Tensor:
        return self.attend(e)[0]
