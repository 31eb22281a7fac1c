"""Items that a user did not take, drawn for training."""

from __future__ import annotations

import torch
from torch import Tensor

from ..data.item_sets import ItemSets


def draw_negatives(forbidden: ItemSets | Tensor, users: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(N, count) items for N users, uniform and independent over those that are not forbidden.

    Args:
        forbidden: of each user. A mask (U, I) is allowed; it is read whole at every call, item sets only for the users.
        users: (N,) numbers.
        count: how many for each of them.
        generator: of the draws; what is forbidden is drawn again.

    Raises:
        ValueError: naming a user to whom every item is forbidden.
    """
    sets = ItemSets(forbidden.nonzero(), *forbidden.shape) if isinstance(forbidden, Tensor) else forbidden
    if (stuck := sets.count[users] == sets.num_items).any():
        raise ValueError(f"draw_negatives: user number {int(users[stuck][0])} has no item left to draw")
    items = torch.randint(sets.num_items, (len(users), count), generator=generator)
    wrong = sets.contains(users[:, None], items).nonzero()  # (W, 2) places to draw again
    while len(wrong):
        row, column = wrong.T
        items[row, column] = torch.randint(sets.num_items, (len(wrong),), generator=generator)
        wrong = wrong[sets.contains(users[row], items[row, column])]
    return items
