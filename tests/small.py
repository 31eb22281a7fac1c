"""Small data sets of interactions: one with features of both sides, one of any pairs, and what is made of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from recsys_lite.data.interactions import Interactions
from recsys_lite.fields import Field, Rows, Vocabulary

SIDES = [
    (Field("user", "categorical", Vocabulary(range(12))), Field("history", "history", Vocabulary(range(9)), length=3)),
    (Field("item", "categorical", Vocabulary(range(9))), Field("kind", "categorical", Vocabulary(["a", "b", "c"]))),
]


def small(seed: int = 0) -> Interactions:
    """12 users and 10 items, of which the last was never seen; users like items of one kind."""
    g = torch.Generator().manual_seed(seed)
    kind = torch.arange(10) % 3
    weights = torch.where(kind == (torch.arange(12) % 3)[:, None], 8.0, 0.5)[:, :9]
    pairs = torch.cat([
        torch.stack([torch.full((6,), u), torch.multinomial(weights[u], 6, generator=g)], 1) for u in range(12)
    ])  # fmt: skip
    part = torch.arange(6).repeat(12)
    items = torch.cat([torch.arange(1, 10), torch.zeros(1, dtype=torch.long)])
    candidates = Rows(torch.stack([items, kind + 1], 1).int(), torch.zeros(10, 0))

    def query(users):
        latest = torch.stack([pairs[(pairs[:, 0] == u) & (part < 4)][-3:, 1] + 1 for u in users])
        return Rows(users[:, None].int() + 1, torch.zeros(len(users), 0), {"history": latest.int()})

    train = pairs[part < 4]
    queries = {"train": query(train[:, 0]), "known": query(torch.arange(12)), "fresh": query(torch.arange(12))}
    return Interactions(
        "small", train, pairs[part == 4], pairs[part == 5], torch.arange(12).numpy(), torch.arange(10).numpy(),
        *map(tuple, SIDES), queries, candidates,
    )  # fmt: skip


def of_pairs(train, validation, test, users: int = 2, items: int = 5) -> Interactions:
    """Any pairs, with the numbers as the only features."""
    ids = lambda n: Rows(torch.arange(n)[:, None].int() + 1, torch.zeros(n, 0))  # noqa: E731
    train, validation, test = map(torch.as_tensor, (train, validation, test))
    queries = {"train": ids(users)[train[:, 0]], "known": ids(users), "fresh": ids(users)}
    fields = [(Field(n, "categorical", Vocabulary(range(k))),) for n, k in (("user", users), ("item", items))]
    return Interactions(
        "small", train, validation, test, np.arange(users), np.arange(items), *fields, queries, ids(items)
    )


def random_pairs(seed: int, users: int, items: int, sizes: Sequence[int]) -> list[Tensor]:
    """Different pairs in random order, (N, 2) for each of some sizes; a popular item has more of them."""
    g = torch.Generator().manual_seed(seed)
    weight = torch.rand(users, 1, generator=g) / torch.arange(1, items + 1)
    keys = torch.multinomial(weight.flatten(), sum(sizes), generator=g)
    return list(torch.stack([keys // items, keys % items], 1).split(list(sizes)))


class Largest(TorchDispatchMode):
    """While it is on: how many numbers the largest new tensor has."""

    size = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        made = [math.prod(t.shape) for t in tree_leaves(out) if isinstance(t, Tensor)]
        self.size = max(self.size, *made, 0)
        return out
