"""Programs in both formats say what their models say, for batches of any size."""

from __future__ import annotations

import json
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from structures import ALL, SIDES
from torch import nn

import recsys_lite
from recsys_lite.fields import Field, Rows, Vocabulary, choose_columns
from recsys_lite.models import (
    DLRM,
    FM,
    GDCN,
    MODELS,
    PAL,
    AutoInt,
    DeepFM,
    FieldMLP,
    LogisticRegression,
    SplitNetwork,
    TextCNN,
    TwoTowers,
    WatchNext,
    WideDeep,
)
from recsys_lite.store import export, fingerprint, load_model, save_model
from recsys_lite.store.programs import input_names

SIZES = (1, 2, 7)
NAMES = ("linear", "add", "val_1", "logit", "model", "self", "args", "class", "torch", "device", "é x", "e x", "3")


def batches():
    """Rows with unseen values and empty bags among them, and rows of nothing else."""
    for size in SIZES:
        made = tiny.rows(size, seed=size)
        yield made
        empty = {name: torch.full_like(bag, -1) for name, bag in made.bags.items()}
        yield replace(made, ids=torch.zeros_like(made.ids), bags=empty)


def named(fields, rows):
    """The inputs of a program."""
    bags = {name: rows.bags[field] for field, name in input_names(fields).items()}
    given = {"ids": rows.ids, "numeric": rows.numeric, **bags}
    return {name: tensor for name, tensor in given.items() if tensor.shape[1]}


def expected(model, rows):
    """What the model itself says, under the names of the outputs."""
    logit = model(rows)
    found = {"logit": logit, "probability": torch.sigmoid(logit)}
    if hasattr(model, "attention"):
        found |= {f"attention_{k}": a for k, a in enumerate(model.attention(rows))}
    if isinstance(model, GDCN):
        found |= {f"gate_{k}": gate for k, gate in enumerate(model.gates(rows))}
    if isinstance(model, TwoTowers | SplitNetwork):
        found |= {side: getattr(model, side)(choose_columns(model.fields, rows, SIDES[side])) for side in SIDES}
    return found


def readers(path):
    """Of both formats: what takes named tensors and returns named tensors."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path.with_name(path.name + ".onnx"), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def onnx(given):
        found = session.run(names, {name: tensor.numpy() for name, tensor in given.items()})
        return {name: torch.from_numpy(value) for name, value in zip(names, found, strict=True)}

    program = torch.export.load(path.with_name(path.name + ".pt2")).module()
    return [onnx, lambda given: program(**dict(reversed(given.items())))]  # the order does not matter


@torch.no_grad()
def check(model, path, all_batches):
    export(model, path)
    about = json.loads(path.with_name(path.name + ".json").read_text())["programs"]["model"]
    for run in readers(path):
        for rows in all_batches:
            given, right = named(model.fields, rows), expected(model, rows)
            assert [(i["name"], i["dtype"], *i["shape"]) for i in about["inputs"]] == [
                (name, str(t.dtype).removeprefix("torch."), "batch", t.shape[1]) for name, t in given.items()
            ]
            found = run(given)
            assert list(found) == list(right) == [output["name"] for output in about["outputs"]]
            for output in about["outputs"]:
                name = output["name"]
                assert [*found[name].shape] == [len(rows), *output["shape"][1:]]
                torch.testing.assert_close(found[name], right[name], atol=1e-5, rtol=1e-5)


def test_a_program_says_what_the_model_says(tmp_path):
    check(tiny.filled(GDCN(tiny.FIELDS, cross_layers=2), std=0.3).eval(), tmp_path / "gdcn", list(batches()))


@pytest.mark.slow("writes every structure of every model in two formats")
@pytest.mark.parametrize(("name", "options"), ALL, ids=[f"{n}-{k}" for k, (n, _) in enumerate(ALL)])
def test_every_structure_of_every_model(tmp_path, name, options):
    check(tiny.filled(MODELS[name](tiny.FIELDS, **options), std=0.3).eval(), tmp_path / name, list(batches()))


@pytest.mark.slow("writes five more models in two formats")
@pytest.mark.parametrize("name", ["pal", "watch_next", "text_cnn", "field_mlp", "hashed"])
def test_models_beside_the_list(tmp_path, name):
    most = [f for f in tiny.FIELDS if f.name != "user"]
    model = {
        "pal": lambda: PAL(tiny.FIELDS, FM(most), bias=["user"]),
        "watch_next": lambda: WatchNext(tiny.FIELDS, FM(most), bias=["user"]),
        "text_cnn": lambda: TextCNN(tiny.FIELDS, text="genres"),
        "field_mlp": lambda: FieldMLP(tiny.FIELDS),
        "hashed": lambda: WideDeep(tiny.FIELDS, crosses=[("user", "item", "genres")], buckets=10),
    }[name]()
    check(tiny.filled(model, std=0.3).eval(), tmp_path / name, list(batches()))


@torch.no_grad()
@pytest.mark.slow("writes two retrievers and their towers in two formats")
@pytest.mark.parametrize(
    "model",
    [TwoTowers(tiny.FIELDS, **SIDES, similarity="cosine", temperature=0.1), SplitNetwork(tiny.FIELDS, **SIDES)],
    ids=lambda model: type(model).__name__,
)
def test_towers_are_programs_of_their_own(tmp_path, model):
    files = export(tiny.filled(model, std=0.3).eval(), tmp_path / "towers")
    assert [f.name for f in files] == [
        f"towers{part}{suffix}" for part in ("", ".query", ".candidate") for suffix in (".onnx", ".pt2")
    ] + ["towers.json"]
    about = json.loads(files[-1].read_text())["programs"]
    assert [i["fields"] for i in about["query"]["inputs"]] == [["user"], ["history"]]
    assert [i["fields"] for i in about["candidate"]["inputs"]] == [["item"], ["genres"]]
    for side, names in SIDES.items():
        chosen = [f for f in tiny.FIELDS if f.name in names]
        for run in readers(tmp_path / f"towers.{side}"):
            for batch in batches():
                rows = choose_columns(tiny.FIELDS, batch, names)
                found = run(named(chosen, rows))
                assert list(found) == [side]
                torch.testing.assert_close(found[side], getattr(model, side)(rows), atol=1e-5, rtol=1e-5)


@pytest.mark.slow("writes three models in two formats")
@pytest.mark.parametrize("kind", ["numbers", "bags", "ids"])
def test_an_input_without_columns_is_left_out(tmp_path, kind):
    values = Vocabulary(["x", "y"])
    fields, rows = {
        "numbers": ([Field("a", "numeric"), Field("b", "numeric")], lambda n: Rows(none(n).int(), torch.randn(n, 2))),
        # names of steps that a program is made of, of an output, of Python, and names that ONNX does not allow
        "bags": (
            [Field(n, "multi_hot", values, length=2) for n in NAMES],
            lambda n: Rows(none(n).int(), none(n), {f.name: torch.randint(-1, 3, (n, 2)).int() for f in fields}),
        ),
        "ids": ([Field("a", "categorical", values)], lambda n: Rows(torch.randint(0, 3, (n, 1)).int(), none(n))),
    }[kind]
    made = {"numbers": LogisticRegression, "bags": DeepFM, "ids": DLRM}[kind]
    model = tiny.filled(made(fields), std=0.3).eval()
    check(model, tmp_path / kind, [rows(n) for n in SIZES])


def none(count):
    return torch.zeros(count, 0)


def test_a_file_says_what_it_is_and_holds_no_pickle(tmp_path):
    model = tiny.filled(AutoInt(tiny.FIELDS, layers=1, hidden=(4,), dropout=0.5))
    model.layers.eval()
    modes = [m.training for m in model.modules()]
    program, about = recsys_lite.export(model, str(tmp_path / "new" / "auto.int"), formats=["torch"])
    assert (program.name, about.name) == ("auto.int.pt2", "auto.int.json")
    assert sorted(p.name for p in program.parent.iterdir()) == ["auto.int.json", "auto.int.pt2"]  # nothing aside
    assert [m.training for m in model.modules()] == modes
    record = json.loads(about.read_text())
    assert (record["model"], record["config"], record["fields"]) == ("AutoInt", model.config, fingerprint(tiny.FIELDS))
    assert record["versions"] == {"recsys_lite": recsys_lite.__version__, "torch": torch.__version__}
    with zipfile.ZipFile(program) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert not content or not name.endswith((".pt", ".pkl")), name
            if name.endswith("_config.json"):
                assert not any(tensor["use_pickle"] for tensor in json.loads(content)["config"].values())
    run = torch.export.load(program).module()  # without dropout, though the model was training
    rows = tiny.rows(5)
    torch.testing.assert_close(run(**named(tiny.FIELDS, rows))["logit"], model.eval()(rows))


def test_a_model_in_double_becomes_a_program_in_single_precision(tmp_path):
    model = tiny.filled(LogisticRegression(tiny.FIELDS)).double()
    program, _ = export(model, tmp_path / "lr", formats=["torch"])
    found = torch.export.load(program).module()(**named(tiny.FIELDS, tiny.rows(3)))["logit"]
    assert found.dtype == torch.float32 and next(model.parameters()).dtype == torch.float64
    np.testing.assert_allclose(found.detach(), model.float()(tiny.rows(3)).detach(), atol=1e-6)


class Counting(LogisticRegression):
    """A model whose logit depends on the number of rows as Python knows it."""

    def parts(self, rows, fine=False):
        return {"many" if len(rows) > 1 else "one": super().parts(rows)["linear"] * len(rows)}


def test_what_cannot_be_exported_is_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="export: Linear cannot be exported; expected a Model"):
        export(nn.Linear(1, 1), tmp_path / "x")
    with pytest.raises(ValueError, match=r"export: Counting cannot be exported for batches of any size: .*batch"):
        export(Counting(tiny.FIELDS), tmp_path / "x", formats=["torch"])
    model = LogisticRegression(tiny.FIELDS)
    for formats in (["tflite"], "onnx", []):
        with pytest.raises(ValueError, match=r"expected formats among \['onnx', 'torch'\], got"):
            export(model, tmp_path / "x", formats=formats)
    monkeypatch.setattr("recsys_lite.store.programs.MOST_BYTES", 100)
    with pytest.raises(ValueError, match="LogisticRegression has 116 bytes of weights, an ONNX file at most 2 GB"):
        export(model, tmp_path / "x")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ModuleNotFoundError, match=r"ONNX files need onnx and onnxscript, .* recsys-lite\[export\]"):
        export(model, tmp_path / "x")
    assert not list(tmp_path.iterdir())
    export(model, tmp_path / "x", formats=["torch"])  # needs nothing


def test_the_record_of_stored_weights_is_not_lost(tmp_path):
    save_model(LogisticRegression(tiny.FIELDS), tmp_path / "lr")
    with pytest.raises(ValueError, match=r"weights of save_model lie at .*lr, whose \.json would be lost"):
        export(LogisticRegression(tiny.FIELDS), tmp_path / "lr")
    assert isinstance(load_model(tmp_path / "lr", tiny.FIELDS), LogisticRegression)
