"""The task that all workers share: columns of Criteo's form, invented rows, the sizes of the networks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: ids of Criteo's categorical columns C1 to C26, at most 100,000 of each: 840,543 in all
SIZES = [
    1460, 583, 100000, 100000, 305, 24, 12517, 633, 3, 93145, 5683, 100000, 3194, 27, 14992, 100000, 10, 5652,
    2173, 4, 100000, 18, 15, 100000, 105, 100000,
]  # fmt: skip
NUMERIC = 13
DIM = 16
HIDDEN = [400, 400, 400]
BOTTOM = [64, 32]  # of DLRM and DHEN, before the last layer of width DIM
CROSS_LAYERS = 3
ATTENTION_LAYERS, HEADS = 3, 2  # heads of DIM / HEADS units: the width that all libraries can have
BATCH = 4096
LR = 1e-3
MODELS = ["fm", "wide_deep", "deepfm", "dcn", "dcn_v2", "dlrm", "autoint", "gdcn", "dhen"]


@dataclass
class Task:
    """Columns and rows.

    Args:
        ids: (R, C) int64, from 0 in every column; the k-th of n ids comes up about as often as k^(-3/4).
        numeric: (R, M) float32, log(1 + x) of exponential x.
        label: (R,) float32, a quarter ones.
        sizes: (C) ids of each column.
        dim, batch: d and B.
    """

    ids: Tensor
    numeric: Tensor
    label: Tensor
    sizes: list[int]
    dim: int = DIM
    batch: int = BATCH

    def slices(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """The rows in batches, in order."""
        return list(zip(*(t.split(self.batch) for t in (self.ids, self.numeric, self.label)), strict=True))

    @property
    def names(self) -> tuple[list[str], list[str]]:
        """Names of the categorical columns, and of the numeric ones."""
        return [f"C{k + 1}" for k in range(len(self.sizes))], [f"I{k + 1}" for k in range(self.numeric.shape[1])]

    @property
    def columns(self) -> dict[str, Tensor]:
        """Every column by name."""
        categorical, numeric = self.names
        return dict(zip([*categorical, *numeric], [*self.ids.T, *self.numeric.T], strict=True))


def drawn(
    rows: int, sizes: list[int] = SIZES, numeric: int = NUMERIC, dim: int = DIM, batch: int = BATCH, seed: int = 0
) -> Task:
    """The same rows for the same arguments."""
    g = torch.Generator().manual_seed(seed)
    ids = (torch.rand(rows, len(sizes), generator=g) ** 4 * torch.tensor(sizes)).long()
    numbers = torch.rand(rows, numeric, generator=g).log().neg().log1p()
    return Task(ids, numbers, (torch.rand(rows, generator=g) < 0.25).float(), list(sizes), dim, batch)


@dataclass
class Graph:
    """Interactions for LightGCN, of Gowalla's shape.

    Args:
        pairs: (E, 2) different pairs of user and item in random order.
        users, items: how many there are.
        dim, layers, batch: d, K and B, as in the paper.
    """

    pairs: Tensor
    users: int
    items: int
    dim: int = 64
    layers: int = 3
    batch: int = 2048


def graph(edges: int, seed: int = 0) -> Graph:
    """About so many edges, 27 a user and 20 an item; the k-th user or item comes up about as often as 1 / sqrt(k)."""
    g = torch.Generator().manual_seed(seed)
    users, items = edges // 27, edges // 20
    ends = [(torch.rand(2 * edges, generator=g) ** 2 * count).long() for count in (users, items)]
    found = torch.stack(ends, 1).unique(dim=0)
    return Graph(found[torch.randperm(len(found), generator=g)[:edges]], users, items)
