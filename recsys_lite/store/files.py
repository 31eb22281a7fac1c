"""Weights as safetensors + JSON, results as JSON; everything is written aside and then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from .sparse import packed, unpacked

PACKAGE = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
WEIGHTS = RESULTS / "weights"
BESIDE = "stored"  # the folder of a downloaded chapter with the files that it reads, laid out as in the package
STALE = 600  # seconds after which a temporary file belongs to nobody who still writes


def located(path: Path) -> Path:
    """Where a stored file or folder of the package lies: there or, in a downloaded chapter, beside the notebook.

    The library of a downloaded chapter has no results, weights and samples. Those that the chapter reads lie in the
    folder :data:`BESIDE` of the working directory. Each call is an audit event, ``recsys_lite.stored``, by which the
    book learns what a chapter reads (``tools/stored.py``).

    Args:
        path: in the package; any other path is returned as it is.
    """
    if not path.is_relative_to(PACKAGE):
        return path
    sys.audit("recsys_lite.stored", str(path))
    beside = Path.cwd() / BESIDE / path.relative_to(PACKAGE)
    return beside if not path.exists() and beside.exists() else path


def missing(path: Path) -> str:
    """What to say of a file that does not exist: for a stored one, in which download it is."""
    told = f"{path} does not exist"
    if RESULTS.exists() or not path.is_relative_to(PACKAGE):
        return told
    return (
        f"{told}, nor does {Path(BESIDE) / path.relative_to(PACKAGE)} beside the notebook. This is the library of a "
        "downloaded chapter, which brings only the files that the chapter reads. recsys-lite.zip, the download of all "
        "chapters, holds those of every chapter, a clone of the repository holds all"
    )


def write_aside(path: Path, write: Callable[[Path], Any]) -> None:
    """Call ``write`` on a temporary neighbour of ``path`` and rename it: readers see the old file or the new one.

    The file has the mode of any new file, whatever ``write`` gives it. Neighbours that an earlier writer left when it
    was stopped are removed once they are :data:`STALE` seconds old.
    """
    with _written(path, write) as made:
        os.replace(made, path)


@contextlib.contextmanager
def _written(path: Path, write: Callable[[Path], Any]) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent, re.escape(f".{path.name}.") + r"[0-9]+-[0-9a-f]{8}\.part")
    aside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        aside.touch()
        mode = aside.stat().st_mode
        write(aside)
        aside.chmod(mode)
        yield aside
    finally:
        aside.unlink(missing_ok=True)


def _sweep(folder: Path, names: str) -> None:
    """Remove what stopped writers left; one that runs renews its file all the time."""
    for file in folder.iterdir():
        if re.fullmatch(names, file.name):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > STALE:
                    file.unlink()


def write_pair(path: Path, suffix: str, write: Callable[[Path], Any], record: dict[str, Any]) -> None:
    """Two files that belong together, ``<path><suffix>`` and ``<path>.json``: a stop leaves the old or the new pair.

    The data are written under a name with their hash, then the record, which tells it as ``sha256``, and then the data
    take the place of the old ones. :func:`read_pair` finds them at either place.
    """
    final, text = path.with_name(path.name + suffix), as_json(record)  # what has no form is told before anything is
    with _written(final, write) as made:
        found = file_hash(made)
        os.replace(made, hashed := _waiting(path, suffix, found))
    write_json(path.with_name(path.name + ".json"), {**json.loads(text), "sha256": found})
    os.replace(hashed, final)
    _sweep(path.parent, re.escape(f"{path.name}.") + "[0-9a-f]{16}" + re.escape(suffix))


def read_pair(path: Path, suffix: str, wanted: Mapping[str, type | tuple[type, ...]], what: str) -> tuple[Any, Path]:
    """The record and the file of :func:`write_pair`.

    Args:
        path: without suffix.
        suffix: of the data.
        wanted: key -> type of what the record must hold.
        what: the message for another record, such as ``"not a record of save_model"``.

    Raises:
        ValueError: naming the file, if one is missing or damaged, the record is another one, or the two do not belong
            together. (Records without a hash, as older versions wrote them, are believed.)
    """
    about = located(path.with_name(path.name + ".json"))
    final = about.with_name(path.name + suffix)
    for _ in range(3):  # a writer may be between its steps
        record = read_json(about)
        if not isinstance(record, dict) or not all(isinstance(record.get(k), kind) for k, kind in wanted.items()):
            raise ValueError(f"{about}: {what}, which has {', '.join(wanted)}")
        expected = record.get("sha256")
        if not isinstance(expected, str):
            return record, final
        for file in (final, _waiting(about.with_name(path.name), suffix, expected)):
            with contextlib.suppress(FileNotFoundError):
                if file_hash(file) == expected:
                    return record, file
    if not final.exists():
        raise ValueError(missing(final))
    raise ValueError(f"{final} is damaged, or {about.name} belongs to another {suffix.lstrip('.')}: hashes differ")


def _waiting(path: Path, suffix: str, sha256: str) -> Path:
    return path.with_name(f"{path.name}.{sha256[:16]}{suffix}")


def file_hash(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal text."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """JSON with sorted keys and a line per entry, so that differences are readable."""
    text = as_json(value)
    write_aside(path, lambda p: p.write_text(text, encoding="utf-8"))


def as_json(value: Any) -> str:
    """The text of a JSON file; numbers may be NumPy's.

    Raises:
        TypeError: for a value that JSON has no form for.
    """
    return json.dumps(value, indent=1, sort_keys=True, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"JSON has no form for {type(value).__name__}")


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        ValueError: naming the file, if it is missing or damaged.
    """
    path = located(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(missing(path)) from None
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, a number or a nesting beyond all bounds
        raise ValueError(f"{path} is not valid JSON: {error}") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder, expected a file") from None


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Named tensors as safetensors."""
    write_aside(path, lambda p: save_tensors(p, tensors))


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Named tensors as safetensors, at once and in place: for what is called by :func:`write_aside`.

    Not by safetensors' own ``save_file``: that writes aside, too, and what it leaves when it is stopped has a name that
    nobody could tell from other programs' files. What is mostly zero takes less room, see :func:`packed`.
    """
    path.write_bytes(save(packed(tensors)))


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Named tensors of a safetensors file; a ``ValueError`` names a missing or damaged file."""
    path = located(path)
    if not path.is_file():
        raise ValueError(f"{path} is a folder, expected a file" if path.is_dir() else missing(path))
    try:
        return unpacked(load_file(path))
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}") from None


def weights_path(dataset: str, task: str, model: str) -> Path:
    """Where the stored weights of a model lie, without suffix."""
    return WEIGHTS / f"{dataset}.{task}.{model}"


def load_results(dataset: str | None = None, task: str | None = None, model: str | None = None) -> list[dict[str, Any]]:
    """The committed runs (one per model and seed) that match, from ``results/leaderboard.json``."""
    runs: Iterable[dict[str, Any]] = read_json(RESULTS / "leaderboard.json")["runs"]
    wanted = {k: v for k, v in {"dataset": dataset, "task": task, "model": model}.items() if v is not None}
    return [r for r in runs if all(r[k] == v for k, v in wanted.items())]
