"""libfm files in three parts, as published with NFM and AFM (Frappe, ML-tag): a feature of each field on every line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..fields import Dataset, Field, Rows, Vocabulary
from . import fetch

PARTS = ("train", "validation", "test")


def load(path: str | os.PathLike[str], names: Sequence[str] | None = None) -> Dataset:
    """The files ``train.libfm``, ``validation.libfm`` and ``test.libfm`` of a folder as rows of categorical fields.

    A line is ``label index:1 index:1 ...``: label 1 or -1 (or 0), then one feature of each field, always in the
    same order. The k-th is the category of the k-th field; its value is the index. Vocabularies hold what the training
    file shows. Files with numbers, or with sets of features, are read by ``python -m recsys_lite.data.prepare --format
    libsvm``.

    Args:
        path: the folder. The names may have something before them, with a point between (``frappe.train.libfm``).
        names: of the fields, in the order of the line. Default ``x1``, ``x2``, ... If one is ``"user"``, groups are its
            indices; otherwise rows belong to nobody.

    Raises:
        ValueError: naming file and line: a label that is neither 1, 0 nor -1; something else than ``index:1``; another
            number of features than on the first line; an index that was another field's before. Also for an empty file
            and for names that do not fit. DataUnavailable: if a file is missing.

    Source: Rendle, Factorization Machines with libFM, ACM TIST 2012; He and Chua, Neural Factorization Machines for
    Sparse Predictive Analytics, SIGIR 2017.
    """
    files = [_file(Path(path), part) for part in PARTS]
    labels, features = zip(*map(_parse, files), strict=True)
    width = features[0].shape[1]
    for file, found in zip(files, features, strict=True):
        if found.shape[1] != width:
            raise ValueError(f"{file.name}, line 1: got {found.shape[1]} features, {files[0].name} has {width} a line")
    names = [f"x{k}" for k in range(1, width + 1)] if names is None else list(names)
    if len(names) != width or len(set(names)) != width:
        raise ValueError(f"libfm: expected {width} different names, one for each feature of a line, got {names}")
    _check_places(files, features)
    fields = tuple(
        Field(name, "categorical", Vocabulary(np.unique(features[0][:, k])), about=f"feature {k + 1} of a line")
        for k, name in enumerate(names)
    )
    rows = []
    for label, found in zip(labels, features, strict=True):
        ids = np.stack([f.vocabulary.encode(found[:, k]) for k, f in enumerate(fields)], 1)  # type: ignore[union-attr]
        user = found[:, names.index("user")] if "user" in names else np.full(len(ids), -1)
        group = torch.from_numpy(user.astype(np.int32))
        rows.append(Rows(torch.from_numpy(ids), torch.zeros(len(ids), 0), {}, torch.from_numpy(label), group))
    about = {
        "source": f"libfm files in folder {Path(path).name}",
        "split": "as in the files",
        "label": "1 = 1, 0 = -1 or 0 in the files",
        "rows": ", ".join(f"{len(r)} {part}" for part, r in zip(PARTS, rows, strict=True)),
        **{f"{part}_sha256": fetch.sha256(f.read_bytes()) for part, f in zip(PARTS, files, strict=True)},
    }
    return Dataset("libfm", "click", fields, rows[0], rows[1], rows[2], about)


def _file(folder: Path, part: str) -> Path:
    found = sorted({*folder.glob(f"{part}.libfm"), *folder.glob(f"*.{part}.libfm")})
    if not found:
        what = "holds no" if folder.is_dir() else "is no folder with a"
        raise fetch.DataUnavailable(f"{folder} {what} {part}.libfm; expected train, validation and test.libfm")
    if len(found) > 1:
        raise ValueError(f"{folder} holds {len(found)} files of the {part} part: {', '.join(f.name for f in found)}")
    return found[0]


def _parse(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Labels (B,) float32 and indices (B, F) int64."""
    labels, indices, width = [], [], 0
    with file.open(encoding="latin-1") as source:  # any bytes: what is no index is named below
        for number, line in enumerate(source, 1):
            label, *cells = line.split() or [""]
            width = width or len(cells)
            if label not in ("1", "-1", "0") or len(cells) != width or not all(map(_is_feature, cells)):
                raise ValueError(f"{file.name}, line {number}: {_wrong(label, cells, width)}")
            labels.append(label == "1")
            indices.append([int(cell.partition(":")[0]) for cell in cells])
    if not width:
        raise ValueError(f"{file.name} {'holds no features' if labels else 'is empty'}")
    return np.array(labels, np.float32), np.array(indices, np.int64)


def _is_feature(cell: str) -> bool:
    return re.fullmatch(r"[0-9]{1,9}:1(\.0*)?", cell) is not None


def _wrong(label: str, cells: list[str], width: int) -> str:
    if label not in ("1", "-1", "0"):
        return f"the label is {label!r}, expected 1, -1 or 0"
    if len(cells) != width:
        return f"got {len(cells)} features, line 1 has {width}; each line needs one of every field"
    return f"got {next(c for c in cells if not _is_feature(c))!r}, expected index:1"


def _check_places(files: Sequence[Path], features: Sequence[np.ndarray]) -> None:
    """An index belongs to one field: otherwise the k-th feature of a line is not the k-th field."""
    first: dict[int, int] = {}
    for file, found in zip(files, features, strict=True):
        for k, column in enumerate(found.T):
            for index in np.unique(column).tolist():
                if first.setdefault(index, k) != k:
                    line = int((column == index).argmax()) + 1
                    raise ValueError(
                        f"{file.name}, line {line}: index {index} is feature {k + 1} of the line, and feature "
                        f"{first[index] + 1} of another; features must stand in the order of their fields"
                    )
