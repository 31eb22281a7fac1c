"""The one way from raw cells to tensors: what training does to a row is done to every later row, or it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .cells import LARGEST, MANY, NUMBER, Finding, TableError, as_text, column_text, list_texts
from .column import Field, HashedVocabulary, Vocabulary
from .rows import Rows, pad

Bad = list[tuple[int, str]]  # (place, what is wrong)
NOTHING = "0 in every row, since training showed no number"  # the transform of such a numeric field


@dataclass(frozen=True)
class Encoder:
    """Fields, and with them all that turns raw rows into tensors: vocabularies, scales, medians, lengths.

    Args:
        fields: the columns, in order.

    Example:
        >>> number = Field("n", "numeric", scale=(3.0, 2.0), fill=5.0)
        >>> e = Encoder((number, Field("c", "categorical", Vocabulary(["a", "b"]))))
        >>> rows = e.rows(pd.DataFrame({"c": ["b", "new"], "n": [7, None]}))
        >>> rows.ids.tolist(), rows.numeric.tolist()
        ([[2], [0]], [[2.0], [1.0]])
    """

    fields: tuple[Field, ...]

    def rows(self, table: pd.DataFrame, unit: str = "row") -> Rows:
        """Raw rows as tensors, without labels.

        A value that training never showed is the reserved row 0, a missing category is the missing one if training had
        any, else unseen too, a missing number is the field's ``fill``, and numbers are scaled by the field's ``scale``.
        A history that is too long is cut behind its latest values.

        Args:
            table: a column for each field, of any type; a bag as text with the field's separator, or a list. Other
                columns are not read. Its index numbers the rows in messages.
            unit: what the index counts. Default ``"row"``.

        Raises:
            TableError: naming row and column of all that cannot be encoded: what is no finite number, a missing number
                without a ``fill``, a number beyond 1e30 or so far from the mean that float32 has no room for it, more
                values than the bag holds, a list where one value is expected.
            ValueError: for a column that is not there, or a numeric field whose scale is not known.
        """
        if missing := [f.name for f in self.fields if f.name not in table]:
            raise ValueError(f"table: there is no column {missing[0]!r}; there are {list(map(str, table))}")
        ids, numeric, bags, found = [], [], {}, []
        for f in self.fields:
            made, bad = encode_column(f, table[f.name])
            found += [Finding(what, int(table.index[place]), f.name, unit) for place, what in bad]
            if f.kind == "categorical":
                ids.append(made)
            elif f.kind == "numeric":
                numeric.append(made)
            else:
                bags[f.name] = made
        if found:
            raise TableError(sorted(found, key=lambda f: f.line or 0))
        return joined(len(table), ids, numeric, bags)

    def record(self) -> list[dict[str, Any]]:
        """Plain values, ready for JSON; the vocabulary of a shared table stands once."""
        made: list[dict[str, Any]] = []
        homes: dict[int, str] = {}  # of a vocabulary
        for f in self.fields:
            entry = {k: v for k, v in vars(f).items() if k != "vocabulary" and v not in ("", None)}
            if f.vocabulary is not None:
                home = homes.setdefault(id(f.vocabulary), f.name)
                entry["vocabulary"] = {"of": home} if home != f.name else _vocabulary_record(f.vocabulary)
            made.append(entry)
        return made

    @classmethod
    def of_record(cls, record: Any) -> Encoder:
        """The encoder of :meth:`record`.

        Raises:
            ValueError: for anything else.
        """
        try:
            known: dict[str, Vocabulary] = {}
            fields = []
            for entry in record:
                given = dict(entry)
                if (of := given.pop("vocabulary", None)) is not None:
                    known[given["name"]] = known[of["of"]] if "of" in of else _vocabulary_of(of)
                    given["vocabulary"] = known[given["name"]]
                if "scale" in given:
                    given["scale"] = tuple(map(float, given["scale"]))
                fields.append(Field(**given))
        except (TypeError, KeyError, AttributeError, OverflowError) as error:
            raise ValueError(f"not an encoder of this version: {type(error).__name__}: {error}") from error
        return cls(tuple(fields))


def _vocabulary_record(v: Vocabulary) -> dict[str, Any]:
    if isinstance(v, HashedVocabulary):
        return {"buckets": v.buckets, "labels": v.labels}
    kind = "text" if v.values.dtype.kind == "U" else str(v.values.dtype)
    return {"values": v.values.tolist(), "type": kind, "labels": v.labels}


def _vocabulary_of(record: dict[str, Any]) -> Vocabulary:
    if "buckets" in record:
        return HashedVocabulary(record["buckets"], record["labels"])
    kind = str if record["type"] == "text" else np.dtype(record["type"])
    return Vocabulary(np.array(record["values"], dtype=kind), record["labels"])


def encode_column(f: Field, cells: pd.Series, scaled: bool = False) -> tuple[Tensor, Bad]:
    """A column as the tensor of its field, and what is wrong with it.

    Args:
        f: the field.
        cells: its raw cells, of any type.
        scaled: whether numbers come as the model sees them. Default no.
    """
    if f.kind == "numeric":
        return _numbers(f, cells, scaled)
    return _values(f, cells) if f.kind == "categorical" else _bags(f, cells)


def joined(count: int, ids: Sequence[Tensor], numeric: Sequence[Tensor], bags: dict[str, Tensor]) -> Rows:
    """Rows of their columns."""
    return Rows(
        torch.stack(list(ids), 1) if ids else torch.zeros((count, 0), dtype=torch.int32),
        torch.stack(list(numeric), 1) if numeric else torch.zeros((count, 0)),
        bags,
    )


def _values(f: Field, cells: pd.Series) -> tuple[Tensor, Bad]:
    assert f.vocabulary is not None
    text, bad = column_text(cells)
    if cells.dtype == object:
        several = [k for k, cell in enumerate(cells) if isinstance(cell, (*MANY, dict, bytes))]
        bad = [(k, f"expected one value, got {cells.iloc[k]!r}") for k in several]
    return torch.from_numpy(f.vocabulary.encode(np.array(text, dtype=str))), bad


def _numbers(f: Field, cells: pd.Series, scaled: bool) -> tuple[Tensor, Bad]:
    if f.transform == NOTHING:
        return torch.zeros(len(cells)), []
    if not scaled and f.scale is None and f.transform:
        raise ValueError(f"field {f.name!r}: raw numbers cannot be encoded; the scale of {f.transform!r} is not known")
    x, empty, bad = raw_numbers(cells)
    mean, sd = f.scale if f.scale is not None else (0.0, 1.0)
    if f.fill is None:
        bad += [(int(k), f"expected a finite number, got {cells.iloc[k]!r}") for k in np.flatnonzero(empty)]
    with np.errstate(over="ignore", invalid="ignore"):
        z = x if scaled else (x - mean) / sd
        z = np.where(empty, ((f.fill or 0.0) - mean) / sd, z).astype(np.float32)
    wrong = {k for k, _ in bad}
    for k in np.flatnonzero(~np.isfinite(z) | (np.zeros(len(x), bool) if scaled else np.abs(x) > LARGEST)).tolist():
        if k not in wrong:
            far = f"too far from the training part's mean, {mean:.3g}"
            bad.append((k, f"{x[k]:.6g} is {far if abs(x[k]) <= LARGEST else f'too large; at most {LARGEST:g}'}"))
    return torch.from_numpy(z), bad


def raw_numbers(cells: pd.Series) -> tuple[np.ndarray, np.ndarray, Bad]:
    """(B,) float64, (B,) whether a cell is empty, and what is wrong with the others."""
    dtype = cells.dtype
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype) and dtype.kind != "c":
        x = cells.to_numpy(np.float64, na_value=np.nan)
        empty, good = np.isnan(x), ~np.isinf(x)
    else:
        text = pd.Series(column_text(cells)[0], dtype=object).astype(str)
        empty = (text == "").to_numpy()
        good = (text.str.fullmatch(NUMBER) | empty).to_numpy(bool)
        if pd.api.types.is_object_dtype(dtype):  # a list of one number is no number
            single = np.array([not isinstance(cell, (*MANY, dict, bytes)) for cell in cells], dtype=bool)
            empty, good = empty & single, good & single
        x = text.where(good & ~empty, "nan").to_numpy(str).astype(np.float64)
    bad = []
    for k in np.flatnonzero(~good & ~empty).tolist():
        cell = cells.iloc[k]
        finite = str(cell).lower().lstrip("+-") in ("nan", "inf", "infinity")
        bad.append((k, f"expected a {'finite ' * finite}number, got {cell!r}"))
    return np.where(good, x, 0.0), empty, bad


def _bags(f: Field, cells: pd.Series) -> tuple[Tensor, Bad]:
    assert f.vocabulary is not None
    made, bad = [], []
    for k, cell in enumerate(cells):
        if isinstance(cell, MANY):
            values = list_texts(cell)
        elif f.separator and not isinstance(cell, (dict, bytes)):
            values = [t for t in (v.strip() for v in as_text(cell).split(f.separator)) if t]
        else:
            values = []
            bad.append((k, f"expected a list of values, got {cell!r}"))
        if f.kind == "multi_hot":  # a set holds a value once
            values = list(dict.fromkeys(values))
            if len(values) > f.length:
                bad.append((k, f"{len(values)} values, expected at most {f.length}"))
        made.append(values[: f.length])
    flat = f.vocabulary.encode(np.array([v for values in made for v in values], dtype=str))
    ends = np.cumsum([len(values) for values in made])
    return pad(np.split(flat, ends[:-1]) if made else [], f.length), bad
