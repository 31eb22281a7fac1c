"""PAL and Watch Next: exact logits and gradients, served without position, and their tables and benchmark."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import logsigmoid
from torch.testing import assert_close

from bench.position import position as bench
from recsys_lite.data.simulated.clicks import BIAS, DEVICE, POSITION, examination, missing
from recsys_lite.explain import logit_parts
from recsys_lite.explain.position import (
    click_rates,
    curve_error,
    curves_table,
    examined,
    own_curve,
    product_parts,
    rows_needed,
)
from recsys_lite.fields import Dataset, Field, Rows, Vocabulary
from recsys_lite.models import FM, MODELS, PAL, DeepFM, LogisticRegression, NeuMF, WatchNext
from recsys_lite.models.position import BiasTower, Served, log1mexp, product_logit
from recsys_lite.store import read_json
from recsys_lite.training import fit, seed_everything, tower_optimizer

FIELDS = (*tiny.FIELDS, POSITION, DEVICE)


def rows(count: int, seed: int = 0) -> Rows:
    plain, g = tiny.rows(count, seed), torch.Generator().manual_seed(seed)
    where = torch.stack([torch.randint(1, 11, (count,), generator=g), torch.randint(1, 3, (count,), generator=g)], 1)
    return replace(plain, ids=torch.cat([plain.ids, where.int()], 1))


EXTREME = torch.tensor([-700.0, -90, -40, -17, -3, -1e-3, 0, 1e-3, 2, 17, 40, 90, 700], dtype=torch.float64)


def test_the_logit_of_a_product_is_exact_at_extremes_too():
    """Against log p - log(1 - p) in Python's own arithmetic with 1 - p written without a difference."""
    for a in EXTREME.tolist():
        for b in EXTREME.tolist():
            terms = sorted([-a, -b, -a - b], reverse=True)
            expected = -(terms[0] + math.log(sum(math.exp(t - terms[0]) for t in terms)))
            got = product_logit(torch.tensor(a), torch.tensor(b)).item()
            assert got == pytest.approx(expected, rel=1e-6, abs=1e-6)
            assert got <= min(a, b) + 1e-6
    p = torch.sigmoid(torch.tensor(1.3)) * torch.sigmoid(torch.tensor(-0.4))
    assert_close(product_logit(torch.tensor(1.3), torch.tensor(-0.4)), torch.logit(p))


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_loss_and_gradient_on_that_logit_are_those_of_the_loss_in_log_space(label):
    a, b = (x.flatten().clone().requires_grad_() for x in torch.meshgrid(EXTREME, EXTREME, indexing="ij"))
    y = torch.full_like(a, label)
    ours = bce(product_logit(a, b), y, reduction="none")
    log_p = logsigmoid(a) + logsigmoid(b)
    small = (log_p < -1e-300).detach()  # beyond that the logarithm of p itself is rounded to 0
    theirs = -(y * log_p + (1 - y) * log1mexp(torch.where(small, log_p, -torch.ones_like(log_p))))
    assert torch.isfinite(ours).all()
    assert_close(ours[small], theirs[small])
    grads = [torch.autograd.grad(loss[small].sum(), (a, b), retain_graph=True) for loss in (ours, theirs)]
    for mine, other in zip(*grads, strict=True):
        assert torch.isfinite(mine).all()
        assert_close(mine[small], other[small], rtol=1e-6, atol=1e-12)


def test_gradients_of_the_logit_are_right_by_differences():
    a, b = (torch.randn(20, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(product_logit, (a, b))
    assert torch.autograd.gradcheck(log1mexp, (-torch.rand(20, dtype=torch.float64) * 3 - 1e-3).requires_grad_())


@pytest.mark.parametrize("x", [-1e-12, -1e-6, -0.5, -0.7, -5.0, -50.0, -700.0])
def test_log1mexp_against_python(x):
    expected = math.log(-math.expm1(x)) if x > -0.69 else math.log1p(-math.exp(x))
    assert log1mexp(torch.tensor(x, dtype=torch.float64)).item() == pytest.approx(expected, rel=1e-12)


INNER = [FM, DeepFM, LogisticRegression, NeuMF]


@pytest.mark.parametrize("inner", INNER)
def test_pal_is_the_product_and_serves_the_second_factor(inner):
    model, batch = tiny.filled(PAL(FIELDS, inner(tiny.FIELDS), BIAS)), rows(9)
    alone = model.served.inner(tiny.rows(9))
    b = model.tower.weight[batch.ids[:, -2].long(), batch.ids[:, -1].long()]
    assert_close(torch.sigmoid(model(batch)), torch.sigmoid(alone) * torch.sigmoid(b))
    assert_close(model.served(batch), alone)
    assert_close(model(missing(FIELDS, batch)), alone)  # a position that is not known
    assert_close(model(missing(FIELDS, batch, ("position",))), alone)
    logit_parts(model.eval(), batch)
    moved = missing(FIELDS, batch, ("position",), 7)
    assert (model.served(moved) == model.served(batch)).all() and not torch.allclose(model(moved), model(batch))


@pytest.mark.parametrize("inner", INNER)
def test_watch_next_is_the_sum_and_serves_the_main_model(inner):
    model, batch = tiny.filled(WatchNext(FIELDS, inner(tiny.FIELDS))).eval(), rows(9)
    alone = model.served.inner(tiny.rows(9))
    s = model.tower.weight[batch.ids[:, -2].long(), batch.ids[:, -1].long()]
    assert_close(model(batch), alone + s)
    assert_close(model(missing(FIELDS, batch, ("position",))), alone)
    assert_close(model.served(batch), alone)
    logit_parts(model, batch, fine=inner is FM)


def test_positions_are_dropped_in_training_only_at_the_stated_rate():
    model, batch = tiny.filled(WatchNext(FIELDS, LogisticRegression(tiny.FIELDS), dropout=0.3)), rows(20_000)
    torch.manual_seed(0)
    dropped = (model.train().parts(batch)["position"] == 0).float()
    assert dropped.mean().item() == pytest.approx(0.3, abs=0.015)
    assert (model.eval().parts(batch)["position"] != 0).all()
    never = tiny.filled(WatchNext(FIELDS, LogisticRegression(tiny.FIELDS), dropout=0)).train()
    assert (never.parts(batch)["position"] != 0).all()


def test_a_row_without_position_teaches_the_tower_nothing():
    for kind in (PAL, WatchNext):
        model = tiny.filled(kind(FIELDS, FM(tiny.FIELDS)))
        batch = rows(30)
        loss = bce(model(missing(FIELDS, batch, ("position",))), batch.label)
        grads = torch.autograd.grad(loss, [model.tower.weight, model.served.inner.bias])
        assert (grads[0] == 0).all() and grads[1] != 0


def test_a_factor_can_move_between_the_towers_of_pal():
    """Small chances: the same clicks from twice the one and half the other."""
    model, batch = PAL(FIELDS, LogisticRegression(tiny.FIELDS)), rows(50)
    with torch.no_grad():
        model.tower.weight.fill_(torch.logit(torch.tensor(0.4)).item())
        model.served.inner.bias.fill_(torch.logit(torch.tensor(0.1)).item())
        before = torch.sigmoid(model(batch))
        model.tower.weight.fill_(torch.logit(torch.tensor(0.8)).item())
        model.served.inner.bias.fill_(torch.logit(torch.tensor(0.05)).item())
        assert_close(torch.sigmoid(model(batch)), before)
        assert_close(own_curve(model), torch.ones(10))


def test_inner_models_read_their_own_columns_wherever_bias_fields_stand():
    shuffled = (POSITION, *tiny.FIELDS[:1], DEVICE, *tiny.FIELDS[1:])
    batch, plain = rows(8), tiny.rows(8)
    mixed = replace(batch, ids=batch.ids[:, [2, 0, 3, 1]])
    model = tiny.filled(PAL(shuffled, FM(tiny.FIELDS), BIAS))
    assert_close(model.served(mixed), model.served.inner(plain))
    few = tiny.filled(Served(FIELDS, FM([tiny.FIELDS[1], tiny.FIELDS[3]])))
    own = Rows(plain.ids[:, 1:], plain.numeric[:, :0], {"genres": plain.bags["genres"]})
    assert_close(few(batch), few.inner(own))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PAL(FIELDS, FM(FIELDS)), "'position' is a bias field, so FM must not read it"),
        (lambda: WatchNext(FIELDS, FM(tiny.FIELDS), dropout=1.0), r"dropout must lie in \[0, 1\), got 1\.0"),
        (lambda: PAL(FIELDS, FM(tiny.FIELDS), ("place",)), "unknown field 'place'"),
        (lambda: WatchNext(FIELDS, FM(tiny.FIELDS[:2]), ("price",)), "must be categorical, it is numeric"),
        (lambda: BiasTower(FIELDS, ()), "expected bias fields"),
        (lambda: BiasTower(FIELDS, ("position", "position")), "each once"),
        (lambda: Served(FIELDS[:2], FM(tiny.FIELDS)), "unknown field 'price'"),
        (lambda: curve_error(torch.ones(2, 3), torch.ones(2, 4)), r"got \(2, 3\), \(2, 4\)"),
        (lambda: curve_error(torch.zeros(2, 3), torch.ones(2, 3)), "above 0"),
        (lambda: click_rates([1, 2], [0, 2]), "0 or 1"),
        (lambda: rows_needed(0.5, 1.0), "ratio not be 1"),
        (lambda: rows_needed(0.5, 3.0), "must lie in"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_they_stand_beside_the_leaderboards_models():
    assert not {PAL, WatchNext} & set(MODELS.values())
    model = PAL(FIELDS, DeepFM(tiny.FIELDS, hidden=(4,)))
    assert model.config["relevance"] == "DeepFM" and model.config["bias"] == ["position"]


# --- learning --------------------------------------------------------------------------------------------------------


def clicks_of(kind: str, count: int = 12_000, seed: int = 0) -> tuple[Dataset, torch.Tensor]:
    """Ten items of known relevance at ten places of a known curve; the better item stands higher, with chance."""
    g = torch.Generator().manual_seed(seed)
    liked = torch.linspace(0.9, 0.1, 10)
    curve = examination(1.0)[0] if kind == "biased" else torch.ones(10)
    total = count + 4000
    item = torch.randint(0, 10, (total,), generator=g)
    place = (item + torch.randint(-3, 4, (total,), generator=g)).clamp(0, 9)
    label = (torch.rand(total, generator=g) < liked[item] * curve[place]).float()
    fields = (Field("item", "categorical", Vocabulary([f"{k}" for k in range(10)])), POSITION)
    ids = torch.stack([item + 1, place + 1], 1).int()
    nobody = torch.full((total,), -1)
    data = Rows(ids, torch.zeros(total, 0), {}, label, nobody)
    return Dataset("places", kind, fields, data[:count], data[count : count + 2000], data[count + 2000 :]), liked


@pytest.mark.parametrize("kind", ["biased", "unbiased"])
def test_pal_recovers_curve_and_relevance_up_to_a_factor(kind):
    data, liked = clicks_of(kind)
    fields = data.fields
    seed_everything(0)
    pal = PAL(fields, LogisticRegression(fields[:1]))
    fit(pal, data, epochs=15, lr=0.1, progress=False)
    curve = own_curve(pal).detach()
    truth = examination(1.0)[0] if kind == "biased" else torch.ones(10)
    assert torch.log(curve / truth).abs().mean() < 0.15
    every = Rows(torch.stack([torch.arange(1, 11), torch.ones(10)], 1).int(), torch.zeros(10, 0))
    found = pal.chances(every)["click if seen"].detach()
    assert torch.log((found / found[0]) / (liked / liked[0])).abs()[:8].mean() < 0.15
    naive = Served(fields, LogisticRegression(fields[:1]))
    fit(naive, data, epochs=15, lr=0.1, progress=False)
    error = (torch.log(torch.sigmoid(naive(every)).detach() / liked)).std()
    assert error > 0.5 if kind == "biased" else error < 0.2


def test_examined_and_own_curve_say_the_same_of_pal():
    model = tiny.filled(PAL(FIELDS, FM(tiny.FIELDS), BIAS))
    curve, own = examined(model, rows(200)), own_curve(model)
    assert curve.shape == (2, 10) and (curve[:, 0] == 1).all()
    assert_close(curve, own.T, rtol=1e-4, atol=1e-5)
    alone = tiny.filled(PAL(FIELDS, FM(tiny.FIELDS)))
    assert_close(examined(alone, rows(200))[0], own_curve(alone), rtol=1e-4, atol=1e-5)
    watch = tiny.filled(WatchNext(FIELDS, FM(tiny.FIELDS)))
    inside = watch.tower.weight.detach()[1:, 1:]
    assert_close(own_curve(watch), torch.exp(inside - inside[0]))


def test_tables_of_curves_and_products():
    truth = examination({"desktop": 1, "phone": 2})
    table = curves_table({"same": 3 * truth}, truth)
    assert len(table) == 2 * 2 * 10 and list(table["model"].unique()) == ["truth", "same"]
    by = table.pivot_table(index=["device", "place"], columns="model", values="relative to place 1")
    assert np.allclose(by["same"], by["truth"]) and by.loc[("phone", 2), "truth"] == pytest.approx(0.25)
    model, batch = tiny.filled(PAL(FIELDS, FM(tiny.FIELDS))), rows(6)
    parts = product_parts(model, batch, {"seen": torch.ones(6)})
    assert np.allclose(parts["seen"] * parts["click if seen"], parts["click"])
    assert (
        np.allclose(parts["click"], torch.sigmoid(model(batch)).detach(), atol=1e-6) and (parts["true seen"] == 1).all()
    )


@pytest.mark.slow("draws thousands of logs")
def test_click_rates_have_katz_intervals_that_cover():
    table = click_rates([1] * 100 + [2] * 100, [1] * 40 + [0] * 60 + [1] * 20 + [0] * 80)
    assert table["relative"].tolist() == [1, 0.5]
    half = 1.96 * math.sqrt(1 / 40 - 1 / 100 + 1 / 20 - 1 / 100)
    assert table["low"][1] == pytest.approx(0.5 * math.exp(-half), rel=1e-4)
    assert table["high"][1] == pytest.approx(0.5 * math.exp(half), rel=1e-4)
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(300):
        place = rng.integers(1, 3, 2000)
        click = rng.random(2000) < np.where(place == 1, 0.2, 0.1)
        line = click_rates(place, click).iloc[1]
        inside += line["low"] < 0.5 < line["high"]
    assert 0.91 < inside / 300 < 0.98
    none = click_rates([1, 1, 2], [1, 0, 0])
    assert none["clicks"][1] == 0 and np.isnan(none["low"][1])


def test_rows_needed_finds_the_difference_as_often_as_it_says():
    n = rows_needed(0.1, 0.5)
    rng = np.random.default_rng(1)
    one, two = rng.binomial(n, 0.1, 4000), rng.binomial(n, 0.05, 4000)
    middle = (one + two) / (2 * n)
    z = (one - two) / n / np.sqrt(2 * middle * (1 - middle) / n)
    assert (np.abs(z) > 1.96).mean() == pytest.approx(0.8, abs=0.03)
    assert rows_needed(0.1, 0.9) > 20 * n


# --- the benchmark ---------------------------------------------------------------------------------------------------


def test_jobs_come_in_order_tuning_then_seeds_then_variants():
    record = {"about": {}, "tuning": [], "runs": []}
    first = bench.wanted(record)
    assert {kind for kind, _ in first} == {"tuning"} and len(first) % len(bench.SETTINGS) == 0
    for kind, job in first:
        record[kind].append({**job, "validation": job["lr"] + job["weight_decay"]})
    second = bench.wanted(record)
    assert {kind for kind, _ in second} == {"runs"} and len(bench.SEEDS) >= 5
    assert all(job["lr"] == 0.003 and job["weight_decay"] == 3e-5 for _, job in second)
    made = {(job["model"], job["condition"]) for _, job in second}
    assert ("pal", "control") in made and ("ipw", "control") not in made and ("watch_next_0.5", "device") in made
    for kind, job in second:
        record[kind].append(job)
    assert bench.wanted(record) == []


@pytest.mark.parametrize("name", [*bench.MODELS, "pal_true_curve", "watch_next_0.3"])
def test_a_run_of_the_benchmark(name, monkeypatch):
    whole = bench.load("device", 0)
    few = replace(whole.dataset, train=whole.dataset.train[:3000])
    truth = {**whole.truth, "train": replace(whole.truth["train"], seen=whole.truth["train"].seen[:3000])}
    monkeypatch.setattr(bench, "load", lambda condition, seed: replace(whole, dataset=few, truth=truth))
    monkeypatch.setattr(bench, "FIXED", {**bench.FIXED, "epochs": 1})
    job = {"model": name, "condition": "device", "seed": 0, "lr": 0.003, "weight_decay": 1e-4}
    made = bench.work("runs", job)
    tested = made["test"] if name != "feature" else made["test"]["at 5"]
    assert 0.7 < tested["ndcg@10"] < 1 and made["best_epoch"] == 1
    if name not in ("naive", "ipw"):
        assert np.array(made["curve"]).shape == (2, 10)
    if name == "pal_true_curve":
        assert made["curve_error"] < 1e-3
    assert set(bench.work("tuning", job)) == {*job, "validation", "best_epoch"}


def test_the_weighted_loss_is_unbiased():
    """With the true curve its mean over clicks is the log loss of relevance, whatever the scores."""
    g = torch.Generator().manual_seed(0)
    liked, seen = torch.rand(400_000, generator=g), torch.rand(400_000, generator=g) * 0.8 + 0.2
    click = (torch.rand(400_000, generator=g) < liked * seen).float()
    z = 2 * liked - 1
    weighted = torch.nn.functional.softplus(z) - click / seen * z
    assert weighted.mean().item() == pytest.approx(bce(z, liked).item(), abs=0.005)


def test_the_bias_tower_has_its_own_rate_and_no_decay():
    model = PAL(FIELDS, FM(tiny.FIELDS))
    groups = tower_optimizer(0.01, 1e-4, 0.1)(model).param_groups
    assert [len(g["params"]) for g in groups] == [3, 1]
    assert groups[1]["params"][0] is model.tower.weight and groups[1]["weight_decay"] == 0 and groups[1]["lr"] == 0.1
    assert len(tower_optimizer(0.01, 1e-4, None)(model).param_groups) == 1
    assert len(tower_optimizer(0.01, 1e-4, 0.1)(FM(tiny.FIELDS)).param_groups) == 1


def test_served_at_a_place_ignores_the_logged_one():
    batch = rows(20)
    at = bench.At(tiny.filled(FM(FIELDS)), 5)
    moved = missing(FIELDS, batch, ("position",), 9)
    assert_close(at(batch), at(moved))
    other = bench.At(at.model, 1)
    assert not torch.allclose(at(batch), other(batch))


def test_results_are_in_one_order():
    keys = [bench.place({"condition": c, "model": m, "seed": s, "lr": 0.1, "weight_decay": 0.0})
            for c in bench.CONDITIONS for m in [*bench.MODELS, *bench.VARIANTS] for s in (0, 1)]  # fmt: skip
    assert keys == sorted(keys) and pd.Series(map(str, keys)).is_unique


STORED = read_json(bench.FILE) if bench.FILE.exists() else None


@pytest.mark.skipif(STORED is None, reason="the benchmark has not run")
def test_stored_runs_are_complete_and_of_the_stated_conditions():
    assert bench.wanted(STORED) == []
    assert {r["condition"] for r in STORED["runs"]} == set(bench.CONDITIONS) == set(STORED["about"]["curves"])
    assert STORED["about"]["curves"]["popular"][0] == pytest.approx(examination(1.0)[0].tolist())
    for r in STORED["runs"]:
        if r["model"] == "pal_true_curve":
            assert r["curve_error"] < 1e-3
