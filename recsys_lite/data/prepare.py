"""A text larger than memory -> Parquet and memory-mapped tensors, once; ``data.load(path=OUT)`` then opens in a second.

    python -m recsys_lite.data.prepare train.txt OUT                             Criteo
    python -m recsys_lite.data.prepare train.csv OUT --schema schema.json        any CSV, Avazu's for example
    python -m recsys_lite.data.prepare train.libfm OUT --format libfm            label and as many index:1 on each line
    python -m recsys_lite.data.prepare train.svm OUT --format libsvm --features 123

The schema names what each column is; columns that it does not name are left out, like those that it calls "ignore":

    {"click": "label", "site": "categorical", "device": {"kind": "categorical", "hash": 1000000},
     "city": {"kind": "categorical", "min_count": 10}, "price": "numeric", "age": {"kind": "numeric", "transform":
     "none"}, "user": "group", "id": "ignore"}

The text is read once, from front to end, into Parquet; vocabularies and scales are then made of the training part
alone, column by column, and the tensors written chunk by chunk. All is as in :func:`recsys_lite.data.criteo.load`: the
split by order, sign(x)·log(1+|x|) and standardising of numbers, 0 for a missing one, a category of its own for an empty
cell, row 0 for rare and unseen values. Memory is that of a chunk and of the different values of the column at hand,
whatever the rows; a hashed column needs none. After an interrupt the same command goes on, and what it writes is the
same, byte for byte: lost is at most one chunk, or the counting of one column. Text may end in ``.gz``.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from ..store.files import read_json, write_aside, write_json
from .prepare_folder import entry, forget, identity, same, save
from .prepared import MANIFEST, PARTS, PROGRESS, VERSION, check_file, read_manifest

try:
    from . import prepare_columns as columns
    from . import prepare_text as text
    from .prepare_layout import FORMATS, Layout, layout
except ModuleNotFoundError as error:
    if error.name != "pyarrow":
        raise
    raise ModuleNotFoundError("preparing data needs pyarrow, part of the extra recsys-lite[prepare]") from None

CHUNK = 100_000  # rows held at a time, and in a Parquet file
MOST_VALUES = 20_000_000  # different values of a column that are counted, about 2 GB
LEAST_ROWS = 10


def prepare(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    format: str = "",
    schema: Mapping[str, Any] | None = None,
    min_count: int = 2,
    hash: int = 0,
    separator: str = "",
    features: int = 0,
    train: float = 0.8,
    validation: float = 0.1,
    chunk: int = CHUNK,
    most_values: int = MOST_VALUES,
    fresh: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Prepare a text file, or go on where an interrupt left off.

    Args:
        source: the text, plain or ``.gz``; UTF-8. A CSV cell holds no line end.
        out: the folder to write, see :mod:`recsys_lite.data.prepared`; 160 bytes a row of Criteo, and the Parquet.
        format: of :data:`~recsys_lite.data.prepare_layout.FORMATS`; by default ``csv`` with a schema, else ``criteo``.
        schema: of a CSV file, see above. A group (at most one) may hold any text; an empty one is nobody, -1.
        min_count: categories that occur less often in training share row 0. Default 2; a column's own goes first.
        hash: buckets of every category; 0 (default) gives vocabularies. A column's own goes first.
        separator: of a CSV file: comma, semicolon or tab; by default the one that the header holds most often.
        features: of libsvm: the largest index.
        train, validation: shares of the first and the next rows, the others are the test part. Default 0.8 and 0.1.
        chunk: rows held at a time. Default 100,000.
        most_values: different values that a vocabulary's column may have, which bounds memory. Default 20 million.
        fresh: forget what the folder holds. Default False.
        progress: show rows and rows per second. Default True.

    Returns:
        the manifest.

    Raises:
        ValueError: naming file, line and column of a bad cell, a column that the schema names and the file lacks, one
            with too many values, or what differs from what the folder already holds.
    """
    file, folder = Path(source), Path(out)
    if not file.is_file():
        raise ValueError(f"{file} {'is not a file' if file.exists() else 'does not exist'}")
    if not (0 < train < 1 and 0 < validation < 1 and train + validation < 1) or chunk < 1:
        raise ValueError(f"shares must leave rows for each part, got {train} and {validation}; chunk {chunk} from 1")
    at = layout(file, format or ("csv" if schema else "criteo"), schema, min_count, hash, separator, features)
    state = {
        "version": VERSION,
        "source": identity(file),
        "settings": {
            "format": at.format, "names": list(at.names), "separator": at.separator, "train": train,
            "validation": validation, "chunk": chunk, "columns": [asdict(c) for c in at.columns],
        },
    }  # fmt: skip
    if fresh:
        forget(folder)
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        same(folder, manifest, state)
        for said in [*manifest["tensors"].values(), *manifest["vocabularies"].values()]:
            check_file(folder, said, verify=False)
        (folder / PROGRESS).unlink(missing_ok=True)
        return manifest
    return _Preparation(file, folder, at, state, most_values, progress).run()


class _Preparation:
    """The steps, each of which starts where the progress file says."""

    def __init__(self, file: Path, folder: Path, at: Layout, state: dict[str, Any], most: int, progress: bool):
        self.file, self.folder, self.at, self.most, self.progress = file, folder, at, most, progress
        self.state = {
            **state, "rows": 0, "offset": 0, "line": 1, "read": False, "vocabularies": {}, "scales": None, "encoded": 0,
        }  # fmt: skip
        if (folder / PROGRESS).exists():
            stored = read_json(folder / PROGRESS)
            if not isinstance(stored, dict) or set(stored) != set(self.state):
                raise ValueError(f"{folder / PROGRESS} is damaged; start again with --fresh")
            same(folder, stored, state)
            self.state = stored
        for left in folder.rglob(".*.part"):
            left.unlink()
        self.size: int = state["settings"]["chunk"]

    def run(self) -> dict[str, Any]:
        self.read()
        rows, settings = self.state["rows"], self.state["settings"]
        if rows < LEAST_ROWS:
            raise ValueError(f"{self.file.name} has {rows} rows; at least {LEAST_ROWS} are needed")
        ends = [int(rows * settings["train"]), int(rows * (settings["train"] + settings["validation"])), rows]
        self.count(ends[0])
        self.encode()
        return self.finish(dict(zip(PARTS, np.diff([0, *ends]).tolist(), strict=True)))

    def keep(self, **changes: Any) -> None:
        self.state.update(changes)
        write_json(self.folder / PROGRESS, self.state)

    def bar(self, what: str, done: int = 0, total: int | None = None, unit: str = " rows") -> tqdm:
        name = f"{self.file.name}: {what}"
        return tqdm(desc=name, unit=unit, unit_scale=True, initial=done, total=total, disable=not self.progress)

    def files(self) -> list[Path]:
        chunks = -(-self.state["rows"] // self.size)
        return [self.folder / "chunks" / f"{k:06d}.parquet" for k in range(chunks)]

    def read(self) -> None:
        """Text -> chunks of Parquet."""
        s = self.state
        if s["read"]:
            return
        with self.bar("reading", s["rows"]) as bar:
            for piece in text.pieces(self.file, self.at, self.size, s["offset"], s["line"]):
                table = text.parse(self.file, self.at, piece)
                target = self.folder / "chunks" / f"{s['rows'] // self.size:06d}.parquet"
                write_aside(target, lambda aside, table=table: columns.write_chunk(table, aside))  # type: ignore[misc]
                self.keep(rows=s["rows"] + len(table), offset=piece.next_offset, line=piece.next_line)
                bar.update(len(table))
        if identity(self.file) != s["source"]:
            raise ValueError(f"{self.file.name} changed while it was read; start again with --fresh")
        self.keep(read=True)

    def count(self, train: int) -> None:
        """Vocabularies and scales of the training part; a group is counted over all rows."""
        numeric, s = self.at.of("numeric"), self.state
        counted = [c for c in self.at.of("categorical", "group") if not c.hash and c.name not in s["vocabularies"]]
        first = {c.name: s["rows"] if c.kind == "group" else train for c in counted}
        with self.bar("counting", total=sum(first.values()), unit=" cells") as bar:
            for c in counted:
                least = 1 if c.kind == "group" else c.min_count
                values = columns.count(self.files(), c.name, first[c.name], least, self.most, bar.update)
                if c.kind == "group":
                    values = values[values != ""]
                target = self.folder / f"vocabulary-{self.at.columns.index(c):03d}.npy"
                write_aside(target, lambda aside, values=values: save(aside, values))  # type: ignore[misc]
                self.keep(vocabularies={**s["vocabularies"], c.name: entry(target)})
        if s["scales"] is None:
            with self.bar("scaling", total=train) as bar:
                mean, sd = columns.moments(self.files() if numeric else [], numeric, train, bar.update)
            self.keep(scales={"mean": mean.tolist(), "sd": sd.tolist()})

    def shapes(self) -> dict[str, tuple[str, list[int]]]:
        rows, widths = self.state["rows"], [len(self.at.of(kind)) for kind in ("categorical", "numeric", "group")]
        shapes = {"ids": ("int32", [rows, widths[0]]), "numeric": ("float32", [rows, widths[1]])}
        return {**shapes, "label": ("float32", [rows]), **({"group": ("int32", [rows])} if widths[2] else {})}

    def encode(self) -> None:
        """Chunks -> tensors, each at its place in a file of known size."""
        s, files = self.state, self.files()
        known = columns.vocabularies(
            self.at.columns, {n: self.folder / v["file"] for n, v in s["vocabularies"].items()}
        )
        mean, sd = np.array(s["scales"]["mean"]), np.array(s["scales"]["sd"])
        sizes = {self.folder / f"{name}.bin": 4 * prod(shape) for name, (_, shape) in self.shapes().items()}
        if not all(file.exists() and file.stat().st_size == size for file, size in sizes.items()):
            if s["encoded"]:
                self.keep(encoded=0)
            for file, size in sizes.items():
                with file.open("wb") as target:
                    target.truncate(size)
        with self.bar("encoding", s["encoded"] * self.size, s["rows"]) as bar:
            for k in range(s["encoded"], len(files)):
                table = columns.read_chunk(files[k], [c.name for c in self.at.columns])
                for name, tensor in columns.encode(table, self.at.columns, known, mean, sd).items():
                    with (self.folder / f"{name}.bin").open("r+b") as target:
                        target.seek(k * self.size * 4 * (tensor.shape[1] if tensor.ndim > 1 else 1))
                        target.write(np.ascontiguousarray(tensor).data)
                self.keep(encoded=k + 1)
                bar.update(len(table))

    def finish(self, rows: dict[str, int]) -> dict[str, Any]:
        """The manifest, last."""
        s, criteo = self.state, self.at.format == "criteo"
        label = self.at.of("label")[0].name
        scales = zip(self.at.of("numeric"), s["scales"]["mean"], s["scales"]["sd"], strict=True)
        tensors = {
            name: {"dtype": kind, "shape": shape, **entry(self.folder / f"{name}.bin")}
            for name, (kind, shape) in self.shapes().items()
        }
        about = {
            "source": f"Criteo display advertising challenge, {self.file.name}" if criteo else self.file.name,
            "split": "in the order of the file: train, validation, test",
            "label": "1 = the ad was clicked" if criteo else f"1 = {label} is 1",
            "rows": ", ".join(f"{n} {part}" for part, n in rows.items()),
            "numbers": "transformed and standardised by the training part; a missing number becomes 0, the mean",
            "categories": "seen often enough in training, or hashed; rarer and unseen ones share a row",
        }
        manifest = {
            **{k: s[k] for k in ("version", "source", "settings", "vocabularies")}, "rows": rows, "tensors": tensors,
            "columns": s["settings"]["columns"], "numeric": {c.name: [mean, sd] for c, mean, sd in scales},
            "chunks": len(self.files()), "name": "criteo" if criteo else self.file.name.split(".")[0],
            "task": "click" if criteo else label, "about": about,
        }  # fmt: skip
        write_json(self.folder / MANIFEST, manifest)
        (self.folder / PROGRESS).unlink()
        return manifest


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="the text file, plain or .gz")
    parser.add_argument("out", help="the folder to write")
    parser.add_argument("--format", default="", choices=list(FORMATS), help="default: csv with a schema, else criteo")
    parser.add_argument("--schema", type=Path, help="JSON: column -> kind, or {kind, min_count, hash, transform}")
    parser.add_argument("--min-count", type=int, default=2, help="rarer categories share row 0; default 2")
    parser.add_argument("--hash", type=int, default=0, help="buckets of a category; default: vocabularies")
    parser.add_argument("--separator", default="", help="of a CSV file; default: the header's most frequent")
    parser.add_argument("--features", type=int, default=0, help="of libsvm: the largest index")
    parser.add_argument("--train", type=float, default=0.8, help="share of the first rows; default 0.8")
    parser.add_argument("--validation", type=float, default=0.1, help="share of the next ones; default 0.1")
    parser.add_argument("--max-values", type=int, default=MOST_VALUES, dest="most_values", help="of a column")
    parser.add_argument("--fresh", action="store_true", help="forget what the folder holds")
    given = vars(parser.parse_args())
    try:
        given["schema"] = read_json(given["schema"]) if given["schema"] else None
        manifest = prepare(given.pop("source"), given.pop("out"), **given)
    except ValueError as error:
        parser.exit(1, f"{error}\n")
    print(f"{sum(manifest['rows'].values()):,} rows: {manifest['about']['rows']}")


if __name__ == "__main__":
    main()
