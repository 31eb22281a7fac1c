"""What the columns of a table are: a guess, what keeps them from being used as that, and what should be known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from ..fields.cells import LARGEST, NUMBER, SHOWN, Finding, short
from .criteo import MISSING
from .table_text import BAG, BagSeparator, as_cells, separator_of

#: what a column can be
KINDS = {
    "label": "what is predicted: one of two values",
    "categorical": "one of several values",
    "numeric": "a number",
    "bag": "several values with | between",
    "leave out": "no model reads it",
}
LEAST_ROWS, LEAST_OF_CLASS, MOST_IN_BAG = 200, 10, 50
ID_LIKE = 0.9  # a column with more different values than this share of its cells looks like numbers of rows
MOSTLY = 0.9  # share of cells that shows what a column is meant to be
MOST_NUMBERS = 100  # different whole numbers of a column, above which they could be names of things
#: names of columns whose whole numbers are names of things: user_id, movieId, ITEM, zip
ID = re.compile(
    r"(?:.*[_\W]|.*(?<=[a-z])(?=I))?(?:id|ids|ID|IDs|Id|Ids)|(?i:(?:.*[_\W])?(?:user|item|movie|film|product|customer|"
    r"visitor|session|member|ad|advertiser|campaign|article|song|track|artist|book|store|shop|seller|brand|category|"
    r"zip|zipcode|postcode|code|sku|asin|isbn|uid|iid|uuid|key))"
)
LABELS = ("label", "target", "y", "click", "clicked", "class", "outcome")


def guess(frame: pd.DataFrame, bag_separator: BagSeparator = BAG) -> dict[str, str]:
    """What each column of a table probably is; the reader corrects it.

    Wrong cells are looked past: a column of 95 % two values can be the label, one of 90 % numbers is numeric. The label
    is the first such column that is called like one (:data:`LABELS`), else one of that name with more values, up to
    twenty, so that :func:`check` can say what is wrong with it; else the first of 0 and 1, else the last of two values.
    Whole numbers of at most twenty values, or under a name like ``user_id`` or ``item`` (:data:`ID`), count as
    categories; dates, and columns like numbers of rows, are left out.

    Args:
        frame: of :func:`~recsys_lite.data.table_text.read`, or any other DataFrame.
        bag_separator: what stands between the values of a bag, see :func:`~recsys_lite.data.table.encode`.

    Example:
        >>> guess(pd.DataFrame({"n": ["1.5", "2", ""], "taken": ["0", "1", "1"], "tags": ["a|b", "a", "a"]}, dtype=str))
        {'n': 'numeric', 'taken': 'label', 'tags': 'bag'}
    """
    frame = as_cells(frame, bag_separator)
    shares = {name: frame[name][frame[name] != ""].value_counts(normalize=True) for name in frame}
    two = [name for name, share in shares.items() if len(share) > 1 and share.iloc[:2].sum() >= 0.95]
    named = [name for name in two if name.lower() in LABELS]
    several = [name for name, share in shares.items() if name.lower() in LABELS and 2 < len(share) <= 20]
    binary = [name for name in two if set(shares[name].index[:2]) == {"0", "1"}]
    label = next(iter([*named, *several, *binary, *two[-1:]]), None)
    separators = {name: separator_of(bag_separator, name) for name in frame}
    kind = lambda name: _guess(frame[name], len(shares[name]), separators[name])  # noqa: E731
    return {name: "label" if name == label else kind(name) for name in frame}


def _guess(cells: pd.Series, values: int, separator: str) -> str:
    filled = cells[cells != ""]
    if values < 2:
        return "leave out"
    if filled.str.contains(separator, regex=False).mean() > 0.05:
        return "bag"
    number, unlike = filled.str.fullmatch(NUMBER), values > ID_LIKE * len(filled)
    if number.mean() >= MOSTLY:
        whole = not filled[number].str.contains(r"[.eE]").any()
        if whole and unlike:
            return "leave out"
        return "categorical" if whole and (values <= 20 or ID.fullmatch(str(cells.name))) else "numeric"
    return "leave out" if unlike or moments(filled).notna().mean() >= MOSTLY else "categorical"


def moments(cells: pd.Series) -> pd.Series:
    """Cells as points in time that can be sorted: numbers, or dates as in ``2024-05-31`` or ``2024-05-31 17:30``.

    They are numbers if most of the filled cells are; what is then none, and an empty cell, is NaN or NaT. Whole numbers
    stay whole, so that times in nanoseconds keep their order.

    Example:
        >>> moments(pd.Series(["978300000", "", "978300002"])).tolist()
        [978300000.0, nan, 978300002.0]
    """
    number = cells.str.fullmatch(NUMBER)
    if number.any() and 2 * number.sum() >= (cells != "").sum():
        if cells.str.fullmatch("[+-]?[0-9]{1,19}").all() and max(abs(int(c)) for c in cells) < 2**63:
            return cells.astype("int64")
        made = cells.where(number, "nan").astype(float)
        return made.where(np.isfinite(made))
    return pd.to_datetime(cells.where(~number, ""), format="ISO8601", errors="coerce", utc=True)


def check(
    frame: pd.DataFrame, schema: Mapping[str, str], time: str = "", bag_separator: BagSeparator = BAG
) -> list[Finding]:  # fmt: skip
    """All that keeps a table from being encoded, in the order of the lines.

    Args:
        frame: of :func:`~recsys_lite.data.table_text.read`, or any other DataFrame.
        schema: column -> one of :data:`KINDS`.
        time: the column of time, if rows are split by one.
        bag_separator: what stands between the values of a bag, see :func:`~recsys_lite.data.table.encode`.

    Raises:
        ValueError: for a schema with a column or kind that there is not.
    """
    frame = as_cells(frame, bag_separator)
    _check_schema(frame, schema, time)
    labels = [name for name, kind in schema.items() if kind == "label"]
    found = []
    if len(labels) != 1:
        told = (
            f"{len(labels)} columns are labels ({', '.join(map(short, labels))})"
            if labels
            else "no column is the label"
        )
        found.append(Finding(f"{told}; one must be"))
    if not any(kind not in ("label", "leave out") for kind in schema.values()):
        found.append(Finding("no column is left for the models to read"))
    if len(frame) < LEAST_ROWS:
        found.append(Finding(f"{len(frame)} rows; at least {LEAST_ROWS} are needed"))
    for name, kind in schema.items():
        cells = frame[name]
        if kind == "label":
            found.extend(_check_label(cells))
        elif kind == "numeric":
            found.extend(_check_numbers(cells))
        elif kind == "bag":
            many = cells.str.count(re.escape(separator_of(bag_separator, name))) >= MOST_IN_BAG
            found.extend(_of_cells(cells, many, lambda c: f"more than {MOST_IN_BAG} values: {short(c)}"))
    if time:
        when = moments(frame[time])
        found.extend(_of_cells(frame[time], when.isna(), lambda c: _no_time(c, when.dtype.kind in "iuf")))
    return sorted(found, key=lambda f: f.line or 0)


def _no_time(cell: str, numbers: bool) -> str:
    if not cell:
        return "the time is empty"
    like = "numbers, as most cells of the column are" if numbers else "dates as 2024-05-31 or 2024-05-31 17:30"
    return f"{short(cell)} is no time; write {like}"


def _check_schema(frame: pd.DataFrame, schema: Mapping[str, str], time: str) -> None:
    for name, kind in schema.items():
        if name not in frame:
            raise ValueError(f"schema: there is no column {name!r}; there are {list(frame)}")
        if kind not in KINDS:
            raise ValueError(f"schema: column {name!r} has the unknown kind {kind!r}; there are {list(KINDS)}")
    if time and time not in frame:
        raise ValueError(f"there is no column {time!r} for the time; there are {list(frame)}")


def _of_cells(cells: pd.Series, bad: pd.Series, what: Callable[[str], str]) -> Iterator[Finding]:
    """A finding for each of the first bad cells, and one for the others."""
    name, unit = str(cells.name), str(cells.index.name)
    for line, cell in cells[bad][:SHOWN].items():
        yield Finding(what(cell), int(line), name, unit)  # type: ignore[call-overload]
    if (more := int(bad.sum()) - SHOWN) > 0:
        what_more = f"this and {more - 1:,} more" if more > 1 else "one more"
        yield Finding(f"{what_more} of this kind", int(cells.index[bad][SHOWN]), name, unit)


def _check_label(cells: pd.Series) -> Iterator[Finding]:
    name, counts = str(cells.name), cells[cells != ""].value_counts()
    yield from _of_cells(cells, cells == "", lambda _: "the label is empty")
    if len(counts) < 2:
        told = f"only {short(counts.index[0])}" if len(counts) else "nothing"
        yield Finding(f"the column holds {told}; a label needs two values", None, name)
        return
    if len(counts) > 2 and counts.iloc[2:].sum() > 0.05 * counts.sum():
        some = ", ".join(short(v) for v in counts.index[:4])
        yield Finding(f"{len(counts):,} values ({some}{', …' * (len(counts) > 4)}); a label has two", None, name)
        return
    two = " and ".join(map(short, sorted(counts.index[:2])))
    other = (cells != "") & ~cells.isin(counts.index[:2])
    yield from _of_cells(cells, other, lambda c: f"{short(c)} is neither of the label's two values, {two}")
    for value, count in counts[:2].items():
        if count < LEAST_OF_CLASS:
            yield Finding(f"{short(str(value))} occurs {count} times; at least {LEAST_OF_CLASS} are needed", None, name)


def _check_numbers(cells: pd.Series) -> Iterator[Finding]:
    name, filled = str(cells.name), cells != ""
    number = cells.str.fullmatch(NUMBER)
    if not (filled & number).any():
        first = f"; the first cell is {short(cells[filled].iloc[0])}" if filled.any() else ": all cells are empty"
        yield Finding(f"the column holds no number{first}", None, name)
        return
    large = number & (cells.where(number, "0").astype(float).abs() > LARGEST)
    yield from _of_cells(cells, (filled & ~number) | large, _no_number)


def _no_number(cell: str) -> str:
    if cell.lower().lstrip("+-") in ("nan", "na", "n/a", "null", "none", "inf", "infinity"):
        return f"{short(cell)} is not a finite number; leave the cell empty where the number is not known"
    if pd.Series([cell]).str.fullmatch(NUMBER).item():
        return f"{short(cell)} is too large; numbers up to {LARGEST:g} are taken"
    comma = cell.count(",") == 1 and pd.Series([cell.replace(",", ".")]).str.fullmatch(NUMBER).item()
    return f"{short(cell)} is not a number{'; write the decimal comma as a point' if comma else ''}"


def remarks(frame: pd.DataFrame, schema: Mapping[str, str]) -> list[Finding]:
    """What can be used as it is, but should be known: columns like row numbers or ids, constant ones, empty cells."""
    frame, said = as_cells(frame), []
    for name, kind in schema.items():
        filled = frame[name][frame[name] != ""]
        empty, values = len(frame) - len(filled), filled.nunique()
        if kind == "categorical" and values > ID_LIKE * max(len(filled), 1):
            what = f"{values:,} different values in {len(filled):,} rows, like a number of the row: leave it out?"
            said.append(Finding(what, None, name))
        if kind == "numeric" and filled.str.fullmatch("[0-9]+").all():
            named = values > 2 and bool(ID.fullmatch(name))
            if named or (values > MOST_NUMBERS and values <= ID_LIKE * len(filled)):
                what = f"{values:,} different whole numbers; if they are ids or codes, make the column categorical"
                said.append(Finding(what, None, name))
        if kind in ("categorical", "numeric", "bag") and values == 1 and not empty:
            said.append(Finding("the same value in every row: nothing to learn from", None, name))
        if empty and kind in ("categorical", "numeric"):
            cells = f"{empty:,} empty cell{'s' if empty > 1 else ''}"
            done = f"one more value, {MISSING!r}" if kind == "categorical" else "the median of the training part"
            said.append(Finding(f"{cells} taken as {done}", None, name))
    return said


def label_values(cells: pd.Series) -> list[str]:
    """The two values of a label, the one that counts as 1 last: 1 after 0, else by size or alphabet.

    Example:
        >>> label_values(pd.Series(["yes", "No", "yes"]))
        ['No', 'yes']
    """
    number = cells.str.fullmatch(NUMBER).all()
    return sorted(cells.unique(), key=lambda v: (float(v) if number else 0, v.lower(), v))
