"""Columns with the rows of three parts, and the way from raw records to rows and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from .column import PADDING, Field, as_text, choose_fields, find_field
from .rows import Rows, check_columns, choose_columns, pad


@dataclass
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
        for name, tensor in {**tensors, **rows.bags}.items():
            if tensor is None:
                continue
            if len(tensor) != len(rows):
                raise ValueError(f"{where}: {name} has {len(tensor)} rows, ids have {len(rows)}")
            floating = name in ("numeric", "label") and name not in rows.bags
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

        Numbers of numeric fields are expected as the model sees them (after the field's ``transform``).

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
            column = [_checked(f, record[f.name], i) for i, record in enumerate(records)]
            if f.kind == "numeric":
                numeric.append(torch.tensor(column, dtype=torch.float32))
            elif f.kind == "categorical":
                ids.append(torch.from_numpy(f.vocabulary.encode(column)))  # type: ignore[union-attr]
            else:
                bags[f.name] = pad([f.vocabulary.encode(v) if v else [] for v in column], f.length)  # type: ignore[union-attr]
        B = len(records)
        return Rows(
            torch.stack(ids, 1) if ids else torch.zeros((B, 0), dtype=torch.int32),
            torch.stack(numeric, 1) if numeric else torch.zeros((B, 0)),
            bags,
        )


def _checked(f: Field, value: Any, record: int) -> Any:
    """A raw value that fits its field, or a ValueError that says what was expected."""
    where = f"record {record}, field {f.name!r}"
    if f.kind == "numeric":
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            raise ValueError(f"{where}: expected a number, got {value!r}")
        if not np.isfinite(value):
            raise ValueError(f"{where}: expected a finite number, got {value!r}")
        return float(value)
    if f.is_bag:
        if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, set, frozenset)):
            raise ValueError(f"{where}: expected a list of values, got {value!r}")
        values = [as_text(v) for v in value]
        return list(dict.fromkeys(values)) if f.kind == "multi_hot" else values  # a set holds a value once
    if value is None or (isinstance(value, (Sequence, Mapping, set)) and not isinstance(value, str)):
        raise ValueError(f"{where}: expected one value, got {value!r}")
    return as_text(value)
