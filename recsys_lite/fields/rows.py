"""Encoded examples, and what can be done with them knowing their columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .column import PADDING, Field, find_field


@dataclass(repr=False)
class Rows:
    """Encoded examples. B rows; C categorical, M numeric fields; each bag padded to its own length L with -1.

    Args:
        ids: (B, C) int32, a column per categorical field, in the order of the fields.
        numeric: (B, M) float32, a column per numeric field.
        bags: name -> (B, L) int32 for each multi-hot or history field.
        label: (B,) float32, 0 or 1.
        group: (B,) int32, who the row belongs to (the user), for per-user metrics; -1 if nobody.
        weight: (B,) float32 of at least 0, how much the row counts in training; None if all count alike.
    """

    ids: Tensor
    numeric: Tensor
    bags: dict[str, Tensor] = field(default_factory=dict)
    label: Tensor | None = None
    group: Tensor | None = None
    weight: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: Any) -> Rows:
        """The rows of an index (int, slice, tensor or list), always as ``Rows``; an int gives one row."""
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"row {index} of {len(self)}")
            index = slice(index, index + 1 or None)
        return self._each(lambda tensor: tensor[index])

    def to(self, device: str | torch.device, *, pinned: bool = False) -> Rows:
        """The rows on a device; those that lie there already are not copied.

        Args:
            device: of all tensors.
            pinned: whether the copy to CUDA goes through page-locked memory and does not wait: for batches. Default
                no: for rows that are moved once.
        """
        pinned = pinned and torch.device(device).type == "cuda" and self.ids.device.type == "cpu"
        return self._each(lambda t: t.pin_memory().to(device, non_blocking=True) if pinned else t.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Rows:
        """What a change makes of every tensor."""
        some = lambda tensor: None if tensor is None else change(tensor)  # noqa: E731
        bags = {name: change(bag) for name, bag in self.bags.items()}
        return Rows(
            change(self.ids), change(self.numeric), bags, some(self.label), some(self.group), some(self.weight)
        )  # fmt: skip

    def __repr__(self) -> str:
        """How many rows there are, and of what; short tensors themselves."""
        if len(self) * (self.ids.shape[1] + self.numeric.shape[1]) <= 4 and not self.bags:
            parts = [f"ids={self.ids}", f"numeric={self.numeric}", "bags={}"]
        else:
            parts = [f"{len(self):,} rows", f"ids {tuple(self.ids.shape)}", f"numeric {tuple(self.numeric.shape)}"]
            parts += [f"bags {', '.join(f'{n} {tuple(b.shape)}' for n, b in self.bags.items())}"] * bool(self.bags)
        named = [name for name in ("label", "group", "weight") if getattr(self, name) is not None]
        return f"Rows({', '.join([*parts, *([' and '.join(named)] if named else [])])})"

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        tensors = [self.ids, self.numeric, *self.bags.values(), self.label, self.group, self.weight]
        return sum(t.nbytes for t in tensors if t is not None)

    def batches(
        self, size: int, *, generator: torch.Generator | None = None, device: str | torch.device | None = None
    ) -> Iterator[Rows]:  # fmt: skip
        """Index slices of ``size`` rows, shuffled if a generator is given. The last batch may be smaller.

        Args:
            size: rows of a batch.
            generator: of the order, one of the CPU: the order is the same wherever the rows lie.
            device: where the batches are needed. Default: where the rows lie.

        Raises:
            ValueError: if ``size`` is below 1.
        """
        if size < 1:
            raise ValueError(f"batch size must be at least 1, got {size}")
        here = self.ids.device
        index: Iterable[Any]
        if generator is None:
            index = (slice(start, start + size) for start in range(0, len(self), size))
        else:
            index = torch.randperm(len(self), generator=generator).to(here).split(size)
        for some in index:
            batch = self[some]
            yield batch if device is None else batch.to(device, pinned=True)


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
        column("weight"),
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
        rows.weight,
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
        Rows(ids=tensor([[2]]), numeric=tensor([[0.5000]]), bags={})
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
    return Rows(ids, numeric, bags, rows.label, rows.group, rows.weight)


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
