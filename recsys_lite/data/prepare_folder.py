"""The folder of a preparation: what its manifest says of files, whether it belongs to a source, how it is emptied."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ..store.files import file_hash
from .prepared import MANIFEST, PROGRESS, TENSORS

MEGABYTE = 1_000_000


def save(path: Path, values: np.ndarray) -> None:
    """Text as ``.npy``, under any name."""
    with path.open("wb") as target:
        np.save(target, values, allow_pickle=False)


def entry(file: Path) -> dict[str, Any]:
    """What the manifest says of a file."""
    return {"file": file.name, "bytes": file.stat().st_size, "sha256": file_hash(file)}


def identity(file: Path) -> dict[str, Any]:
    """Name, size and the hashes of first and last megabyte: enough to see that a file was exchanged or has grown."""
    size = file.stat().st_size
    with file.open("rb") as source:
        first = hashlib.sha256(source.read(MEGABYTE)).hexdigest()
        source.seek(max(size - MEGABYTE, 0))
        last = hashlib.sha256(source.read(MEGABYTE)).hexdigest()
    return {"name": file.name, "bytes": size, "first_megabyte_sha256": first, "last_megabyte_sha256": last}


def same(folder: Path, stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    """A ``ValueError`` that names the difference if a folder was begun with another version, source or setting."""
    for part in ("version", "source", "settings"):
        if difference := _difference(part, stored.get(part), wanted[part]):
            raise ValueError(f"{folder} was made from another {difference}; take another folder or --fresh")


def _difference(name: str, old: Any, new: Any) -> str:
    """The first place where two JSON values differ."""
    if old == new:
        return ""
    if isinstance(old, dict) and isinstance(new, dict):
        key = next(k for k in {**new, **old} if old.get(k) != new.get(k))
        return _difference(f"{name}, {key}", old.get(key), new.get(key))
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        place = next(k for k in range(len(new)) if old[k] != new[k])
        return _difference(f"{name} {place + 1}", old[place], new[place])
    return f"{name}: {old!r}, not {new!r}"


def forget(folder: Path) -> None:
    """Remove what a preparation wrote, its manifest first."""
    for name in (MANIFEST, PROGRESS):
        (folder / name).unlink(missing_ok=True)
    for pattern in ("vocabulary-???.npy", "chunks/??????.parquet", *(f"{name}.bin" for name in TENSORS)):
        for file in folder.glob(pattern):
            file.unlink()
