"""Weights as safetensors + JSON, results as JSON; everything is written aside and then renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

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


def weights_path(dataset: str, task: str, model: str) -> Path:
    """Where the stored weights of a model lie, without suffix."""
    return WEIGHTS / f"{dataset}.{task}.{model}"


def load_results(dataset: str | None = None, task: str | None = None, model: str | None = None) -> list[dict[str, Any]]:
    """The committed runs (one per model and seed) that match, from ``results/leaderboard.json``."""
    runs: Iterable[dict[str, Any]] = read_json(RESULTS / "leaderboard.json")["runs"]
    wanted = {k: v for k, v in {"dataset": dataset, "task": task, "model": model}.items() if v is not None}
    return [r for r in runs if all(r[k] == v for k, v in wanted.items())]
