"""Weights of trained models, with what they are of, and the way from raw rows to what they read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor, nn

from ..data.interactions import Interactions
from ..fields import Encoder, Field, choose_fields
from ..layers import choose_device
from ..models import MODELS, PAL, FieldMLP, LightGCN, MatrixFactorisation, Model, NextItem, TextCNN, WatchNext
from ..models.position import Served
from .files import read_pair, read_tensors, save_tensors, write_pair

#: models of fields besides :data:`~recsys_lite.models.MODELS`, and those that are built on interactions
OTHERS: dict[str, type[Model]] = {
    "field_mlp": FieldMLP, "text_cnn": TextCNN, "pal": PAL, "watch_next": WatchNext, "served": Served,
}  # fmt: skip
OF_INTERACTIONS: dict[str, type[nn.Module]] = {
    "lightgcn": LightGCN, "matrix_factorisation": MatrixFactorisation, "next_item": NextItem,
}  # fmt: skip


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


def save_model(model: nn.Module, path: str | Path, **about: Any) -> None:
    """Write ``<path>.safetensors`` (weights) and ``<path>.json`` (class, settings, what it was trained on, ``about``).

    A stop at any time leaves the old pair or the new one. The record of a model of fields holds their fingerprint
    and, unless their raw numbers cannot be encoded, the fields themselves: vocabularies, scales, medians and lengths,
    so that :func:`load_model` and :func:`~recsys_lite.score` need nothing else. That of a model of interactions
    (LightGCN, matrix factorisation, the next item) holds a fingerprint of these.

    Args:
        path: without suffix.
        fields: those that it was trained on.
        device: where it shall lie, whatever it was trained on, see :func:`~recsys_lite.layers.choose_device`.

    Raises:
        ValueError: for another kind of model. TypeError: for something in ``about`` that JSON has no form for.
    """
    record = {**_described(model), "about": about}
    if isinstance(model, Model):
        record["fields"] = fingerprint(model.fields)
        if all(f.scale is not None or not f.transform for f in model.fields if f.kind == "numeric"):
            record["encoder"] = Encoder(model.fields).record()
    else:
        record["interactions"] = _interactions_of(model)
    weights = model.state_dict()
    write_pair(Path(path), ".safetensors", lambda p: save_tensors(p, weights), record)


def _described(model: nn.Module) -> dict[str, Any]:
    """Class and settings, and those of a model inside."""
    classes: dict[str, type[nn.Module]] = {**MODELS, **OTHERS, **OF_INTERACTIONS}
    kind = next((name for name, cls in classes.items() if cls is type(model)), None)
    if kind is None:
        raise ValueError(f"{type(model).__name__} cannot be saved by name; known: {sorted(classes)}")
    if isinstance(model, (PAL, WatchNext, Served)):
        inner: Any = model.inner if isinstance(model, Served) else model.served.inner
        config: dict[str, Any] = {} if isinstance(model, Served) else {"bias": list(model.tower.names)}
        if isinstance(model, WatchNext):
            config["dropout"] = model.dropout
        return {
            "model": kind,
            "config": config,
            "inner": {**_described(inner), "names": [f.name for f in inner.fields]},
        }
    return {"model": kind, "config": model.config}


def _interactions_of(model: nn.Module) -> str:
    """A fingerprint of what a model of interactions reads beside its weights."""
    digest = hashlib.sha256()
    if isinstance(model, NextItem):
        digest.update(fingerprint([*model.data.query_fields, *model.data.candidate_fields]).encode())
        read: list[Tensor] = [model.get_buffer("rows")]
    else:
        assert isinstance(model, LightGCN)
        digest.update(f"{model.num_users}|{model.num_items}".encode())
        read = [model.graph.get_buffer("start"), model.graph.get_buffer("neighbour")]
    for tensor in read:
        digest.update(tensor.cpu().numpy().astype("<i8").tobytes())
    return digest.hexdigest()


@overload
def load_model(
    path: str | Path, fields: Sequence[Field] | None = None, device: str | torch.device = "cpu"
) -> Model: ...
@overload
def load_model(path: str | Path, fields: Interactions, device: str | torch.device = "cpu") -> nn.Module: ...
def load_model(
    path: str | Path,
    fields: Sequence[Field] | Interactions | None = None,
    device: str | torch.device = "cpu",
) -> nn.Module:
    """The model written by :func:`save_model`, in evaluation mode.

    Args:
        path: without suffix.
        fields: those that it was trained on; a model of interactions takes these. Default: the fields in the record.
        device: where it shall lie, whatever it was trained on, see :func:`~recsys_lite.layers.choose_device`.

    Raises:
        ValueError: if a file is missing or damaged, the fields or interactions are not those that it was trained on,
            or the machine has no such device.
    """
    path, wanted, device = Path(path), {"model": str, "config": dict}, choose_device(device)
    record, weights = read_pair(path, ".safetensors", wanted, "not a record of save_model")
    if not isinstance(record.get("fields", record.get("interactions")), str):
        raise ValueError(f"{path.name}.json: not a record of save_model, which has model, config, fields")
    if record["model"] in OF_INTERACTIONS:
        if not isinstance(fields, Interactions):
            raise ValueError(f"{path}: {record['model']} was trained on interactions; give them as the second argument")
        data: Any = fields
    else:
        if isinstance(fields, Interactions):
            raise ValueError(f"{path}: {record['model']} was trained on fields, got interactions")
        data = _fields_of(path, record) if fields is None else tuple(fields)
        if record.get("fields") != fingerprint(data):
            raise ValueError(f"{path}: these weights were trained on other fields than {[f.name for f in data]}")
    try:
        model = _built(record, data)
    except (TypeError, KeyError, AttributeError, RuntimeError, ValueError) as error:  # settings of another version
        if isinstance(error, ValueError) and "unknown model" in str(error):
            raise ValueError(f"{path}: {error}") from None
        raise ValueError(f"{path}: written by another version: {error}") from error
    if record["model"] in OF_INTERACTIONS and record["interactions"] != _interactions_of(model):
        raise ValueError(f"{path}: these weights were trained on other interactions than {fields.name!r}")  # type: ignore[union-attr]
    try:
        model.load_state_dict(read_tensors(weights))
    except RuntimeError as error:  # a name or a size that does not fit
        raise ValueError(f"{path}: the weights do not fit {record['model']}: {error}") from error
    return model.to(device).eval()


def _fields_of(path: Path, record: dict[str, Any]) -> tuple[Field, ...]:
    if "encoder" not in record:
        raise ValueError(
            f"{path}.json holds no fields; give those that the model was trained on as the second argument"
        )
    try:
        return Encoder.of_record(record["encoder"]).fields
    except ValueError as error:
        raise ValueError(f"{path}.json: {error}") from error


def _built(record: dict[str, Any], data: Any) -> nn.Module:
    """A model of a record, untrained."""
    classes: dict[str, Any] = {**MODELS, **OTHERS, **OF_INTERACTIONS}
    if record["model"] not in classes:
        raise ValueError(f"unknown model {record['model']!r}; known: {sorted(classes)}")
    if "inner" not in record:
        return classes[record["model"]](data, **record["config"])
    inner = _built(record["inner"], choose_fields(data, record["inner"]["names"]))
    return classes[record["model"]](data, inner, **record["config"])
