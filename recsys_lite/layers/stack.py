"""The input of networks that cross whole vectors: embeddings and numbers, one beside the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..fields import Field, Rows, part_name
from .embedding import FieldEmbedding, SizedEmbedding


class StackedInput(nn.Module):
    r"""Embeddings of the categorical fields and the numbers as they are, :math:`x_0 = [e_1, \dots, e_C, x_{dense}]`.

    Args:
        fields: the columns. Numeric ones take one place each, without an embedding; all others ``dim`` places.
        dim: d, embedding size, or a size for each field that is not numeric: name -> size. Default 16.
        std: embeddings start as N(0, std²). Default 0.01.

    Attributes:
        width: N, the length of :math:`x_0`.
        blocks: field name -> its places in :math:`x_0`, a slice.

    Shapes: rows -> (B, N); embeddings come first, in the order of the fields, then the numbers.

    Raises:
        ValueError: if there are no fields.

    Source: Wang et al., Deep & Cross Network, ADKDD 2017, section 2.1. Derived in the chapter
    *Deep & Cross Network*.

    Example:
        >>> from recsys_lite.fields import Vocabulary
        >>> fields = [Field("price", "numeric"), Field("colour", "categorical", Vocabulary(["red", "blue"]))]
        >>> layer = StackedInput(fields, dim=4)
        >>> layer.width, layer.blocks
        (5, {'colour': slice(0, 4, None), 'price': slice(4, 5, None)})
    """

    def __init__(self, fields: Sequence[Field], dim: int | Mapping[str, int] = 16, std: float = 0.01):
        super().__init__()
        if not fields:
            raise ValueError("StackedInput: no fields given")
        embedded = [f for f in fields if f.kind != "numeric"]
        self.embedding: FieldEmbedding | SizedEmbedding | None = None
        if embedded:
            same = isinstance(dim, int)
            self.embedding = FieldEmbedding(embedded, dim, std) if same else SizedEmbedding(embedded, dim, std)  # type: ignore[arg-type]
        self.blocks: dict[str, slice] = {}
        place = 0
        for f in [*embedded, *(f for f in fields if f.kind == "numeric")]:
            size = 1 if f.kind == "numeric" else dim if isinstance(dim, int) else dim[f.name]
            self.blocks[f.name] = slice(place, place + size)
            place += size
        self.width = place
        self.register_buffer("like", torch.zeros(()), persistent=False)  # its type is that of what comes out

    def forward(self, rows: Rows) -> Tensor:
        numeric = rows.numeric.to(self.get_buffer("like").dtype)
        if self.embedding is None:
            return numeric
        return torch.cat([self.embedding(rows).flatten(1), numeric], 1)  # (B, C·d), (B, M) -> (B, N)

    def by_field(self, products: Tensor) -> dict[str, Tensor]:
        """Sums of (B, N) products over each field's places: field name -> (B,)."""
        return {part_name(name): products[:, block].sum(1) for name, block in self.blocks.items()}
