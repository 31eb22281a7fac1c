"""Chunks of typed text -> vocabularies and scales of the training part, and the tensors of a chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..fields import HashedVocabulary, Vocabulary
from .criteo import CHUNK as BLOCK
from .criteo import Moments, log_transform
from .prepare_layout import Column
from .prepared import open_vocabulary

Told = Callable[[int], object]  # is told how many rows are done


def write_chunk(table: pa.Table, file: Path) -> None:
    """A chunk as one row group of a Parquet file."""
    pq.write_table(table, file, compression="snappy", row_group_size=max(len(table), 1))


def read_chunk(file: Path, columns: list[str]) -> pa.Table:
    """Columns of a chunk, each in one piece."""
    try:
        return pq.ParquetFile(file).read(columns).combine_chunks()
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{file} is missing or damaged ({error}); start again with --fresh") from None


def count(files: Sequence[Path], column: str, rows: int, least: int, most: int, done: Told) -> np.ndarray:
    """The values of a column that occur at least ``least`` times in the first rows, sorted.

    Memory is that of the column's different values; other columns are not read.

    Raises:
        ValueError: naming the column, if it has more than ``most`` different values.
    """
    values, counts = [pa.array([], pa.large_string())], [np.array([], np.int64)]  # the known ones, then waiting ones
    for k, file in enumerate(files):
        if rows <= 0:
            break
        cells = read_chunk(file, [column])[column].combine_chunks()[:rows]
        values.append(cells.dictionary.cast(pa.large_string()))
        counts.append(np.bincount(cells.indices.to_numpy(), minlength=len(cells.dictionary)))
        rows -= len(cells)
        if sum(map(len, values[1:])) > max(len(values[0]), BLOCK) or rows <= 0 or k == len(files) - 1:
            # New values wait until they are as many as the known ones: each is merged a few times, not once a chunk.
            merged = _merged(values, counts)
            values, counts = [merged[0]], [merged[1]]
            if len(counts[0]) > most:
                what = f"more than {most:,} different values"
                raise ValueError(f"column {column!r}: {what}; hash it (hash=), or allow more (--max-values)")
        done(len(cells))
    known = values[0].filter(pa.array(counts[0] >= least))
    return np.sort(known.to_numpy(zero_copy_only=False).astype(str)) if len(known) else np.array([], "<U1")


def _merged(values: list[pa.Array], counts: list[np.ndarray]) -> tuple[pa.Array, np.ndarray]:
    """Values and counts in which no value occurs twice."""
    found = pa.concat_arrays(values).dictionary_encode()
    total = np.bincount(found.indices.to_numpy(), np.concatenate(counts), len(found.dictionary))
    return found.dictionary, total.astype(np.int64)


def moments(files: Sequence[Path], columns: Sequence[Column], rows: int, done: Told) -> tuple[np.ndarray, np.ndarray]:
    """Means and deviations of the transformed numbers of the first rows, added up in the blocks of
    :func:`recsys_lite.data.criteo.load`, so that both get the same last digit."""
    total = Moments(len(columns))
    for block in _blocks((read_numbers(read_chunk(f, [c.name for c in columns]), columns) for f in files), rows):
        total.add(block)
        done(len(block))
    return total.mean_and_sd()


def _blocks(chunks: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """The first rows of chunks of any size, as blocks of BLOCK rows and a last one."""
    rest = None
    for chunk in chunks:
        chunk = chunk[:rows]
        rows -= len(chunk)
        rest = chunk if rest is None else np.concatenate([rest, chunk])
        while len(rest) >= BLOCK:
            yield rest[:BLOCK]
            rest = rest[BLOCK:]
        if not rows:
            break
    if rest is not None and len(rest):
        yield rest


def read_numbers(table: pa.Table, columns: Sequence[Column]) -> np.ndarray:
    """(B, M) float64, transformed; a missing number is NaN."""
    x = np.stack([table[c.name].to_numpy() for c in columns], 1) if columns else np.zeros((len(table), 0))
    log = [c.transform == "log" for c in columns]
    return np.where(log, log_transform(x), x)


def vocabularies(columns: Sequence[Column], files: Mapping[str, Path]) -> dict[str, Vocabulary]:
    """Column -> its vocabulary: buckets, or the values in its file."""
    known: dict[str, Vocabulary] = {c.name: HashedVocabulary(c.hash) for c in columns if c.hash}
    return {**known, **{name: open_vocabulary(file) for name, file in files.items()}}


def encode(
    table: pa.Table, columns: Sequence[Column], known: Mapping[str, Vocabulary], mean: np.ndarray, sd: np.ndarray
) -> dict[str, np.ndarray]:
    """The tensors of a chunk: ids (B, C) and group (B,) int32, numeric (B, M) and label (B,) float32."""
    kinds = {kind: [c for c in columns if c.kind == kind] for kind in ("categorical", "numeric", "label", "group")}
    ids = [_rows_of(table[c.name].combine_chunks(), known[c.name]) for c in kinds["categorical"]]
    with np.errstate(over="ignore"):
        numbers = (read_numbers(table, kinds["numeric"]) - mean) / sd
    if (far := np.abs(numbers) > np.finfo(np.float32).max).any():
        row, k = (int(i) for i in np.argwhere(far)[0])
        name, x = kinds["numeric"][k].name, table[kinds["numeric"][k].name].to_numpy()[row]
        raise ValueError(f"column {name!r}: {x:.6g} is too far from the training part's mean, {mean[k]:.3g}")
    tensors = {
        "ids": np.stack(ids, 1) if ids else np.zeros((len(table), 0), np.int32),
        "numeric": np.nan_to_num(numbers, nan=0.0).astype(np.float32),
        "label": table[kinds["label"][0].name].to_numpy().astype(np.float32),
    }
    for c in kinds["group"]:  # a vocabulary counts from 1, and has no row for an empty cell
        tensors["group"] = _rows_of(table[c.name].combine_chunks(), known[c.name]) - np.int32(1)
    return tensors


def _rows_of(cells: pa.DictionaryArray, known: Vocabulary) -> np.ndarray:
    """What :meth:`Vocabulary.encode` gives for the cells, asked once for each different value."""
    values = cells.dictionary.to_numpy(zero_copy_only=False)
    return known.encode(values)[cells.indices.to_numpy()] if len(values) else np.zeros(0, np.int32)
