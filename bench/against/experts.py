"""Two properties of a library's mixture of cross experts beside ours: how it starts, what it makes of one row."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from recsys_lite.layers import CrossNetMix

from .cases import WIDTH, numbers


def start(theirs: Callable[[], nn.Module], name: str) -> Callable[[], tuple[float, float]]:
    """Standard deviation of a fresh expert's U, in ours and theirs.

    Args:
        theirs: makes their layer, of width 64, with 4 layers and 4 experts of rank 8.
        name: of the list of U in it.
    """

    def pair() -> tuple[float, float]:
        torch.manual_seed(0)
        return CrossNetMix(64, 4, 8, 4).u.std().item(), getattr(theirs(), name)[0].std().item()

    return pair


def one_row(theirs: Callable[[], nn.Module]) -> Callable[[], tuple[str, str]]:
    """The shape of what one row becomes, in ours and theirs; ``theirs`` has 2 layers and 3 experts of rank 2."""

    def pair() -> tuple[str, str]:
        layer, x = theirs(), numbers(1, WIDTH).float()
        return str(tuple(CrossNetMix(WIDTH, 2, 2, 3)(x).shape)), str(tuple(layer(x).shape))

    return pair
