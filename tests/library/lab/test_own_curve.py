"""One's own curve of looking: what it implies by hand, a log that follows it, training as in the stored runs."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from bench.position import position as bench
from recsys_lite.data.simulated.clicks import examination, simulate, stated_curve
from recsys_lite.evaluation.clicks import ndcg, ndcg_by_group
from recsys_lite.lab import own_curve
from recsys_lite.models.position import PAL, WatchNext
from recsys_lite.store import read_json

CURVE = [1 / k for k in range(1, 11)]
CLIFF = [1.0] * 3 + [0.1] * 7


def test_a_stated_curve_is_that_of_the_formula_and_gives_the_same_log():
    assert torch.equal(stated_curve(CLIFF), torch.tensor([CLIFF, CLIFF]))
    assert torch.allclose(stated_curve(CURVE), examination(1.0))
    stated, formula = simulate("popular", curve=CURVE, seed=3), simulate("popular", 1.0, seed=3)
    assert torch.equal(stated.dataset.train.ids, formula.dataset.train.ids)
    assert torch.equal(stated.dataset.train.label, formula.dataset.train.label)


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        ([1.0] * 9, "each of 10 places, got 9"),
        ([1.0] * 11, "each of 10 places, got 11"),
        ([1.0, 0.0, *CURVE[2:]], r"place 2 must be looked at with a chance in \(0, 1\], got 0\.0"),
        ([*CURVE[:9], 1.2], r"place 10 .* got 1\.2"),
        ([*CURVE[:3], -0.5, *CURVE[4:]], r"place 4 .* got -0\.5"),
        ([*CURVE[:3], math.nan, *CURVE[4:]], "place 4 .* got nan"),
        ([math.inf, *CURVE[1:]], "place 1 .* got inf"),
        ([*CURVE[:6], "0.5", *CURVE[7:]], "place 7 .* got '0.5'"),
    ],
)
def test_a_bad_curve_is_refused_with_the_place_named(curve, message):
    for call in (stated_curve, own_curve.shares, own_curve.log_of):
        with pytest.raises(ValueError, match=message):
            call(curve)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: own_curve.log_of(CURVE, "best"), "unknown order 'best'; there are"),
        (lambda: own_curve.settings("device"), "unknown order 'device'"),
        (lambda: own_curve.log_of(CURVE, people=1), r"people must lie in 2\.\.943, got 1"),
        (lambda: own_curve.log_of(CURVE, people=944), "got 944"),
        (lambda: own_curve.build("fm", own_curve.log_of(CURVE, people=2)), "unknown model 'fm'"),
        (lambda: own_curve.train_on(own_curve.log_of(CURVE, people=2), epochs=0), "must be at least 1.* got epochs=0"),
        (lambda: own_curve.train_on(own_curve.log_of([1e-9] * 10, people=2)), "nobody clicks in the train part"),
    ],
)
def test_other_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_shares_are_the_curve_over_its_sum():
    table = own_curve.shares([1.0, 0.5] + [0.0625] * 8)  # sum 2
    assert table["share of clicks"].tolist() == [0.5, 0.25] + [0.03125] * 8
    assert table["place"].tolist() == list(range(1, 11)) and table["looked at"][1] == 0.5
    half = own_curve.shares([0.5, 0.25] + [0.03125] * 8)  # half the height, the same ratios
    assert np.allclose(half["share of clicks"], table["share of clicks"])


def test_fewer_people_keep_their_whole_lists():
    whole, some, few = (own_curve.log_of(CLIFF, "random", 5, n) for n in (943, 40, 10))
    for part in ("train", "validation", "test"):
        every, kept, less = (getattr(log.dataset, part) for log in (whole, some, few))
        people = kept.group.unique()
        assert len(people) == 40 and set(less.group.tolist()) <= set(people.tolist())
        mask = torch.isin(every.group, people)
        assert torch.equal(kept.ids, every.ids[mask]) and torch.equal(kept.label, every.label[mask])
        for column in ("rating", "relevant", "seen", "shown"):
            assert torch.equal(getattr(some.truth[part], column), getattr(whole.truth[part], column)[mask])
    other = own_curve.log_of(CLIFF, "random", 6, 40).dataset.train.group.unique()
    assert set(other.tolist()) != set(people.tolist())


def test_who_is_looked_at_by_each_order():
    by = {}
    for order in own_curve.ORDERS:
        clicks = own_curve.log_of(CLIFF, order)
        table = own_curve.looked_at(clicks)
        assert table["rows"].groupby(table["by"]).sum().tolist() == [len(clicks.dataset.train)] * 2
        rated = table[table["by"] == "the person's rating"]
        truth = clicks.truth["train"]
        means = [truth.seen[truth.rating == r].mean().item() for r in range(1, 6)]
        assert np.allclose(rated["looked at"], means, rtol=1e-5)
        assert np.allclose(rated["relative"], np.array(means) / truth.seen.mean().item(), rtol=1e-5)
        assert rated["group"].tolist() == ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"]
        by[order] = {name: own["relative"].to_numpy() for name, own in table.groupby("by")}
    films, rating = "ratings of the film", "the person's rating"
    assert (np.diff(by["popular"][films]) > 0).all() and by["popular"][films][-1] > 2 * by["popular"][films][0]
    assert all(np.abs(values - 1).max() < 0.03 for values in by["random"].values())
    assert (np.diff(by["expert"][rating]) > 0).all() and by["expert"][rating][-1] > 2 * by["expert"][rating][0]


def test_with_everything_looked_at_nothing_is_absorbed():
    table = own_curve.looked_at(own_curve.log_of([0.5] * 10))
    assert (table["relative"] == 1).all() and (table["looked at"] == 0.5).all()
    groups = table["group"][table["by"] == "ratings of the film"]
    ends = [tuple(map(int, g.split(" to "))) for g in groups]
    assert len(ends) == 5 and all(a[1] < b[0] for a, b in pairwise(ends))


def test_ndcg_of_each_group_by_hand():
    """Group 0: 2 stars below 1 star. Group 3: in order. The mean is the known metric."""
    score, rating, group = np.array([0.9, 0.5, 0.3, 0.8]), np.array([1, 2, 1, 5]), np.array([0, 0, 3, 3])
    each = ndcg_by_group(score, rating, group)
    worse = (1 + 3 / math.log2(3)) / (3 + 1 / math.log2(3))
    assert each == pytest.approx([worse, 1]) and ndcg(score, rating, group) == pytest.approx((worse + 1) / 2)


def test_models_are_those_of_the_benchmark():
    clicks = own_curve.log_of(CLIFF, people=5)
    watch = own_curve.build("watch_next", clicks, dropout=0.3)
    assert isinstance(watch, WatchNext) and watch.dropout == 0.3 and watch.tower.names == ("position",)
    pal = own_curve.build("pal", clicks, true_curve=True)
    assert isinstance(pal, PAL) and not pal.tower.weight.requires_grad
    assert torch.allclose(torch.sigmoid(pal.tower.weight[1:]), clicks.curve[0], atol=1e-3)
    read = {m: [f.name for f in own_curve.build(m, clicks).inner.fields] for m in ("naive", "ipw", "feature")}
    assert read["feature"] == [*read["naive"], "position"] and read["ipw"] == read["naive"]
    record = read_json(bench.FILE)
    for order in own_curve.ORDERS:
        assert own_curve.settings(order) == {m: bench.best(record, m, order) for m in own_curve.LEARNERS}


@pytest.mark.slow("trains a stored run again")
def test_training_is_that_of_the_stored_runs():
    """With the stored log's curve and all people the stored runs of seed 0 come out again."""
    stored = {r["model"]: r for r in read_json(bench.FILE)["runs"] if r["condition"] == "popular" and r["seed"] == 0}
    table = own_curve.train_on(own_curve.log_of(CURVE)).set_index("model")
    for model in own_curve.LEARNERS:
        line = table.loc[model]
        assert line["ndcg@10"] == pytest.approx(stored[model]["test"]["ndcg@10"], abs=2e-3)
        assert line["people"] == 943
        if model != "naive":
            curve = line[[f"place {k}" for k in range(1, 11)]].to_numpy(float)
            assert np.allclose(curve, stored[model]["curve"][0], atol=0.02)


@pytest.fixture(scope="module")
def trained():
    told = []
    clicks = own_curve.log_of(CLIFF, "random", 1, 60)
    state = torch.get_rng_state()
    table = own_curve.train_on(clicks, "random", 1, epochs=2, on_epoch=lambda model, epoch: told.append((model, epoch)))
    assert torch.equal(torch.get_rng_state(), state)
    return clicks, table, told


def test_the_table_of_a_training(trained):
    _, table, told = trained
    assert told == [(m, e) for m in own_curve.LEARNERS for e in (1, 2)]
    assert table["model"].tolist() == ["truth", *own_curve.LEARNERS]
    assert table["ndcg@10"].isna().tolist() == [True, False, False, False]
    assert table["gain"].isna().tolist() == [True, True, False, False]
    by = table.set_index("model")
    places = by[[f"place {k}" for k in range(1, 11)]]
    assert (
        np.allclose(places.loc["truth"], CLIFF) and (places.loc["naive"] == 1).all() and (places["place 1"] == 1).all()
    )
    assert (by["people"].dropna() == 60).all()
    assert np.allclose(by["gain"].dropna(), by["ndcg@10"][["pal", "watch_next"]] - by["ndcg@10"]["naive"])
    half = by.loc["pal", "high"] - by.loc["pal", "gain"]
    assert half > 0 and by.loc["pal", "gain"] - by.loc["pal", "low"] == pytest.approx(half)
    assert (by["ndcg low"] < by["ndcg@10"])[1:].all() and (by["ndcg@10"] < by["ndcg high"])[1:].all()


@pytest.mark.slow("trains twice")
def test_the_same_seed_gives_the_same_numbers(trained):
    clicks, table, _ = trained
    torch.manual_seed(99)  # what went before does not matter
    again = own_curve.train_on(own_curve.log_of(CLIFF, "random", 1, 60), "random", 1, epochs=2)
    pd.testing.assert_frame_equal(again, table)
    other = own_curve.train_on(clicks, "random", 2, epochs=2)
    assert (other["place 5"][2:] != table["place 5"][2:]).all()
