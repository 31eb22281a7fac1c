"""A prepared folder as a data set: tensors stay in their files, and what a batch needs is paged in. Needs no pyarrow.

Layout of the folder, written by :mod:`recsys_lite.data.prepare`:

=========================  ============================================================================================
``manifest.json``          version, source, settings, columns, rows of each part, sizes and hashes; written last
``ids.bin``                (N, C) int32, row after row, little-endian, the columns in the order of the schema
``numeric.bin``            (N, M) float32
``label.bin``              (N,) float32
``group.bin``              (N,) int32, only with a group column
``vocabulary-000.npy``     the known values of column 0, sorted text
``chunks/000000.parquet``  the typed text, 100,000 rows a file, as pandas or pyarrow read it
=========================  ============================================================================================
"""

from __future__ import annotations

import mmap
import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..fields import Dataset, Field, HashedVocabulary, Rows, Vocabulary
from ..store.files import file_hash, read_json
from .criteo import MISSING

VERSION = 1
MANIFEST, PROGRESS = "manifest.json", "progress.json"
TENSORS = ("ids", "numeric", "label", "group")
PARTS = ("train", "validation", "test")
TRANSFORM = {"log": "sign(x)·log(1+|x|), standardised", "none": "standardised"}


def load(path: str | os.PathLike[str], verify: bool = False) -> Dataset:
    """The data set in a prepared folder, opened in about a second whatever its size.

    The tensors are private maps of the files: nothing is read before a batch asks for it, the system may drop what
    was read when memory is short, and writing into a tensor changes neither the file nor another process.
    In memory are a batch and, while rows are shuffled, their order: 8 bytes a row. ``Dataset.select`` and ``drop``
    copy columns into memory: rather leave out columns when preparing.

    Args:
        path: the folder that ``python -m recsys_lite.data.prepare`` wrote.
        verify: also compare every file with its sha256, which reads all of them. Default False: sizes only.

    Raises:
        ValueError: naming the file, if the folder is unfinished, of another version, cut short or damaged.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    try:
        return _opened(folder, manifest, verify)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{folder / MANIFEST} is damaged: {type(error).__name__}: {error}") from error


def _opened(folder: Path, manifest: dict[str, Any], verify: bool) -> Dataset:
    for file in [*manifest["tensors"].values(), *manifest["vocabularies"].values()]:
        check_file(folder, file, verify)
    if sys.byteorder != "little":
        raise ValueError(f"{folder}: the tensors are little-endian, this machine is not")
    tensors = {name: _mapped(folder / t["file"], t["shape"], t["dtype"]) for name, t in manifest["tensors"].items()}
    rows = [manifest["rows"][part] for part in PARTS]
    group = tensors.get("group", torch.tensor(-1, dtype=torch.int32).expand(sum(rows)))
    parts = [
        Rows(tensors["ids"][a:b], tensors["numeric"][a:b], {}, tensors["label"][a:b], group[a:b])
        for a, b in pairwise([0, *np.cumsum(rows).tolist()])
    ]
    columns = [c for c in manifest["columns"] if c["kind"] in ("categorical", "numeric")]
    fields = tuple(_field(folder, c, manifest) for c in columns)
    return Dataset(
        manifest["name"], manifest["task"], fields, parts[0], parts[1], parts[2], manifest["about"],
        {"numeric": {name: tuple(scale) for name, scale in manifest["numeric"].items()}}, checked=True,
    )  # fmt: skip


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished folder, or a ``ValueError`` that says what it is instead."""
    if not (folder / MANIFEST).exists():
        if (folder / PROGRESS).exists():
            raise ValueError(f"{folder} is not finished: run the same recsys_lite.data.prepare again, and it goes on")
        raise ValueError(f"{folder} {'is not prepared: it' if folder.is_dir() else ''} has no {MANIFEST}")
    manifest = read_json(folder / MANIFEST)
    version = manifest.get("version") if isinstance(manifest, dict) else None
    if version != VERSION:
        raise ValueError(f"{folder / MANIFEST}: expected format version {VERSION}, got {version}; prepare it again")
    if missing := {"tensors", "vocabularies", "rows", "columns", "numeric", "name", "task", "about"} - set(manifest):
        raise ValueError(f"{folder / MANIFEST} is damaged: it has no {sorted(missing)[0]!r}")
    return manifest


def check_file(folder: Path, said: dict[str, Any], verify: bool) -> None:
    """A ``ValueError`` if a file of the manifest is missing, of another size or (``verify``) of another hash."""
    file = folder / said["file"]
    if not file.is_file():
        raise ValueError(f"{file} is missing; prepare the folder again")
    if (got := file.stat().st_size) != said["bytes"]:
        raise ValueError(f"{file}: expected {said['bytes']} bytes, got {got}; prepare the folder again")
    if verify and (digest := file_hash(file)) != said["sha256"]:
        raise ValueError(f"{file}: expected sha256 {said['sha256']}, got {digest}; prepare the folder again")


def _mapped(file: Path, shape: list[int], dtype: str) -> Tensor:
    """A tensor that lies in a file. The map is private and reserves no memory, so that it may be larger than memory."""
    kind = {"int32": torch.int32, "float32": torch.float32}[dtype]
    if not file.stat().st_size:
        return torch.zeros(shape, dtype=kind)
    with file.open("rb") as source:
        if sys.platform == "linux":
            flags = mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0x4000)  # named from Python 3.13 on
            pages = mmap.mmap(source.fileno(), 0, flags=flags)
        else:
            pages = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_COPY)
    return torch.frombuffer(pages, dtype=kind).view(shape)


def _field(folder: Path, column: dict[str, Any], manifest: dict[str, Any]) -> Field:
    criteo = manifest["settings"]["format"] == "criteo"
    if column["kind"] == "numeric":
        about = "a count" if criteo else ""
        transform, (mean, sd) = column["transform"], map(float, manifest["numeric"][column["name"]])
        if transform == "none":  # then raw rows can be encoded, too
            return Field(column["name"], "numeric", transform=TRANSFORM[transform], scale=(mean, sd), fill=mean)
        return Field(column["name"], "numeric", transform=TRANSFORM[transform], about=about)
    labels = {"": MISSING}
    if column["hash"]:
        vocabulary: Vocabulary = HashedVocabulary(column["hash"], labels)
    else:
        vocabulary = open_vocabulary(folder / manifest["vocabularies"][column["name"]]["file"])
    return Field(column["name"], "categorical", vocabulary, about="a hashed category" if criteo else "")


def open_vocabulary(file: Path) -> Vocabulary:
    """A vocabulary whose values stay in their file."""
    try:
        return Vocabulary.of_sorted(np.load(file, mmap_mode="r"), {"": MISSING})
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{file} is damaged: {error}") from None
