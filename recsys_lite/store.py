"""Weights as safetensors + JSON, results as JSON; everything is written aside and then renamed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from .fields import Field
from .models import MODELS, Model

RESULTS = Path(__file__).parent / "results"
WEIGHTS = RESULTS / "weights"


def write_aside(path: Path, write: Callable[[Path], Any]) -> None:
    """Call ``write`` on a temporary neighbour of ``path`` and rename it: readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """JSON with sorted keys and a line per entry, so that differences are readable."""
    write_aside(path, lambda p: p.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8"))


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        ValueError: naming the file, if it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Named tensors as safetensors."""
    write_aside(path, lambda p: save_file({k: v.detach().contiguous() for k, v in tensors.items()}, p))


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Named tensors of a safetensors file; a ``ValueError`` names a missing or damaged file."""
    if not path.exists():
        raise ValueError(f"{path} does not exist")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}") from None


def fingerprint(fields: Sequence[Field]) -> str:
    """A hash of field names, kinds and vocabularies: weights only fit the fields they were trained on."""
    digest = hashlib.sha256()
    for f in fields:
        digest.update(f"{f.name}|{f.kind}|{f.length}|{f.table}|{f.size}".encode())
        if f.vocabulary is not None:
            digest.update("\x1f".join(map(str, f.vocabulary.values.tolist())).encode())  # values, not their layout
    return digest.hexdigest()


def save_model(model: Model, path: str | Path, **about: Any) -> None:
    """Write ``<path>.safetensors`` (weights) and ``<path>.json`` (class, settings, fields' fingerprint, ``about``)."""
    path = Path(path)
    kind = next((name for name, cls in MODELS.items() if cls is type(model)), None)
    if kind is None:
        raise ValueError(f"{type(model).__name__} is not in MODELS; known: {sorted(MODELS)}")
    write_tensors(path.with_name(path.name + ".safetensors"), model.state_dict())
    record = {"model": kind, "config": model.config, "fields": fingerprint(model.fields), "about": about}
    write_json(path.with_name(path.name + ".json"), record)


def load_model(path: str | Path, fields: Sequence[Field]) -> Model:
    """The model written by :func:`save_model`, in evaluation mode.

    Raises:
        ValueError: if a file is missing or damaged, or the fields are not those that it was trained on.
    """
    path = Path(path)
    record = read_json(path.with_name(path.name + ".json"))
    if record["model"] not in MODELS:
        raise ValueError(f"{path}: unknown model {record['model']!r}; known: {sorted(MODELS)}")
    if record["fields"] != fingerprint(fields):
        raise ValueError(f"{path}: these weights were trained on other fields than {[f.name for f in fields]}")
    model = MODELS[record["model"]](fields, **record["config"])
    try:
        model.load_state_dict(read_tensors(path.with_name(path.name + ".safetensors")))
    except RuntimeError as error:  # a name or a size that does not fit
        raise ValueError(f"{path}: the weights do not fit {record['model']}: {error}") from error
    return model.eval()


def weights_path(dataset: str, task: str, model: str) -> Path:
    """Where the stored weights of a model lie, without suffix."""
    return WEIGHTS / f"{dataset}.{task}.{model}"


def load_results(dataset: str | None = None, task: str | None = None, model: str | None = None) -> list[dict[str, Any]]:
    """The committed runs (one per model and seed) that match, from ``results/leaderboard.json``."""
    runs: Iterable[dict[str, Any]] = read_json(RESULTS / "leaderboard.json")["runs"]
    wanted = {k: v for k, v in {"dataset": dataset, "task": task, "model": model}.items() if v is not None}
    return [r for r in runs if all(r[k] == v for k, v in wanted.items())]
