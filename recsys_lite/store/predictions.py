"""What trained models predict for the test rows, seed by seed: the ground of every comparison.

A logit takes two bytes: each seed's logits lie on 65,536 evenly spaced levels from its smallest to its largest. On
MovieLens click that changes AUC by at most 4e-7 and log loss by at most 5e-7, also where logits are four times as
large; float16, of the same size, by 2e-6 and 4e-6. Ten seeds of one model on 28,788 rows take 0.58 MB.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from .. import __version__
from ..fields import Dataset
from .files import RESULTS, located, read_json, read_pair, read_tensors, save_tensors, write_pair

PREDICTIONS = RESULTS / "predictions"
LEVELS = 2**16
#: the widest step between levels, in log-odds; below it the errors of the module's text hold
STEP = 0.01


def save_predictions(
    dataset: Dataset, model: str, logits: object, seeds: Sequence[int], *, folder: Path = PREDICTIONS
) -> None:
    """Write ``<data>.<task>.<model>.safetensors`` and a ``.json`` with seeds, rows, hashes and versions.

    Args:
        dataset: whose test part it is.
        model: its name.
        logits: (S, N), a line per seed. Of probabilities p: log(p / (1 - p)).
        seeds: S numbers, in the order of the lines.
        folder: default ``results/predictions``.

    Raises:
        ValueError: for a shape other than (S, N), logits that are not finite, seeds that repeat, a name that is no file
            name, or a seed whose logits span more than 655.
    """
    z = np.asarray(logits, np.float64)
    if z.shape != (len(seeds), len(dataset.test)) or not z.size:
        raise ValueError(f"predictions of {model}: expected {(len(seeds), len(dataset.test))}, got shape {z.shape}")
    if not np.isfinite(z).all():
        raise ValueError(f"predictions of {model}: {(~np.isfinite(z)).sum()} logits are not finite")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"predictions of {model}: seeds repeat: {list(seeds)}")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", model):
        raise ValueError(f"predictions: {model!r} is no name of a model")
    low, step = z.min(1), (z.max(1) - z.min(1)) / (LEVELS - 1)
    if step.max() > STEP:
        raise ValueError(
            f"predictions of {model}: logits span {np.ptp(z, 1).max():.3g}, expected at most {STEP * LEVELS:.0f}"
        )
    levels = np.rint((z - low[:, None]) / np.where(step > 0, step, 1)[:, None]) - LEVELS // 2
    record = {
        **_of(dataset), "model": model, "seeds": [int(s) for s in seeds],
        "data_sha256": dataset.about.get("data_sha256"),
        "versions": {"recsys_lite": __version__, "torch": torch.__version__, "numpy": np.__version__},
    }  # fmt: skip
    path = folder / f"{dataset.name}.{dataset.task}.{model}"
    scale = torch.from_numpy(np.column_stack([low, step]))
    tensors = {"levels": torch.from_numpy(levels.astype(np.int16)), "scale": scale}
    write_pair(path, ".safetensors", lambda p: save_tensors(p, tensors), record)


def load_predictions(
    dataset: Dataset, models: Sequence[str] | None = None, *, folder: Path = PREDICTIONS
) -> dict[str, np.ndarray]:
    """Probabilities (S, N) of the test rows, by model, as :func:`recsys_lite.evaluation.compare_all` takes them.

    Args:
        dataset: the same data and task, whose test rows are the same in the same order.
        models: names. Default: all that are stored, by name.
        folder: default ``results/predictions``.

    Raises:
        ValueError: if nothing is stored, a model or a file is missing or damaged, or the test rows are others.
    """
    start = f"{dataset.name}.{dataset.task}."
    there = sorted(p.name[len(start) : -len(".json")] for p in located(folder).glob(f"{start}*.json"))
    if not there:
        raise ValueError(f"predictions: none are stored for {dataset.name}, {dataset.task}")
    names = there if models is None else list(models)
    if unknown := [m for m in names if m not in there]:
        raise ValueError(f"predictions: none of {unknown[0]!r} for {dataset.name}, {dataset.task}; there are {there}")
    return {name: expit(_logits(dataset, name, folder)[0]) for name in names}


def add_predictions(dataset: Dataset, model: str, logits: object, seed: int, *, folder: Path = PREDICTIONS) -> None:
    """Put one seed's logits (N,) beside those that are stored, in the place of that seed's own; see
    :func:`save_predictions`."""
    new = np.asarray(logits, np.float64)
    lines: dict[int, np.ndarray] = {}
    if (folder / f"{dataset.name}.{dataset.task}.{model}.json").exists():
        kept, seeds = _logits(dataset, model, folder)
        lines = dict(zip(seeds, kept, strict=True))
    lines[int(seed)] = new
    ordered = sorted(lines)
    save_predictions(dataset, model, np.stack([lines[s] for s in ordered]), ordered, folder=folder)


def _logits(dataset: Dataset, model: str, folder: Path) -> tuple[np.ndarray, list[int]]:
    """The logits (S, N) of a model and their seeds; errors as :func:`load_predictions` tells them."""
    path = folder / f"{dataset.name}.{dataset.task}.{model}"
    record, file = read_pair(path, ".safetensors", {"seeds": list}, "not a record of save_predictions")
    wanted = _of(dataset)
    for key, value in wanted.items():
        if record.get(key) != value:
            raise ValueError(f"{path.name}: made for other test rows ({key} differs); predict again")
    tensors = read_tensors(file)
    shape = (len(record["seeds"]), wanted["rows"])
    if {k: tuple(v.shape) for k, v in tensors.items()} != {"levels": shape, "scale": (shape[0], 2)}:
        raise ValueError(f"{path.name}: the tensors do not fit the record of {shape[0]} seeds and {shape[1]} rows")
    low, step = tensors["scale"].numpy().T[:, :, None]
    return low + step * (tensors["levels"].numpy().astype(np.float64) + LEVELS // 2), list(record["seeds"])


def stored_seeds(dataset: str, task: str, model: str, *, folder: Path = PREDICTIONS) -> list[int]:
    """The seeds of a model's stored predictions, in the order of their lines."""
    return [int(s) for s in read_json(folder / f"{dataset}.{task}.{model}.json")["seeds"]]


def _of(dataset: Dataset) -> dict[str, Any]:
    """What must be the same: data, task, number and hash of the test rows (ids, labels, users)."""
    digest = hashlib.sha256()
    for column in (dataset.test.ids, dataset.test.label, dataset.test.group):
        digest.update(b"none" if column is None else column.contiguous().numpy().tobytes())
    return {
        "data": dataset.name,
        "task": dataset.task,
        "rows": len(dataset.test),
        "test_sha256": digest.hexdigest(),
    }
