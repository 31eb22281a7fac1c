"""Any table as a data set: a CSV file, and for each of its columns what it is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ..fields import Dataset, Encoder, Field, Vocabulary
from ..fields.cells import Finding, TableError, short
from ..fields.encoder import NOTHING, raw_numbers
from .criteo import MISSING
from .table_schema import KINDS, check, guess, label_values, moments, remarks
from .table_text import BAG, BagSeparator, Limits, as_cells, read, separator_of

__all__ = [
    "EXAMPLE", "KINDS", "SPLITS", "Finding", "Limits", "TableError", "check", "encode", "example", "guess",
    "label_values", "moments", "read", "read_csv", "remarks",
]  # fmt: skip

SPLITS = {"random": "by chance", "file": "in the order of the file", "time": "in the order of a column of time"}
SHARES = (0.6, 0.2, 0.2)  # train, validation, test


def read_csv(
    path: str | os.PathLike[str] | bytes, schema: Mapping[str, str], *, separator: str = "", names: Sequence[str] = (),
    **options: Any,
) -> Dataset:  # fmt: skip
    """A CSV file as a :class:`~recsys_lite.fields.Dataset`.

    Args:
        path: of the file, or its bytes. UTF-8, also compressed by gzip; the first line names the columns, see
            :func:`recsys_lite.data.table_text.read`.
        schema: column -> one of :data:`KINDS`; one column is the label. Columns that are not named are left out.
        separator: comma, semicolon, tab or pipe; by default recognised.
        names: of the columns of a file without a header.
        options: ``split``, ``seed`` and others of :func:`encode`.

    Raises:
        TableError: with line and column of all that is wrong. ValueError: for a schema that does not fit.

    Example:
        >>> data = read_csv(example(), {"taken": "label", "drink": "categorical", "age": "numeric", "tags": "bag"})
        >>> [(f.name, f.kind, f.size) for f in data.fields]
        [('drink', 'categorical', 9), ('age', 'numeric', 1), ('tags', 'multi_hot', 7)]
        >>> len(data.train), len(data.validation), len(data.test)
        (2400, 800, 800)
    """
    if not isinstance(path, bytes):
        path = Path(path).expanduser()
        options = {"name": path.name.removesuffix(".gz").rsplit(".", 1)[0], **options}
        path = path.read_bytes()
    return encode(read(path, separator, names=names), schema, **options)


def encode(
    frame: pd.DataFrame,
    schema: Mapping[str, str],
    *,
    split: str = "random",
    seed: int = 0,
    time: str = "",
    positive: str = "",
    threshold: float | None = None,
    bag_separator: BagSeparator = BAG,
    weight: str = "",
    min_count: int = 2,
    name: str = "table",
) -> Dataset:
    """A table as a :class:`~recsys_lite.fields.Dataset`: 60 % train, 20 % validation, 20 % test.

    Vocabularies, medians, means and deviations are those of the training part alone. Numbers are standardised,
    :math:`(x - \\text{mean}) / \\text{sd}`; an empty one becomes the median. An empty category is a value of its own.
    Values that occur less than ``min_count`` times in training share the reserved row with those it never showed.

    Args:
        frame: of :func:`~recsys_lite.data.table_text.read`, or any other DataFrame: numbers, categories, dates, lists
            for bags; None and NaN are empty cells, see :func:`~recsys_lite.data.table_text.as_cells`.
        schema: column -> one of :data:`KINDS`; columns that are not named are left out.
        split: one of :data:`SPLITS`: ``random`` (default), ``file`` or ``time``, the latest rows being the test part.
        seed: of the random split. Default 0.
        time: the column of time, for ``time`` only; no model need read it. Rows of equal time keep the file's order.
        positive: the label's value that counts as 1, see :func:`label_values` for the default.
        threshold: makes a label of a column of numbers, such as ratings: 1 is at least this, 0 is less.
        bag_separator: what stands between the values of a bag in text, ``|`` (default), or column -> its own.
        weight: the column of numbers that say how much a row counts in training, see :func:`recsys_lite.fit`; no model
            reads it. Default: all rows count alike.
        min_count: see above. Default 2.
        name: of the data set.

    Raises:
        TableError: with all that is wrong. ValueError: for an unknown column, kind, split or label value.
    """
    if split not in SPLITS or (split == "time") != bool(time):
        raise ValueError(f"split must be one of {list(SPLITS)}, with a column for 'time' only; got {split!r}, {time!r}")
    frame, schema = as_cells(frame, bag_separator), {str(name): kind for name, kind in schema.items()}
    target = next((n for n, kind in schema.items() if kind == "label"), "")
    if threshold is not None and target in frame:
        frame = frame.assign(**{target: _at_least(frame[target], threshold, positive)})
    if weight and (weight not in frame or schema.get(weight, "leave out") != "leave out"):
        raise ValueError(f"weight: expected a column that no model reads, got {weight!r}; there are {list(frame)}")
    if found := check(frame, schema, time, bag_separator):
        raise TableError(found)
    values = label_values(frame[target])
    if positive and positive not in values:
        raise ValueError(f"label {target!r}: there is no value {positive!r}; there are {values}")
    order = _order(frame, split, seed, time)
    label = (frame[target] == (positive or values[1])).to_numpy(np.float32)[order]
    bounds = [0, *(round(s * len(frame)) for s in np.cumsum(SHARES))]
    _check_parts(label, bounds, target, split)
    table = frame.iloc[order]
    fields = tuple(
        _field(column, kind, table[column], bounds[1], min_count, separator_of(bag_separator, column))
        for column, kind in schema.items()
        if kind not in ("label", "leave out")
    )
    rows = Encoder(fields).rows(table, str(frame.index.name))
    rows.label, rows.group = torch.from_numpy(label), torch.full((len(frame),), -1, dtype=torch.int32)
    rows.weight = _weights(table[weight]) if weight else None
    train_rows, validation, test = (rows[a:b] for a, b in pairwise(bounds))
    about = {
        "split": SPLITS[split] + (f", seed {seed}" if split == "random" else f", {time}" if time else ""),
        "label": f"1 = {target} is {short(positive or values[1]) if threshold is None else f'at least {threshold:g}'}",
        "rows": f"{len(train_rows)} train, {len(validation)} validation, {len(test)} test",
        "numbers": "standardised by the training part; an empty one is its median",
        "categories": f"seen at least {min_count} times in training; rarer and unseen ones share a row",
    }
    scales = {f.name: f.scale for f in fields if f.kind == "numeric"}
    return Dataset(name, target, fields, train_rows, validation, test, about, {"numeric": scales})


def _weights(cells: pd.Series) -> torch.Tensor:
    x, empty, bad = raw_numbers(cells)
    wrong = np.flatnonzero(empty | (x < 0)).tolist()
    bad += [(k, f"the weight is {cells.iloc[k]!r}, expected a number of at least 0") for k in wrong]
    if bad:
        unit, name = str(cells.index.name), str(cells.name)
        raise TableError([Finding(what, int(cells.index[k]), name, unit) for k, what in bad])
    return torch.from_numpy(x.astype(np.float32))


def _order(frame: pd.DataFrame, split: str, seed: int, time: str) -> np.ndarray:
    if split == "random":
        return np.random.default_rng(seed).permutation(len(frame))
    if split == "time":
        return np.argsort(moments(frame[time]).to_numpy(), kind="stable")
    return np.arange(len(frame))


def _check_parts(label: np.ndarray, bounds: list[int], target: str, split: str) -> None:
    """Every part needs both classes: training to learn, the others for an AUC with an interval."""
    for part, (a, b) in zip(("training", "validation", "test"), pairwise(bounds), strict=True):
        ones = int(label[a:b].sum())
        if min(ones, b - a - ones) < 2:
            other = "another seed" if split == "random" else "the split by chance"
            what = f"{ones} of {b - a} rows of the {part} part have label 1; each value is needed twice: try {other}"
            raise TableError([Finding(what, None, target)])


def _frequent(cells: pd.Series, min_count: int) -> np.ndarray:
    counts = cells.value_counts()
    return counts.index[counts >= min_count].to_numpy(str)


def _at_least(cells: pd.Series, threshold: float, positive: str) -> pd.Series:
    """A column of numbers as a label of 0 and 1; empty cells stay empty, for :func:`check` to name."""
    if positive or not np.isfinite(threshold):
        raise ValueError(
            f"threshold: expected a number, and no positive value beside it; got {threshold}, {positive!r}"
        )
    x, empty, bad = raw_numbers(cells)
    if bad:
        unit, name = str(cells.index.name), str(cells.name)
        raise TableError([Finding(what, int(cells.index[k]), name, unit) for k, what in bad])
    return pd.Series(np.where(empty, "", np.where(x >= threshold, "1", "0")), cells.index, str, cells.name)


def _field(column: str, kind: str, cells: pd.Series, train: int, min_count: int, separator: str) -> Field:
    """A column as its field, by what the first ``train`` cells show; only the length of a bag is that of all."""
    if kind == "categorical":
        return Field(column, "categorical", Vocabulary(_frequent(cells.iloc[:train], min_count), {"": MISSING}))
    if kind == "bag":
        lists = [list(dict.fromkeys(v.strip() for v in c.split(separator) if v.strip())) for c in cells]
        shown = pd.Series([v for row in lists[:train] for v in row], dtype=str)
        length = max(1, *map(len, lists))
        return Field(column, "multi_hot", Vocabulary(_frequent(shown, min_count)), length=length, separator=separator)
    x, empty, _ = raw_numbers(cells.iloc[:train])
    if empty.all():
        return Field(column, "numeric", transform=NOTHING, scale=(0.0, 1.0))
    fill = float(np.median(x[~empty]))
    x = np.where(empty, fill, x)
    return Field(column, "numeric", transform="standardised", scale=mean_and_sd(x), fill=fill)


def mean_and_sd(x: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation (divided by B) of numbers of any size; the deviation of equal ones is taken as 1.

    Example:
        >>> mean_and_sd(np.array([1e-200, 3e-200])), mean_and_sd(np.array([0.1, 0.1, 0.1]))[1]
        ((2e-200, 1e-200), 1.0)
    """
    if x.min() == x.max():  # the deviation of equal numbers need not be 0 exactly
        return float(x.mean()), 1.0
    mean, sd = float(x.mean()), float(x.std())
    if not 1e-100 < sd < 1e100:  # squares would leave the range of float64
        unit = float(np.abs(x - mean).max())
        sd = unit * float(((x - mean) / unit).std()) if unit > 0 else 0.0
    return (mean, sd) if sd > 0 else (mean, 1.0)


#: of :func:`example`: drink -> its tags, how well it is liked
DRINKS = {
    "iced tea": ("cold|fruit", -0.2), "lemonade": ("cold|fruit|sweet", 0.3), "cold brew": ("cold|coffee", 0.0),
    "milkshake": ("cold|milk|sweet", 0.2), "espresso": ("hot|coffee", 0.3), "cocoa": ("hot|milk|sweet", 0.1),
    "chai": ("hot|milk", -0.2), "ginger tea": ("hot|fruit", -0.4),
}  # fmt: skip
EXAMPLE = {
    "day": "leave out", "weather": "categorical", "drink": "categorical", "tags": "bag", "age": "numeric",
    "weekday": "categorical", "taken": "label",
}  # fmt: skip


def example(rows: int = 4000) -> bytes:
    r"""The CSV file of an invented café: to whom was which drink offered, in which weather, and was it taken?

    With w = 1 on sunny and cloudy days and -1 on rainy and snowy ones, c = 1 for a cold drink and -1 for a hot one, and
    s = 1 for a sweet one, else 0, the chance is :math:`\sigma(b + l_{drink} + 1.1\, w c + 0.03\, s\, (40 - age))`:
    what counts most is a cross of two fields. The weekday counts for nothing. Some cells are empty.

    Args:
        rows: of the table. Default 4000, in the order of their days.

    Example:
        >>> print(example().decode()[:68])
        day,weather,drink,tags,age,weekday,taken
        2024-01-01,cloudy,espresso,
    """
    g = np.random.default_rng(0)
    day = np.sort(g.integers(0, 365, rows))
    weather = np.array(["sunny", "cloudy", "rainy", "snowy"])[g.integers(0, 4, rows)]
    drink = np.array(list(DRINKS))[g.integers(0, len(DRINKS), rows)]
    age = g.integers(16, 81, rows)
    tags = np.array([DRINKS[d][0] for d in drink])
    sign = np.where(np.isin(weather, ["sunny", "cloudy"]), 1, -1) * np.where(np.char.find(tags, "cold") >= 0, 1, -1)
    logit = -0.5 + np.array([DRINKS[d][1] for d in drink]) + 1.1 * sign
    logit = logit + 0.03 * (np.char.find(tags, "sweet") >= 0) * (40 - age)
    dates = pd.Timestamp("2024-01-01") + pd.to_timedelta(day, "D")
    frame = pd.DataFrame({
        "day": dates.strftime("%Y-%m-%d"), "weather": np.where(g.random(rows) < 0.01, "", weather), "drink": drink,
        "tags": tags, "age": np.where(g.random(rows) < 0.02, "", age.astype(str)),
        "weekday": dates.strftime("%a"), "taken": (g.random(rows) < 1 / (1 + np.exp(-logit))).astype(int),
    })  # fmt: skip
    return frame.to_csv(index=False, lineterminator="\n").encode()
