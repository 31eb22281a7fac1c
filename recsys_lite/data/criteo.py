"""Criteo display advertising: one impression of an ad a row, 13 counts and 26 hashed categories, in order of time."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from ..fields import Dataset, Field, Rows, Vocabulary
from .fetch import sha256

SAMPLE = Path(__file__).parent / "samples" / "criteo" / "criteo_sample_10k.txt"
SAMPLE_HASH = "f665bb8823fd742ea1b8602d70918f235ccc08eba3224f1621c11022721c21a3"
NUMERIC = [f"I{k}" for k in range(1, 14)]
CATEGORICAL = [f"C{k}" for k in range(1, 27)]
COLUMNS = ["label", *NUMERIC, *CATEGORICAL]
CHUNK = 100_000  # lines held as text at a time
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
    file = SAMPLE if path is None else Path(path)
    if not file.is_file():
        raise ValueError(f"{file} does not exist")
    if path is None and (got := sha256(file.read_bytes())) != SAMPLE_HASH:
        raise ValueError(f"{file.name}: wrong hash, expected sha256 {SAMPLE_HASH}, got {got}; reinstall the package")
    total = _count_lines(file)
    if total < 10:
        raise ValueError(
            f"{file.name} is empty" if not total else f"{file.name} has {total} rows; at least 10 are needed"
        )
    bounds = [0, int(total * 0.8), int(total * 0.9), total]
    values, mean, sd = _first_pass(file, bounds[1], min_count)
    ids, numeric, label = _second_pass(file, total, values, mean, sd)
    parts = [
        Rows(ids[a:b], numeric[a:b], {}, label[a:b], torch.full((b - a,), -1, dtype=torch.int32))
        for a, b in pairwise(bounds)
    ]
    fields = (
        *(Field(n, "numeric", transform="sign(x)·log(1+|x|), standardised", about="a count") for n in NUMERIC),
        *(Field(n, "categorical", v, about="a hashed category") for n, v in zip(CATEGORICAL, values, strict=True)),
    )
    name = "criteo-sample" if path is None else "criteo"
    about = {
        "source": f"Criteo display advertising challenge, {file.name}",
        "split": "order of time: first 80 % train, next 10 % validation, last 10 % test",
        "label": "1 = the ad was clicked",
        "rows": ", ".join(f"{len(p)} {n}" for p, n in zip(parts, ("train", "validation", "test"), strict=True)),
        "categories": f"seen at least {min_count} times in training; rarer and unseen ones share a row",
    }
    extras = {"numeric": {n: (float(m), float(s)) for n, m, s in zip(NUMERIC, mean, sd, strict=True)}}
    return Dataset(name, "click", fields, parts[0], parts[1], parts[2], about, extras)


def _open(file: Path) -> io.TextIOBase:
    return gzip.open(file, "rt") if file.suffix == ".gz" else open(file)  # type: ignore[return-value]


def _count_lines(file: Path) -> int:
    """Rows of the file; all must have the published number of columns."""
    rows = 0
    with _open(file) as source:
        for line in source:
            if not line.strip():
                continue
            rows += 1
            if (got := line.count("\t") + 1) != len(COLUMNS):
                raise ValueError(f"{file.name}, row {rows}: expected {len(COLUMNS)} tab-separated columns, got {got}")
    return rows


def _chunks(file: Path, what: str) -> Iterator[tuple[int, np.ndarray, np.ndarray, pd.DataFrame]]:
    """(first row, label, counts with NaN, categories as text) of pieces of the file, checked."""
    start = 0
    with _open(file) as source:
        reader = pd.read_csv(
            source, sep="\t", header=None, dtype=str, keep_default_na=False, chunksize=CHUNK, quoting=3
        )
        bar = tqdm(desc=f"{file.name}: {what}", unit="row", disable=file == SAMPLE)
        try:
            for chunk in reader:
                chunk.columns = COLUMNS
                label = _numbers(chunk, "label", file, start)
                if (wrong := ~np.isin(label, (0, 1))).any():
                    row = int(wrong.argmax())
                    where = f"{file.name}, row {start + row + 1}, column label"
                    raise ValueError(f"{where}: expected 0 or 1, got {chunk['label'].iloc[row]!r}")
                counts = np.stack([_numbers(chunk, n, file, start) for n in NUMERIC], 1)
                yield start, label, counts, chunk[CATEGORICAL]
                start += len(chunk)
                bar.update(len(chunk))
        finally:
            bar.close()


def _numbers(chunk: pd.DataFrame, column: str, file: Path, start: int) -> np.ndarray:
    text = chunk[column]
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
    wrong = (np.isnan(numbers) & (text != "").to_numpy()) | np.isinf(numbers)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"{file.name}, row {start + row + 1}, column {column}: expected a number, got {text.iloc[row]!r}"
        )
    return numbers


def _first_pass(file: Path, train: int, min_count: int) -> tuple[list[Vocabulary], np.ndarray, np.ndarray]:
    """Vocabularies, and the mean and deviation of the log counts, of the training part."""
    seen: list[tuple[np.ndarray, np.ndarray]] = [(np.array([], "S8"), np.array([], np.int64)) for _ in CATEGORICAL]
    n, total, squares = np.zeros(13), np.zeros(13), np.zeros(13)
    for start, _, counts, categories in _chunks(file, "reading categories"):
        keep = max(0, min(len(counts), train - start))
        if not keep:
            break
        x = log_transform(counts[:keep])
        n += (~np.isnan(x)).sum(0)
        total += np.nansum(x, 0)
        squares += np.nansum(x**2, 0)
        for k, name in enumerate(CATEGORICAL):
            seen[k] = _merged(seen[k], np.unique(_category(categories[name][:keep]), return_counts=True))
    mean = total / np.maximum(n, 1)
    sd = np.sqrt(np.maximum(squares / np.maximum(n, 1) - mean**2, 0))
    vocabularies = [Vocabulary(v[c >= min_count].astype(str), {"": MISSING}) for v, c in seen]
    return vocabularies, mean, np.where(sd > 0, sd, 1.0)


def _category(column: pd.Series) -> np.ndarray:
    return column.to_numpy().astype("S8")


def _merged(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Two sorted lists of values with counts as one."""
    values, inverse = np.unique(np.concatenate([a[0], b[0]]), return_inverse=True)
    return values, np.bincount(inverse, np.concatenate([a[1], b[1]])).astype(np.int64)


def _second_pass(
    file: Path, total: int, values: list[Vocabulary], mean: np.ndarray, sd: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    ids = np.zeros((total, len(CATEGORICAL)), np.int32)
    numeric = np.zeros((total, len(NUMERIC)), np.float32)
    label = np.zeros(total, np.float32)
    for start, y, counts, categories in _chunks(file, "encoding"):
        end = start + len(y)
        label[start:end] = y
        numeric[start:end] = np.nan_to_num((log_transform(counts) - mean) / sd, nan=0.0)
        for k, name in enumerate(CATEGORICAL):
            ids[start:end, k] = values[k].encode(categories[name].to_numpy().astype(str))
    return torch.from_numpy(ids), torch.from_numpy(numeric), torch.from_numpy(label)
