"""Delimited text as tables of text, and columns of numbers in it; what does not fit is named by file and row."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd


def read_table(
    data: bytes,
    file: str,
    sep: str,
    columns: Sequence[str],
    width: int,
    header: bool = False,
    encoding: str = "latin-1",
) -> pd.DataFrame:
    r"""The first columns of a delimited file as text; every row must have ``width`` columns.

    Args:
        data: the file's bytes; lines may end in ``\n`` or ``\r\n``.
        file: its name, for messages.
        sep: between two columns; quotes have no meaning.
        columns: names of the first columns.
        width: how many columns a row has, those without a name too.
        header: whether the first line names the columns. It is left out, and rows are numbered from 1 after it.

    Raises:
        ValueError: naming file and row.

    Example:
        >>> read_table(b"1::5::x\n", "f", "::", ["user", "item"], 3).to_dict("list")
        {'user': ['1'], 'item': ['5']}
    """
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"{file}, line {line}: byte 0x{data[error.start]:02x} is not {encoding}") from None
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")[header:]
    if not any(lines):
        raise ValueError(f"{file} is empty" if not header else f"{file} holds no rows")
    rows = [line.split(sep) for line in lines]
    for k, row in enumerate(rows, 1):
        if len(row) != width:
            raise ValueError(f"{file}, row {k}: expected {width} columns ({', '.join(columns)}...), got {len(row)}")
    return pd.DataFrame([row[: len(columns)] for row in rows], columns=list(columns), dtype=str)


def whole_numbers(table: pd.DataFrame, column: str, file: str, low: int, high: int) -> pd.Series:
    """A column of text as whole numbers from ``low`` to ``high``.

    Raises:
        ValueError: naming file and row of the first that is none.
    """
    values = pd.to_numeric(table[column], errors="coerce")
    wrong = (values.isna() | (values % 1 != 0) | ~values.between(low, high)).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"{file}, row {row + 1}: {column} is {table[column].iloc[row]!r}, expected a whole number in {low}..{high}"
        )
    return values.astype(int)
