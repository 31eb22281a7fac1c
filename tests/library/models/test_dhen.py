"""DHEN: what its layers promise, what its bench plants and stores, and the report of the four processes."""

import json

import numpy as np
import pytest
import tiny
import torch
from torch.testing import assert_close

from bench.ranking import dhen as bench
from recsys_lite.evaluation import auc
from recsys_lite.layers import EnsembleLayer
from recsys_lite.layers.ensemble import MODULES
from recsys_lite.models import DHEN
from recsys_lite.store import load_model, save_model
from recsys_lite.training import fit, seed_everything

KINDS = list(MODULES)


def drawn(*args, std=0.4, **settings):
    torch.manual_seed(1)
    layer = EnsembleLayer(*args, **settings)
    with torch.no_grad():
        for p in layer.parameters():
            p.normal_(std=std)
    return layer


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_judged_by_itself(kind):
    """Attention with rows and vectors exchanged would fail here."""
    layer, x = drawn(5, 8, [kind, "linear"]), torch.randn(6, 5, 8)
    assert_close(layer(x[2:3]), layer(x)[2:3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("join", ["concat", "sum"])
def test_outputs_are_normed(join):
    layer, x = EnsembleLayer(5, 16, KINDS, join=join), 7 * torch.randn(6, 5, 16)
    y = layer(x)
    assert_close(y.mean(2), torch.zeros(y.shape[:2]), atol=1e-5, rtol=0)
    assert_close(y.std(2, correction=0), torch.ones(y.shape[:2]), atol=1e-2, rtol=0)


def test_with_silent_modules_the_projected_input_gets_through():
    layer, x = EnsembleLayer(5, 8, ["cross", "linear"], out=4), torch.randn(3, 5, 8)
    for p in layer.interactions.parameters():
        torch.nn.init.zeros_(p)
    short = torch.einsum("lm,bmd->bld", layer.shortcut.weight, x)
    assert_close(layer(x), torch.nn.functional.layer_norm(short, (8,)))


@pytest.mark.parametrize(("kind", "degree"), [("cross", 2), ("linear", 1)])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_degree_doubles_with_each_layer_of_crosses(kind, degree, layers):
    stack = torch.nn.Sequential(*(drawn(2, 2, [kind], out=2, std=0.7) for _ in range(layers))).double()
    for layer in stack:
        layer.norm = torch.nn.Identity()
    x = torch.randn(1, 2, 2, dtype=torch.float64)
    differences = torch.stack([stack(t * x).sum() for t in range(11)]).detach()
    for _ in range(degree**layers):
        differences = differences.diff()
    assert differences.abs().max() > 1e-3  # of the order of the degree: a constant, not zero
    assert differences.diff().abs().max() < 1e-6 * differences.abs().max().clamp(min=1)


def test_many_vectors_are_compressed_before_pairs_are_taken():
    few, many = (EnsembleLayer(m, 4, ["dot"]).interactions[0] for m in (16, 17))
    assert few.compress is None and many.compress.weight.shape == (16, 17)
    assert many.mlp[0].in_features == 17 * 4 + 16 * 15 // 2
    x = torch.randn(2, 17, 4)
    y = torch.einsum("km,bmd->bkd", many.compress.weight, x)
    i, j = np.tril_indices(16, -1)
    pairs = (y[:, i] * y[:, j]).sum(2)
    assert_close(many(x), many.mlp(torch.cat([x.flatten(1), pairs], 1)).view(2, 4, 4))


def test_a_bias_on_whole_vectors_is_taken_out_by_the_norm():
    layer = drawn(5, 8, ["attention", "convolution", "linear", "cross"]).double()
    y = layer(torch.randn(6, 5, 8, dtype=torch.float64))
    (y * torch.randn_like(y)).sum().backward()
    for module in layer.interactions:
        assert module.project.bias.grad.abs().max() < 1e-12 < module.project.weight.grad.abs().max()


def test_numbers_become_one_vector_and_stand_first():
    model = DHEN(tiny.FIELDS, dim=4)
    rows = tiny.rows(7)
    assert model.vectors == ["numbers", "user", "item", "genres", "history"]
    assert_close(model.start(rows)[:, 0], model.bottom(rows.numeric))
    without = DHEN(tiny.dataset(9).drop("price").fields, dim=4)
    assert without.bottom is None and without.start(tiny.dataset(9).drop("price").train).shape == (9, 4, 4)


@pytest.mark.parametrize("layers", range(1, 9))
def test_one_to_eight_layers_run_and_every_layer_learns(layers):
    model = DHEN(tiny.FIELDS, dim=8, modules=KINDS, layers=layers)
    z = model(tiny.rows(5))
    assert z.shape == (5,) and torch.isfinite(z).all()
    z.square().sum().backward()
    for layer in model.layers:
        assert max(p.grad.abs().max() for p in layer.interactions[0].parameters()) > 0
    model.eval()
    assert_close(model(tiny.rows(5))[:1], model(tiny.rows(5)[:1]), rtol=1e-4, atol=1e-4)


def test_maps_of_attention_sum_to_one_and_need_the_module():
    model = DHEN(tiny.FIELDS, dim=8, modules=["dot", "attention"], layers=2)
    maps = model.attention(tiny.rows(3))
    assert [tuple(a.shape) for a in maps] == [(3, 1, 5, 5), (3, 1, 8, 8)]
    assert all(torch.allclose(a.sum(3), torch.ones_like(a.sum(3)), atol=1e-5) for a in maps)
    assert DHEN(tiny.FIELDS, dim=8).attention(tiny.rows(3)) == []


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="layers must be at least 1"):
        DHEN(tiny.FIELDS, layers=0)
    with pytest.raises(ValueError, match="needs at least one categorical"):
        DHEN([f for f in tiny.FIELDS if f.kind == "numeric"])
    with pytest.raises(ValueError, match="sizes must be at least 1"):
        DHEN(tiny.FIELDS, out=0)


def test_it_learns_and_comes_back_from_a_file(tmp_path):
    data = tiny.dataset(600)
    seed_everything(0)
    model = DHEN(data.fields, dim=8, modules=["cross", "linear"], std=0.1)
    result = fit(model, data, epochs=15, batch_size=50, lr=0.01, patience=15, progress=False)
    assert result.test["normalized_entropy"] < 0.9
    save_model(model, tmp_path / "dhen")
    assert_close(load_model(tmp_path / "dhen", data.fields)(data.test), model(data.test))


def test_planted_parts_weigh_the_same_and_the_control_has_none():
    data, coin = bench.two_kinds(3), bench.two_kinds(3, signal=False)
    parts, p = data.extras["parts"], data.extras["probability"]
    assert_close(parts.var(1), torch.full((2,), 4.5), rtol=0.1, atol=0)
    assert abs(torch.corrcoef(parts)[0, 1].item()) < 0.06
    assert 0.85 < auc(data.test.label, p) < 0.97 and (coin.extras["probability"] == 0.5).all()
    assert torch.equal(data.test.ids, coin.test.ids) and not torch.equal(data.test.label, coin.test.label)
    loudest = [parts[1][(data.test.ids[:, 2:] == row).all(1)] for row in data.test.ids[:5, 2:]]
    assert all((v == v[0]).all() for v in loudest)  # a function of C to H


def test_the_bench_tunes_first_and_then_runs_each_seed_with_the_better_rate():
    record = {"tuning": [], "runs": []}
    first = bench.wanted(record)
    assert {kind for kind, _ in first} == {"tuning"} and len(first) == len({json.dumps(j) for _, j in first})
    assert {j["seed"] for _, j in first} == {bench.TUNING_SEED}
    for _, job in first:
        record["tuning"].append({**job, "normalized_entropy": 0.7 if job["lr"] == 0.003 else 0.8})
    second = bench.wanted(record)
    assert {kind for kind, _ in second} == {"runs"} and {j["lr"] for _, j in second} == {0.003}
    assert len(second) == sum(len(v) * len(bench.SEEDS[g]) for g, v in bench.VERSIONS.items())
    record["runs"] = [job for _, job in second]
    assert bench.wanted(record) == []


@pytest.fixture(scope="module")
def stored():
    return json.loads(bench.FILE.read_text())


def test_the_stored_runs_are_those_that_the_bench_asks_for(stored):
    assert bench.wanted(stored) == []
    versions = {(r["group"], r["model"]) for r in stored["runs"]}
    assert versions == {(g, name) for g, names in bench.VERSIONS.items() for name in names}
    assert all(0.3 < r["normalized_entropy"] < 1.3 for r in stored["runs"])
    coin = [r["auc"] for r in stored["runs"] if r["group"] == "control"]
    assert min(coin) > 0.44 and max(coin) < 0.56
    assert stored["time"][0] == 1.0 and stored["time"][7] > stored["time"][1]


def test_a_stored_run_can_be_had_again_within_the_range_of_its_seeds(stored):
    runs = [r for r in stored["runs"] if (r["group"], r["model"]) == ("planted", "dot")]
    again = bench.work("runs", {k: runs[0][k] for k in ("group", "model", "lr", "seed")})
    assert again["parameters"] == runs[0]["parameters"]
    losses = [r["normalized_entropy"] for r in runs]
    assert min(losses) - 0.03 < again["normalized_entropy"] < max(losses) + 0.03


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_stored_report_of_four_processes_says_what_it_must(stored, optimizer):
    for design, copies in (("hybrid", 2), ("full", 1)):
        report = stored["four"][optimizer][design]
        assert (report["copies"], report["optimizer"], report["dtype"]) == (copies, optimizer, "float64")
        assert report["loss_difference"] < 1e-12 and report["state_difference"] < 1e-11
        assert report["weights_moved"] > 0.005
        if optimizer == "sgd":
            assert report["weight_difference"] < 1e-12
        for host in (0, 1):
            ranks = report["ranks"][2 * host : 2 * host + 2]
            for where, promised in report["formula"].items():
                assert sum(kind[where] for r in ranks for kind in r["sent"].values()) == promised
