"""Cross-product features AND(a=…, b=…), the wide part's memory."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from ..fields import UNSEEN, Field, Rows, find_field

_PRIME = (1 << 31) - 1  # 2^31 - 1; products of a residue and a multiplier stay below 2^63
_MULTIPLIERS = (1_640_531_527, 2_097_192_037, 1_181_783_497, 1_442_695_041)


class HashedCrosses(nn.Module):
    r"""A weight per cross-product feature, :math:`\sum_k w_k \phi_k(x)`, :math:`\phi_k(x) = \prod_i x_i^{c_{ki}}`.

    :math:`\phi_k` is 1 exactly when all its conditions hold: AND(history=Star Wars, item=Return of the Jedi). The
    weights of one cross lie in a block of their own. A cross with at most ``buckets`` combinations gets a weight
    each; a larger one is hashed into ``buckets`` weights, so that combinations can share one.
    A combination with an unseen value is left out.

    Args:
        fields: the columns.
        crosses: the fields of each cross, e.g. ``[("gender", "genres"), ("history", "item")]``. Bags cross each of
            their values. Two to four fields each.
        buckets: most weights of one cross. Default 2**18.

    Shapes: rows -> (B, K), the logit part of each of the K crosses. Weights start at zero.

    Raises:
        ValueError: for an unknown or numeric field, a field crossed with itself, or a cross of less than two or more
            than four fields.

    Source: Cheng et al., Wide & Deep Learning, DLRS 2016, section 3.1, eq. 1. Derived in the chapter *Wide & Deep*.
    """

    def __init__(self, fields: Sequence[Field], crosses: Sequence[Sequence[str]], buckets: int = 2**18):
        super().__init__()
        self.fields = tuple(fields)
        self.crosses = tuple(tuple(c) for c in crosses)
        self.buckets = buckets
        self.sizes: list[tuple[int, ...]] = []  # of each cross's fields; a vocabulary's own size goes through NumPy
        offsets, total = [], 0
        for cross in self.crosses:
            parts = [find_field(fields, name) for name in cross]
            if not 2 <= len(cross) <= len(_MULTIPLIERS) or len(set(cross)) != len(cross):
                raise ValueError(f"cross {cross}: expected two to four different fields")
            if numeric := [f.name for f in parts if f.vocabulary is None]:
                raise ValueError(f"cross {cross}: field {numeric[0]!r} is numeric; cross categorical fields")
            self.sizes.append(tuple(f.size for f in parts))
            offsets.append(total)
            total += min(prod(self.sizes[-1]), buckets)
        self.offsets = offsets
        if total:
            self.weight = nn.Parameter(torch.zeros(total))
        else:  # a parameter without numbers is one that DDP cannot reduce
            self.register_buffer("weight", torch.zeros(0))

    def _values(self, rows: Rows, name: str) -> Tensor:
        """(B, L) value numbers of a field."""
        if name in rows.bags:
            return rows.bags[name].long()
        columns = [f.name for f in self.fields if f.kind == "categorical"]
        return rows.ids[:, columns.index(name), None].long()

    def combinations(self, rows: Rows, k: int) -> tuple[Tensor, Tensor]:
        """Of cross k: value numbers (B, M, fields of the cross) of all combinations, and which count (B, M) bool."""
        columns = [self._values(rows, name) for name in self.crosses[k]]
        grid = columns[0].unsqueeze(-1)  # (B, M, 1)
        for column in columns[1:]:
            B, M, n = grid.shape
            left = grid.unsqueeze(2).expand(B, M, column.shape[1], n)
            right = column[:, None, :, None].expand(B, M, column.shape[1], 1)
            grid = torch.cat([left, right], -1).flatten(1, 2)  # (B, M · L, n + 1)
        return grid, (grid > UNSEEN).all(-1)  # padding is -1, unseen is 0

    def bucket(self, k: int, values: Tensor) -> Tensor:
        """The weight's number (...,) of combinations (..., fields of cross k)."""
        sizes = self.sizes[k]
        index = torch.zeros_like(values[..., 0])
        if prod(sizes) <= self.buckets:
            for i, size in enumerate(sizes):
                index = index * size + values[..., i].clamp(min=0)
            return index + self.offsets[k]
        for i in range(len(sizes)):
            index = (index + (values[..., i].clamp(min=0) + 1) * _MULTIPLIERS[i]) % _PRIME
        return (index * _MULTIPLIERS[0] % _PRIME) % self.buckets + self.offsets[k]

    def forward(self, rows: Rows) -> Tensor:
        if not self.crosses:
            return self.weight.new_zeros(rows.ids.shape[0], 0)
        indices, counted = [], []
        for k in range(len(self.crosses)):
            values, counts = self.combinations(rows, k)
            indices.append(self.bucket(k, values))
            counted.append(counts)
        weights = self.weight[torch.cat(indices, 1)] * torch.cat(counted, 1)  # one gather: one gradient of the table
        return torch.stack([w.sum(1) for w in weights.split([c.shape[1] for c in counted], 1)], 1)  # (B, K)
