"""The text of a table: bytes of a CSV file -> named columns of text, or a list of what is wrong and where."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd

from ..fields import Field
from ..fields.cells import NUMBER, SHOWN, Finding, TableError, column_names, column_text, short

__all__ = ["BOM", "NUMBER", "SEPARATORS", "SHOWN", "Finding", "Limits", "TableError", "as_cells", "read", "short"]

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
GZIP = b"\x1f\x8b"  # the first bytes of a file that is compressed
BAG = "|"  # between the values of a bag
BagSeparator: TypeAlias = str | Mapping[str, str]  # of all bags, or column -> its own
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Limits:
    """How large a table may be; 1 MB is 1,000,000 bytes."""

    megabytes: float
    rows: int
    columns: int

    def __str__(self) -> str:
        return f"{self.megabytes:g} MB, {self.rows:,} rows and {self.columns} columns"


def read(
    data: bytes, separator: str = "", limits: Limits | None = None, *, names: Sequence[str] = (), least: int = 2
) -> pd.DataFrame:
    """The cells of a CSV file as text, without blanks around them; empty lines are left out.

    Args:
        data: UTF-8, with or without a byte order mark, or that compressed by gzip; cells with separators or line ends
            in them stand in double quotes. The first line names the columns, unless ``names`` does.
        separator: ``,`` ``;`` ``|`` or a tab; by default the one that the first line holds most often.
        limits: the largest size that is taken, uncompressed. Default: any.
        names: of the columns of a file without a header. Default: the first line.
        least: how many columns there must be. Default 2.

    Returns:
        a column of text per column; the index is the line of the file on which the row starts (the header is line 1).

    Raises:
        TableError: with all that is wrong, each with its line and, where it is known, its column. ValueError: for an
            unknown separator.

    Example:
        >>> read(b"age;taken\\n31;1\\n").to_dict("index")
        {2: {'age': '31', 'taken': '1'}}
        >>> read(b"31|1\\n", names=["age", "taken"]).to_dict("index")
        {1: {'age': '31', 'taken': '1'}}
    """
    text = _decoded(data, limits)
    separator = separator or _separator(text)
    if separator not in SEPARATORS:
        raise ValueError(f"separator must be one of {list(SEPARATORS)}, got {separator!r}")
    header = [str(name).strip() for name in names]
    rows, lines, first = [], [], 1
    wrong = _header(header, None, separator, limits, least) if header else []
    reader, start = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            if not any(c.strip() for c in cells) and len(cells) < 2:
                continue
            cells = [c.strip() for c in cells]
            if not header:
                header, first = cells, line
                wrong = _header(header, line, separator, limits, least)
            elif len(cells) != len(header):
                there = f"there are {len(header)} names" if names else f"the header has {len(header)}"
                wrong.append(Finding(f"{_cells(len(cells))}, but {there}", line))
            else:
                rows.append(cells)
                lines.append(line)
            if limits is not None and len(rows) > limits.rows:
                raise TableError([*wrong, Finding(f"more than {limits.rows:,} rows; at most these are taken")])
    except csv.Error:
        wrong.append(Finding("a quotation mark is not closed, or text follows the closing one", start))
    if not rows and not wrong:
        wrong.append(Finding("there is a header, but no row below it", first))
    if wrong:
        raise TableError(wrong)
    return pd.DataFrame(rows, columns=header, index=pd.Index(lines, name="line"), dtype=str)


def separator_of(bag_separator: BagSeparator, column: str) -> str:
    """What stands between the values of a bag, ``|`` for a column that is not named.

    Raises:
        ValueError: for an empty one.
    """
    found = bag_separator if isinstance(bag_separator, str) else bag_separator.get(column, BAG)
    if not found:
        raise ValueError(f"bag_separator: that of column {column!r} is empty; expected such as '|' or ','")
    return found


def as_cells(frame: pd.DataFrame, bag_separator: BagSeparator = BAG) -> pd.DataFrame:
    """Any DataFrame as a table of text, as :func:`read` gives it: missing cells are empty, lists have ``|`` between.

    The index of what ``read`` gives counts lines of the file; any other one is left out, and rows count from 0.

    Raises:
        TableError: for a cell that has no text. ValueError: for something else than a DataFrame, or names that repeat.

    Example:
        >>> as_cells(pd.DataFrame({"id": [7, None], "tags": [["a", "b"], None]})).to_dict("list")
        {'id': ['7', ''], 'tags': ['a|b', '']}
    """
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"table: expected a DataFrame, got {type(frame).__name__}")
    frame = numbered(frame)
    index, made, found = frame.index, {}, []
    for k, name in enumerate(column_names(list(frame.columns))):
        made[name], bad = column_text(frame.iloc[:, k], separator_of(bag_separator, name))
        found += [Finding(what, int(index[place]), name, str(index.name)) for place, what in bad]
    if found:
        raise TableError(found)
    return pd.DataFrame(made, columns=list(made), index=index, dtype=str)


def rows_of(table: pd.DataFrame | Sequence[Mapping[str, Any]], fields: Sequence[Field]) -> pd.DataFrame:
    """A DataFrame, or a list of dicts, as a table of raw cells whose rows count from 0; all fields are there.

    Raises:
        ValueError: for something else, names that repeat, or a field that is missing, naming row and column.
    """
    if isinstance(table, pd.DataFrame):
        return numbered(table).set_axis(column_names(list(table.columns)), axis=1)
    if isinstance(table, (str, bytes, Mapping)) or not isinstance(table, Sequence):
        raise ValueError(f"table: expected a file, a DataFrame or a list of dicts, got {type(table).__name__}")
    found = []
    for k, row in enumerate(table):
        if not isinstance(row, Mapping):
            raise ValueError(f"table: row {k} is a {type(row).__name__}, expected a dict of column and value")
        found += [Finding("there is no value", k, f.name, "row") for f in fields if f.name not in row]
    if found:
        raise TableError(found)
    made = {f.name: pd.Series([row[f.name] for row in table], dtype=object) for f in fields}
    return pd.DataFrame(made, index=pd.RangeIndex(len(table)))


def numbered(frame: pd.DataFrame) -> pd.DataFrame:
    """A DataFrame whose index counts the lines of the file that :func:`read` read, or else its rows from 0."""
    if frame.index.name == "line" and frame.index.is_unique and pd.api.types.is_integer_dtype(frame.index):
        return frame
    return frame.set_axis(pd.RangeIndex(len(frame), name="row"), axis=0)


def _cells(count: int) -> str:
    return f"{count} cell{'s' if count != 1 else ''}"


def _decoded(data: bytes, limits: Limits | None) -> str:
    most = None if limits is None else int(limits.megabytes * 1e6)
    if data.startswith(GZIP):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(-1 if most is None else most + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise TableError([Finding(f"the compressed file is damaged or cut off: {error}")]) from None
    if limits is not None and len(data) > limits.megabytes * 1e6:
        raise TableError([Finding(f"the file has {len(data) / 1e6:.1f} MB; at most {limits.megabytes:g} MB are taken")])
    body = data.removeprefix(BOM)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        place, line = error.start + len(data) - len(body), body[: error.start].count(b"\n") + 1
        what = f"byte {place + 1:,} of the file (0x{data[place]:02x}) is not UTF-8; save the file as CSV in UTF-8"
        raise TableError([Finding(what, line)]) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise TableError([Finding("a byte 0: this is no text file; save it as CSV in UTF-8", line)])
    if not text.strip():
        raise TableError([Finding("the file is empty")])
    return text


def _separator(text: str) -> str:
    """The separator that the first line holds most often outside of quotes."""
    line = re.sub(r'"[^"]*"', "", text.lstrip().split("\n", 1)[0])
    return max(SEPARATORS, key=line.count)


def _header(
    names: list[str], line: int | None, separator: str, limits: Limits | None, least: int
) -> list[Finding]:  # fmt: skip
    """What is wrong with the names of the columns."""
    if len(names) < least:
        what = f"only one column, {short(names[0])}; the columns should be separated by {SEPARATORS[separator]}s"
        return [Finding(what, line)]
    if limits is not None and len(names) > limits.columns:
        return [Finding(f"{len(names)} columns; at most {limits.columns} are taken", line)]
    if line is not None and all(re.fullmatch(NUMBER, name) for name in names if name):
        return [Finding("only numbers; the first line should name the columns", line)]
    wrong = [Finding(f"column {k} has no name", line) for k, name in enumerate(names, 1) if not name]
    for name in dict.fromkeys(n for n in names if n):
        places = [str(k) for k, other in enumerate(names, 1) if other == name]
        if len(places) > 1:
            wrong.append(Finding(f"the name {short(name)} stands on columns {' and '.join(places)}", line))
    return wrong
