"""Reading a history in order, one item at a time."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ..fields import PADDING


def oldest_first(bag: Tensor) -> tuple[Tensor, Tensor]:
    """A history (B, L), latest first and padded with -1 -> the same oldest first, padding last, and lengths (B,).

    Example:
        >>> values, lengths = oldest_first(torch.tensor([[7, 5, -1], [-1, -1, -1]]))
        >>> values.tolist(), lengths.tolist()
        ([[5, 7, -1], [-1, -1, -1]], [2, 0])
    """
    if bag.dim() != 2:
        raise ValueError(f"oldest_first: expected (B, L), got {tuple(bag.shape)}")
    turned = bag.flip(1)
    empty = turned == PADDING
    return turned.gather(1, torch.argsort(empty.int(), dim=1, stable=True)), (~empty).sum(1)


def check_lengths(layer: str, lengths: Tensor, most: int) -> None:
    """Refuse lengths of histories beyond the columns that are there, naming the layer."""
    if len(lengths) and (lengths.min() < 0 or lengths.max() > most):
        raise ValueError(
            f"{layer}: lengths must lie within 0 and {most}, got {int(lengths.min())} to {int(lengths.max())}"
        )


class Recurrent(nn.Module):
    r"""The state of a recurrent network after the last item of each history.

    An LSTM keeps a memory c beside its state h; with gates between 0 and 1 it forgets, writes and speaks:

    .. math:: (i, f, o) = \sigma(W x_t + U h_{t-1} + b), \quad g = \tanh(W_g x_t + U_g h_{t-1} + b_g), \quad
        c_t = f \odot c_{t-1} + i \odot g, \quad h_t = o \odot \tanh(c_t)

    A GRU has no c; one gate z chooses between the old state and a new one, and r says how much of the old one counts:

    .. math:: (r, z) = \sigma(W x_t + U h_{t-1} + b), \quad n = \tanh(W_n x_t + b_n + r \odot (U_n h_{t-1} + b'_n)),
        \quad h_t = (1 - z) \odot n + z \odot h_{t-1}

    The cells are PyTorch's, whose biases come in pairs (their sum counts, except in a GRU's n). A network that reads
    forwards has not seen the padding when it reaches the last item, so padding cannot change the state there.

    Args:
        inputs: length of an item's vector.
        hidden: length of h. Default 32.
        cell: ``lstm`` (default) or ``gru``.

    Shapes: x (B, T, inputs), oldest first, and lengths (B,) from 0 to T -> (B, hidden); zeros for length 0.

    Raises:
        ValueError: for another cell, a size below 1, or an input that does not fit.

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 1997, with the forget gate of
    Gers et al. (2000); the GRU is that of Cho et al., EMNLP 2014, as PyTorch writes it. Derived in the chapter
    *Building blocks*.

    Example:
        >>> Recurrent(4, hidden=3)(torch.ones(2, 5, 4), torch.tensor([5, 0])).shape
        torch.Size([2, 3])
    """

    def __init__(self, inputs: int, hidden: int = 32, cell: Literal["lstm", "gru"] = "lstm"):
        super().__init__()
        if cell not in ("lstm", "gru"):
            raise ValueError(f"Recurrent: cell must be 'lstm' or 'gru', got {cell!r}")
        if min(inputs, hidden) < 1:
            raise ValueError(f"Recurrent: sizes must be at least 1, got {inputs=}, {hidden=}")
        self.net = (nn.LSTM if cell == "lstm" else nn.GRU)(inputs, hidden, batch_first=True)
        self.inputs = inputs
        self.out_features = hidden

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        if x.dim() != 3 or x.shape[2] != self.inputs or lengths.shape != x.shape[:1]:
            raise ValueError(
                f"Recurrent: expected x (B, T, {self.inputs}) and lengths (B,), got {tuple(x.shape)} and "
                f"{tuple(lengths.shape)}"
            )
        check_lengths("Recurrent", lengths, x.shape[1])
        states = self.net(x)[0]  # (B, T, hidden)
        last = states[torch.arange(len(x), device=x.device), (lengths - 1).clamp(min=0)]  # (B, hidden)
        return last * (lengths > 0)[:, None]
