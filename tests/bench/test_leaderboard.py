"""The command behind all stored numbers: equal effort, resume, order; and boosted trees."""

import json

import numpy as np
import pytest
import torch
from tiny import FIELDS, dataset, rows

from bench import leaderboard
from recsys_lite.fields import Dataset, Field, Rows, Vocabulary
from recsys_lite.models import GradientBoostedTrees
from recsys_lite.store import RESULTS
from recsys_lite.training import fit_trees

KEY = ("criteo-sample", "click", "fm")


def empty():
    return {"about": {}, "tuning": {}, "runs": []}


def finished(key, seed, setting):
    dataset, task, model = key
    return {"dataset": dataset, "task": task, "model": model, "seed": seed, "validation": {"log_loss": setting["lr"]},
            "best_epoch": 1}  # fmt: skip


def test_every_model_gets_six_settings_and_five_seeds():
    assert all(len(leaderboard.search_space(name)) == 6 for name in leaderboard.NAMES) and len(leaderboard.SEEDS) == 5
    assert leaderboard.TUNING_SEED not in leaderboard.SEEDS
    record = empty()
    assert leaderboard.lacking(record, KEY) == 11
    for setting, seed, test in list(leaderboard.missing(record, KEY)):
        assert seed == leaderboard.TUNING_SEED and not test  # the test part is not looked at while settings are chosen
        leaderboard.note(record, KEY, setting, test, finished(KEY, seed, setting))
    jobs = list(leaderboard.missing(record, KEY))
    assert [seed for _, seed, _ in jobs] == [0, 1, 2, 3, 4] and all(test for _, _, test in jobs)
    assert all(setting["lr"] == 1e-3 for setting, _, _ in jobs), (
        "the best on the validation part, 1e-3 by the fake metric"
    )


def test_an_interrupted_run_goes_on_where_it_stopped_and_keeps_one_order():
    record = empty()
    jobs = list(leaderboard.missing(record, KEY))
    for setting, seed, test in reversed(jobs):
        leaderboard.note(record, KEY, setting, test, finished(KEY, seed, setting))
    assert [t["setting"] for t in record["tuning"][".".join(KEY)]] == leaderboard.search_space("fm")
    for setting, seed, test in reversed(list(leaderboard.missing(record, KEY))[2:]):
        leaderboard.note(record, KEY, setting, test, finished(KEY, seed, setting))
    assert [r["seed"] for r in record["runs"]] == [2, 3, 4]
    record = json.loads(json.dumps(record))
    assert [seed for _, seed, _ in leaderboard.missing(record, KEY)] == [0, 1]


def test_the_stored_results_are_whole_and_of_equal_effort():
    record = json.loads((RESULTS / "leaderboard.json").read_text())
    keys = [(d, t, n) for d, t in leaderboard.TASKS for n in leaderboard.NAMES if leaderboard.possible(d, n)]
    assert {key: leaderboard.lacking(record, key) for key in keys} == dict.fromkeys(keys, 0)
    for key in keys:
        tried = record["tuning"][".".join(key)]
        best = min(tried, key=lambda t: t["validation"]["log_loss"])["setting"]
        runs = [r for r in record["runs"] if (r["dataset"], r["task"], r["model"]) == key]
        assert len(tried) == 6 and len(runs) == 5
        assert all(r["settings"][k] == v for r in runs for k, v in best.items())


@pytest.mark.slow("starts a pool of processes that train")
def test_a_run_of_the_pool_is_a_run_of_the_command(monkeypatch):
    monkeypatch.setattr(leaderboard, "TASKS", [("criteo-sample", "click")])
    monkeypatch.setattr(leaderboard, "SEEDS", range(1, 3))  # no seed 0: stored weights stay as they are
    monkeypatch.setattr(leaderboard, "BOOSTING", leaderboard.BOOSTING[:2])
    record, saved = empty(), []
    leaderboard.run(record, lambda: saved.append(len(record["runs"])), ["gbdt"], processes=1)
    assert [r["seed"] for r in record["runs"]] == [1, 2] and saved == [0, 0, 1, 2]
    first = record["runs"][0]
    setting = {k: first["settings"][k] for k in ("learning_rate", "max_leaf_nodes")}
    again = leaderboard.work(("criteo-sample", "click", "gbdt"), setting, 1, test=True)
    assert again["test"] == pytest.approx(first["test"])


# --- trees ----------------------------------------------------------------------------------------------------------


def test_trees_learn_a_table_that_no_sum_can_say():
    fields = [Field(n, "categorical", Vocabulary([f"{n}{k}" for k in range(6)])) for n in "ab"]
    g = torch.Generator().manual_seed(0)
    ids = torch.randint(1, 7, (3000, 2), generator=g)
    label = ((ids[:, 0] % 2) == (ids[:, 1] % 2)).float()
    part = lambda s: Rows(ids[s].int(), torch.zeros(len(ids[s]), 0), {}, label[s])  # noqa: E731
    whole = Dataset("xor", "x", tuple(fields), part(slice(0, 2000)), part(slice(2000, 2500)), part(slice(2500, None)))
    result = fit_trees(GradientBoostedTrees(max_iter=60), whole)
    assert result.test["auc"] > 0.95 and 0 < result.best_epoch <= 60 and len(result.curve) > 0


def test_trees_read_every_kind_of_field_and_nothing_of_the_label():
    trees = GradientBoostedTrees(max_iter=20)
    result = fit_trees(trees, dataset())
    batch = rows(9)
    p = trees.predict(batch)
    assert p.shape == (9,) and ((p > 0) & (p < 1)).all() and result.model == "gbdt"
    batch.label = 1 - batch.label
    assert torch.equal(trees.predict(batch), p)
    assert len(trees._columns(batch)[1]) == len(FIELDS) - 2 + 4 + 7, (
        "a 0/1 column per genre and per film of a small history"
    )


def test_a_large_field_becomes_the_rate_of_its_value_cross_fitted():
    """A value seen once must not get its own row's label back: that would leak the label into training."""
    g = torch.Generator().manual_seed(0)
    many = Field("id", "categorical", Vocabulary([f"v{k:04d}" for k in range(3000)]))
    ids = torch.randperm(3000, generator=g)[:, None].int() + 1  # every value once
    label = (torch.rand(3000, generator=g) < 0.5).float()
    part = lambda s: Rows(ids[s], torch.zeros(len(ids[s]), 0), {}, label[s])  # noqa: E731
    whole = Dataset("once", "x", (many,), part(slice(0, 2000)), part(slice(2000, 2500)), part(slice(2500, None)))
    trees = GradientBoostedTrees(max_iter=30)
    trees.fit(whole)
    train = trees.predict(whole.train).numpy()
    assert np.corrcoef(train, whole.train.label.numpy())[0, 1] < 0.2
