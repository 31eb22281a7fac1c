"""Columns and the values that they may take."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pandas.util import hash_array

from .cells import WHOLE, as_array, as_text, real, short, texts, whole

Kind = Literal["categorical", "numeric", "multi_hot", "history"]

UNSEEN = 0  # the row number that every vocabulary reserves for values that training never showed
PADDING = -1  # fills the unused places of a multi-hot or history row; never an embedding row


_BOOLEANS = {"True": True, "true": True, "1": True, "False": False, "false": False, "0": False}


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
        array = as_array(values)
        self.values = np.unique(texts(array) if array.dtype.kind in "OTMmS" else array)  # sorted
        if len(self.values) != len(values):
            raise ValueError(f"vocabulary: {len(values) - len(self.values)} duplicate values")
        if self.values.dtype.kind == "f" and not np.isfinite(self.values).all():
            raise ValueError("vocabulary: a value is NaN or infinite; expected finite numbers, or text")
        self.labels = dict(labels or {})

    @classmethod
    def of_sorted(cls, values: np.ndarray, labels: Mapping[str, str] | None = None) -> Vocabulary:
        """A vocabulary of text that is known to be sorted and without duplicates, such as a memory-mapped file: the
        values are neither read nor copied."""
        vocabulary = cls([], labels)
        vocabulary.values = values
        return vocabulary

    def __len__(self) -> int:
        return len(self.values) + 1

    def __repr__(self) -> str:
        """How many values there are, and the first of them."""
        first = ", ".join(short(str(v), 20) for v in self.values[:3]) + ", …" * (len(self.values) > 3)
        return f"Vocabulary({len(self.values):,} values{': ' * (len(self.values) > 0)}{first})"

    def encode(self, raw: Sequence[Any] | np.ndarray) -> np.ndarray:
        """Row numbers (int32) of raw values; 0 for every value that is not in the vocabulary.

        Equal numbers are equal values, whatever their type: 7, 7.0 and ``"7"``. A number that is not whole is no value
        of a vocabulary of whole numbers, and NaN is the missing category ``""``.
        """
        raw = as_array(raw)
        if len(self.values) == 0 or raw.size == 0:
            return np.zeros(raw.shape, np.int32)
        if raw.dtype != self.values.dtype and {raw.dtype.kind, self.values.dtype.kind} != {"U"}:
            values, possible = self._converted(raw)
        else:
            values, possible = raw, np.ones(raw.shape, bool)
        found = self._found(values)
        left = found == UNSEEN
        if self.values.dtype.kind == "U" and left.any():  # blanks around, or a whole number with ".0" on either side
            cells, where = np.unique(values[left], return_inverse=True)
            bare = [WHOLE.sub("", t.strip()) for t in cells.tolist()]
            rows = self._found(np.array(bare))
            pointed = self._found(np.array([f"{t}.0" if whole(t) is not None else t for t in bare]))
            found[left] = np.where(rows == UNSEEN, pointed, rows)[where]
        return np.where(possible, found, UNSEEN).astype(np.int32)

    def _found(self, values: np.ndarray) -> np.ndarray:
        place = np.searchsorted(self.values, values)
        return np.where(self.values[np.minimum(place, len(self.values) - 1)] == values, place + 1, UNSEEN)

    def _converted(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values in the type of the vocabulary, and which of them it can hold: nothing is cut off or wraps round."""
        kind, dtype = self.values.dtype.kind, self.values.dtype
        if kind == "U":
            return texts(raw), np.ones(raw.shape, bool)
        if kind == raw.dtype.kind == "i":
            return raw, np.ones(raw.shape, bool)  # widths differ, and NumPy compares the wider
        flat = texts(raw).ravel().tolist() if raw.dtype.kind in "MmS" else raw.ravel().tolist()
        values: list[Any]
        if kind in "iu":
            least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
            values = [v if v is not None and least <= v <= most else None for v in map(whole, flat)]
        elif kind == "b":
            values = [_BOOLEANS.get(as_text(v).strip()) for v in flat]
        else:  # a whole number must be the very same; of others the nearest that the type has
            numbers = map(real, flat)
            values = [None if v is None or (v.is_integer() and float(dtype.type(v)) != v) else v for v in numbers]
        filled = np.array([0 if v is None else v for v in values], dtype=dtype).reshape(raw.shape)
        return filled, np.array([v is not None for v in values]).reshape(raw.shape)

    def decode(self, row: int) -> str:
        """The raw value of a row number, as text.

        Raises:
            ValueError: for a number that is no row, such as the padding of a bag.
        """
        if row == UNSEEN:
            return "<unseen>"
        if not 0 < row < len(self):
            raise ValueError(f"vocabulary: no row {row}; rows are numbered from 0 to {len(self) - 1}")
        return str(self.values[row - 1])

    def label(self, row: int) -> str:
        """The readable name of a row number: its label where there is one, its raw value otherwise."""
        raw = self.decode(row)
        return self.labels.get(raw, raw)


class HashedVocabulary(Vocabulary):
    """Rows by hash: a value needs no list, but values that fall into the same bucket share a row.

    Row 0 stays reserved and is never given. A row's value cannot be told from its bucket: ``decode`` gives ``"#17"``.

    Args:
        buckets: rows besides row 0.
        labels: as in :class:`Vocabulary`.

    Raises:
        ValueError: if there is no bucket.

    Example:
        >>> hashed = HashedVocabulary(4)
        >>> hashed.encode(["red", "blue", "red"]).tolist(), len(hashed), hashed.decode(3)
        ([2, 1, 2], 5, '#3')

    Source: Weinberger et al., Feature Hashing for Large Scale Multitask Learning, ICML 2009; the hash is pandas'
    SipHash with its default key.
    """

    def __init__(self, buckets: int, labels: Mapping[str, str] | None = None):
        if buckets < 1:
            raise ValueError(f"hashed vocabulary: expected at least one bucket, got {buckets}")
        self.buckets, self.labels = buckets, dict(labels or {})

    @cached_property
    def values(self) -> np.ndarray:  # type: ignore[override]
        """The buckets' names."""
        return np.array([f"#{k}" for k in range(1, self.buckets + 1)])

    def __len__(self) -> int:
        return self.buckets + 1

    def __repr__(self) -> str:
        return f"HashedVocabulary({self.buckets:,} buckets)"

    def encode(self, raw: Sequence[Any] | np.ndarray) -> np.ndarray:
        text = texts(as_array(raw)).astype(object)
        return (hash_array(text, categorize=False) % np.uint64(self.buckets) + np.uint64(1)).astype(np.int32)


@dataclass(frozen=True, eq=False, repr=False)
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
        scale: of a numeric field, the mean and the standard deviation of the training part that it is standardised by.
        fill: of a numeric field, the raw number that stands for a missing one: the median of the training part.
        separator: of a bag, what stands between its values in text. Default none: its values come as a list.

    Raises:
        ValueError: if the vocabulary or the length does not fit the kind, or a scale is not finite or not above 0.
    """

    name: str
    kind: Kind
    vocabulary: Vocabulary | None = None
    length: int = 1
    table: str = ""
    about: str = ""
    transform: str = ""
    scale: tuple[float, float] | None = None
    fill: float | None = None
    separator: str = ""

    def __post_init__(self) -> None:
        if self.kind not in ("categorical", "numeric", "multi_hot", "history"):
            raise ValueError(f"field {self.name!r}: unknown kind {self.kind!r}")
        if (self.vocabulary is None) != (self.kind == "numeric"):
            need = "has no" if self.kind == "numeric" else "needs a"
            raise ValueError(f"field {self.name!r}: a {self.kind} field {need} vocabulary")
        if self.length < 1 or (self.length > 1 and not self.is_bag):
            raise ValueError(f"field {self.name!r}: length {self.length} does not fit a {self.kind} field")
        if self.scale is not None and not (np.isfinite(self.scale).all() and self.scale[1] > 0):
            raise ValueError(f"field {self.name!r}: expected a finite mean and a deviation above 0, got {self.scale}")
        if not self.table:
            object.__setattr__(self, "table", self.name)

    def __repr__(self) -> str:
        """Name and kind, and what else is not the default."""
        told = [repr(self.name), self.kind]
        told += [f"at most {self.length}"] * self.is_bag
        told += [f"in the table of {self.table!r}"] * (self.table != self.name)
        told += [repr(self.vocabulary)] if self.vocabulary is not None else []
        told += [self.transform] * bool(self.transform)
        told += [f"mean {self.scale[0]:.6g}, sd {self.scale[1]:.6g}"] if self.scale is not None else []
        told += [f"missing {self.fill:.6g}"] if self.fill is not None else []
        return f"Field({', '.join(told)})"

    @property
    def is_bag(self) -> bool:
        """Whether a row holds several values."""
        return self.kind in ("multi_hot", "history")

    @property
    def size(self) -> int:
        """Rows that the field needs in an embedding table: its vocabulary, or one for a number."""
        return 1 if self.vocabulary is None else len(self.vocabulary)


#: what a model calls parts of its own, so that no part of a column may be called so
_OWN = re.compile(r"bias|deep|cross layer \d+|numbers|constant|logit|.* AND .*")


def part_name(field: str) -> str:
    """The name of a field's part of a logit: its own, unless models call a part so, or read it as a pair of fields.

    Example:
        >>> part_name("age"), part_name("bias"), part_name("a × b")
        ('age', 'bias (column)', 'a×b')
    """
    name = field.replace(" × ", "×")
    return f"{name} (column)" if _OWN.fullmatch(name) else name


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
