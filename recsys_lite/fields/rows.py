"""Encoded examples, and what can be done with them knowing their columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .column import PADDING, Field, find_field


@dataclass
class Rows:
    """Encoded examples. B rows; C categorical, M numeric fields; each bag padded to its own length L with -1.

    Args:
        ids: (B, C) int32, a column per categorical field, in the order of the fields.
        numeric: (B, M) float32, a column per numeric field.
        bags: name -> (B, L) int32 for each multi-hot or history field.
        label: (B,) float32, 0 or 1.
        group: (B,) int32, who the row belongs to (the user), for per-user metrics; -1 if nobody.
    """

    ids: Tensor
    numeric: Tensor
    bags: dict[str, Tensor] = field(default_factory=dict)
    label: Tensor | None = None
    group: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: Any) -> Rows:
        """The rows of an index (int, slice, tensor or list), always as ``Rows``; an int gives one row."""
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"row {index} of {len(self)}")
            index = slice(index, index + 1 or None)
        return Rows(
            self.ids[index],
            self.numeric[index],
            {name: bag[index] for name, bag in self.bags.items()},
            None if self.label is None else self.label[index],
            None if self.group is None else self.group[index],
        )

    def to(self, device: str | torch.device) -> Rows:
        """A copy on a device."""
        move = lambda t: None if t is None else t.to(device)  # noqa: E731
        return Rows(
            self.ids.to(device),
            self.numeric.to(device),
            {name: bag.to(device) for name, bag in self.bags.items()},
            move(self.label),
            move(self.group),
        )

    def batches(self, size: int, *, generator: torch.Generator | None = None) -> Iterator[Rows]:
        """Index slices of ``size`` rows, shuffled if a generator is given. The last batch may be smaller.

        Raises:
            ValueError: if ``size`` is below 1.
        """
        if size < 1:
            raise ValueError(f"batch size must be at least 1, got {size}")
        if generator is None:
            for start in range(0, len(self), size):
                yield self[start : start + size]
            return
        for index in torch.randperm(len(self), generator=generator).split(size):
            yield self[index]


torch.export.register_dataclass(Rows, serialized_type_name="recsys_lite.fields.Rows")  # so that programs take rows


def concatenate(parts: Sequence[Rows]) -> Rows:
    """Rows one below the other. All parts have the same fields."""
    if not parts:
        raise ValueError("concatenate: no rows given")
    column = lambda name: (  # noqa: E731
        None if getattr(parts[0], name) is None else torch.cat([getattr(p, name) for p in parts])
    )
    return Rows(
        torch.cat([p.ids for p in parts]),
        torch.cat([p.numeric for p in parts]),
        {name: torch.cat([p.bags[name] for p in parts]) for name in parts[0].bags},
        column("label"),
        column("group"),
    )


def choose_columns(fields: Sequence[Field], rows: Rows, names: Sequence[str]) -> Rows:
    """Rows of ``fields`` with only the columns of the named ones, in the order given.

    Raises:
        ValueError: for an unknown name, or rows that have not the columns of ``fields``.
    """
    check_columns(fields, rows)
    chosen = [find_field(fields, name) for name in names]
    columns = {k: [f.name for f in fields if f.kind == k] for k in ("categorical", "numeric")}
    pick = lambda kind: [columns[kind].index(f.name) for f in chosen if f.kind == kind]  # noqa: E731
    return Rows(
        rows.ids[:, pick("categorical")],
        rows.numeric[:, pick("numeric")],
        {f.name: rows.bags[f.name] for f in chosen if f.is_bag},
        rows.label,
        rows.group,
    )


def check_columns(fields: Sequence[Field], rows: Rows, where: str = "rows") -> None:
    """Rows that do not have the columns of the fields would be read as those of other fields.

    Args:
        fields: the columns. Where none is categorical or numeric, there may be any of that kind.
        rows: may have more bags.
        where: what the message names.

    Raises:
        ValueError: for another number of categorical or numeric columns, a bag that is missing, or one that is wider
            or narrower than its field's length.

    Example:
        >>> from recsys_lite.fields import Vocabulary
        >>> f = [Field(n, "categorical", Vocabulary(["x"])) for n in ("user", "item")]
        >>> check_columns(f, Rows(torch.tensor([[1]]), torch.zeros(1, 0)))
        Traceback (most recent call last):
        ValueError: rows: expected 2 categorical columns (user, item), got 1
    """
    for kind, got in (("categorical", rows.ids), ("numeric", rows.numeric)):
        names = [f.name for f in fields if f.kind == kind]
        if names and got.shape[1] != len(names):
            listed = ", ".join(names)
            raise ValueError(f"{where}: expected {len(names)} {kind} columns ({listed}), got {got.shape[1]}")
    for f in fields:
        if f.is_bag:
            bag = rows.bags.get(f.name)
            if bag is None or bag.shape[1] != f.length:
                found = "none" if bag is None else f"one of {bag.shape[1]}"
                raise ValueError(f"{where}: expected a bag of {f.length} values of {f.name!r}, got {found}")


def swap(fields: Sequence[Field], rows: Rows, names: Sequence[str], other: Rows) -> Rows:
    """``rows`` with the named fields' values taken from ``other``, row by row; all else stays.

    Args:
        fields: the columns of both, in order.
        names: the fields to take over.
        other: as many rows.

    Raises:
        ValueError: for an unknown field, or another number of rows.

    Example:
        >>> from recsys_lite.fields import Vocabulary
        >>> f = [Field("a", "categorical", Vocabulary(["x", "y"])), Field("n", "numeric")]
        >>> left = Rows(torch.tensor([[1]]), torch.tensor([[0.5]]))
        >>> right = Rows(torch.tensor([[2]]), torch.tensor([[9.0]]))
        >>> swap(f, left, ["a"], right)
        Rows(ids=tensor([[2]]), numeric=tensor([[0.5000]]), bags={}, label=None, group=None)
    """
    if len(rows) != len(other):
        raise ValueError(f"swap: got {len(rows)} and {len(other)} rows, expected as many")
    chosen = [find_field(fields, name) for name in names]
    column = {k: [f.name for f in fields if f.kind == k] for k in ("categorical", "numeric")}
    ids, numeric, bags = rows.ids.clone(), rows.numeric.clone(), dict(rows.bags)
    for f in chosen:
        if f.is_bag:
            bags[f.name] = other.bags[f.name]
            continue
        k = column[f.kind].index(f.name)
        if f.kind == "categorical":
            ids[:, k] = other.ids[:, k]
        else:
            numeric[:, k] = other.numeric[:, k]
    return Rows(ids, numeric, bags, rows.label, rows.group)


def pad(lists: Sequence[Sequence[int] | np.ndarray], length: int) -> Tensor:
    """Lists of row numbers -> (B, length) int32; longer lists are cut, shorter ones filled with -1.

    Example:
        >>> pad([[3], [1, 2, 5]], 2).tolist()
        [[3, -1], [1, 2]]
    """
    out = np.full((len(lists), length), PADDING, np.int32)
    for i, values in enumerate(lists):
        values = np.asarray(values, np.int32)[:length]
        out[i, : len(values)] = values
    return torch.from_numpy(out)
