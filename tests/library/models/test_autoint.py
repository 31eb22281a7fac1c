"""AutoInt: the paper's formula, its limits, the slips that other code makes, and the study of its attention."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch
from tiny import FIELDS, dataset, rows
from torch import nn
from torch.testing import assert_close

from bench.ranking import attention as study
from recsys_lite import explain
from recsys_lite.data.movielens_files import read_raw
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.layers import InteractingLayer
from recsys_lite.models import AutoInt
from recsys_lite.store import RESULTS, read_json
from recsys_lite.training import seed_everything

PROJECTIONS = ("query", "key", "value", "residual")


def scrambled(module, std=0.5, seed=0):
    """All parameters random, so that nothing is zero by its start."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=g) * std)
    return module


def explicit(layer, e):
    """Equations 5 to 8 of the paper, field by field and head by head."""
    H, u = layer.heads, layer.units
    q, k, v = (getattr(layer, name).weight.view(H, u, -1) for name in PROJECTIONS[:3])
    out = []
    for row in e:
        new = []
        for m in row:
            parts = []
            for h in range(H):
                weights = torch.stack([(q[h] @ m) @ (k[h] @ other) for other in row]).softmax(0)
                parts.append(sum(w * (v[h] @ other) for w, other in zip(weights, row, strict=True)))
            new.append(torch.relu(torch.cat(parts) + layer.residual.weight @ m))
        out.append(torch.stack(new))
    return torch.stack(out)


@pytest.mark.parametrize("shape", [(1, 1, 2, 1, 1), (3, 4, 5, 2, 3), (2, 6, 4, 3, 1)])
def test_the_layer_is_the_papers_formula_in_value_and_gradient(shape):
    B, F, d, u, H = shape
    layer = scrambled(InteractingLayer(d, units=u, heads=H)).double()
    e = torch.randn(B, F, d, dtype=torch.float64)
    assert_close(layer(e), explicit(layer, e))
    leaves = list(layer.parameters())
    one, two = (torch.autograd.grad((f(e) ** 2).sum(), leaves) for f in (layer, lambda e: explicit(layer, e)))
    assert_close(one, two)


def test_numbers_by_hand():
    """Dots 1, 0, 1 with W_Q = ln 2 I give 2 : 1 : 2; the residual -I takes (1, 0) off."""
    layer = InteractingLayer(2, units=2, heads=1)
    with torch.no_grad():
        for name, scale in zip(PROJECTIONS, (0.6931471805599453, 1, 1, -1), strict=True):
            getattr(layer, name).weight.copy_(scale * torch.eye(2))
    out, weights = layer.attend(torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]]))
    assert_close(weights[0, 0, 0], torch.tensor([0.4, 0.2, 0.4]))
    assert_close(out[0, 0], torch.tensor([0.0, 0.6]))


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_weights_are_shares(variant):
    layer = scrambled(InteractingLayer(6, units=4, heads=3, variant=variant))
    weights = layer.attend(torch.randn(5, 7, 6))[1]
    assert weights.shape == (5, 3, 7, 7) and (weights > 0).all()
    assert_close(weights.sum(-1), torch.ones(5, 3, 7))


def test_zero_values_leave_the_residual_of_each_layer():
    """Catches a residual around the whole stack, an identity in its place, and a norm before the ReLU."""
    first, second = (scrambled(InteractingLayer(4, units=2, heads=2), seed=k) for k in range(2))
    for layer in (first, second):
        nn.init.zeros_(layer.value.weight)
    e = torch.randn(3, 5, 4)
    expected = torch.relu(torch.relu(e @ first.residual.weight.T) @ second.residual.weight.T)
    assert_close(second(first(e)), expected)


def test_zero_queries_take_the_plain_mean():
    """Catches a projection behind the heads."""
    layer = scrambled(InteractingLayer(4, units=3, heads=2))
    nn.init.zeros_(layer.query.weight)
    e = torch.randn(3, 5, 4)
    assert_close(layer(e), torch.relu(layer.value(e).mean(1, keepdim=True) + layer.residual(e)))


def test_exchanging_fields_exchanges_outputs_and_maps():
    layer, order = scrambled(InteractingLayer(4, units=3, heads=2)), torch.tensor([3, 0, 4, 1, 2])
    e = torch.randn(3, 5, 4)
    (out, maps), (shuffled, its_maps) = layer.attend(e), layer.attend(e[:, order])
    assert_close(shuffled, out[:, order])
    assert_close(its_maps, maps[:, :, order][..., order])


def test_exchanging_the_fields_of_a_model_exchanges_its_maps():
    fields = [Field(n, "categorical", Vocabulary([f"{n}{k}" for k in range(4)])) for n in "abc"]
    order = [2, 0, 1]
    model = scrambled(AutoInt(fields, dim=4, units=3, layers=2))
    other = AutoInt([fields[k] for k in order], dim=4, units=3, layers=2)
    state = model.state_dict()
    state["embedding.table.weight"] = state["embedding.table.weight"].view(3, 5, 4)[order].reshape(15, 4)
    state["combine.weight"] = state["combine.weight"].view(3, 6)[order].reshape(1, 18)
    other.load_state_dict(state)
    ids = torch.randint(0, 5, (11, 3)).int()
    one, two = Rows(ids, torch.zeros(11, 0)), Rows(ids[:, order], torch.zeros(11, 0))
    assert_close(model(one), other(two))
    for maps, its_maps in zip(model.attention(one), other.attention(two), strict=True):
        assert_close(its_maps, maps[:, :, order][..., order])


def test_pytorchs_attention_computes_the_same_weights():
    layer = InteractingLayer(12, units=3, heads=4)
    oracle = nn.MultiheadAttention(12, 4, bias=False, batch_first=True)
    with torch.no_grad():
        oracle.in_proj_weight.copy_(torch.cat([layer.query.weight * 3**0.5, layer.key.weight, layer.value.weight]))
        oracle.out_proj.weight.copy_(torch.eye(12))
    e = torch.randn(5, 6, 12)
    heads, weights = oracle(e, e, e, average_attn_weights=False)
    out, ours = layer.attend(e)
    assert_close(weights, ours)
    assert_close(torch.relu(heads + layer.residual(e)), out)


def test_the_authors_variant_has_biases_relus_a_scale_and_a_norm():
    layer = scrambled(InteractingLayer(6, units=4, heads=2, variant="code"))
    e = torch.randn(3, 5, 6)
    q, k, v = (torch.relu(getattr(layer, n)(e)).view(3, 5, 2, 4).transpose(1, 2) for n in PROJECTIONS[:3])
    heads = ((q @ k.transpose(-1, -2) / 2).softmax(-1) @ v).transpose(1, 2).flatten(2)
    expected = layer.norm(torch.relu(heads + torch.relu(layer.residual(e))))
    assert_close(layer(e), expected)
    assert layer.norm.eps == 1e-8 and all(getattr(layer, n).bias is not None for n in PROJECTIONS)
    paper = InteractingLayer(6, units=4, heads=2)
    assert paper.norm is None and all(getattr(paper, n).bias is None for n in PROJECTIONS)


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_each_layer_has_a_residual_and_a_width_of_its_own(variant):
    model = AutoInt(FIELDS, dim=5, layers=4, heads=3, units=2, variant=variant)
    assert [tuple(layer.residual.weight.shape) for layer in model.layers] == [(6, 5)] + [(6, 6)] * 3
    assert model.combine.weight.shape == (1, len(FIELDS) * 6)


def test_without_values_the_logit_is_a_sum_over_single_fields():
    model = scrambled(AutoInt(FIELDS, dim=4, units=3, layers=2)).eval()
    batch = rows(40)
    assert explain.interactions(model, batch)["strength"].max() > 1e-2
    for layer in model.layers:
        nn.init.zeros_(layer.value.weight)
    assert explain.interactions(model, batch)["strength"].max() < 1e-4


def test_a_number_scales_the_vector_of_its_field():
    model, batch = scrambled(AutoInt(FIELDS, dim=4)), rows(6)
    place = [f.name for f in FIELDS].index("price")
    v = model.embedding.table.weight[model.embedding.row("price")]
    assert_close(model.embedding(batch)[:, place], batch.numeric * v)


def test_the_network_of_autoint_plus_adds_a_part_and_nothing_else():
    plain, plus = (AutoInt(FIELDS, dim=4, units=3, hidden=h) for h in ((), (8,)))
    scrambled(plus)
    plain.load_state_dict({k: v for k, v in plus.state_dict().items() if not k.startswith("mlp")})
    batch = rows(9)
    assert_close(plus(batch) - plus.parts(batch)["deep"], plain(batch))


@pytest.mark.parametrize("wrong", [{"dim": 0}, {"dim": 4, "heads": 0}, {"dim": 4, "units": 0}])
def test_sizes_below_one_are_refused(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        InteractingLayer(**wrong)


def test_unknown_variants_shapes_and_no_layers_are_refused():
    with pytest.raises(ValueError, match="unknown variant 'tensorflow'"):
        InteractingLayer(4, variant="tensorflow")
    with pytest.raises(ValueError, match=r"expected \(B, F, 4\), got \(2, 3, 5\)"):
        InteractingLayer(4)(torch.zeros(2, 3, 5))
    with pytest.raises(ValueError, match="layers must be at least 1"):
        AutoInt(FIELDS, layers=0)


# --- the study of attention, bench/ranking/attention.py ---------------------------------------------------------------


def test_own_maps_give_the_own_logits_and_others_do_not():
    model, batch = scrambled(AutoInt(FIELDS, dim=4, units=3)).eval(), rows(20)
    maps = model.attention(batch)
    assert_close(study.with_maps(model, batch, maps), model(batch), rtol=1e-4, atol=1e-5)
    mean = study.with_maps(model, batch, [m.mean(0, keepdim=True) for m in maps])
    assert (mean - model(batch)).abs().max() > 1e-3


def test_places_and_correlations_are_those_of_a_small_example():
    names = ["genres", "gender", "age"]
    mean = torch.zeros(1, 1, 3, 3)
    mean[0, 0, 0, 1], mean[0, 0, 2, 0], mean[0, 0, 1, 2] = 0.2, 0.6, 0.4  # pairs: 0.1, 0.3, 0.2
    pairs = pd.DataFrame(
        [("genres", "gender", 3.0, 0.3), ("genres", "age", 1.0, 0.1), ("gender", "age", 2.0, 0.2)],
        columns=["a", "b", "strength", "log_loss"],
    )
    found = study.compare(mean, pairs, names)
    assert found["ranks"] == {
        "genres × gender": {"attention": 3, "strength": 1, "log_loss": 1},
        "genres × age": {"attention": 1, "strength": 3, "log_loss": 3},
    }
    assert found["correlation"]["attention, log_loss"] == pytest.approx(-1)
    assert found["correlation"]["strength, log_loss"] == pytest.approx(1)


def test_a_coin_keeps_rows_and_the_share_of_clicks():
    before = dataset()
    after = study.by_coin(before, 0)
    assert torch.equal(after.train.ids, before.train.ids) and after.train.label.sum() == before.train.label.sum()
    assert not torch.equal(after.train.label, before.train.label)
    assert not torch.equal(after.test.label, before.test.label)


@pytest.mark.parametrize("kind", study.SEEDS)
def test_each_kind_of_model_gives_numbers_that_json_can_hold(kind, monkeypatch):
    monkeypatch.setattr(study, "EPOCHS", dict.fromkeys(study.EPOCHS, 1))
    run = study.examine(dataset(), "all fields", kind, 0, {"lr": 0.01})
    again = study.examine(dataset(), "all fields", kind, 0, {"lr": 0.01})
    assert run == again == json.loads(json.dumps(run, allow_nan=False))
    assert ("attention" in run) == (kind == "click") and ("pairs" in run) == (kind in ("click", "coin"))
    if kind == "plain mean":
        assert run["largest distance from 1/F"] < 1e-6


def test_a_model_that_learns_leaves_the_plain_mean():
    """What the control stands against: with something to learn and large steps the weights move."""
    seed_everything(0)
    run = study.examine(dataset(), "all fields", "click", 0, {"lr": 0.05})
    assert run["largest distance from 1/F"] > 1e-3


def test_the_stored_study_is_whole_and_its_maps_are_shares():
    runs = read_json(RESULTS / "attention.json")["runs"]
    wanted = {(v, kind, seed) for v in study.VARIANTS for kind, seeds in study.SEEDS.items() for seed in seeds}
    assert {(r["variant"], r["kind"], r["seed"]) for r in runs} == wanted and len(runs) == len(wanted)
    for run in runs:
        if run["kind"] == "click":
            maps = torch.tensor(run["attention"])
            F = len(run["fields"])
            assert maps.shape == (3, 2, F, F) and len(run["pairs"]) == F * (F - 1) // 2
            assert_close(maps.sum(-1), torch.ones(3, 2, F), atol=1e-3, rtol=0)
    assert all(r["fields"][-1] == "month" for r in runs if r["variant"] == "no ids")


def test_the_month_is_that_of_the_rating(movielens):
    clock = pd.to_datetime(read_raw().ratings.set_index(["user", "item"])["timestamp"], unit="s")
    dated = study.with_month(movielens)
    for part in (dated.train, dated.test):
        clicks = part[torch.arange(0, len(part), 3_001) // 3 * 3]  # each click stands before its negatives
        assert clicks.label.min() == 1
        for k in range(len(clicks)):
            row = dated.decode(clicks, k)
            if "<unseen>" not in (row["user"], row["item"]):
                assert row["month"] == clock[row["user"], row["item"]].strftime("%Y-%m")
        assert (part.ids[0::3, -1] == part.ids[1::3, -1]).all() and (part.ids[0::3, -1] == part.ids[2::3, -1]).all()
    assert dated.field("month").vocabulary.values.tolist() == [
        "1997-09", "1997-10", "1997-11", "1997-12", "1998-01", "1998-02", "1998-03", "1998-04",
    ]  # fmt: skip


def test_rows_in_another_order_get_no_month(movielens):
    turned = replace(movielens, train=movielens.train[torch.arange(len(movielens.train)).flip(0)])
    with pytest.raises(ValueError, match="order of the ratings' times"):
        study.with_month(turned)
