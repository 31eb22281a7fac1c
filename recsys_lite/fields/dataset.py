"""Columns with the rows of three parts, and the way from raw records to rows and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .column import PADDING, Field, choose_fields, find_field
from .encoder import encode_column, joined
from .rows import Rows, check_columns, choose_columns

SHOWN = 20  # fields that a data set lists


@dataclass(repr=False)
class Dataset:
    """Fields and the encoded rows of the three parts of one data set, for one task.

    ``train`` fits weights, ``validation`` chooses settings and the epoch to stop, ``test`` is looked at once.

    Args:
        name, task: as given to :func:`recsys_lite.data.load`.
        fields: the columns, in a fixed order.
        train, validation, test: the rows.
        about: how labels, negatives and split were made, in words, with counts and hashes (shown under figures).
        extras: what only this data set has (the films' titles, for example).
        checked: whether the values were checked when they were written, so that opening need not read them all.
            Default False: labels and numbers are looked at here.
    """

    name: str
    task: str
    fields: tuple[Field, ...]
    train: Rows
    validation: Rows
    test: Rows
    about: dict[str, Any] = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)
    checked: bool = False

    def __post_init__(self) -> None:
        names = [f.name for f in self.fields]
        if len(set(names)) != len(names):
            raise ValueError(f"data set {self.name!r}: field names repeat: {names}")
        for part in ("train", "validation", "test"):
            self._check(part, getattr(self, part))

    def _check(self, part: str, rows: Rows) -> None:
        where = f"data set {self.name!r}, {part}"
        widths = {
            "categorical": sum(f.kind == "categorical" for f in self.fields),
            "numeric": sum(f.kind == "numeric" for f in self.fields),
        }
        if rows.ids.shape[1] != widths["categorical"] or rows.numeric.shape[1] != widths["numeric"]:
            raise ValueError(
                f"{where}: expected {widths['categorical']} categorical and {widths['numeric']} numeric columns, "
                f"got {rows.ids.shape[1]} and {rows.numeric.shape[1]}"
            )
        bags = {f.name for f in self.fields if f.is_bag}
        if set(rows.bags) != bags:
            raise ValueError(f"{where}: expected bags {sorted(bags)}, got {sorted(rows.bags)}")
        check_columns(self.fields, rows, where)
        self._check_shapes(where, rows)
        if rows.label is None or (not self.checked and rows.label.isnan().any()):
            raise ValueError(f"{where}: labels are missing or NaN")
        if self.checked:
            return
        if not ((rows.label == 0) | (rows.label == 1)).all():
            raise ValueError(f"{where}: labels must be 0 or 1")
        if rows.weight is not None and not (fits := rows.weight.isfinite() & (rows.weight >= 0)).all():
            row = int((~fits).nonzero()[0, 0])
            got = rows.weight[row].item()
            raise ValueError(f"{where}, row {row}: the weight is {got}, expected a finite one of at least 0")
        numeric = [f.name for f in self.fields if f.kind == "numeric"]
        if not (finite := rows.numeric.isfinite()).all():
            row, column = (~finite).nonzero()[0].tolist()
            value = "NaN" if rows.numeric[row, column].isnan() else rows.numeric[row, column].item()
            raise ValueError(f"{where}, row {row}: the number of {numeric[column]!r} is {value}, expected a finite one")
        categorical = [f for f in self.fields if f.kind == "categorical"]
        columns = list(zip(categorical, rows.ids.T, strict=True))
        for f, ids in columns + [(f, rows.bags[f.name]) for f in self.fields if f.is_bag]:
            least, most = PADDING if f.is_bag else 0, f.size - 1
            if ids.numel() and (ids.min() < least or ids.max() > most):
                row = int(((ids < least) | (ids > most)).nonzero()[0, 0])
                got = ids[row].tolist()
                raise ValueError(f"{where}, row {row}: {f.name!r} holds {got}, expected numbers from {least} to {most}")

    def _check_shapes(self, where: str, rows: Rows) -> None:
        """As many of everything as there are rows, and types that models can read."""
        whole = (torch.int32, torch.int64, torch.int16, torch.uint8, torch.int8)
        tensors = {"ids": rows.ids, "numeric": rows.numeric, "label": rows.label, "group": rows.group}
        tensors |= {"weight": rows.weight}
        for name, tensor in [*tensors.items(), *rows.bags.items()]:  # a bag may be called "label"
            if tensor is None:
                continue
            if len(tensor) != len(rows):
                raise ValueError(f"{where}: {name} has {len(tensor)} rows, ids have {len(rows)}")
            floating = any(tensor is one for one in (rows.numeric, rows.label, rows.weight))
            if floating and tensor.dtype != torch.float32:
                raise ValueError(f"{where}: {name} is {tensor.dtype}, expected torch.float32")
            if not floating and tensor.dtype not in whole:
                raise ValueError(f"{where}: {name} is {tensor.dtype}, expected whole numbers such as torch.int32")

    def field(self, name: str) -> Field:
        """The field of a name.

        Raises:
            ValueError: if there is none, naming those that exist.
        """
        return find_field(self.fields, name)

    def weighted(self, weight: Tensor | np.ndarray | Sequence[float]) -> Dataset:
        """The same data with a weight (N,) of at least 0 for each training row, see :func:`recsys_lite.fit`.

        Raises:
            ValueError: for another number of weights, or one that is negative or not finite.
        """
        made = torch.as_tensor(weight, dtype=torch.float32)
        if made.shape != (len(self.train),):
            raise ValueError(f"weighted: expected {len(self.train)} weights, got shape {tuple(made.shape)}")
        return replace(self, train=replace(self.train, weight=made))

    def __repr__(self) -> str:
        """Name, task, how many rows, and a line for each field."""
        parts = ", ".join(f"{len(getattr(self, p)):,} {p}" for p in ("train", "validation", "test"))
        lines = [f"  {f!r}" for f in self.fields[:SHOWN]]
        if (more := len(self.fields) - SHOWN) > 0:
            lines.append(f"  … and {more} more fields")
        return "\n".join([f"Dataset({self.name!r}, task {self.task!r}: {parts} rows)", *lines])

    def select(self, names: Sequence[str]) -> Dataset:
        """The same rows with only the named fields, in the order given."""
        return replace(
            self,
            fields=choose_fields(self.fields, names),
            train=choose_columns(self.fields, self.train, names),
            validation=choose_columns(self.fields, self.validation, names),
            test=choose_columns(self.fields, self.test, names),
        )

    def drop(self, *names: str) -> Dataset:
        """The same rows without the named fields."""
        for name in names:
            self.field(name)
        return self.select([f.name for f in self.fields if f.name not in names])

    def decode(self, rows: Rows, index: int = 0) -> dict[str, Any]:
        """One row as a person reads it: name -> raw value (a list for bags), the inverse of :meth:`encode`."""
        row = rows[index]
        values: dict[str, Any] = {}
        c = m = 0
        for f in self.fields:
            if f.kind == "categorical":
                values[f.name] = f.vocabulary.decode(int(row.ids[0, c]))  # type: ignore[union-attr]
                c += 1
            elif f.kind == "numeric":
                values[f.name] = float(row.numeric[0, m])
                m += 1
            else:
                ids = row.bags[f.name][0]
                values[f.name] = [f.vocabulary.decode(int(i)) for i in ids[ids != PADDING]]  # type: ignore[union-attr]
        return values

    def encode(self, records: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> Rows:
        """Raw records -> rows without labels. Values that training never showed map to the reserved row.

        Numbers of numeric fields are expected as the model sees them (after the field's ``transform``); a missing one
        becomes the field's ``fill``, where it has one. Raw numbers are encoded by :class:`Encoder`.

        Raises:
            ValueError: naming the record, the field, what was got and what was expected.
        """
        if isinstance(records, Mapping):
            records = [records]
        if not records:
            raise ValueError("encode: no records given")
        known = {f.name for f in self.fields}
        for i, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise ValueError(f"record {i}: expected a mapping from field to value, got {type(record).__name__}")
            if unknown := sorted(set(record) - known):
                raise ValueError(f"record {i}: unknown field {unknown[0]!r}; this data set has {sorted(known)}")
            if missing := [f.name for f in self.fields if f.name not in record]:
                raise ValueError(f"record {i}: field {missing[0]!r} is missing")
        ids, numeric, bags = [], [], {}
        for f in self.fields:
            cells = pd.Series([record[f.name] for record in records], dtype=object)
            made, bad = encode_column(f, cells, scaled=True)
            if f.kind == "categorical" and not f.vocabulary.encode([""])[0]:  # type: ignore[union-attr]
                bad += [(i, "expected one value, got None") for i, cell in enumerate(cells) if cell is None]
            if bad:
                raise ValueError(f"record {bad[0][0]}, field {f.name!r}: {bad[0][1]}")
            if f.kind == "categorical":
                ids.append(made)
            elif f.kind == "numeric":
                numeric.append(made)
            else:
                bags[f.name] = made
        return joined(len(records), ids, numeric, bags)
