"""The vector cross network of DCN."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CrossNet(nn.Module):
    r"""Cross layers, :math:`x_{l+1} = x_0\, (x_l^\top w_l) + b_l + x_l`.

    Each layer multiplies the input with one number, :math:`x_l^\top w_l`, so the polynomial in :math:`x_0` grows by one
    degree: L layers reach degree L + 1, with 2·N numbers each. The bias stands outside of the product (in DCN V2 it
    stands inside), every layer has a weight of its own, and the N × N product :math:`x_0 x_l^\top` is never built.

    Args:
        inputs: N, the length of :math:`x_0`.
        layers: L. Default 3. The paper found 1 to 6 useful.

    Shapes: (B, N) -> (B, N). ``weight`` (L, N) starts Xavier-normal with fan N and 1, ``bias`` (L, N) at zero, as in
    the implementations of TorchRec and DeepCTR; the paper does not say.

    Raises:
        ValueError: if ``inputs`` or ``layers`` is below 1, or the input has another width.

    Source: Wang et al., Deep & Cross Network for Ad Click Predictions, ADKDD 2017, eq. 3. Derived in the chapter
    *Deep & Cross Network*.

    Example:
        >>> cross = CrossNet(2, layers=1)
        >>> cross.weight.data = torch.tensor([[3.0, 1.0]])
        >>> cross.bias.data = torch.tensor([[0.0, 5.0]])
        >>> cross(torch.tensor([[1.0, 2.0]]))  # [1, 2] · 5 + [0, 5] + [1, 2]
        tensor([[ 6., 17.]], grad_fn=<AddBackward0>)
    """

    def __init__(self, inputs: int, layers: int = 3):
        super().__init__()
        if inputs < 1 or layers < 1:
            raise ValueError(f"CrossNet: inputs and layers must be at least 1, got {inputs=}, {layers=}")
        self.weight = nn.Parameter(torch.randn(layers, inputs) * (2 / (inputs + 1)) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(layers, inputs))

    def scales(self, x0: Tensor) -> tuple[Tensor, Tensor]:
        r"""The numbers :math:`x_l^\top w_l` of all layers (B, L), and the output (B, N)."""
        if x0.shape[-1] != self.weight.shape[1]:
            raise ValueError(f"CrossNet: expected (B, {self.weight.shape[1]}), got {tuple(x0.shape)}")
        x, scales = x0, []
        for w, b in zip(self.weight, self.bias, strict=True):
            s = x @ w  # (B,)
            scales.append(s)
            x = x0 * s.unsqueeze(1) + b + x  # (B, N)
        return torch.stack(scales, 1), x

    def forward(self, x0: Tensor) -> Tensor:
        return self.scales(x0)[1]
