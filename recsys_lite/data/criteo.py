"""Criteo display advertising: one impression of an ad a row, 13 counts and 26 hashed categories, in order of time."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from ..fields import UNSEEN, Dataset, Field, Rows, Vocabulary
from ..store.files import located, missing
from .fetch import sha256

SAMPLE = Path(__file__).parent / "samples" / "criteo" / "criteo_sample_10k.txt"
SAMPLE_HASH = "f665bb8823fd742ea1b8602d70918f235ccc08eba3224f1621c11022721c21a3"
NUMERIC = [f"I{k}" for k in range(1, 14)]
CATEGORICAL = [f"C{k}" for k in range(1, 27)]
COLUMNS = ["label", *NUMERIC, *CATEGORICAL]
CHUNK = 25_000  # lines held as text at a time
MISSING = "missing"  # how the empty category is shown; in files it is empty


def log_transform(x: Any) -> Any:
    """sign(x) · log(1 + |x|): tames long tails, keeps zero, and takes the few negative counts as they are.

    Example:
        >>> log_transform(np.array([0.0, -1.0, 100.0])).round(3).tolist()
        [0.0, -0.693, 4.615]
    """
    return np.sign(x) * np.log1p(np.abs(x))


def scale(raw: float | None, mean: float, sd: float) -> float:
    """One raw count as a model sees it: log-transformed, then (· - mean) / sd; a missing count becomes 0, the mean."""
    return 0.0 if raw is None or np.isnan(raw) else float((log_transform(raw) - mean) / sd)


def unscale(value: float, mean: float, sd: float) -> float:
    """The raw count of a value that a model sees, the inverse of :func:`scale`."""
    x = value * sd + mean
    return float(np.sign(x) * np.expm1(abs(x)))


def load(path: str | os.PathLike[str] | None = None, min_count: int = 2) -> Dataset:
    """Criteo rows as a :class:`~recsys_lite.fields.Dataset`: the first 80 % train, then 10 % validation, 10 % test.

    Numeric columns are log-transformed (:func:`log_transform`) and standardised by the training part's mean and
    standard deviation; a missing count becomes 0, the mean. A missing category is a category of its own. Categories
    that occur less than ``min_count`` times in the training part share the reserved row of unseen values.

    Args:
        path: the challenge's ``train.txt`` (or ``.gz``); by default the 10,000 rows in the package. Read in pieces,
            so that memory follows the tensors (160 bytes a row) and the vocabularies, not the text.
        min_count: see above. Default 2.

    Raises:
        ValueError: naming file, row and column, if the file is missing, empty or not in the published format.
    """
    file = located(SAMPLE) if path is None else Path(path)
    if not file.is_file():
        raise ValueError(f"{file} is not a file" if file.exists() else missing(file))
    if path is None and (got := sha256(file.read_bytes())) != SAMPLE_HASH:
        raise ValueError(f"{file.name}: wrong hash, expected sha256 {SAMPLE_HASH}, got {got}; reinstall the package")
    total = _count_lines(file)
    if total < 10:
        raise ValueError(
            f"{file.name} is empty" if not total else f"{file.name} has {total} rows; at least 10 are needed"
        )
    bounds = [0, int(total * 0.8), int(total * 0.9), total]
    known, mean, sd = _first_pass(file, bounds[1], min_count)
    ids, numeric, label = _second_pass(file, total, known, mean, sd)
    parts = [
        Rows(ids[a:b], numeric[a:b], {}, label[a:b], torch.full((b - a,), -1, dtype=torch.int32))
        for a, b in pairwise(bounds)
    ]
    fields = (
        *(Field(n, "numeric", transform="sign(x)·log(1+|x|), standardised", about="a count") for n in NUMERIC),
        *(
            Field(n, "categorical", _vocabulary(c), about="a hashed category")
            for n, c in zip(CATEGORICAL, known, strict=True)
        ),
    )
    name = "criteo-sample" if path is None else "criteo"
    about = {
        "source": f"Criteo display advertising challenge, {file.name}",
        "split": "order of time: first 80 % train, next 10 % validation, last 10 % test",
        "label": "1 = the ad was clicked",
        "rows": ", ".join(f"{len(p)} {n}" for p, n in zip(parts, ("train", "validation", "test"), strict=True)),
        "numbers": "sign(x)·log(1+|x|), then standardised by the training part; a missing number becomes 0, the mean",
        "categories": f"seen at least {min_count} times in training; rarer and unseen ones share a row",
    }
    if path is None:
        about["data_sha256"] = SAMPLE_HASH
    extras = {"numeric": {n: (float(m), float(s)) for n, m, s in zip(NUMERIC, mean, sd, strict=True)}}
    return Dataset(name, "click", fields, parts[0], parts[1], parts[2], about, extras)


def _open(file: Path) -> io.TextIOBase:
    """Text of any bytes (latin-1), so that a damaged row is named by the checks and not by the decoder."""
    opener = gzip.open if file.suffix == ".gz" else open
    return opener(file, "rt", encoding="latin-1")  # type: ignore[return-value,operator]


def _count_lines(file: Path) -> int:
    """Rows of the file, empty lines left out; all must have the published number of columns."""
    rows = 0
    try:
        with _open(file) as source:
            for line in source:
                if line == "\n":
                    continue
                rows += 1
                if (got := line.count("\t") + 1) != len(COLUMNS):
                    where = f"{file.name}, row {rows}"
                    raise ValueError(f"{where}: expected {len(COLUMNS)} tab-separated columns, got {got}")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{file.name} is damaged or cut off after row {rows}: {error}") from None
    return rows


def _chunks(file: Path, what: str) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """(first row, label, counts (B, 13) with NaN, category codes (26, B)) of pieces of the file, checked."""
    start = 0
    with _open(file) as source:
        reader = pd.read_csv(
            source, sep="\t", header=None, dtype=str, keep_default_na=False, chunksize=CHUNK, quoting=3
        )
        bar = tqdm(desc=f"{file.name}: {what}", unit="row", disable=file == located(SAMPLE))
        try:
            for chunk in reader:
                chunk.columns = COLUMNS
                label = _numbers(chunk, "label", file, start)
                if (wrong := ~np.isin(label, (0, 1))).any():
                    row = int(wrong.argmax())
                    where = f"{file.name}, row {start + row + 1}, column label"
                    raise ValueError(f"{where}: expected 0 or 1, got {chunk['label'].iloc[row]!r}")
                counts = np.stack([_numbers(chunk, n, file, start) for n in NUMERIC], 1)
                yield start, label, counts, np.stack([_codes(chunk, n, file, start) for n in CATEGORICAL])
                start += len(chunk)
                bar.update(len(chunk))
        finally:
            bar.close()


def _numbers(chunk: pd.DataFrame, column: str, file: Path, start: int) -> np.ndarray:
    text = chunk[column]
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
    with np.errstate(invalid="ignore"):
        wrong = np.where(np.isnan(numbers), (text != "").to_numpy(), numbers % 1 != 0)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"{file.name}, row {start + row + 1}, column {column}: expected a whole number, got {text.iloc[row]!r}"
        )
    return numbers


def _codes(chunk: pd.DataFrame, column: str, file: Path, start: int) -> np.ndarray:
    """Categories of up to 8 letters as whole numbers that sort as the text does: 8 bytes each, and quick to search."""
    try:
        text = chunk[column].to_numpy(object).astype("S")
        if text.dtype.itemsize <= 8:
            return text.astype("S8").view(">u8").astype(np.uint64)
    except UnicodeEncodeError:
        pass
    row = next(k for k, v in enumerate(chunk[column]) if len(v) > 8 or not v.isascii())
    raise ValueError(
        f"{file.name}, row {start + row + 1}, column {column}: expected 8 hexadecimal digits or nothing, "
        f"got {chunk[column].iloc[row]!r}"
    )


def _first_pass(file: Path, train: int, min_count: int) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Codes of the categories, and the mean and deviation of the log counts, of the training part."""
    counters, moments = [_Counter() for _ in CATEGORICAL], Moments(len(NUMERIC))
    for start, _, counts, codes in _chunks(file, "reading categories"):
        keep = max(0, min(len(counts), train - start))
        if not keep:
            break
        moments.add(log_transform(counts[:keep]))
        for counter, column in zip(counters, codes, strict=True):
            counter.add(column[:keep])
    return [c.frequent(min_count) for c in counters], *moments.mean_and_sd()


class Moments:
    """Means and deviations of columns that come in blocks of :data:`CHUNK` rows: other blocks, other last digits.

    Numbers whose mean is large beside their deviation (times) are counted from the first block's mean, and tiny ones
    in a unit of their own, so that the squares lose no digits and do not vanish.
    """

    def __init__(self, columns: int) -> None:
        self.n, self.total, self.squares = np.zeros(columns), np.zeros(columns), np.zeros(columns)
        self.shift, self.unit = np.zeros(columns), np.ones(columns)
        self.placed = np.zeros(columns, bool)  # whether a number of the column was seen

    def add(self, x: np.ndarray) -> None:
        """A block (B, columns) in which NaN is a missing number."""
        self._place(x)
        x = (x - self.shift) / self.unit
        self.n += (~np.isnan(x)).sum(0)
        self.total += np.nansum(x, 0)
        self.squares += np.nansum(x**2, 0)

    def mean_and_sd(self) -> tuple[np.ndarray, np.ndarray]:
        """Per column; the deviation of equal numbers is taken as 1."""
        mean = self.total / np.maximum(self.n, 1)
        sd = np.sqrt(np.maximum(self.squares / np.maximum(self.n, 1) - mean**2, 0))
        sd = np.where(sd > 0, sd * self.unit, 1.0)
        return mean * self.unit + self.shift, sd

    def _place(self, x: np.ndarray) -> None:
        """Shift and unit of the columns that show their first numbers; 0 and 1 for all of ordinary size."""
        for k in np.flatnonzero(~self.placed & (~np.isnan(x)).any(0)):
            known = x[~np.isnan(x[:, k]), k]
            mean, spread, self.placed[k] = known.mean(), np.ptp(known), True
            if abs(mean) > 1e4 * spread:
                self.shift[k] = mean
            if 0 < spread < 1e-100:
                self.unit[k] = spread


class _Counter:
    """How often each code occurs. New codes wait until they are as many as the known ones, so that the known ones are
    sorted again only each time their number has doubled."""

    def __init__(self) -> None:
        self.codes, self.counts = np.array([], np.uint64), np.array([], np.int64)
        self.waiting: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, codes: np.ndarray) -> None:
        self.waiting.append(np.unique(codes, return_counts=True))
        if sum(len(c) for c, _ in self.waiting) > max(len(self.codes), CHUNK):
            self._merge()

    def _merge(self) -> None:
        codes, counts = zip((self.codes, self.counts), *self.waiting, strict=True)
        self.codes, inverse = np.unique(np.concatenate(codes), return_inverse=True)
        self.counts = np.bincount(inverse, np.concatenate(counts), len(self.codes)).astype(np.int64)
        self.waiting = []

    def frequent(self, min_count: int) -> np.ndarray:
        self._merge()
        return self.codes[self.counts >= min_count]


def _vocabulary(codes: np.ndarray) -> Vocabulary:
    return Vocabulary(codes.astype(">u8").view("S8").astype(str), {"": MISSING})


def _rows_of(codes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """What :meth:`Vocabulary.encode` gives for the same values, on codes."""
    if not len(known):
        return np.zeros(len(codes), np.int32)
    place = np.searchsorted(known, codes)
    return np.where(known[np.minimum(place, len(known) - 1)] == codes, place + 1, UNSEEN).astype(np.int32)


def _second_pass(
    file: Path, total: int, known: list[np.ndarray], mean: np.ndarray, sd: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    ids = np.zeros((total, len(CATEGORICAL)), np.int32)
    numeric = np.zeros((total, len(NUMERIC)), np.float32)
    label = np.zeros(total, np.float32)
    for start, y, counts, codes in _chunks(file, "encoding"):
        end = start + len(y)
        label[start:end] = y
        numeric[start:end] = np.nan_to_num((log_transform(counts) - mean) / sd, nan=0.0)
        for k, column in enumerate(codes):
            ids[start:end, k] = _rows_of(column, known[k])
    return torch.from_numpy(ids), torch.from_numpy(numeric), torch.from_numpy(label)
