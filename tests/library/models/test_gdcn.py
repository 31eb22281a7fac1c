"""GDCN's gates row by row, and the two benchmarks behind its chapter: sizes of networks, jobs, stored runs."""

from functools import partial

import pandas as pd
import pytest
import tiny
import torch
from torch.testing import assert_close

from bench.ranking import gdcn
from bench.ranking.planted_crosses import EQUAL_TO, MODERN, ORDERS, PLANTED, build, in_tables
from recsys_lite.data.simulated.planted import planted
from recsys_lite.evaluation import interval
from recsys_lite.explain.crosses import open_gates
from recsys_lite.layers import GatedCrossNet
from recsys_lite.models import DHEN, GDCN
from recsys_lite.store import RESULTS, read_json
from recsys_lite.training import fit, seed_everything

filled = partial(tiny.filled, std=0.3)


@pytest.mark.parametrize("structure", ["parallel", "stacked", "cross"])
def test_gates_of_a_model_are_those_its_layers_use(structure):
    model, rows = filled(GDCN(tiny.FIELDS, dim=4, structure=structure)), tiny.rows(7)
    gates = model.gates(rows)
    assert [g.shape for g in gates] == [(7, model.input.width)] * 3
    c = c0 = model.input(rows)
    for k, gate in enumerate(gates):
        assert ((gate > 0) & (gate < 1)).all()
        c = c0 * (c @ model.cross.weight[k].T + model.cross.bias[k]) * gate + c
    assert_close(c, model.cross(c0))
    other = model.gates(tiny.rows(7, seed=1))
    assert not torch.allclose(gates[0], other[0])  # a gate belongs to its row


def test_one_gated_layer_holds_a_product_of_three_signs():
    """Two places of A: their gates see the sign of C and its opposite, so the pair cancels and the triple stays."""
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    layer = GatedCrossNet(4, 1)
    with torch.no_grad():
        layer.weight.zero_(), layer.gate_weight.zero_()
        layer.weight[0, :2, 2] = 1.0
        layer.gate_weight[0, 0, 3], layer.gate_weight[0, 1, 3] = 3.0, -3.0
    out = layer(torch.cat([signs[:, :1], signs], 1)) @ torch.tensor([1.0, -1.0, 0.0, 0.0])
    assert_close(out / torch.tanh(torch.tensor(1.5)), signs.prod(1))


@pytest.mark.parametrize("order", ORDERS)
def test_equal_networks_have_at_least_the_numbers_of_their_models(order):
    data = planted(order, 0, **PLANTED)
    outside = {}
    for name in [*MODERN, EQUAL_TO + "gdcn", EQUAL_TO + "dhen"]:
        model = build(name, data, order)
        outside[name] = model.parameter_count - in_tables(model)
        assert in_tables(model) == 6 * 11 * 4 or name.startswith(EQUAL_TO)
    for name in ("gdcn", "dhen"):
        assert outside[name] <= outside[EQUAL_TO + name] < 1.03 * outside[name]
    assert outside["dcn_v2"] <= outside[EQUAL_TO + "gdcn"] < 2 * outside["dcn_v2"] + 24
    for name in ("dcn_v2", "gdcn"):
        model = build(name, data, order)
        assert model.structure == "cross" and model.cross.depth == order - 1
    dhen = build("dhen", data, order)
    assert isinstance(dhen, DHEN) and [layer.names for layer in dhen.layers] == [["dot", "cross", "linear"]] * 2


def test_embeddings_of_all_models_start_at_the_std_that_is_asked():
    data = planted(3, 0, **PLANTED)
    for name in [*MODERN, EQUAL_TO + "dhen"]:
        torch.manual_seed(0)
        table = next(p for n, p in build(name, data, 3, 0.1).named_parameters() if n.endswith("embedding.table.weight"))
        assert table[table != 0].std().item() == pytest.approx(0.1, rel=0.2), name


@pytest.fixture
def finished(monkeypatch):
    """All runs of the benchmark on tiny data, and how many each round had."""
    monkeypatch.setattr(gdcn, "part", lambda: tiny.dataset(60))
    monkeypatch.setattr(gdcn, "TRAINING", {**gdcn.TRAINING, "epochs": 1})
    small = {"DEPTHS": range(1, 3), "SIZE_SEEDS": range(2), "DEPTH_SEEDS": range(2), "PART_SEEDS": range(1)}
    for name, values in small.items():
        monkeypatch.setattr(gdcn, name, values)
    record, rounds = {name: [] for name in gdcn.LISTS}, []
    while jobs := gdcn.wanted(record):
        rounds.append(len(jobs))
        for job in jobs:
            record[job[0]].append(gdcn.work(*job))
            record[job[0]].sort(key=gdcn.place)
    return record, rounds


def test_jobs_come_in_order_tuning_full_models_then_their_sizes(finished):
    record, rounds = finished
    assert rounds == [3 + 2 * 2 * 2, 2 * 4 + 2 + 2 * 2 * 2, 2 * 5]
    assert {r["lr"] for r in record["sizes"]} == {gdcn.best_rate(record["sizes tuning"])}
    for r in record["depth"]:
        assert r["lr"] == gdcn.best_rate(record["depth tuning"], gates=r["gates"], layers=r["layers"])
    full = {r["seed"]: r for r in record["sizes"] if r["version"] == gdcn.FULL}
    for r in record["sizes"]:
        if r["version"] in gdcn.KEPT:
            assert r["sizes"] == full[r["seed"]]["found"][r["version"]]
            assert r["width"] == sum(r["sizes"].values()) + 1 and r["parameters"] < full[r["seed"]]["parameters"]
    record["depth"].pop()
    assert [job[0] for job in gdcn.wanted(record)] == ["depth"]


def test_depth_models_differ_in_the_gates_alone():
    data = tiny.dataset(20)
    plain, gated = (gdcn.deep(data, gates, 3) for gates in (False, True))
    assert plain.cross.depth == gated.cross.depth == 3 and plain.mlp is gated.mlp is None
    names = [{n for n, _ in m.named_parameters()} for m in (plain, gated)]
    assert names[1] - names[0] == {"cross.gate_weight"} and names[0] < names[1]


def test_equal_sizes_by_field_train_like_one_size_for_all():
    """So a difference between versions is one of sizes, not of the tables behind them."""
    data = tiny.dataset(300)
    metrics = []
    for dim in (4, {f.name: 4 for f in data.fields if f.kind != "numeric"}):
        seed_everything(0)
        model = GDCN(data.fields, dim=dim, cross_layers=2, hidden=(8,))
        metrics.append(fit(model, data, epochs=2, batch_size=50, lr=0.01, seed=0, progress=False).test)
    assert metrics[0] == pytest.approx(metrics[1], abs=1e-6)


STORED = read_json(RESULTS / "gdcn.json") if (RESULTS / "gdcn.json").exists() else None


def test_stored_runs_are_complete_and_their_sizes_sum_to_less():
    assert STORED is not None and gdcn.wanted(STORED) == []
    sizes, depth = pd.DataFrame(STORED["sizes"]), pd.DataFrame(STORED["depth"])
    assert (sizes.groupby("version").size() == len(gdcn.SIZE_SEEDS)).all()
    assert set(sizes["version"]) == set(gdcn.VERSIONS)
    assert (depth.groupby(["gates", "layers"]).size() == len(gdcn.DEPTH_SEEDS)).all() and len(depth) == 16 * 3
    width = sizes.pivot_table(index="seed", columns="version", values="width")[list(gdcn.KEPT)]  # 99 % first
    assert (width < 160).all(axis=None) and (width.diff(axis=1).iloc[:, 1:] <= 0).all(axis=None)
    for r in STORED["sizes"]:
        if r["version"] in gdcn.KEPT:
            assert r["sizes"]["history"] == r["sizes"]["item"] and r["sizes"]["gender"] == 1
            assert r["width"] == sum(r["sizes"].values())


def test_open_gates_are_the_means_of_a_fields_places():
    torch.manual_seed(0)
    model = GDCN(tiny.FIELDS, dim=3, cross_layers=2)
    batch = tiny.rows(6)
    table = open_gates(model, batch)
    gates = model.gates(batch)
    assert list(table.columns) == list(model.input.blocks) and table.shape[0] == 2
    for layer, gate in enumerate(gates):
        for name, place in model.input.blocks.items():
            assert table.iloc[layer][name] == pytest.approx(gate[:, place].mean().item(), abs=1e-6)
    first = next(iter(model.input.blocks.values()))
    assert open_gates(model, batch[2]).iloc[0, 0] == pytest.approx(gates[0][2, first].mean().item(), abs=1e-6)


def test_what_the_chapter_says_of_the_stored_sizes():
    """Less AUC at every share, below each seed of the full model; one smaller size for all does no worse."""
    auc = pd.DataFrame(STORED["sizes"]).pivot_table(index="seed", columns="version", values="auc")
    full = auc[gdcn.FULL]
    for name in gdcn.KEPT:
        assert auc[name].mean() < full.min() and interval(auc[name] - full)[2] < 0
    assert full.min() < auc["8 for all"].mean() < full.max()
    assert interval(auc["95% of variance"] - auc["4 for all"])[1] <= 0
    kept = [r["sizes"] for r in STORED["sizes"] if r["version"] == "95% of variance"]
    assert sum(s["hour"] for s in kept) > sum(s["item"] for s in kept)
