"""One table for all fields: every feature of every field is one row of one matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..fields import PADDING, UNSEEN, Field, Rows, check_columns


class FieldEmbedding(nn.Module):
    r"""Embedding vectors of all fields from one fused table, :math:`e_f = \sum_{i \in f} x_i v_i`.

    Every value of every categorical field, and every numeric field as a whole, is a *feature* :math:`i` with a row
    :math:`v_i` of the table. :math:`x_i` is 1 for a categorical value, the number itself for a numeric field, and
    :math:`1/n` for each of the n values of a multi-hot or history field. One table with an offset per field needs
    one look-up where a table per field needs F of them.

    Args:
        fields: the columns, in the order of the output.
        dim: d, the length of a row. Default 16 (AutoInt and the DLRM benchmark on Criteo use 16).
        share: whether a history looks in its item's rows (default). Linear terms do not share: that a film was seen
            before says something else about a click than that it is the candidate.
        std: rows start as N(0, std²). Default 0.01, as in NCF and AutoInt. 0 starts at zero (linear terms).

    The row reserved for unseen values starts at zero: a value that training never showed says nothing.

    Shapes:
        ``forward``: rows -> (B, F, d), a vector per field; ``expand``: rows -> (B, N, d), a vector per active feature.

    Raises:
        ValueError: if there are no fields, ``dim`` is below 1, or a history names a table of another size.

    Source: the fused table is the layout of FBGEMM and of pytorch-fm's ``FeaturesEmbedding``.
    Derived in the chapter *Factorization Machines*.

    Example:
        >>> from recsys_lite.fields import Field, Rows, Vocabulary
        >>> fields = [Field("colour", "categorical", Vocabulary(["red", "blue"])), Field("price", "numeric")]
        >>> rows = Rows(torch.tensor([[1], [2]], dtype=torch.int32), torch.tensor([[0.5], [2.0]]))
        >>> FieldEmbedding(fields, dim=4)(rows).shape
        torch.Size([2, 2, 4])
    """

    def __init__(self, fields: Sequence[Field], dim: int = 16, std: float = 0.01, share: bool = True):
        super().__init__()
        if not fields:
            raise ValueError("FieldEmbedding: no fields given")
        if dim < 1:
            raise ValueError(f"FieldEmbedding: dim must be at least 1, got {dim}")
        self.fields = tuple(fields if share else (replace(f, table=f.name) for f in fields))
        self.dim = dim
        self.offsets: dict[str, int] = {}  # table name -> its first row
        sizes: dict[str, int] = {}
        total = 0
        for f in sorted(self.fields, key=lambda f: f.table != f.name):  # the owners of a table first
            if f.table in sizes:
                if sizes[f.table] != f.size:
                    raise ValueError(
                        f"field {f.name!r} shares the table {f.table!r} but has {f.size} rows, not {sizes[f.table]}"
                    )
                continue
            self.offsets[f.table], sizes[f.table] = total, f.size
            total += f.size
        self.table = nn.Embedding(total, dim)
        nn.init.normal_(self.table.weight, std=std) if std else nn.init.zeros_(self.table.weight)
        with torch.no_grad():
            for f in self.fields:
                if f.vocabulary is not None:
                    self.table.weight[self.offsets[f.table] + UNSEEN] = 0
        segments = [k for k, f in enumerate(self.fields) for _ in range(f.length)]
        self.register_buffer("segments", torch.tensor(segments), persistent=False)  # (N,) field of each feature
        first = torch.tensor([self.offsets[f.table] for f in self.fields])
        self.register_buffer("first", first, persistent=False)  # (F,) first row of each field's table
        self._runs = _runs(self.fields)
        self._has_bags = any(f.is_bag for f in self.fields)
        self._has_values = any(f.kind != "categorical" for f in self.fields)  # x_i other than 1

    def row(self, name: str, value: int = 0) -> int:
        """The row of the table that holds value number ``value`` of a field (0 for a numeric field)."""
        f = next(f for f in self.fields if f.name == name)
        return self.offsets[f.table] + value

    def active(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """The design matrix's non-zero entries: row numbers (B, N) int64 and values x (B, N); padding has x = 0."""
        check_columns(self.fields, rows)
        index, value = [], []
        first, B, dtype = self.get_buffer("first"), rows.ids.shape[0], self.table.weight.dtype
        c = m = 0  # columns of ids and numbers that are read
        for kind, start, stop in self._runs:
            n, offset = stop - start, first[start:stop]
            if kind == "categorical":
                index.append(rows.ids[:, c : c + n] + offset)  # (B, n) int64
                value.append(rows.numeric.new_ones((), dtype=dtype).expand(B, n))
                c += n
            elif kind == "numeric":
                index.append(offset.expand(B, n))
                value.append(rows.numeric[:, m : m + n].to(dtype))
                m += n
            else:
                bag = rows.bags[self.fields[start].name]
                mask = (bag != PADDING).to(dtype)
                index.append(bag.clamp(min=0) + offset)
                value.append(mask / mask.sum(1, keepdim=True).clamp(min=1))
        return torch.cat(index, 1), torch.cat(value, 1)

    def look_up(self, index: Tensor) -> Tensor:
        """Rows (…, d) of the table by number. A single column is read as a vector: its gradient is added up faster.

        Not so a table whose rows lie in several processes, a ``DTensor``: there only the module's call knows where.
        """
        if self.dim == 1 and not self.table.sparse and not hasattr(self.table.weight, "full_tensor"):
            return self.table.weight[:, 0][index].unsqueeze(-1)
        return self.table(index)

    def expand(self, rows: Rows) -> Tensor:
        """x_i v_i of every active feature, (B, N, d); zero rows where a bag is padded."""
        index, value = self.active(rows)
        vectors = self.look_up(index)
        return vectors * value.unsqueeze(-1) if self._has_values else vectors  # (B, N, d)

    def pool(self, expanded: Tensor) -> Tensor:
        """Sum over the features of each field: (B, N, d) -> (B, F, d)."""
        if not self._has_bags:
            return expanded
        out = expanded.new_zeros(expanded.shape[0], len(self.fields), expanded.shape[2])
        return out.index_add(1, self.get_buffer("segments"), expanded)  # (B, F, d)

    def forward(self, rows: Rows) -> Tensor:
        return self.pool(self.expand(rows))


def _runs(fields: Sequence[Field]) -> list[tuple[str, int, int]]:
    """Neighbouring fields of one kind as (kind, first, behind the last): they are read at once, a bag alone.

    Example:
        >>> from recsys_lite.fields import Vocabulary
        >>> a, b = (Field(n, "categorical", Vocabulary(["x"])) for n in "ab")
        >>> _runs([a, b, Field("n", "numeric")])
        [('categorical', 0, 2), ('numeric', 2, 3)]
    """
    runs: list[tuple[str, int, int]] = []
    for k, f in enumerate(fields):
        if runs and runs[-1][0] == f.kind and not f.is_bag:
            runs[-1] = (f.kind, runs[-1][1], k + 1)
        else:
            runs.append((f.kind, k, k + 1))
    return runs


class SizedEmbedding(nn.Module):
    """Embeddings whose length differs from field to field, one fused table for each length.

    Args:
        fields: the columns, in the order of the output.
        sizes: field name -> length. A history that looks in its item's rows must have the item's length.
        std: rows start as N(0, std²). Default 0.01.

    Shapes: rows -> (B, sum of the lengths), field after field.

    Raises:
        ValueError: for a field without a length, a name that is no field, a length below 1, or a history whose length
            is not that of its item.

    Source: Wang et al., DCN V2, WWW 2021, section 3.1, and GDCN, CIKM 2023, section 3.4: cross networks do not need
    vectors of one length. Derived in the chapter *DCN V2*.

    Example:
        >>> from recsys_lite.fields import Vocabulary
        >>> f = [Field(n, "categorical", Vocabulary(["x", "y"])) for n in "ab"]
        >>> SizedEmbedding(f, {"a": 3, "b": 1})(Rows(torch.tensor([[1, 2]]), torch.zeros(1, 0))).shape
        torch.Size([1, 4])
    """

    def __init__(self, fields: Sequence[Field], sizes: Mapping[str, int], std: float = 0.01):
        super().__init__()
        names = [f.name for f in fields]
        if set(names) != set(sizes):
            raise ValueError(f"SizedEmbedding: expected a length for each of {names}, got {dict(sizes)}")
        for f in fields:
            if sizes[f.name] < 1:
                raise ValueError(f"SizedEmbedding: field {f.name!r} has length {sizes[f.name]}, at least 1 is needed")
            if f.table in sizes and sizes[f.table] != sizes[f.name]:
                raise ValueError(
                    f"SizedEmbedding: field {f.name!r} looks in the rows of {f.table!r}, so it needs its length "
                    f"{sizes[f.table]}, not {sizes[f.name]}"
                )
        self.fields = tuple(fields)
        self.sizes = dict(sizes)
        lengths = sorted(set(sizes.values()))
        self.groups = [[f for f in fields if sizes[f.name] == n] for n in lengths]
        self.tables = nn.ModuleList(
            FieldEmbedding(group, dim=n, std=std) for group, n in zip(self.groups, lengths, strict=True)
        )

    def forward(self, rows: Rows) -> Tensor:
        vectors: dict[str, Tensor] = {}
        categorical = [f.name for f in self.fields if f.kind == "categorical"]
        for group, table in zip(self.groups, self.tables, strict=True):
            chosen = [categorical.index(f.name) for f in group if f.kind == "categorical"]
            e = table(Rows(rows.ids[:, chosen], rows.numeric[:, :0], rows.bags))  # (B, fields of the group, length)
            vectors |= {f.name: e[:, k] for k, f in enumerate(group)}
        return torch.cat([vectors[f.name] for f in self.fields], 1)  # (B, sum of lengths)
