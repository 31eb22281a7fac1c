"""A small data set of interactions, with features of both sides."""

from __future__ import annotations

import torch

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
