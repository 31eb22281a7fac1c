"""What the columns of a text are: formats, the schema of a CSV file, and what is wrong with one."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from . import criteo
from .table_text import BOM, SEPARATORS

#: format -> what a line of it is
FORMATS = {
    "criteo": "label, 13 counts and 26 categories between tabs, no header",
    "csv": "any table with a header; a schema says what each column is",
    "libfm": "label and as many index:1 on each line; the k-th one is the category xk",
    "libsvm": "label and index:value, counted from 1; index k is the number xk, 0 where it is left out",
}
KINDS = ("categorical", "numeric", "label", "group", "ignore")
TRANSFORMS = ("log", "none")
LONGEST = 100  # bytes of a value of a vocabulary
MOST_FEATURES = 1000  # of libsvm: its rows become dense
EMPTY = (b"\n", b"\r\n")
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)


@dataclass(frozen=True)
class Column:
    """A column of the text that is read.

    Args:
        name, kind: of :data:`KINDS`, never "ignore".
        min_count: least count in the training part that gives a category a row of its own.
        hash: buckets, if a category is hashed; 0 for a vocabulary.
        transform: of a number, of :data:`TRANSFORMS`, before it is standardised.
    """

    name: str
    kind: str
    min_count: int = 2
    hash: int = 0
    transform: str = "log"


@dataclass(frozen=True)
class Layout:
    """How lines become columns: the format, all columns of a line by name, those that are read, what is between."""

    format: str
    names: tuple[str, ...]
    columns: tuple[Column, ...]
    separator: str

    def of(self, *kinds: str) -> list[Column]:
        return [c for c in self.columns if c.kind in kinds]


def layout(
    file: Path, format: str, schema: Mapping[str, Any] | None, min_count: int, hash: int, separator: str, features: int
) -> Layout:
    """The layout of a file, from its first line and what the user says of it; see :mod:`recsys_lite.data.prepare`."""
    if format not in FORMATS:
        raise ValueError(f"unknown format {format!r}; there are {list(FORMATS)}")
    if (schema is None) == (format == "csv"):
        raise ValueError(f"format {format!r} {'needs a' if schema is None else 'takes no'} schema")
    if min_count < 1 or hash < 0:
        raise ValueError(f"min_count must be at least 1 and hash at least 0, got {min_count} and {hash}")
    label = Column("label", "label")
    if format == "criteo":
        columns = [label, *(Column(n, "numeric") for n in criteo.NUMERIC)]
        columns += [Column(n, "categorical", min_count, hash) for n in criteo.CATEGORICAL]
        return Layout(format, tuple(criteo.COLUMNS), tuple(columns), "\t")
    try:
        with open_bytes(file) as source:
            first = next((line for line in source if line not in EMPTY), b"").removeprefix(BOM).decode()
    except (UnicodeDecodeError, *DAMAGED) as error:
        raise ValueError(f"{file.name}, first line: {error}") from None
    if not first.strip():
        raise ValueError(f"{file.name} is empty")
    if format == "csv":
        separator = separator or max(SEPARATORS, key=first.count)
        if separator not in SEPARATORS:
            raise ValueError(f"separator must be one of {list(SEPARATORS)}, got {separator!r}")
        names = [name.strip() for name in next(csv.reader([first], delimiter=separator))]
        if len(set(names)) < len(names):
            raise ValueError(f"{file.name}, line 1: column names repeat: {names}")
        return Layout(format, tuple(names), _columns(schema or {}, names, min_count, hash), separator)
    if format == "libfm":
        names = [f"x{k}" for k in range(1, len(first.split()))]
        columns = [label, *(Column(n, "categorical", min_count, hash) for n in names)]
    else:
        if not 1 <= features <= MOST_FEATURES:
            raise ValueError(f"libsvm: give features, the largest index, from 1 to {MOST_FEATURES}; got {features}")
        columns = [label, *(Column(f"x{k}", "numeric", transform="none") for k in range(1, features + 1))]
    return Layout(format, tuple(c.name for c in columns), tuple(columns), " ")


def _columns(schema: Mapping[str, Any], names: list[str], min_count: int, hash: int) -> tuple[Column, ...]:
    columns = []
    for name, given in schema.items():
        said = {"kind": given} if isinstance(given, str) else given
        if name not in names:
            raise ValueError(f"schema: there is no column {name!r}; there are {names}")
        if not isinstance(said, Mapping) or said.get("kind") not in KINDS:
            raise ValueError(f"schema: column {name!r} needs a kind of {list(KINDS)}, got {given!r}")
        kind = said["kind"]
        takes = {"categorical": {"min_count", "hash"}, "numeric": {"transform"}}.get(kind, set())
        if unknown := sorted(set(said) - takes - {"kind"}):
            raise ValueError(f"schema: column {name!r}: a {kind} column takes no {unknown[0]!r}")
        column = Column(name, **{"min_count": min_count, "hash": hash if kind == "categorical" else 0, **said})
        whole = all(type(n) is int for n in (column.min_count, column.hash))
        if not whole or column.min_count < 1 or column.hash < 0 or column.transform not in TRANSFORMS:
            what = f"min_count from 1, hash from 0 and transform of {TRANSFORMS}"
            raise ValueError(f"schema: column {name!r}: expected {what}, got {given!r}")
        columns.append(column)
    if (labels := sum(c.kind == "label" for c in columns)) != 1 or sum(c.kind == "group" for c in columns) > 1:
        raise ValueError(f"schema: one column is the label and at most one the group; got {labels} labels")
    if not any(c.kind in ("categorical", "numeric") for c in columns):
        raise ValueError("schema: no column is left for the models to read")
    return tuple(c for c in columns if c.kind != "ignore")


def open_bytes(file: Path) -> IO[bytes]:
    """The bytes of a text file, unpacked if its name ends in ``.gz``."""
    return gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb")  # type: ignore[return-value]
