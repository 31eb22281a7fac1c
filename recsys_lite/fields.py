"""What a column is: the one contract between data and models.

A *field* is a column of the data as a person names it (``gender``, ``genres``, ``I7``). A *vocabulary* gives every
raw value of a categorical column a row number in an embedding table. *Rows* are the encoded examples: a few
contiguous tensors that can be sliced, batched and fed to any model. Models see fields and rows and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

Kind = Literal["categorical", "numeric", "multi_hot", "history"]

UNSEEN = 0  # the row number that every vocabulary reserves for values that training never showed
PADDING = -1  # fills the unused places of a multi-hot or history row; never an embedding row


class Vocabulary:
    """Raw values of one column, each with its row number; row 0 is reserved for values not seen in training.

    Args:
        values: the known raw values, without duplicates. They are kept sorted, so the same data gives the same rows.
        labels: optional readable name for a raw value (a film's title for its id), used for display only.

    Example:
        >>> colours = Vocabulary(["red", "blue"])
        >>> colours.encode(["blue", "red", "green"]).tolist()
        [1, 2, 0]
        >>> colours.decode(1), colours.decode(0), len(colours)
        ('blue', '<unseen>', 3)
    """

    def __init__(self, values: Sequence[Any] | np.ndarray, labels: Mapping[str, str] | None = None):
        array = np.asarray(values)
        self.values = np.unique(array.astype(str) if array.dtype.kind in "OT" else array)  # sorted
        if len(self.values) != len(values):
            raise ValueError(f"vocabulary: {len(values) - len(self.values)} duplicate values")
        self.labels = dict(labels or {})

    def __len__(self) -> int:
        return len(self.values) + 1

    def encode(self, raw: Sequence[Any] | np.ndarray) -> np.ndarray:
        """Row numbers (int32) of raw values; 0 for every value that is not in the vocabulary."""
        raw = np.asarray(raw)
        if len(self.values) == 0:
            return np.zeros(raw.shape, np.int32)
        if raw.dtype.kind != self.values.dtype.kind:
            raw = raw.astype(str if self.values.dtype.kind == "U" else self.values.dtype.kind)
        place = np.searchsorted(self.values, raw)
        known = self.values[np.minimum(place, len(self.values) - 1)] == raw
        return np.where(known, place + 1, UNSEEN).astype(np.int32)

    def decode(self, row: int) -> str:
        """The raw value of a row number, as text."""
        if row == UNSEEN:
            return "<unseen>"
        return str(self.values[row - 1])

    def label(self, row: int) -> str:
        """The readable name of a row number: its label where there is one, its raw value otherwise."""
        raw = self.decode(row)
        return self.labels.get(raw, raw)


@dataclass(frozen=True, eq=False)
class Field:
    """One column.

    Args:
        name: as a person writes it; unique in a data set.
        kind: ``categorical`` one value of a vocabulary; ``numeric`` one real number, already transformed;
            ``multi_hot`` a set of values, in which n values weigh 1/n each; ``history`` the same for a sequence of
            values, latest first.
        vocabulary: of the raw values; ``None`` for numeric fields.
        length: most values that a multi-hot or history row holds.
        table: the field in whose embedding rows this one looks (a history of films shares the films' rows); its own
            name by default.
        about: one sentence for a reader.
        transform: of a numeric field, in words (``"log(1 + x)"``).

    Raises:
        ValueError: if the vocabulary or the length does not fit the kind.
    """

    name: str
    kind: Kind
    vocabulary: Vocabulary | None = None
    length: int = 1
    table: str = ""
    about: str = ""
    transform: str = ""

    def __post_init__(self) -> None:
        if self.kind not in ("categorical", "numeric", "multi_hot", "history"):
            raise ValueError(f"field {self.name!r}: unknown kind {self.kind!r}")
        if (self.vocabulary is None) != (self.kind == "numeric"):
            need = "has no" if self.kind == "numeric" else "needs a"
            raise ValueError(f"field {self.name!r}: a {self.kind} field {need} vocabulary")
        if self.length < 1 or (self.length > 1 and not self.is_bag):
            raise ValueError(f"field {self.name!r}: length {self.length} does not fit a {self.kind} field")
        if not self.table:
            object.__setattr__(self, "table", self.name)

    @property
    def is_bag(self) -> bool:
        """Whether a row holds several values."""
        return self.kind in ("multi_hot", "history")

    @property
    def size(self) -> int:
        """Rows that the field needs in an embedding table: its vocabulary, or one for a number."""
        return 1 if self.vocabulary is None else len(self.vocabulary)


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
    """

    name: str
    task: str
    fields: tuple[Field, ...]
    train: Rows
    validation: Rows
    test: Rows
    about: dict[str, Any] = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)

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
        if rows.label is None or rows.label.isnan().any():
            raise ValueError(f"{where}: labels are missing or NaN")
        if not ((rows.label == 0) | (rows.label == 1)).all():
            raise ValueError(f"{where}: labels must be 0 or 1")
        if rows.numeric.isnan().any():
            raise ValueError(f"{where}: a numeric column holds NaN")

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


def find_field(fields: Sequence[Field], name: str) -> Field:
    """The field of a name among fields; a ``ValueError`` names those that exist."""
    for f in fields:
        if f.name == name:
            return f
    raise ValueError(f"unknown field {name!r}; there are {[f.name for f in fields]}")


def choose_fields(fields: Sequence[Field], names: Sequence[str]) -> tuple[Field, ...]:
    """The named fields, in the order given; a history whose item's field is not among them gets rows of its own."""
    chosen = [find_field(fields, name) for name in names]
    return tuple(replace(f, table=f.table if f.table in names else f.name) for f in chosen)


def choose_columns(fields: Sequence[Field], rows: Rows, names: Sequence[str]) -> Rows:
    """Rows of ``fields`` with only the columns of the named ones, in the order given."""
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


def swap(fields: Sequence[Field], rows: Rows, names: Sequence[str], other: Rows) -> Rows:
    """``rows`` with the named fields' values taken from ``other``, row by row; all else stays.

    Args:
        fields: the columns of both, in order.
        names: the fields to take over.
        other: as many rows.

    Raises:
        ValueError: for an unknown field, or another number of rows.

    Example:
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
        return [str(v) for v in value]
    if value is None or (isinstance(value, (Sequence, Mapping, set)) and not isinstance(value, str)):
        raise ValueError(f"{where}: expected one value, got {value!r}")
    return str(value)
