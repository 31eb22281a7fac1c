"""Models as programs that run without this library: ONNX and ``torch.export``, for batches of any size."""

from __future__ import annotations

import copy
import importlib
import logging
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from inspect import Parameter, Signature
from keyword import iskeyword
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from .. import __version__
from ..fields import Field, Rows, choose_columns, choose_fields
from ..models import Model, SplitNetwork, TwoTowers
from .files import write_aside, write_json
from .trained import fingerprint

Format = Literal["onnx", "torch"]
SUFFIXES: dict[str, str] = {"onnx": ".onnx", "torch": ".pt2"}
MOST_BYTES = 2**31 - 1  # of one ONNX file, a limit of its format
_RESERVED = re.compile(
    "ids|numeric|logit|probability|query|candidate|(attention|gate)_[0-9]+"  # inputs and outputs
    "|self|torch|device|inf|nan|NoneType|pytree|fx_pytree"  # what PyTorch's programs call their own things
)


def export(model: Model, path: str | Path, *, formats: Collection[Format] = ("onnx", "torch")) -> list[Path]:
    """Write a model as programs that need neither this library nor its classes.

    ``<path>.onnx`` is for ONNX Runtime and others, ``<path>.pt2`` for ``torch.export.load(...).module()``, which takes
    the inputs by name and returns a dict of the outputs. ``<path>.json`` says what goes in (names, types, shapes, the
    field of each column) and what comes out, the model's class and config, the fields' fingerprint, and versions.
    Retrievers with towers are written as ``<path>.query.*`` and ``<path>.candidate.*`` too, each with the inputs of
    its own fields, so that candidates can be put into an index.

    Inputs, for any number of rows B ≥ 1: ``ids`` (B, C) int32, ``numeric`` (B, M) float32, and each bag (B, L) int32
    under its field's name, encoded and padded as in :class:`~recsys_lite.fields.Rows`; what would have no column is
    left out. A name that ONNX does not allow is changed, see :func:`input_names`.

    Outputs: ``logit`` and ``probability`` (B,); ``attention_0``, … (B, H, F, F) of AutoInt's layers and of DHEN's
    attention modules; ``gate_0``, … (B, N) of GDCN's layers; ``query`` and ``candidate`` (B, out) of towers.

    The programs hold a copy of the model in evaluation mode, on the CPU and in float32; the model stays as it is. A
    ``.pt2`` written here is a zip of JSON and raw tensors without a pickle, but ``torch.export.load`` would unpickle
    what another file holds: load only files that you trust. An ``.onnx`` cannot hold one.

    Args:
        model: any model whose ``forward`` gives logits.
        path: where, without suffix; folders are made.
        formats: ``"onnx"``, ``"torch"`` or both (default). ONNX needs the extra ``recsys-lite[export]``.

    Returns:
        the files that were written.

    Raises:
        ValueError: for something that is no model, a model that cannot be exported, an unknown format, a path at which
            :func:`~recsys_lite.store.save_model` left weights (its ``.json`` would be lost), or more than 2 GB of
            weights for one ONNX file.
        ModuleNotFoundError: for ONNX, without the packages that write it.

    Source: the formats are those of https://onnx.ai and of PyTorch's ``torch.export``.

    Example:
        >>> from tempfile import mkdtemp
        >>> from recsys_lite.fields import Vocabulary
        >>> from recsys_lite.models import FM
        >>> fields = [Field(n, "categorical", Vocabulary(["a", "b"])) for n in ("user", "item")]
        >>> program, about = export(FM(fields), Path(mkdtemp()) / "fm", formats=["torch"])
        >>> run = torch.export.load(program).module()
        >>> run(ids=torch.zeros(7, 2, dtype=torch.int32))["probability"].shape
        torch.Size([7])
    """
    name, path = type(model).__name__, Path(path)
    if not isinstance(model, Model):
        raise ValueError(f"export: {name} cannot be exported; expected a Model, which gives the logits of rows")
    if not formats or not set(formats) <= set(SUFFIXES):
        raise ValueError(f"export: expected formats among {list(SUFFIXES)}, got {formats!r}")
    if path.with_name(path.name + ".safetensors").exists():
        raise ValueError(f"export: weights of save_model lie at {path}, whose .json would be lost; take another path")
    versions = {"recsys_lite": __version__, "torch": torch.__version__}
    if "onnx" in formats:
        versions |= _onnx_versions()
        if (size := sum(p.numel() * 4 for p in model.parameters())) > MOST_BYTES:
            raise ValueError(f'export: {name} has {size} bytes of weights, an ONNX file at most 2 GB; use "torch"')
    written, programs = [], {}
    for part, program in _programs(copy.deepcopy(model).to("cpu", torch.float32).eval()):
        stem = f"{path.name}.{part}" if part else path.name
        traced = _trace(program, name)
        for kind in dict.fromkeys(formats):
            file = path.with_name(stem + SUFFIXES[kind])
            write_aside(file, _writer(traced, program, kind))
            written.append(file)
        programs[part or "model"] = {"file": stem, "inputs": program.inputs, "outputs": _outputs(traced)}
    record = {
        "model": name, "config": model.config, "fields": fingerprint(model.fields), "programs": programs,
        "versions": versions,
    }  # fmt: skip
    about = path.with_name(path.name + ".json")
    write_json(about, record)
    return [*written, about]


def input_names(fields: Sequence[Field]) -> dict[str, str]:
    """Field name -> name of a bag's input: ONNX allows letters, digits and ``_`` only, and no digit at the start.

    Each other character becomes ``_``, which is also put before a digit at the start. A name that is taken, by another
    bag, by Python, or by programs for their own things, gets ``_`` at its end.

    Example:
        >>> from recsys_lite.fields import Vocabulary
        >>> bags = [Field(n, "multi_hot", Vocabulary(["x"])) for n in ("genres", "a tag", "3d", "ids", "a-tag")]
        >>> list(input_names(bags).values())
        ['genres', 'a_tag', '_3d', 'ids_', 'a_tag_']
    """
    names: dict[str, str] = {}
    for f in fields:
        if f.is_bag:
            name = re.sub(r"^(?=\d)|[^A-Za-z0-9_]", "_", f.name) or "_"
            while name in names.values() or iskeyword(name) or _RESERVED.fullmatch(name):
                name += "_"
            names[f.name] = name
    return names


class _Program(nn.Module):
    """Named tensors in, named tensors out; between them a function of rows that uses the model's weights."""

    def __init__(self, model: Model, fields: Sequence[Field], compute: Callable[[Rows], dict[str, Tensor]]):
        super().__init__()
        self.model = model
        bags = input_names(fields)
        self.inputs: list[dict[str, Any]] = []
        for name, kind, dtype in (("ids", "categorical", "int32"), ("numeric", "numeric", "float32")):
            if of := [f.name for f in fields if f.kind == kind]:
                self.inputs.append({"name": name, "dtype": dtype, "shape": ["batch", len(of)], "fields": of})
        for f in fields:
            if f.is_bag:
                shape = ["batch", f.length]
                self.inputs.append({"name": bags[f.name], "dtype": "int32", "shape": shape, "fields": [f.name]})

        def forward(**inputs: Tensor) -> dict[str, Tensor]:
            some = next(iter(inputs.values()))
            none = some.new_zeros(some.shape[0], 0)
            ids, numeric = inputs.get("ids", none.int()), inputs.get("numeric", none.float())
            return compute(Rows(ids, numeric, {name: inputs[given] for name, given in bags.items()}))

        # Inputs are named, not counted: a dict, or places, would take two bags of one length in the wrong order.
        forward.__signature__ = Signature([Parameter(i["name"], Parameter.KEYWORD_ONLY) for i in self.inputs])  # type: ignore[attr-defined]
        self.forward = forward

    def example(self, count: int) -> dict[str, Tensor]:
        """Rows of unseen values."""
        return {i["name"]: torch.zeros(count, i["shape"][1], dtype=getattr(torch, i["dtype"])) for i in self.inputs}


def _programs(model: Model) -> Iterator[tuple[str, _Program]]:
    """The whole model under the name "", and its towers, where it has any."""
    towers = model.towers if isinstance(model, SplitNetwork) else model if isinstance(model, TwoTowers) else None
    sides = {} if towers is None else {
        "query": (towers.query, towers.query_names), "candidate": (towers.candidate, towers.candidate_names),
    }  # fmt: skip

    def whole(rows: Rows) -> dict[str, Tensor]:
        logit = model(rows)
        out = {"logit": logit, "probability": torch.sigmoid(logit)}
        for name, method in (("attention", "attention"), ("gate", "gates")):
            found = getattr(model, method)(rows) if hasattr(model, method) else []
            out |= {f"{name}_{k}": tensor for k, tensor in enumerate(found)}
        return out | {side: vector(choose_columns(model.fields, rows, of)) for side, (vector, of) in sides.items()}

    yield "", _Program(model, model.fields, whole)
    for side, (vector, of) in sides.items():
        yield side, _Program(model, choose_fields(model.fields, of), _tower(side, vector))


def _tower(side: str, vector: Callable[[Rows], Tensor]) -> Callable[[Rows], dict[str, Tensor]]:
    return lambda rows: {side: vector(rows)}


@torch.no_grad()  # also keeps gradients out of the program
def _trace(program: _Program, name: str) -> ExportedProgram:
    """The program for any batch. Two example rows: PyTorch takes a size of 1 for a constant."""
    try:
        traced = torch.export.export(program, (), program.example(2), dynamic_shapes=_shapes(program), strict=False)
    except Exception as error:
        raise ValueError(f"export: {name} cannot be exported for batches of any size: {error}") from error
    traced.example_inputs = None  # they would be written as a pickle
    return traced


def _shapes(program: _Program) -> dict[str, dict[int, Dim]]:
    batch = Dim("batch", min=1)
    return {i["name"]: {0: batch} for i in program.inputs}


def _outputs(traced: ExportedProgram) -> list[dict[str, Any]]:
    """Names, types and shapes of what comes out."""
    values = {node.name: node.meta["val"] for node in traced.graph.nodes if "val" in node.meta}
    found = zip(_names(traced), (values[v] for v in traced.graph_signature.user_outputs), strict=True)
    return [
        {"name": name, "dtype": str(v.dtype).removeprefix("torch."), "shape": ["batch", *map(int, v.shape[1:])]}
        for name, v in found
    ]


def _names(traced: ExportedProgram) -> list[str]:
    return list(traced.call_spec.out_spec.context)  # the keys of a dict


def _writer(traced: ExportedProgram, program: _Program, kind: str) -> Callable[[Path], Any]:
    """What writes the file of a kind."""

    def as_torch(path: Path) -> None:
        with path.open("wb") as file:
            torch.export.save(traced, file)

    def as_onnx(path: Path) -> None:
        with _quiet():
            made = torch.onnx.export(
                traced, dynamo=True, verbose=False, dynamic_shapes=_shapes(program),
                input_names=[i["name"] for i in program.inputs], output_names=_names(traced),
            )  # fmt: skip
        assert made is not None
        importlib.import_module("onnx_ir.passes.common").NameFixPass()(made.model)  # a field may be called as a step is
        path.write_bytes(made.model_proto.SerializeToString())

    return as_onnx if kind == "onnx" else as_torch


@contextmanager
def _quiet() -> Iterator[None]:
    """Without PyTorch's words on packages that are not needed and on names of axes that are the same."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _onnx_versions() -> dict[str, str]:
    """Of the packages that write ONNX."""
    try:
        return {name: importlib.import_module(name).__version__ for name in ("onnx", "onnxscript")}
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "export: ONNX files need onnx and onnxscript, part of the extra recsys-lite[export]. From a clone of the "
            "repository: pip install -e '.[export]'; the format \"torch\" needs nothing"
        ) from error
