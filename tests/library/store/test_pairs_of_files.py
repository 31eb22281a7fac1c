"""Two files that belong together: a stop at any time leaves the old pair or the new one, and nothing else for long."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from small import small as interactions

from recsys_lite import store
from recsys_lite.fields import Field, HashedVocabulary
from recsys_lite.models import (
    FM,
    PAL,
    FieldMLP,
    LightGCN,
    LogisticRegression,
    MatrixFactorisation,
    NextItem,
    TextCNN,
    WatchNext,
)  # fmt: skip
from recsys_lite.models.position import Served
from recsys_lite.retrieval import ExactIndex, load_index
from recsys_lite.store import files

ROOT = Path(__file__).parents[3]
WRITER = """
import sys; sys.path.insert(0, "tests")
import tiny, torch
from recsys_lite import store
from recsys_lite.models import FM
from recsys_lite.retrieval import ExactIndex
folder, k = sys.argv[1], 0
print("ready", flush=True)
while True:
    k += 1
    model = FM(tiny.FIELDS, dim=64)
    torch.nn.init.constant_(model.bias, k)
    store.save_model(model, folder + "/m", k=k)
    ExactIndex(torch.full((4 + k % 50, 512), float(k))).save(folder + "/i")
"""


@pytest.mark.slow("kills forty writers")
def test_a_kill_leaves_the_old_pair_or_the_new_one(tmp_path):
    g, whole, left = np.random.default_rng(0), 0, 0
    for _ in range(40):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
        try:
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(float(g.uniform(0.02, 0.12)))
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        if not (tmp_path / "i.json").exists():
            continue
        whole += 1
        model, index = store.load_model(tmp_path / "m"), load_index(tmp_path / "i")
        assert model.bias.item() == store.read_json(tmp_path / "m.json")["about"]["k"]
        assert len(index) == 4 + int(index.vectors[0, 0]) % 50
        left += len(list(tmp_path.iterdir())) > 4
        for file in tmp_path.iterdir():  # what a stopped writer left grows old
            os.utime(file, (time.time() - 2 * files.STALE,) * 2)
    assert whole >= 30 and left > 5  # kills between the steps were among them
    store.save_model(FM(tiny.FIELDS), tmp_path / "m")
    ExactIndex(torch.eye(3)).save(tmp_path / "i")
    assert {p.name for p in tmp_path.iterdir()} == {"m.json", "m.safetensors", "i.json", "i.index"}


class Stop(BaseException):
    pass


def stopped(*_):
    raise Stop


@pytest.mark.parametrize("step", ["write_json", "os.replace 1", "os.replace 2", "os.replace 3", "file_hash"])
def test_a_stop_at_each_step(tmp_path, monkeypatch, step):
    first, second = tiny.filled(FM(tiny.FIELDS)), tiny.filled(FM(tiny.FIELDS), std=2.0)
    store.save_model(first, tmp_path / "m", k=1)
    calls, real = [], os.replace

    def renamed(*given):
        calls.append(given)
        if f"os.replace {len(calls)}" == step:
            raise Stop
        real(*given)

    with monkeypatch.context() as m, pytest.raises(Stop):
        m.setattr(files.os, "replace", renamed)
        if not step.startswith("os."):
            m.setattr(files, step, stopped)
        store.save_model(second, tmp_path / "m", k=2)
    k = store.read_json(tmp_path / "m.json")["about"]["k"]
    assert k == (2 if step == "os.replace 3" else 1)
    assert torch.equal(store.load_model(tmp_path / "m").bias, (first, second)[k - 1].bias)
    store.save_model(second, tmp_path / "m", k=3)
    assert torch.equal(store.load_model(tmp_path / "m").bias, second.bias)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_have_the_mode_of_any_new_file(tmp_path, mask):
    old = os.umask(mask)
    try:
        store.save_model(FM(tiny.FIELDS), tmp_path / "m")
        ExactIndex(torch.eye(3)).save(tmp_path / "i")
        store.write_tensors(tmp_path / "t.safetensors", {"a": torch.eye(2)})
    finally:
        os.umask(old)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    assert set(modes.values()) == {0o666 & ~mask} and len(modes) == 5


@pytest.mark.parametrize("text", [b'{"model": "f\xe9"}', b"[" * 200_000, b"nul", b"", b"9" * 5000])
def test_a_file_that_is_no_json_is_named(tmp_path, text):
    (tmp_path / "m.json").write_bytes(text)
    with pytest.raises(ValueError, match=r"m\.json is not valid JSON"):
        store.load_model(tmp_path / "m")
    (tmp_path / "m.json").unlink()
    (tmp_path / "m.json").mkdir()
    with pytest.raises(ValueError, match=r"m\.json is a folder"):
        store.load_model(tmp_path / "m")


POSITION = (Field("position", "categorical", HashedVocabulary(4)), Field("device", "categorical", HashedVocabulary(2)))


def of_fields():
    plain = tiny.FIELDS
    yield FieldMLP(plain, hidden=(4,))
    yield TextCNN(plain, "history", dim=4)
    yield PAL(plain + POSITION, FM(plain[:3], dim=3))
    yield WatchNext(plain + POSITION, FieldMLP(plain, hidden=(4,)), dropout=0.25)
    yield PAL(plain + POSITION, LogisticRegression(plain + POSITION[:1]), bias=["device"])
    yield Served(plain + POSITION, FM(plain))


@pytest.mark.parametrize("model", list(of_fields()), ids=lambda m: type(m).__name__)
def test_models_of_fields_come_back(tmp_path, model):
    rows = tiny.rows(50)
    rows.ids = torch.cat([rows.ids, torch.randint(0, 3, (50, len(model.fields) - 5))], 1).int()
    tiny.filled(model).eval()
    store.save_model(model, tmp_path / "m", seed=3)
    for again in (store.load_model(tmp_path / "m"), store.load_model(tmp_path / "m", model.fields)):
        assert type(again) is type(model) and not again.training
        assert torch.equal(again(rows), model(rows)) and store.fingerprint(again.fields) == store.fingerprint(
            model.fields
        )
    if isinstance(model, WatchNext):
        assert again.dropout == 0.25


@pytest.mark.parametrize(
    "make", [LightGCN, lambda d: LightGCN(d, layers=1, combine="sum"), MatrixFactorisation, NextItem]
)
def test_models_of_interactions_come_back(tmp_path, make):
    data, users = interactions(), torch.arange(12)
    model = tiny.filled(make(data)).eval()
    store.save_model(model, tmp_path / "m")
    again = store.load_model(tmp_path / "m", data)
    assert type(again) is type(model) and torch.equal(again.scores(users), model.scores(users))
    with pytest.raises(ValueError, match="was trained on interactions; give them as the second argument"):
        store.load_model(tmp_path / "m")
    turned = replace(data, candidates=data.candidates[torch.arange(9, -1, -1)])
    with pytest.raises(ValueError, match="trained on other interactions than 'small'"):
        store.load_model(tmp_path / "m", turned if make is NextItem else interactions(1))


def test_what_cannot_be_saved_is_named(tmp_path):
    with pytest.raises(ValueError, match="Linear cannot be saved by name; known: "):
        store.save_model(torch.nn.Linear(2, 1), tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_an_index_of_another_kind_or_without_effort_is_named(tmp_path):
    pytest.importorskip("faiss")
    from recsys_lite.retrieval import FaissIndex

    vectors = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    ExactIndex(vectors).save(tmp_path / "exact")
    for kind in ("hnsw", "ivf"):
        FaissIndex(vectors, kind).save(tmp_path / kind)

    def said(name, **change):
        record = json.loads((tmp_path / f"{name}.json").read_text())
        record = {k: v for k, v in (record | change).items() if v is not None}
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
        with pytest.raises(ValueError) as error:
            load_index(tmp_path / name)
        return str(error.value)

    assert "hnsw.index: its record has no effort" in said("hnsw", effort=None)
    assert "exact.index is no file of faiss" in said("exact", kind="ivf")
    assert "ivf.index holds an IndexIVFFlat, but its record says that it is of the kind 'hnsw'" in said(
        "ivf", kind="hnsw"
    )
    assert "is damaged or no safetensors file" in said("ivf", kind="exact")
