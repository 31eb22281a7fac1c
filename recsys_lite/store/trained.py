"""Weights of trained models, with what they are of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..fields import Field
from ..models import MODELS, Model
from .files import as_json, read_json, read_tensors, write_json, write_tensors


def fingerprint(fields: Sequence[Field]) -> str:
    """A hash of fields (names, kinds, scales, medians, vocabularies): weights only fit those they were trained on."""
    digest = hashlib.sha256()
    for f in fields:
        digest.update(f"{f.name}|{f.kind}|{f.length}|{f.table}|{f.size}".encode())
        if f.scale is not None:
            digest.update(f"|{f.scale[0]!r}|{f.scale[1]!r}".encode())
        if f.fill is not None:
            digest.update(f"|{f.fill!r}".encode())
        if f.vocabulary is not None:
            digest.update("\x1f".join(map(str, f.vocabulary.values.tolist())).encode())  # values, not their layout
    return digest.hexdigest()


def save_model(model: Model, path: str | Path, **about: Any) -> None:
    """Write ``<path>.safetensors`` (weights) and ``<path>.json`` (class, settings, fields' fingerprint, ``about``)."""
    path = Path(path)
    kind = next((name for name, cls in MODELS.items() if cls is type(model)), None)
    if kind is None:
        raise ValueError(f"{type(model).__name__} is not in MODELS; known: {sorted(MODELS)}")
    record = {"model": kind, "config": model.config, "fields": fingerprint(model.fields), "about": about}
    as_json(record)  # what cannot be written is told before anything is
    write_tensors(path.with_name(path.name + ".safetensors"), model.state_dict())
    write_json(path.with_name(path.name + ".json"), record)


def load_model(path: str | Path, fields: Sequence[Field]) -> Model:
    """The model written by :func:`save_model`, in evaluation mode.

    Raises:
        ValueError: if a file is missing or damaged, or the fields are not those that it was trained on.
    """
    path = Path(path)
    record = read_json(path.with_name(path.name + ".json"))
    wanted = {"model": str, "config": dict, "fields": str}
    if not isinstance(record, dict) or not all(isinstance(record.get(k), kind) for k, kind in wanted.items()):
        raise ValueError(f"{path.name}.json: not a record of save_model, which has {', '.join(wanted)}")
    if record["model"] not in MODELS:
        raise ValueError(f"{path}: unknown model {record['model']!r}; known: {sorted(MODELS)}")
    if record["fields"] != fingerprint(fields):
        raise ValueError(f"{path}: these weights were trained on other fields than {[f.name for f in fields]}")
    try:
        model = MODELS[record["model"]](fields, **record["config"])
    except TypeError as error:  # a setting that this version does not have
        raise ValueError(f"{path}: written by another version: {error}") from error
    try:
        model.load_state_dict(read_tensors(path.with_name(path.name + ".safetensors")))
    except RuntimeError as error:  # a name or a size that does not fit
        raise ValueError(f"{path}: the weights do not fit {record['model']}: {error}") from error
    return model.eval()
