"""The benchmark of split networks: what is counted, what is trained, and what its record holds."""

import argparse

import pytest
import tiny
import torch
from bench_pool import here
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from bench.retrieval import split_network as bench
from recsys_lite.fields import Dataset, Field, Rows, Vocabulary
from recsys_lite.models import DCNV2, FM, SplitNetwork, TwoTowers

ITEMS = Vocabulary(range(12))
NAMES = ["user", "item", "gender", "age", "occupation", "release_year", "hour", "weekday"]
FIELDS = (
    *(Field(n, "categorical", ITEMS if n == "item" else Vocabulary(range(5))) for n in NAMES),
    Field("genres", "multi_hot", Vocabulary(range(4)), length=3),
    Field("history", "history", ITEMS, length=4, table="item"),
)
SETTING = {"lr": 0.01, "weight_decay": 0.0}


def rows(count, seed):
    g = torch.Generator().manual_seed(seed)
    ids = torch.stack([torch.randint(1, 6, (count,), generator=g) for _ in NAMES], 1).int()
    bags = {"genres": torch.randint(1, 5, (count, 3), generator=g).int()}
    bags["history"] = torch.randint(1, 13, (count, 4), generator=g).int()
    return Rows(ids, torch.zeros(count, 0), bags, ((ids[:, 0] + ids[:, 1]) % 2).float(), ids[:, 0].clone())


DATA = Dataset("movielens-100k", "click", FIELDS, rows(600, 0), rows(200, 1), rows(200, 2), {"data_sha256": "0"})


def matrix_products(call):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call()
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("product", [True, False])
@pytest.mark.parametrize("head", [(), (8,), (8, 4)])
def test_products_are_what_the_two_ways_of_scoring_multiply(head, product):
    model = SplitNetwork(FIELDS, head=head, product=product, query=bench.QUERY, out=6)
    u, v = torch.randn(1, 6), torch.randn(9, 6)
    pairs = lambda n: matrix_products(lambda: model.score(u.expand(n, -1), v[:n]))  # noqa: E731
    folded = lambda n: matrix_products(lambda: model.score_all(u, v[:n]))  # noqa: E731
    assert bench.products(model, folded=False) == pairs(9) - pairs(8) + 6 * product  # u ⊙ v is no matrix product
    assert bench.products(model) == folded(9) - folded(8)
    assert bench.products(TwoTowers(FIELDS, query=bench.QUERY, out=6)) == 6


def test_whole_rows_multiply_what_the_formulas_say():
    N, small = len(FIELDS) * 4, {"dim": 4}
    cross = DCNV2(FIELDS, **small, cross_layers=2, hidden=(8,), structure="stacked")
    assert bench.whole_products(cross, DATA.test) == 2 * N * N + N * 8 + 8
    assert bench.whole_products(FM(FIELDS, **small), DATA.test) == (len(FIELDS) + 1) * 4
    counted = bench.counted(DATA)
    assert counted["two_towers"] == counted["linear"] == 32 and counted["split_network"] == 32 * 32 + 32
    assert set(counted) >= {*bench.HEADS, *bench.WHOLE, "split, pair by pair", "split, nothing cached", "fm, cached"}


def test_a_whole_row_has_the_users_own_fields_and_the_candidates():
    user, candidates = DATA.test[:1], DATA.test[3:8]
    made = bench.whole_rows(FIELDS, user, candidates)
    for k, name in enumerate(NAMES):
        source = candidates if name in ("item", "release_year") else user
        assert (made.ids[:, k] == source.ids[:, k]).all()
    assert (made.bags["genres"] == candidates.bags["genres"]).all()
    assert (made.bags["history"] == user.bags["history"]).all()


def test_all_ways_to_score_the_same_model_agree_and_every_contestant_scores_all():
    torch.manual_seed(0)
    calls = bench.contestants(DATA, 7)
    with torch.no_grad():
        assert all(call().shape == (7,) for name, call in calls.items() if name != "user tower alone")
        assert_close(calls["split_network"](), calls["split, nothing cached"]())
        assert_close(calls["split_network"](), calls["split, pair by pair"]())
    times = bench.cost(DATA, 7)
    assert times["candidates"] == 7 and times["times"]["two_towers"] == 1 and set(times["times"]) == set(calls)
    assert set(bench.counted(DATA)) == set(calls) - {"user tower alone"}


def test_own_rows_take_the_history_away_from_the_items():
    assert [f.table for f in bench.own_rows(FIELDS)] == [f.name for f in FIELDS]
    model = FM(bench.own_rows(FIELDS), dim=4)
    assert model.embedding.row("history") != model.embedding.row("item")
    assert FM(FIELDS, dim=4).embedding.row("history") == FM(FIELDS, dim=4).embedding.row("item")


@pytest.mark.parametrize("worse", [True, False])
def test_a_second_training_that_ends_worse_is_undone(monkeypatch, worse):
    model = tiny.filled(TwoTowers(FIELDS, query=bench.QUERY), std=0.1)
    start = {k: v.clone() for k, v in model.state_dict().items()}

    def train(model, *_):
        with torch.no_grad():
            model.bias += 1
        return {"log_loss": 9.0 if worse else 0.0}, 4

    monkeypatch.setattr(bench, "train", train)
    assert bench.go_on(model, DATA, SETTING, 0) == 4
    assert all(torch.equal(v, start[k]) for k, v in model.state_dict().items()) == worse


@pytest.mark.parametrize(
    "name", ["no product", "out 8", "linear towers", bench.LINEAR, "from towers", "fm, own history"]
)
def test_a_run_of_each_kind(name):
    short = {model: {**SETTING, "epochs": 1} for model in ("two_towers", "split_network", "fm", "deepfm")}
    record = bench.quality(name, 3, short, DATA)
    assert record["name"] == name and record["seed"] == 3 and record["parameters"] > 0
    assert record["epochs"] == (2 if name in bench.CONTINUED else 1)
    assert set(record["test"]) == {"auc", "log_loss", "normalized_entropy", "grouped_auc"}


def test_the_setting_is_the_leaderboards_and_must_be_complete(monkeypatch):
    space = bench.missing({"tuning": {}, "runs": []}, (*bench.WHERE, "two_towers"))
    tried = [{"setting": s, "validation": {"log_loss": abs(k - 3)}} for k, (s, _, _) in enumerate(space)]
    record = {"tuning": {".".join((*bench.WHERE, "two_towers")): tried}, "runs": []}
    monkeypatch.setattr(bench, "read_json", lambda _: record)
    assert bench.chosen("two_towers") == tried[3]["setting"]
    tried.pop()
    with pytest.raises(ValueError, match="needs the leaderboard's setting of 'two_towers'"):
        bench.chosen("two_towers")


def test_an_interrupted_run_goes_on_and_the_order_is_one(monkeypatch):
    quick = lambda name, seed, settings: {"name": name, "seed": seed}  # noqa: E731
    here(monkeypatch, quick)
    monkeypatch.setattr(bench, "load", lambda *_: DATA)
    monkeypatch.setattr(bench, "chosen", lambda name: SETTING)
    monkeypatch.setattr(bench, "cost", lambda _, count: {"candidates": count})
    monkeypatch.setattr(bench, "counted", lambda _: {})
    record = {"cost": [{"candidates": 100}], "quality": [{"name": "linear", "seed": 1}]}
    saved = []
    bench.run(record, lambda: saved.append(1), argparse.Namespace(processes=1))
    assert [line["candidates"] for line in record["cost"]] == bench.SIZES
    wanted = [(n, s) for n in bench.NAMES for s in (range(5) if n in bench.SUSPECTS else range(3))]
    assert [(r["name"], r["seed"]) for r in record["quality"]] == wanted
    assert len(saved) == len(wanted) - 1 + len(bench.SIZES) - 1
