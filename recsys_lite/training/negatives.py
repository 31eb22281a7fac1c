"""Items that a user did not take, drawn for training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..data.item_sets import ItemSets


def draw_negatives(forbidden: ItemSets | Tensor, users: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(N, count) items for N users, uniform and independent over those that are not forbidden.

    Args:
        forbidden: of each user, as item sets or as a mask (U, I); both are read for these users only.
        users: (N,) numbers.
        count: how many for each of them.
        generator: of the draws; what is forbidden is drawn again.

    Raises:
        ValueError: naming a user to whom every item is forbidden.
    """
    contains: Callable[[Tensor, Tensor], Tensor]
    if isinstance(forbidden, ItemSets):
        num_items, contains = forbidden.num_items, forbidden.contains
        stuck = users[forbidden.count[users] == num_items]
    else:
        num_items, contains, some = forbidden.shape[1], lambda *pair: forbidden[pair], users.unique()
        stuck = some[forbidden[some].all(1)]
    if len(stuck):
        raise ValueError(f"draw_negatives: user number {int(stuck[0])} has no item left to draw")
    items = torch.randint(num_items, (len(users), count), generator=generator)
    wrong = contains(users[:, None], items).nonzero()  # (W, 2) places to draw again
    while len(wrong):
        row, column = wrong.T
        items[row, column] = torch.randint(num_items, (len(wrong),), generator=generator)
        wrong = wrong[contains(users[row], items[row, column])]
    return items
