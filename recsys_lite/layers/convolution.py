"""Windows that slide over a text, and the strongest answer of each filter."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad


class TextConvolution(nn.Module):
    r"""Filters over windows of k neighbouring symbols, with the maximum over all places.

    .. math:: c_t = \mathrm{ReLU}\Big(b + \sum_{j=0}^{k-1} W_j\, x_{t+j}\Big), \qquad o = \max_t c_t

    The text stands between k - 1 zero vectors on either side, so every window has at least one symbol of it and a
    text shorter than k has windows, too. Windows without a symbol do not count, so it does not matter how far a text
    was padded to fit into a batch. An empty text gives zeros.

    Args:
        inputs: d, length of a symbol's vector.
        channels: C, how many filters of each width. Default 16.
        widths: k of each group of filters. Default (3,); Kim uses 3, 4 and 5 words.

    Shapes: x (B, L, d) and present (B, L) bool, False where padded -> (B, C · number of widths).

    Raises:
        ValueError: for a size below 1, no width, or an input that does not fit.

    Source: Kim, Convolutional Neural Networks for Sentence Classification, EMNLP 2014, eqs. 2-4. The zeros at the
    ends are ours. Derived in the chapter *Building blocks*.

    Example:
        >>> layer = TextConvolution(4, channels=2, widths=(2, 3))
        >>> layer(torch.ones(5, 7, 4), torch.ones(5, 7, dtype=torch.bool)).shape
        torch.Size([5, 4])
    """

    def __init__(self, inputs: int, channels: int = 16, widths: Sequence[int] = (3,)):
        super().__init__()
        if min(inputs, channels, *widths, *([] if widths else [0])) < 1:
            raise ValueError(
                f"TextConvolution: sizes must be at least 1, got {inputs=}, {channels=}, widths={tuple(widths)}"
            )
        self.convolutions = nn.ModuleList(nn.Conv1d(inputs, channels, k, padding=k - 1) for k in widths)
        self.inputs, self.widths = inputs, tuple(widths)
        self.out_features = channels * len(widths)

    def windows(self, x: Tensor, present: Tensor) -> list[Tensor]:
        """Answers of the filters at every place, zero where a window has no symbol: (B, C, L + k - 1) for each k."""
        if x.dim() != 3 or x.shape[2] != self.inputs or present.shape != x.shape[:2]:
            raise ValueError(
                f"TextConvolution: expected x (B, L, {self.inputs}) and present (B, L), got {tuple(x.shape)} and "
                f"{tuple(present.shape)}"
            )
        x = (x * present[..., None]).transpose(1, 2)  # (B, d, L), zero where padded
        answers = []
        for k, convolution in zip(self.widths, self.convolutions, strict=True):
            c = torch.relu(convolution(x))  # (B, C, L + k - 1)
            some = pad(present, (k - 1, k - 1)).unfold(1, k, 1).any(2)  # (B, L + k - 1)
            answers.append(c * some[:, None])
        return answers

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        # After ReLU nothing is below zero, so a window set to zero never wins over one that says something.
        return torch.cat([c.amax(2) for c in self.windows(x, present)], 1)
