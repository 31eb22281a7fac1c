"""Text -> typed tables, some lines at a time: Criteo, CSV with a schema, libfm, libsvm. A bad line is named."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv
from sklearn.datasets import load_svmlight_file

from .prepare_layout import DAMAGED, EMPTY, LONGEST, Column, Layout, open_bytes
from .table_schema import LARGEST
from .table_text import NUMBER, short


@dataclass(frozen=True)
class Piece:
    """Some lines without the empty ones; where they start, and where the next piece starts (byte and line)."""

    lines: list[bytes]
    offset: int
    line: int
    next_offset: int
    next_line: int


def pieces(file: Path, at: Layout, size: int, offset: int = 0, line: int = 1) -> Iterator[Piece]:
    """The file from a byte on, which is the start of a line, in pieces of ``size`` lines; a header is left out."""
    lines: list[bytes] = []
    start, number = (offset, line), line
    try:
        with open_bytes(file) as source:
            source.seek(offset)
            header = at.format == "csv" and offset == 0
            for text in source:
                number += 1
                if text in EMPTY:
                    continue
                if header:
                    header, start = False, (source.tell(), number)
                    continue
                lines.append(text)
                if len(lines) == size:
                    yield Piece(lines, *start, source.tell(), number)
                    lines, start = [], (source.tell(), number)
            if lines:
                yield Piece(lines, *start, source.tell(), number)
    except DAMAGED as error:
        raise ValueError(f"{file.name} is damaged or cut off after line {number - 1}: {error}") from None


def parse(file: Path, at: Layout, piece: Piece) -> pa.Table:
    """A piece as a table: numbers and label float64, null where a number is empty; the rest dictionaries of text.

    Raises:
        ValueError: naming file, line and column of the first thing that is wrong.
    """
    try:
        table = _libsvm(at, piece) if at.format == "libsvm" else _separated(at, piece)
        _check(at, table, len(piece.lines))
        return table
    except ValueError as error:  # pyarrow's and scikit-learn's too, which do not name the line
        raise ValueError(_first_wrong(file, at, piece) or f"{file.name}, from line {piece.line} on: {error}") from None


def _separated(at: Layout, piece: Piece) -> pa.Table:
    block = b"".join(line.rstrip() + b"\n" for line in piece.lines) if at.format == "libfm" else b"".join(piece.lines)
    if b"\0" in block:
        raise ValueError("a byte 0")
    types = {c.name: pa.dictionary(pa.int32(), pa.string()) for c in at.columns}
    types |= {c.name: pa.float64() for c in at.of("numeric", "label")}
    table = read_csv(
        pa.BufferReader(block),
        ReadOptions(block_size=len(block) + 1, column_names=at.names),
        ParseOptions(delimiter=at.separator, quote_char='"' if at.format == "csv" else False),
        ConvertOptions(column_types=types, include_columns=list(types), null_values=[""], strings_can_be_null=False),
    ).combine_chunks()
    return _libfm(at, table) if at.format == "libfm" else table


def _libfm(at: Layout, table: pa.Table) -> pa.Table:
    """``index:1`` -> ``index``, and a label of -1 -> 0."""
    done = {"label": _zero_one(table["label"].to_numpy())}
    for c in at.of("categorical"):
        cells = table[c.name].combine_chunks()
        if not pc.all(pc.match_substring_regex(cells.dictionary, r"^\d+:1(\.0*)?$")).as_py():
            raise ValueError("not index:1")
        stripped = pc.replace_substring_regex(cells.dictionary, ":.*", "")
        done[c.name] = pa.DictionaryArray.from_arrays(cells.indices, stripped)
    return pa.table(done)


def _libsvm(at: Layout, piece: Piece) -> pa.Table:
    x, y = load_svmlight_file(io.BytesIO(b"".join(piece.lines)), n_features=len(at.names) - 1, zero_based=False)
    return pa.table({"label": _zero_one(y), **dict(zip(at.names[1:], x.toarray().T, strict=True))})


def _zero_one(label: np.ndarray) -> np.ndarray:
    return np.where(label == -1, 0.0, label)


def _check(at: Layout, table: pa.Table, rows: int) -> None:
    """Whether all is as it should be; what is not is looked for afterwards, line by line."""
    good = table.num_rows == rows
    for c in at.columns:
        cells = table[c.name].combine_chunks()
        if c.kind == "label":
            good &= cells.null_count == 0 and bool(np.isin(cells.to_numpy(), (0, 1)).all())
        elif c.kind == "numeric":
            x = cells.drop_null().to_numpy()
            good &= bool((np.abs(x) <= LARGEST).all())
            good &= at.format != "criteo" or bool((x % 1 == 0).all())
        else:
            most = 8 if at.format == "criteo" else LONGEST
            if not c.hash and len(cells.dictionary):
                good &= pc.max(pc.binary_length(cells.dictionary)).as_py() <= most
            good &= at.format != "criteo" or pc.all(pc.string_is_ascii(cells.dictionary)).as_py() in (True, None)
    if not good:
        raise ValueError("a cell that cannot be read")


def _first_wrong(file: Path, at: Layout, piece: Piece) -> str:
    """What is wrong with the first bad line of a piece, and where."""
    with open_bytes(file) as source:
        source.seek(piece.offset)
        for number, line in enumerate(source, piece.line):
            if line not in EMPTY and (what := _wrong(at, line)):
                return f"{file.name}, line {number}{what}"
            if source.tell() >= piece.next_offset:
                return ""
    return ""


def _wrong(at: Layout, line: bytes) -> str:
    if b"\0" in line:
        return ": a byte 0; this is no text file"
    try:
        text = line.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        return f": not UTF-8 ({error.reason} at byte {error.start + 1})"
    if at.format == "libsvm":
        return _wrong_libsvm(text, len(at.names) - 1)
    if at.format == "csv":
        try:
            cells = next(csv.reader([text], delimiter=at.separator, strict=True))
        except csv.Error:
            return ": a quotation mark is not closed on its line, or text follows the closing one"
    else:
        cells = text.rstrip().split(" ") if at.format == "libfm" else text.split("\t")
    if len(cells) != len(at.names):
        return f": expected {len(at.names)} columns, got {len(cells)}"
    values = dict(zip(at.names, cells, strict=True))
    for c in at.columns:
        if expected := _expected(at, c, values[c.name]):
            return f", column {c.name}: expected {expected}, got {short(values[c.name])}"
    return ""


def _wrong_libsvm(text: str, features: int) -> str:
    label, *pairs = text.split("#")[0].split() or [""]
    if not _is_number(label) or float(label) not in (-1, 0, 1):
        return f", column label: expected 0 or 1, got {short(label)}"
    last = 0
    for pair in pairs:
        index, colon, value = pair.partition(":")
        if not (colon and index.isdigit() and _is_number(value)) or abs(float(value)) > LARGEST:
            return f": expected index:value, got {short(pair)}"
        if not last < int(index) <= features:
            return f": expected indices that rise, from 1 to {features}, got {index} after {last}"
        last = int(index)
    return ""


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(NUMBER, text))


def _expected(at: Layout, c: Column, cell: str) -> str:
    """What a cell should be, if it is not that."""
    number = float(cell) if _is_number(cell.strip()) else None
    if c.kind == "label":
        return "" if number in ((0, 1) if at.format in ("criteo", "csv") else (-1, 0, 1)) else "0 or 1"
    if c.kind == "numeric":
        good = not cell or (
            number is not None and abs(number) <= LARGEST and (at.format != "criteo" or number % 1 == 0)
        )
        return "" if good else "a whole number" if at.format == "criteo" else f"a number up to {LARGEST:g}, or nothing"
    if at.format == "criteo":
        return "" if len(cell) <= 8 and cell.isascii() else "8 hexadecimal digits or nothing"
    if at.format == "libfm" and not re.fullmatch(r"\d+:1(\.0*)?", cell):
        return "index:1"
    return "" if c.hash or len(cell.encode()) <= LONGEST else f"at most {LONGEST} bytes (a longer value can be hashed)"
