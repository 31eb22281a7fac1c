"""Simulated clicks: the stated curve and relevance come out of the log, the truth is right, bad input is refused."""

import numpy as np
import pytest
import torch

from recsys_lite import data
from recsys_lite.data import movielens
from recsys_lite.data.movielens_files import read_raw
from recsys_lite.data.simulated.clicks import BIAS, DEVICES, PLACES, examination, missing, relevance, simulate
from recsys_lite.evaluation.clicks import against_truth, ndcg


@pytest.fixture(scope="module")
def logs():
    powers = {"desktop": 1.0, "phone": 2.0}
    return {
        "popular": simulate(power=powers, seed=1),
        "random": simulate("random", power=powers, seed=1),
        "expert": simulate("expert", spread=1.0, seed=1),
        "seen": simulate(power=0, seed=1),
    }


def test_rows_are_movielens_rows_with_position_and_device(logs):
    films, clicks = data.load("movielens-100k", task="like"), logs["popular"].dataset
    assert [f.name for f in clicks.fields] == [f.name for f in films.fields] + list(BIAS)
    ratings = movielens.ordered(read_raw())
    for number, part in enumerate(("train", "validation", "test")):
        rows, was = getattr(clicks, part), getattr(films, part)
        assert (rows.ids[:, :-2] == was.ids).all() and (rows.group == was.group).all()
        assert all((rows.bags[name] == was.bags[name]).all() for name in was.bags)
        truth = logs["popular"].truth[part]
        assert ((truth.rating >= 4).float() == was.label).all()
        assert (truth.rating.numpy() == ratings["rating"][ratings["part"] == number]).all()


def test_a_list_has_ten_places_one_person_one_device(logs):
    for clicks in logs.values():
        rows, shown = clicks.dataset.train, clicks.truth["train"].shown
        place, device = rows.ids[:, -2], rows.ids[:, -1]
        assert place.min() == 1 and place.max() == PLACES
        assert len(torch.stack([shown, place]).unique(dim=1).T) == len(rows)  # no place twice in a list
        for column in (rows.group, device):
            assert len(torch.stack([shown, column]).unique(dim=1).T) == len(shown.unique())
        counts = torch.bincount(place)[1:].float()
        assert (counts / counts.mean() - 1).abs().max() < 0.02  # every place alike often


def test_click_rates_are_the_stated_curve_times_relevance(logs):
    for clicks in logs.values():
        rows, truth = clicks.dataset.train, clicks.truth["train"]
        assert (truth.seen == clicks.curve[rows.ids[:, -1].long() - 1, rows.ids[:, -2].long() - 1]).all()
        chance = truth.seen * truth.relevant
        for k in range(PLACES):
            at = rows.ids[:, -2] == k + 1
            sd = (chance[at] * (1 - chance[at])).sum().sqrt()
            assert abs(rows.label[at].sum() - chance[at].sum()) < 4 * sd + 1e-6
        for r in range(1, 6):
            of = truth.rating == r
            sd = (chance[of] * (1 - chance[of])).sum().sqrt()
            assert abs(rows.label[of].sum() - chance[of].sum()) < 4 * sd + 1e-6


def test_policies_order_as_they_say(logs):
    popularity = logs["popular"].dataset.extras["items"]["popularity"]
    films = popularity.loc[list(logs["popular"].dataset.field("item").vocabulary.values)].to_numpy()
    correlation = {}
    for name, clicks in logs.items():
        rows, truth = clicks.dataset.train, clicks.truth["train"]
        popular = np.log1p(films[rows.ids[:, 1].numpy() - 1])
        place = rows.ids[:, -2].numpy()
        correlation[name] = [np.corrcoef(place, x)[0, 1] for x in (popular, truth.rating.numpy())]
    assert correlation["popular"][0] < -0.5 < -0.2 < correlation["popular"][1] < 0
    assert max(map(abs, correlation["random"])) < 0.02
    assert correlation["expert"][1] < -0.4


def test_the_order_within_a_list_is_that_of_popularity_without_spread():
    clicks = simulate(spread=0.0)
    popularity = clicks.dataset.extras["items"]["popularity"]
    values = popularity.loc[list(clicks.dataset.field("item").vocabulary.values)].to_numpy()
    rows, shown = clicks.dataset.train, clicks.truth["train"].shown.numpy()
    order = np.lexsort((rows.ids[:, -2].numpy(), shown))
    popular = values[rows.ids[order, 1].numpy() - 1]
    same = shown[order][1:] == shown[order][:-1]
    assert (np.diff(popular)[same] <= 0).all()


def test_a_seed_gives_one_log_and_shows_repeat_the_films():
    a, b, c = simulate(seed=3), simulate(seed=3), simulate(seed=4)
    assert (a.dataset.train.ids == b.dataset.train.ids).all() and (a.dataset.test.label == b.dataset.test.label).all()
    assert (a.dataset.train.ids[:, -2] != c.dataset.train.ids[:, -2]).any()
    twice = simulate(seed=3, shows=2)
    n = len(a.dataset.train)
    assert len(twice.dataset.train) == 2 * n and (twice.truth["train"].rating[:n] == a.truth["train"].rating).all()
    assert (twice.truth["train"].shown[:n].unique() != twice.truth["train"].shown[n:].unique()).all()
    assert (twice.dataset.train.ids[:n, :-2] == twice.dataset.train.ids[n:, :-2]).all()
    assert (twice.dataset.train.ids[:n, -2] != twice.dataset.train.ids[n:, -2]).any()


def test_with_everything_seen_only_relevance_clicks(logs):
    truth = logs["seen"].truth["train"]
    assert (truth.seen == 1).all()
    assert logs["seen"].dataset.train.label[truth.rating == 5].all()  # the best films are clicked whenever seen


def test_curves_and_relevance_are_the_stated_formulas():
    assert torch.allclose(examination(2.0)[1], torch.arange(1.0, 11) ** -2)
    both = examination({"desktop": 0.5, "phone": 1})
    assert torch.allclose(both[DEVICES.index("desktop")], torch.arange(1.0, 11) ** -0.5)
    assert relevance(torch.tensor([5.0]), noise=0.3).item() == 1
    assert relevance(torch.tensor([1.0]), noise=0.0).item() == pytest.approx(1 / 31)


def test_missing_sets_only_the_named_fields(logs):
    data_set = logs["popular"].dataset
    rows = missing(data_set.fields, data_set.test, ("position",), 5)
    assert (rows.ids[:, -2] == 5).all() and (rows.ids[:, -1] == data_set.test.ids[:, -1]).all()
    assert (missing(data_set.fields, data_set.test).ids[:, -2:] == 0).all()
    assert (data_set.test.ids[:, -2] > 0).all()  # the given rows stay


def test_ndcg_is_that_of_the_definition():
    rng = np.random.default_rng(0)
    group, rating, score = rng.integers(0, 9, 200), rng.integers(1, 6, 200), rng.normal(size=200)
    expected = []
    for g in np.unique(group):
        own, gains = score[group == g], 2.0 ** rating[group == g] - 1
        dcg = sum(x / np.log2(k + 2) for k, x in enumerate(gains[np.argsort(-own)][:10]))
        expected.append(dcg / sum(x / np.log2(k + 2) for k, x in enumerate(np.sort(gains)[::-1][:10])))
    assert ndcg(score, rating, group) == pytest.approx(np.mean(expected))
    assert ndcg(rating, rating, group) == 1


def test_the_truth_itself_ranks_best(logs):
    class Oracle(torch.nn.Module):
        def forward(self, rows):
            return logs["popular"].truth["test"].relevant - 0.5

    class Constant(torch.nn.Module):
        def forward(self, rows):
            return torch.zeros(len(rows))

    whole = logs["popular"]
    assert len(whole.dataset.test) <= 10_000  # one batch of predict would be too small otherwise
    oracle = Oracle()
    predicted = torch.cat([torch.sigmoid(oracle(None))])
    assert ndcg(predicted.numpy(), whole.truth["test"].rating.numpy(), whole.dataset.test.group.numpy()) == 1
    assert against_truth(Constant(), whole)["auc"] == 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulate("best"), "unknown policy 'best'"),
        (lambda: simulate(shows=0), "shows must be at least 1"),
        (lambda: simulate(spread=-1), "spread at least 0"),
        (lambda: simulate(noise=1.0), r"noise must lie in \[0, 1\)"),
        (lambda: simulate(power=-1), "at least 0"),
        (lambda: examination({"desktop": 1}), "each of"),
        (lambda: relevance(torch.tensor([0.0])), r"ratings must lie in 1\.\.5"),
        (lambda: missing(simulate().dataset.fields, simulate().dataset.test, ("place",)), "unknown field 'place'"),
        (lambda: missing(simulate().dataset.fields, simulate().dataset.test, ("position",), 11), "value 11"),
        (lambda: missing(simulate().dataset.fields, simulate().dataset.test, ("genres",)), "multi_hot"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_place_that_adds_to_the_logit_by_hand():
    clicks = simulate("popular", link="logit", seed=1)
    rows, truth = clicks.dataset.train, clicks.truth["train"]
    place = rows.ids[:, -2]
    chance = truth.seen * truth.relevant
    # 5 stars: a chance of 0.95, odds 19; place 2 halves the odds: 9.5 / 10.5
    assert chance[(truth.rating == 5) & (place == 2)].unique().tolist() == pytest.approx([9.5 / 10.5], abs=1e-6)
    # 1 star: 0.1 + 0.9/31 = 0.12903, odds 0.14815; place 10: 0.014815 / 1.014815
    assert chance[(truth.rating == 1) & (place == 10)].unique().tolist() == pytest.approx([0.0145985], abs=1e-6)
    for k in range(1, PLACES + 1):
        at = place == k
        sd = (chance[at] * (1 - chance[at])).sum().sqrt()
        assert abs(rows.label[at].sum() - chance[at].sum()) < 4 * sd
    # the curve that the log shows falls less than 1/k: who likes a film clicks at low places, too
    assert (clicks.curve[:, 0] == 1).all() and (clicks.curve[0, 1:] > examination()[0, 1:]).all()
    with pytest.raises(ValueError, match="unknown link 'sum'"):
        simulate(link="sum")
