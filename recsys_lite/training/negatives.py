"""Items that a user did not take, drawn for training."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_negatives(forbidden: Tensor, users: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(N, count) items for N users, uniform and independent over those that the mask (U, I) does not forbid.

    A ``ValueError`` names a user to whom every item is forbidden.
    """
    if (stuck := forbidden.all(1)[users]).any():
        raise ValueError(f"draw_negatives: user number {int(users[stuck][0])} has no item left to draw")
    items = torch.randint(forbidden.shape[1], (len(users), count), generator=generator)
    while (wrong := forbidden[users[:, None], items]).any():
        items[wrong] = torch.randint(forbidden.shape[1], (int(wrong.sum()),), generator=generator)
    return items
