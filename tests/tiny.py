"""A small made-up data set with every kind of field, for tests of layers, models and training."""

import torch

from recsys_lite.fields import Dataset, Field, Rows, Vocabulary

ITEMS = Vocabulary([f"i{k}" for k in range(6)])
FIELDS = (
    Field("user", "categorical", Vocabulary([f"u{k}" for k in range(8)])),
    Field("item", "categorical", ITEMS),
    Field("price", "numeric"),
    Field("genres", "multi_hot", Vocabulary(["a", "b", "c"]), length=3),
    Field("history", "history", ITEMS, length=4, table="item"),
)


def rows(count: int, seed: int = 0) -> Rows:
    """Random rows; the label follows from user and item, so that there is something to learn."""
    g = torch.Generator().manual_seed(seed)
    ids = torch.stack([torch.randint(0, 9, (count,), generator=g), torch.randint(0, 7, (count,), generator=g)], 1).int()

    def bag(size: int, length: int) -> torch.Tensor:
        values = torch.randint(1, size, (count, length), generator=g)
        filled = torch.randint(0, length + 1, (count, 1), generator=g)
        return values.where(torch.arange(length) < filled, -1).int()

    label = ((ids[:, 0] + ids[:, 1]) % 2).float()
    group = ids[:, 0].clone()
    return Rows(ids, torch.randn(count, 1, generator=g), {"genres": bag(4, 3), "history": bag(7, 4)}, label, group)


def filled(module: torch.nn.Module, std: float = 0.5) -> torch.nn.Module:
    """All parameters random, so that nothing is zero by its start."""
    torch.manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.normal_(std=std)
    return module


def dataset(count: int = 600) -> Dataset:
    return Dataset("tiny", "parity", FIELDS, rows(count, 1), rows(200, 2), rows(200, 3))
