"""Which items each user has: known, wanted or forbidden ones, in memory for the pairs, not for the whole table."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class ItemSets:
    r"""A set of items for each of U users, as sorted keys :math:`u I + i`: a table of U × I that is mostly empty.

    Args:
        pairs: (N, 2) user and item, in any order; a pair that comes twice is one.
        num_users, num_items: U and I.

    ``count`` (U,) is how many items each user has. Memory: N keys of 8 bytes and U numbers, where a mask has U I bytes.

    Raises:
        ValueError: for pairs of a wrong shape, or numbers beyond U and I.

    Example:
        >>> sets = ItemSets(torch.tensor([[0, 2], [1, 0], [0, 1]]), num_users=2, num_items=3)
        >>> sets.contains(torch.tensor([0, 1]), torch.tensor([2, 2])).tolist(), sets.count.tolist()
        ([True, False], [2, 1])
    """

    def __init__(self, pairs: Tensor, num_users: int, num_items: int):
        if pairs.dim() != 2 or pairs.shape[1] != 2:
            raise ValueError(f"ItemSets: expected (N, 2) pairs, got {tuple(pairs.shape)}")
        if (pairs < 0).any() or (pairs >= torch.tensor([num_users, num_items])).any():
            raise ValueError(f"ItemSets: numbers reach beyond {num_users} × {num_items}")
        self.num_users, self.num_items = num_users, num_items
        keys = (pairs[:, 0].long() * num_items + pairs[:, 1]).unique()  # ascending: by user, then by item
        self._start = torch.searchsorted(keys, torch.arange(num_users + 1) * num_items)
        self._keys = torch.cat([keys, torch.tensor([num_users * num_items])])  # the last is above all: a search ends
        self.count = self._start.diff()

    @classmethod
    def of(cls, data: Any, *parts: str) -> ItemSets:
        """What users have in some parts of a data set, each of them pairs (N, 2), or one item of every user (U,).

        Args:
            data: :class:`~recsys_lite.data.interactions.Interactions` or
                :class:`~recsys_lite.data.leave_one_out.LeaveOneOut`.
            parts: of ``train``, ``validation``, ``test``; none gives empty sets.
        """
        pairs = [torch.zeros(0, 2, dtype=torch.int64)]
        for part in parts:
            items = getattr(data, part)
            pairs.append(items if items.dim() == 2 else torch.stack([torch.arange(data.num_users), items], 1))
        return cls(torch.cat(pairs), data.num_users, data.num_items)

    def without(self, other: ItemSets) -> ItemSets:
        """The items that another has not."""
        user, item = self.pairs(torch.arange(self.num_users))
        keep = ~other.contains(user, item)
        return ItemSets(torch.stack([user, item], 1)[keep], self.num_users, self.num_items)

    def contains(self, users: Tensor, items: Tensor) -> Tensor:
        """Whether a user has an item; the two shapes are broadcast. Time: log N for each pair."""
        keys = users * self.num_items + items
        return self._keys[torch.searchsorted(self._keys, keys)] == keys

    def pairs(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """All items of B users, (M,) and (M,): the place of the user among the B, and the item; by place, then item."""
        count = self.count[users]
        row = torch.arange(len(users)).repeat_interleave(count)
        shift = self._start[users] - (count.cumsum(0) - count)  # from a place here to one among the keys
        return row, self._keys[torch.arange(len(row)) + shift[row]] % self.num_items

    def one_of(self, users: Tensor, share: Tensor) -> Tensor:
        """(B,) an item of each of B users who have one: at a share in [0, 1) of the way through their sorted items.

        Example:
            >>> sets = ItemSets(torch.tensor([[0, 2], [1, 0], [0, 1]]), num_users=2, num_items=3)
            >>> sets.one_of(torch.tensor([0, 0, 1]), torch.tensor([0.4, 0.6, 0.9])).tolist()
            [1, 2, 0]
        """
        count = self.count[users]
        if not count.all():
            raise ValueError(f"ItemSets: user number {int(users[count == 0][0])} has no item")
        at = (share.double() * count).long().clamp(max=count - 1)
        return self._keys[self._start[users] + at] % self.num_items

    def mask(self, users: Tensor | None = None) -> Tensor:
        """(B, I) whether each of B users has each item, one byte a pair. Default: all users, (U, I)."""
        users = torch.arange(self.num_users) if users is None else users
        out = torch.zeros(len(users), self.num_items, dtype=torch.bool)
        out[self.pairs(users)] = True
        return out
