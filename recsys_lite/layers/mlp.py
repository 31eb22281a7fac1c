"""A plain multi-layer perceptron."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class MLP(nn.Sequential):
    r"""Fully connected layers, :math:`h_{l+1} = \mathrm{ReLU}(W_l h_l + b_l)`, with dropout after each ReLU.

    Args:
        inputs: width of the input.
        hidden: widths of the hidden layers, e.g. ``(64, 32)``.
        outputs: width of a last linear layer without ReLU; 0 (default) ends after the last hidden layer.
        dropout: share of units dropped in training. Default 0.
        last_bias: whether the last linear layer has a bias. Default yes.

    Shapes: (..., inputs) -> (..., outputs) or (..., hidden[-1]). Weights start He-uniform (PyTorch's default).

    Raises:
        ValueError: if a width is below 1 or there is no layer at all.

    Example:
        >>> import torch
        >>> MLP(8, (16, 4), outputs=1)(torch.zeros(5, 8)).shape
        torch.Size([5, 1])
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int] = (64, 32),
        outputs: int = 0,
        dropout: float = 0.0,
        last_bias: bool = True,
    ):
        widths = [inputs, *hidden]
        if min(widths) < 1 or outputs < 0 or (not hidden and not outputs):
            raise ValueError(
                f"MLP: widths must be at least 1, got inputs={inputs}, hidden={tuple(hidden)}, outputs={outputs}"
            )
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
        if outputs:
            layers.append(nn.Linear(widths[-1], outputs, bias=last_bias))
        super().__init__(*layers)
        self.out_features = outputs or widths[-1]

    def linear_piece(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See :func:`linear_piece`."""
        return linear_piece(self, x)


def linear_piece(network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    r"""What a ReLU network with one output computes at each row, as products: it is linear between its kinks.

    .. math:: f(x) = \sum_i J_i x_i + c, \qquad J = \partial f / \partial x

    Args:
        network: (B, inputs) -> (B, 1), without active dropout.
        x: (B, inputs).

    Returns:
        the products :math:`J_i x_i` (B, inputs) and the rest c (B,); together they sum to the output exactly. At
        another row the network may lie on another piece.
    """
    with torch.enable_grad():
        point = x.detach().requires_grad_()
        out = network(point).squeeze(-1)  # (B,)
        (slope,) = torch.autograd.grad(out.sum(), point)
    products = slope * x.detach()  # (B, inputs)
    return products, out.detach() - products.sum(1)
