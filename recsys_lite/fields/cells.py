"""Raw cells of any type as text, and what is said of those that cannot be used: which, where, and why."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

SHOWN = 10  # findings that a message lists
#: a number in text; one way to match it only, so that a long cell is read in a time in proportion to its length
NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
LARGEST = 1e30  # of a number: its square is still finite
MANY = (list, tuple, set, frozenset, np.ndarray, pd.Series, pd.Index)  # what a cell of several values may be


@dataclass(frozen=True)
class Finding:
    """Something to say of a table, and where.

    Args:
        what: in words.
        line: of the file, the header being line 1; or the row of a DataFrame or list, counted from 0.
        column: its name.
        unit: what ``line`` counts: ``"line"`` (default) or ``"row"``.

    Example:
        >>> str(Finding("'abc' is not a number", 17, "age"))
        "line 17, column 'age': 'abc' is not a number"
    """

    what: str
    line: int | None = None
    column: str | None = None
    unit: str = "line"

    def __str__(self) -> str:
        line = f"{self.unit} {self.line}" if self.line is not None else ""
        column = f"column {short(self.column)}" if self.column is not None else ""
        where = ", ".join(w for w in (line, column) if w)
        return f"{where}: {self.what}" if where else self.what


class TableError(ValueError):
    """A table that cannot be used; ``findings`` says all that is wrong, its text the first ten.

    Example:
        >>> print(TableError([Finding("no name", 1), Finding("empty", 4, "age")]))
        2 things are wrong:
        line 1: no name
        line 4, column 'age': empty
    """

    def __init__(self, findings: Sequence[Finding]):
        self.findings = list(findings)
        count = len(self.findings)
        lines = [f"{count} thing{'s are' if count != 1 else ' is'} wrong:", *map(str, self.findings[:SHOWN])]
        if count > SHOWN:
            lines.append(f"and {count - SHOWN} more")
        super().__init__("\n".join(lines))


def short(text: str | None, most: int = 40) -> str:
    """A cell as a message shows it: in quotes, cut if it is long.

    Example:
        >>> short("abc"), short("abcdef", most=3)
        ("'abc'", "'abc…'")
    """
    text = text or ""
    return repr(text if len(text) <= most else text[:most] + "…")


def as_text(value: Any) -> str:
    """A category as text: a whole number without a point, a missing value as the missing category ``""``, a moment as
    in ``2024-05-31`` or ``2024-05-31 17:30:00``.

    Example:
        >>> as_text(7.0), as_text(float("nan")), as_text("7.50"), as_text(True), as_text(pd.Timestamp("2024-05-31"))
        ('7', '', '7.50', 'True', '2024-05-31')
    """
    if isinstance(value, str):
        return str(value)
    if is_missing(value):
        return ""
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if isinstance(value, datetime):
        return str(value.date()) if value.time() == time() and value.tzinfo is None else str(value)
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, NaN, NaT or pandas' NA; of text only the empty one.

    Example:
        >>> [is_missing(v) for v in (None, float("nan"), pd.NaT, pd.NA, "", 0, "nan", [])]
        [True, True, True, True, True, False, False, False]
    """
    if value is None or (isinstance(value, str) and not value):
        return True
    return pd.api.types.is_scalar(value) and not isinstance(value, (str, bytes)) and bool(pd.isna(value))


def texts(values: Any) -> np.ndarray:
    """Categories as an array of text in the same shape; what is text or whole already is not looked at one by one."""
    values = np.asarray(values)
    if values.dtype.kind in "iub" or infer_dtype(values.ravel(), skipna=False) in ("string", "integer", "boolean"):
        return values.astype(str)
    flat = values.ravel()
    if flat.dtype.kind != "O":  # elements as NumPy has them: a float32 of 0.1 is "0.1"
        return np.array([as_text(v) for v in flat], dtype=str).reshape(values.shape)
    return np.array([as_text(v) for v in flat.tolist()], dtype=str).reshape(values.shape)


def as_array(values: Any) -> np.ndarray:
    """An array of raw values in which none has changed its type: NumPy alone makes ``"nan"`` of a NaN beside text."""
    array = np.asarray(values)
    if isinstance(values, (np.ndarray, pd.Series, pd.Index)) or array.dtype.kind not in "USf":
        return array
    given = np.array(values, dtype=object)
    if array.dtype.kind == "f":  # whole numbers that float64 would round
        return given if any(isinstance(v, int) and abs(v) > 2**53 for v in given.ravel()) else array
    return array if all(isinstance(v, str) for v in given.ravel()) else given


def column_text(column: pd.Series, separator: str = "|") -> tuple[list[str], list[tuple[int, str]]]:
    """The cells of a column of any type as text without blanks around it, and (place, what is wrong) of bad ones.

    A list becomes its values with the separator between, so none of them may hold it.
    """
    if infer_dtype(column, skipna=False) == "string":
        return column.fillna("").astype(object).str.strip().tolist(), []
    if not (column.dtype == object or isinstance(column.dtype, pd.CategoricalDtype)):
        if column.dtype.kind == "M" or pd.api.types.is_datetime64_any_dtype(column.dtype):
            return [as_text(v) for v in column], []
        return texts(column.to_numpy(None if isinstance(column.dtype, np.dtype) else object)).tolist(), []
    made, bad = [], []
    for place, cell in enumerate(column):
        text = ""
        if isinstance(cell, MANY):
            values = list_texts(cell)
            if held := next((v for v in values if separator in v), None):
                bad.append((place, f"the value {short(held)} holds {separator!r}, which stands between values"))
            text = separator.join(values)
        elif isinstance(cell, (Mapping, bytes)):
            bad.append((place, f"expected one value or a list, got {short(str(cell))}"))
        else:
            text = as_text(cell).strip()
        made.append(text)
    return made, bad


def list_texts(cell: Any) -> list[str]:
    """The values of a cell that holds several, as text without blanks around; missing ones are left out."""
    values = sorted(cell, key=str) if isinstance(cell, (set, frozenset)) else cell
    return [t for t in (as_text(v).strip() for v in values) if t]


def column_names(columns: Sequence[Hashable]) -> list[str]:
    """The names of a DataFrame's columns as text.

    Raises:
        ValueError: for two columns of one name, or a name of several parts.
    """
    if wrong := [c for c in columns if not isinstance(c, (str, int, float, date, np.generic))]:
        raise ValueError(f"table: expected column names of one part, got {wrong[0]!r}")
    made = [as_text(c).strip() for c in columns]
    if twice := next((n for n in made if made.count(n) > 1), None):
        raise ValueError(f"table: {made.count(twice)} columns are called {twice!r}")
    return made


def whole(value: Any) -> int | None:
    """A whole number, exactly; nothing if it is none."""
    if isinstance(value, str):
        text = WHOLE.sub("", value.strip())
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,30}", text) else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return int(value) if isinstance(value, int) else None


WHOLE = re.compile(r"(?<=[0-9])\.0+$")  # of a whole number that is written as another


def real(value: Any) -> float | None:
    """A number as float64; nothing if it is none, or a whole one that float64 cannot hold."""
    if isinstance(value, str):
        return float(value) if re.fullmatch(NUMBER, value.strip()) else None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if isinstance(value, int) and number != value else number
