"""Cross networks: DCN's vectors, DCN V2's matrices, low ranks and experts, GDCN's gates."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["tanh", "relu", "identity"]
ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "identity": lambda x: x}


class CrossLayers(nn.Module):
    """What all cross networks share: layers that add to their input, :math:`x_{l+1} = x_l + f_l(x_0, x_l)`.

    A network says how many layers it has and what one of them adds.
    """

    def __init__(self, inputs: int, layers: int):
        super().__init__()
        if inputs < 1 or layers < 1:
            raise ValueError(f"{type(self).__name__}: inputs and layers must be at least 1, got {inputs=}, {layers=}")
        self.inputs, self.depth = inputs, layers

    def added(self, layer: int, x0: Tensor, x: Tensor) -> Tensor:
        """f_l(x_0, x_l), (B, N)."""
        raise TypeError(f"{type(self).__name__} does not say what a layer adds")

    def states(self, x0: Tensor) -> list[Tensor]:
        r""":math:`x_0, x_1, \dots, x_L`, each (B, N)."""
        if x0.dim() != 2 or x0.shape[1] != self.inputs:
            raise ValueError(f"{type(self).__name__}: expected (B, {self.inputs}), got {tuple(x0.shape)}")
        states = [x0]
        for layer in range(self.depth):
            states.append(states[-1] + self.added(layer, x0, states[-1]))
        return states

    def forward(self, x0: Tensor) -> Tensor:
        return self.states(x0)[-1]


class CrossNet(CrossLayers):
    r"""DCN's cross layers, :math:`x_{l+1} = x_0\, (x_l^\top w_l) + b_l + x_l`.

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
        >>> cross(torch.tensor([[1.0, 2.0]])).tolist()  # [1, 2] · 5 + [0, 5] + [1, 2]
        [[6.0, 17.0]]
    """

    def __init__(self, inputs: int, layers: int = 3):
        super().__init__(inputs, layers)
        self.weight = nn.Parameter(torch.randn(layers, inputs) * (2 / (inputs + 1)) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(layers, inputs))

    def added(self, layer: int, x0: Tensor, x: Tensor) -> Tensor:
        scale = x @ self.weight[layer]  # (B,)
        return x0 * scale.unsqueeze(1) + self.bias[layer]  # (B, N)

    def scales(self, x0: Tensor) -> tuple[Tensor, Tensor]:
        r"""The numbers :math:`x_l^\top w_l` of all layers (B, L), and the output (B, N)."""
        *before, last = self.states(x0)
        return torch.stack([x @ w for x, w in zip(before, self.weight, strict=True)], 1), last


class CrossNetV2(CrossLayers):
    r"""DCN V2's cross layers, :math:`x_{l+1} = x_0 \odot (W_l x_l + b_l) + x_l`, with a full matrix or one of low rank.

    Each entry of :math:`W_l` weighs one product of an entry of :math:`x_0` and one of :math:`x_l`. The bias stands
    **inside** of the product. With a rank r, :math:`W_l = U_l V_l^\top`: first V, then U, then the bias.

    Args:
        inputs: N, the length of :math:`x_0`.
        layers: L. Default 3.
        rank: r. Default 0: a full matrix. The paper advises N/4 to start with.

    Shapes: (B, N) -> (B, N). ``weight`` (L, N, N), or ``u`` and ``v`` (L, N, r), start Xavier-normal as in TorchRec;
    the paper starts He-normal (section 7.1.3), √2 times as wide for a full matrix. ``bias`` (L, N) at zero, as in the
    paper.

    Raises:
        ValueError: if a size is below 1, the rank is negative, or the input has another width.

    Source: Wang et al., DCN V2, WWW 2021, eqs. 1 and 2. Derived in the chapter *DCN V2*.

    Example:
        >>> cross = CrossNetV2(2, layers=1)
        >>> cross.weight.data.zero_(), cross.bias.data.fill_(5.0)
        (tensor([[[0., 0.],
                 [0., 0.]]]), tensor([[5., 5.]]))
        >>> cross(torch.tensor([[1.0, 2.0]])).tolist()  # x0 · b + x0: the bias is inside
        [[6.0, 12.0]]
    """

    def __init__(self, inputs: int, layers: int = 3, rank: int = 0):
        super().__init__(inputs, layers)
        if rank < 0:
            raise ValueError(f"CrossNetV2: rank must be at least 0, got {rank}")
        self.rank = rank
        if rank:
            self.u = nn.Parameter(_xavier(layers, inputs, rank))
            self.v = nn.Parameter(_xavier(layers, inputs, rank))
        else:
            self.weight = nn.Parameter(_xavier(layers, inputs, inputs))
        self.bias = nn.Parameter(torch.zeros(layers, inputs))

    def product(self, layer: int, x: Tensor) -> Tensor:
        """W_l x_l, (B, N)."""
        if self.rank:
            return x @ self.v[layer] @ self.u[layer].T  # (B, N) -> (B, r) -> (B, N)
        return x @ self.weight[layer].T

    def added(self, layer: int, x0: Tensor, x: Tensor) -> Tensor:
        return x0 * (self.product(layer, x) + self.bias[layer])

    def matrices(self, layer: int) -> Tensor:
        """The matrix W_l as (1, N, N)."""
        return (self.u[layer] @ self.v[layer].T if self.rank else self.weight[layer]).unsqueeze(0)


class CrossNetMix(CrossLayers):
    r"""DCN V2's mixture of low-rank experts, each in a subspace of its own, weighed by gates.

    .. math:: x_{l+1} = \sum_{i=1}^K G_i(x_l)\; x_0 \odot \big(U_i\, g(C_i\, g(V_i^\top x_l)) + b_l\big) + x_l

    :math:`G` is a softmax over K linear gates. Every layer has gates of its own (several libraries share one list of
    gates between all layers), and a bias that its experts share, as the paper writes it.

    Args:
        inputs: N.
        layers: L. Default 3.
        rank: r of each expert. Default 16.
        experts: K. Default 4.
        activation: g, ``"tanh"`` (default), ``"relu"`` or ``"identity"``.

    Shapes: (B, N) -> (B, N). ``u`` and ``v`` (L, K, N, r) and ``c`` (L, K, r, r) start Xavier-normal **per expert**, so
    that their scale does not depend on K; gates ``gate`` (L, K, N) Xavier-normal, ``bias`` (L, N) at zero.

    Raises:
        ValueError: if a size is below 1, the activation is unknown, or the input has another width.

    Source: Wang et al., DCN V2, WWW 2021, eqs. 3 and 4. Derived in the chapter *DCN V2*.
    """

    def __init__(self, inputs: int, layers: int = 3, rank: int = 16, experts: int = 4, activation: Activation = "tanh"):
        super().__init__(inputs, layers)
        if rank < 1 or experts < 1:
            raise ValueError(f"CrossNetMix: rank and experts must be at least 1, got {rank=}, {experts=}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"CrossNetMix: unknown activation {activation!r}; there are {sorted(ACTIVATIONS)}")
        self.activation = activation
        self.u = nn.Parameter(_xavier(layers, experts, inputs, rank))
        self.v = nn.Parameter(_xavier(layers, experts, inputs, rank))
        self.c = nn.Parameter(_xavier(layers, experts, rank, rank))
        self.gate = nn.Parameter(_xavier(layers, experts, inputs))
        self.bias = nn.Parameter(torch.zeros(layers, inputs))

    def gates(self, layer: int, x: Tensor) -> Tensor:
        """G(x_l), (B, K), each line sums to 1."""
        return (x @ self.gate[layer].T).softmax(1)

    def added(self, layer: int, x0: Tensor, x: Tensor) -> Tensor:
        g = ACTIVATIONS[self.activation]
        inner = g(torch.einsum("bn,knr->bkr", x, self.v[layer]))
        inner = g(torch.einsum("bkr,kqr->bkq", inner, self.c[layer]))
        mixed = torch.einsum("bk,bkr,knr->bn", self.gates(layer, x), inner, self.u[layer])
        return x0 * (mixed + self.bias[layer])  # the gates sum to 1, so the bias counts once

    def matrices(self, layer: int) -> Tensor:
        """The experts' matrices U C Vᵀ, (K, N, N): what they compute while g is near the identity."""
        return self.u[layer] @ self.c[layer] @ self.v[layer].transpose(1, 2)


class GatedCrossNet(CrossNetV2):
    r"""GDCN's cross layers: a gate on everything that a layer adds.

    .. math:: c_{l+1} = c_0 \odot (W_l c_l + b_l) \odot \sigma(G_l c_l) + c_l

    With the gate at 1 this is DCN V2, with the gate at 0 the identity. The gate sees the layer's input
    :math:`c_l` (not :math:`c_0`), multiplies (it is not added), and leaves the residual alone.

    Args:
        inputs: N.
        layers: L. Default 3.

    Shapes: (B, N) -> (B, N). ``weight`` and ``gate_weight`` (L, N, N) start Xavier-normal, ``bias`` (L, N) at zero; the
    authors' code draws it from U(0, 1), the paper does not say.

    Raises:
        ValueError: if a size is below 1, or the input has another width.

    Source: Wang et al., Towards Deeper, Lighter and Interpretable Cross Network for CTR Prediction, CIKM 2023, eq. 2.
    Derived in the chapter *GDCN*.
    """

    def __init__(self, inputs: int, layers: int = 3):
        super().__init__(inputs, layers)
        self.gate_weight = nn.Parameter(_xavier(layers, inputs, inputs))

    def gate(self, layer: int, x: Tensor) -> Tensor:
        """σ(G_l c_l), (B, N), between 0 and 1."""
        return torch.sigmoid(x @ self.gate_weight[layer].T)

    def added(self, layer: int, x0: Tensor, x: Tensor) -> Tensor:
        return super().added(layer, x0, x) * self.gate(layer, x)


def _xavier(*shape: int) -> Tensor:
    """Xavier-normal for every matrix of the last two axes, so that the axes before them do not change the scale."""
    return torch.randn(*shape) * (2 / (shape[-1] + shape[-2])) ** 0.5
