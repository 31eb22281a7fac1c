"""Any device: what trains, predicts, ranks and explains on a second device gives the numbers of the CPU."""

from __future__ import annotations

import importlib
import shutil

import accelerator
import numpy as np
import pandas as pd
import pytest
import small
import tiny
import torch
from structures import ALL
from torch.testing import assert_close

from recsys_lite import explain, store
from recsys_lite.data.item_sets import ItemSets
from recsys_lite.data.leave_one_out import LeaveOneOut
from recsys_lite.evaluation import predict
from recsys_lite.evaluation.full_ranking import evaluate_retrieval, top_k
from recsys_lite.evaluation.ranking import evaluate_ranking
from recsys_lite.explain.crosses import block_ablation, gate_shares, open_gates
from recsys_lite.explain.dots import dot_ablation
from recsys_lite.explain.retrieval import layer_parts, moved_by
from recsys_lite.explain.traces import trace
from recsys_lite.layers import choose_device, device_of, devices, on_cpu
from recsys_lite.layers.field_sizes import field_sizes
from recsys_lite.models import (
    DCNV2,
    DHEN,
    DLRM,
    FM,
    GDCN,
    MODELS,
    AutoInt,
    LightGCN,
    NeuMF,
    NextItem,
    TowerRetriever,
    TwoTowers,
    WideDeep,
)  # fmt: skip
from recsys_lite.retrieval.index import ExactIndex
from recsys_lite.training import (
    bpr_step,
    fit,
    fit_in_steps,
    fit_ranking,
    fit_retrieval,
    in_batch_step,
    next_item_step,
    seed_everything,
)  # fmt: skip
from recsys_lite.training.losses import bpr, in_batch_softmax

QUICK = {"epochs": 2, "batch_size": 100, "lr": 0.02, "progress": False}
TOWERS = {"query": ("user", "history"), "candidate": ("item", "kind")}
MIXED = pytest.raises(RuntimeError, match="same device")
pytestmark = pytest.mark.filterwarnings("ignore:.*from a non-meta parameter in the checkpoint")
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA here")


@pytest.fixture()
def far(monkeypatch):
    """A second device, which refuses the CPU's tensors; the library believes that the machine has it."""
    monkeypatch.setattr("recsys_lite.layers.device.devices", lambda: ["meta", "cpu"])
    monkeypatch.setattr(importlib.import_module("torch.optim.adam"), "_device_dtype_check_for_fused", lambda p: None)
    with accelerator.Accelerator():
        yield "meta"


def built(name, options, seed=0):
    seed_everything(seed)
    return MODELS[name](tiny.FIELDS, **options)


def approx(value):
    return pytest.approx(value, abs=1e-4)


def same(a, b):
    """The same tables or tensors, or lists and dictionaries of them, to the last bit."""
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    elif isinstance(a, dict | list | tuple):
        assert len(a) == len(b)
        for x, y in zip(*(v.values() if isinstance(v, dict) else v for v in (a, b)), strict=True):
            same(x, y)
    elif isinstance(a, torch.Tensor):
        assert b.device.type == "cpu" and torch.equal(a, b)
    else:
        assert a == b


# --- the second device is one ---------------------------------------------------------------------------------------


def test_the_second_device_refuses_what_a_gpu_refuses(far):
    x, here = torch.arange(6.0).view(2, 3).to(far), torch.ones(3)
    assert device_of(torch.nn.Linear(2, 2).to(far)).type == far
    same(torch.arange(6.0).view(2, 3) + 1, (x + 1).cpu())
    for forbidden in (lambda: x + here, lambda: here[torch.tensor([0]).to(far)], lambda: torch.stack([x[0], here])):
        with MIXED:
            forbidden()
    with pytest.raises(RuntimeError, match="numpy"):
        x.numpy()
    same(torch.tensor([[3.0, 4.0, 5.0]]), x[torch.tensor([1])].cpu())  # a GPU allows these
    same(torch.tensor([0.0, 2.0, 4.0]), (x[0] * torch.tensor(2.0)).cpu())


def test_a_model_that_makes_a_tensor_on_the_cpu_is_caught(far):
    class Wrong(FM):
        def parts(self, rows, fine=False):
            return {**super().parts(rows, fine), "wrong": torch.zeros(len(rows))}

    model = Wrong(tiny.FIELDS).to(far)
    with MIXED:
        predict(model, tiny.rows(5))


# --- training and predicting ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), ALL, ids=[f"{n}-{k}" for k, (n, _) in enumerate(ALL)])
def test_every_model_trains_on_another_device_as_on_the_cpu(far, name, options):
    data = tiny.dataset(300)
    here, there = built(name, options), built(name, options)
    first = fit(here, data, device="cpu", **QUICK)
    second = fit(there, data, device=far, **QUICK)
    assert device_of(there).type == "cpu"  # put back where it lay
    assert first.settings == second.settings
    if name in ("autoint", "dhen"):  # PyTorch has several ways to attention, and each device takes its own
        assert [line["train_loss"] for line in first.curve] == approx([line["train_loss"] for line in second.curve])
        assert first.test == approx(second.test)
    else:
        same(dict(here.state_dict()), dict(there.state_dict()))
        assert first.curve == second.curve and first.test == second.test
    wanted = predict(there, data.test)
    there.to(far)
    for rows in (data.test, data.test.to(far)):
        made = predict(there, rows)
        assert made.device.type == "cpu"
        assert_close(made, wanted, rtol=0, atol=1e-6)
    assert device_of(there).type == far


def test_rows_that_do_not_fit_on_a_device_come_batch_by_batch(far, monkeypatch):
    curves = []
    for room in (True, False):
        monkeypatch.setattr("recsys_lite.training.pointwise.fits", lambda rows, device, room=room: room)
        steps = fit_in_steps(built("deepfm", {}), tiny.dataset(), epochs=2, device=far)
        curves.append([steps.step(), steps.step()])
        assert steps.task.rows.ids.device.type == (far if room else "cpu")
    assert curves[0] == curves[1]


def test_between_its_epochs_a_training_lies_on_its_device_and_at_the_end_where_it_was(far):
    model = built("fm", {})
    steps = fit_in_steps(model, tiny.dataset(), epochs=2, device=far)
    line = steps.step()
    assert steps.device.type == far == device_of(model).type
    assert line["log_loss"] > 0 and predict(model, tiny.rows(5)).device.type == "cpu"
    steps.finish(evaluate_test=True)
    assert device_of(model).type == "cpu"


def test_a_model_that_lies_elsewhere_is_trained_there_and_stays(far):
    model = built("fm", {}).to(far)
    fit(model, tiny.dataset(), **QUICK)  # "auto"
    assert device_of(model).type == far


@pytest.mark.parametrize("optimizer", ["lazy_adam", "rowwise_adagrad"])
def test_a_run_that_stopped_goes_on_on_another_device(far, tmp_path, optimizer):
    data, whole = tiny.dataset(300), built("deepfm", {})
    unbroken = fit(whole, data, device="cpu", optimizer=optimizer, **(QUICK | {"epochs": 4}))
    for first, then in (("cpu", far), (far, "cpu")):
        model, path = built("deepfm", {}), tmp_path / first
        fit(model, data, device=first, optimizer=optimizer, checkpoint=path, **QUICK)
        again = built("deepfm", {}, seed=9)
        resumed = fit(again, data, device=then, optimizer=optimizer, checkpoint=path, **(QUICK | {"epochs": 4}))
        assert resumed.curve == unbroken.curve
        same(dict(whole.state_dict()), dict(again.state_dict()))


def test_stored_weights_come_to_the_device_that_is_asked_for(far, tmp_path):
    model = built("dcn_v2", {}).eval()
    store.save_model(model.to(far), tmp_path / "m")
    assert device_of(store.load_model(tmp_path / "m", tiny.FIELDS)).type == "cpu"
    again = store.load_model(tmp_path / "m", tiny.FIELDS, device=far)
    assert device_of(again).type == far
    same(predict(model, tiny.rows(9)), predict(again, tiny.rows(9)))
    with pytest.raises(ValueError, match="no 'cuda:7'"):
        store.load_model(tmp_path / "m", tiny.FIELDS, device="cuda:7")


# --- interactions ---------------------------------------------------------------------------------------------------


def trainings(data):
    """A retriever, its step, and who is judged."""
    seed_everything(0)
    graph, towers = LightGCN(data, dim=4), TwoTowers(data.query_fields + data.candidate_fields, **TOWERS)
    reader = NextItem(data, dim=4, reader="mean")
    return {
        "lightgcn": (graph, bpr_step(data), graph),
        "towers": (towers, in_batch_step(towers, data, hide_item=0.2), TowerRetriever(towers, data)),
        "towers, all items": (towers, in_batch_step(towers, data, all_items=True), TowerRetriever(towers, data)),
        "next item": (reader, next_item_step(data), reader),
    }


@pytest.mark.parametrize("name", ["lightgcn", "towers", "towers, all items", "next item"])
def test_retrievers_train_and_rank_on_another_device(far, name):
    data, found = small.small(), []
    for device in ("cpu", far):
        model, step, judged = trainings(data)[name]
        result = fit_retrieval(model, data, step, evaluator=judged, device=device, **(QUICK | {"batch_size": 16}))
        assert device_of(model).type == "cpu"
        model.to(device)
        users, seen = torch.arange(12), ItemSets.of(data, "train")
        lists = [top_k(judged, users, 3), top_k(judged, users, 3, seen), top_k(judged, users, 3, seen.mask(users))]
        moved = None if name == "next item" else moved_by(judged, data, 0, 2)
        vectors = judged.vectors() if hasattr(judged, "vectors") else judged.propagate()
        index = ExactIndex(vectors)
        found.append([result.curve, result.test, evaluate_retrieval(judged, data), lists, moved,
                      index.search(vectors[:2], 3)])  # fmt: skip
    same(*found)


def test_the_vectors_that_a_retriever_keeps_move_with_it(far):
    data = small.small()
    towers = TwoTowers(data.query_fields + data.candidate_fields, **TOWERS)
    retriever = TowerRetriever(towers, data).eval()
    wanted = retriever.scores(torch.arange(3)).detach()
    same(wanted, retriever.to(far).scores(torch.arange(3)).detach().cpu())
    same(wanted, retriever.cpu().scores(torch.arange(3)).detach())


def leave_one_out():
    g = torch.Generator().manual_seed(0)
    order = torch.stack([torch.randperm(20, generator=g) for _ in range(8)])  # of each user
    train = torch.stack([torch.arange(8).repeat_interleave(5), order[:, 2:7].flatten()], 1)
    return LeaveOneOut("tiny", train, order[:, 1], order[:, 0], order[:, 7:12], np.arange(8), np.arange(20), {}, {})


def test_ranking_of_a_held_out_item_on_another_device(far):
    data, found = leave_one_out(), []
    for device in ("cpu", far):
        seed_everything(0)
        model = NeuMF(data.fields(), dim=4)
        result = fit_ranking(model, data, device=device, **QUICK)
        assert device_of(model).type == "cpu"
        found.append(
            [result.curve, result.test, evaluate_ranking(model.to(device), data), dict(model.cpu().state_dict())]
        )
    same(*found)


def test_layers_of_a_graph(far):
    model = LightGCN(small.small(), dim=4)
    wanted, dense = layer_parts(model, 0, 1), model.graph.dense()
    model.to(far)
    same(wanted, layer_parts(model, 0, 1))
    same(dense, model.graph.dense().cpu())
    assert model.graph.without(0, int(model.graph.neighbours(0)[0]) - 12).start.device.type == far


# --- explaining -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), ALL, ids=[f"{n}-{k}" for k, (n, _) in enumerate(ALL)])
def test_traces_and_parts_are_those_of_the_cpu(far, name, options):
    model, rows = tiny.filled(built(name, options), std=0.3).eval(), tiny.rows(40)
    told = lambda rows: [  # noqa: E731
        *([explain.logit_parts(model, rows, fine=f) for f in (False, True)]),
        explain.interactions(model, rows, ["user", "item"]),
        [s.result for s in trace(name, model, rows[0])],
    ]
    wanted = told(rows)
    model.to(far)
    same(wanted, told(rows))
    same(wanted, told(rows.to(far)))


def test_tables_of_single_models_are_those_of_the_cpu(far):
    kinds = {
        lambda m, r: explain.top_crosses(m, tiny.dataset(), r): WideDeep(tiny.FIELDS, [("user", "item")]),
        lambda m, r: explain.neighbours(m, "item", 2, 3): FM(tiny.FIELDS, dim=3),
        lambda m, r: explain.pair_strength(m, r): FM(tiny.FIELDS, dim=3),
        lambda m, r: explain.attention(m, r): AutoInt(tiny.FIELDS, dim=4),
        lambda m, r: explain.attention(m, r, layer=0): DHEN(tiny.FIELDS, dim=4, modules=["attention", "linear"]),
        lambda m, r: explain.cross_strength(m): DCNV2(tiny.FIELDS, dim=3),
        lambda m, r: block_ablation(m, r): DCNV2(tiny.FIELDS, dim=3, rank=2),
        lambda m, r: gate_shares(m, r): DCNV2(tiny.FIELDS, dim=3, rank=2, experts=2),
        lambda m, r: open_gates(m, r): GDCN(tiny.FIELDS, dim=3),
        lambda m, r: dot_ablation(m, r): DLRM(tiny.FIELDS, dim=3),
        lambda m, r: field_sizes(m.embedding, rows=r): FM(tiny.FIELDS, dim=3),
    }
    for told, model in kinds.items():
        rows, model = tiny.rows(50), tiny.filled(model).eval()
        wanted = told(model, rows)
        model.to(far)
        same(wanted, told(model, rows))
        same(wanted, told(model, rows.to(far)))


# --- choosing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["cuda:99", "tpu", "meta", 3.5, torch.device("cuda", 99)])
def test_a_device_that_is_not_there_is_refused_by_its_name_with_those_that_are(wanted):
    with pytest.raises(ValueError, match=r"device: .*(99|tpu|meta|3\.5).*there are \[.*'cpu'\], or 'auto'"):
        fit(FM(tiny.FIELDS), tiny.dataset(), device=wanted, progress=False)


def test_the_first_device_is_the_one_without_a_number(monkeypatch):
    monkeypatch.setattr("recsys_lite.layers.device.devices", lambda: ["cuda:0", "cuda:1", "cpu"])
    assert choose_device("cuda") == torch.device("cuda") and choose_device("cuda:1") == torch.device("cuda", 1)
    assert choose_device("auto", FM(tiny.FIELDS)) == torch.device("cuda", 0)
    assert choose_device("cpu:0") == torch.device("cpu")
    monkeypatch.setattr("recsys_lite.layers.device.devices", lambda: ["mps", "cpu"])
    assert choose_device("auto") == choose_device("mps") == torch.device("mps")
    assert devices()[-1] == "cpu"


def test_on_the_cpu_nothing_is_copied():
    model, rows = FM(tiny.FIELDS), tiny.rows(4)
    assert on_cpu(model) is model and on_cpu(7) == 7
    assert rows.to("cpu").ids is rows.ids and rows.nbytes == 4 * (4 * 2 + 4 + 4 * 3 + 4 * 4 + 4 + 4)


# --- precision and compilation --------------------------------------------------------------------------------------


class Asked(FM):
    """Notes the types of what it makes."""

    seen: list

    def parts(self, rows, fine=False):
        parts = super().parts(rows, fine)
        self.seen.append((self.training, (self.embedding(rows) @ self.embedding(rows).mT).dtype))
        return parts


def test_bf16_is_for_the_steps_and_float32_for_weights_and_validation():
    data, model = tiny.dataset(300), Asked(tiny.FIELDS)
    model.seen = []
    result = fit(model, data, precision="bf16", **QUICK)
    assert set(model.seen) == {(True, torch.bfloat16), (False, torch.float32)}
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert result.settings["precision"] == "bf16"
    plain = fit(built("fm", {}), data, **QUICK)
    assert "precision" not in plain.settings  # stored results stay as they are


@pytest.mark.parametrize("name", ["dlrm", "deepfm", "autoint"])
def test_bf16_trains_near_to_float32(name):
    slow = QUICK | {"lr": 0.003}
    runs = [fit(built(name, {}), tiny.dataset(), precision=p, **slow).curve for p in ("float32", "bf16")]
    assert runs[0] != runs[1]
    for a, b in zip(*runs, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=0.02)


def test_losses_are_taken_of_float32_logits():
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(8, generator=g).bfloat16(), torch.randn(8, generator=g).bfloat16()
    assert_close(bpr(a, b), bpr(a.float(), b.float()), rtol=0, atol=0)
    scores = torch.randn(8, 8, generator=g).bfloat16()
    q = torch.full((8,), 0.125).log()
    exact = in_batch_softmax(scores.float(), torch.arange(8), q)
    assert_close(in_batch_softmax(scores, torch.arange(8), q), exact, rtol=0, atol=0)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match=r"unknown precision 'half'; there are \['float32', 'bf16'\]"):
        fit(FM(tiny.FIELDS), tiny.dataset(), precision="half")


@pytest.mark.slow("compiles")
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler")
def test_compiled_it_trains_the_same_weights():
    data = tiny.dataset(250)
    plain, compiled = built("dcn_v2", {}), built("dcn_v2", {})
    first, second = (fit(m, data, compile=c, **QUICK) for m, c in ((plain, False), (compiled, True)))
    for a, b in zip(first.curve, second.curve, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], abs=1e-5)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    assert_close(predict(plain, data.test), predict(compiled, data.test), rtol=1e-3, atol=1e-4)


# --- hardware -------------------------------------------------------------------------------------------------------


@cuda
@pytest.mark.parametrize("name", MODELS)
def test_every_model_trains_on_cuda(name):
    data = tiny.dataset(300)
    options = dict(ALL)[name]
    here, there = built(name, options), built(name, options)
    first, second = (fit(m, data, device=d, **QUICK) for m, d in ((here, "cpu"), (there, "cuda")))
    for a, b in zip(first.curve, second.curve, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], abs=1e-3)
    assert_close(predict(here, data.test), predict(there.cuda(), data.test), rtol=1e-2, atol=1e-2)


@cuda
def test_rows_that_do_not_fit_come_batch_by_batch(monkeypatch):
    monkeypatch.setattr("recsys_lite.training.pointwise.fits", lambda rows, device: False)
    runs = [fit(built("deepfm", {}), tiny.dataset(), device=d, **QUICK).curve for d in ("cpu", "cuda")]
    for a, b in zip(*runs, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], abs=1e-3)


@cuda
@pytest.mark.parametrize("options", [{"precision": "bf16"}, {"compile": True}], ids=["bf16", "compiled"])
def test_options_on_cuda(options):
    runs = [fit(built("dcn_v2", {}), tiny.dataset(), **QUICK, **o).curve for o in ({"device": "cuda"}, options)]
    for a, b in zip(*runs, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=0.05)
