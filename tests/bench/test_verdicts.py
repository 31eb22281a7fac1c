"""Verdicts of the study: the tables that are asked for, from stored predictions, and a check that sees a change."""

import copy

import numpy as np
import pytest

from bench.ranking import study, verdicts
from bench.ranking.entries import ENTRIES
from recsys_lite.evaluation import compare, counter_auc
from recsys_lite.fields import Dataset
from recsys_lite.store import predictions as store
from tests.bench.test_study import FIELDS, rows


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A data set with predictions of four models: two good ones, two that guess."""
    dataset = Dataset("movielens-100k", "click", FIELDS, rows(50, 1), rows(50, 2), rows(900, 3), {"data_sha256": "x"})
    rng = np.random.default_rng(0)
    truth = 2 * dataset.test.label.numpy() - 1
    for name, signal in {"fm": 1.0, "logistic_regression": 0.0, "mlp": 1.0, "deepfm": 0.0}.items():
        logits = [signal * truth + rng.standard_normal(900) for _ in range(4)]
        for seed, line in enumerate(logits):
            store.add_predictions(dataset, name, line, seed, folder=tmp_path)
    monkeypatch.setattr(verdicts, "load", lambda task: dataset)
    monkeypatch.setattr(verdicts, "TASKS", {"movielens-100k.click": {}})
    monkeypatch.setattr(verdicts, "load_predictions", lambda d: store.load_predictions(d, folder=tmp_path))
    return dataset, tmp_path


def test_each_table_holds_its_comparisons_by_the_one_rule(stored):
    dataset, folder = stored
    made = verdicts.derive()["movielens-100k.click"]["auc"]
    pairs = {name: [(v["model"], v["against"]) for v in lines] for name, lines in made.items()}
    assert pairs == {
        "crosses": [("logistic_regression", "fm")],
        "network": [("mlp", "deepfm")],
        "before": [("fm", "logistic_regression"), ("deepfm", "fm"), ("mlp", "logistic_regression")],
    }
    assert [v["word"] for v in made["before"]] == ["better", "worse", "better"]
    p = store.load_predictions(dataset, folder=folder)
    alone = compare(p["mlp"], p["deepfm"], dataset.test.label, dataset.test.group)
    assert made["network"][0]["difference"] == pytest.approx(alone.difference, rel=1e-5)
    assert made["network"][0]["low"] == pytest.approx(alone.low, rel=1e-5)


def test_a_seed_is_added_in_its_place(stored):
    dataset, folder = stored
    before = store.load_predictions(dataset, ["fm"], folder=folder)["fm"]
    store.add_predictions(dataset, "fm", np.zeros(900), 2, folder=folder)  # again, with another answer
    after = store.load_predictions(dataset, ["fm"], folder=folder)["fm"]
    assert after.shape == (4, 900) and (after[2] == 0.5).all()
    np.testing.assert_allclose(after[[0, 1, 3]], before[[0, 1, 3]], atol=1e-12)
    assert store.stored_seeds("movielens-100k", "click", "fm", folder=folder) == [0, 1, 2, 3]


def test_the_check_sees_another_word_another_number_and_a_missing_line(stored):
    made = verdicts.derive()
    assert verdicts.differences(made, copy.deepcopy(made)) == []
    for change in ("word", "difference", "model"):
        other = copy.deepcopy(made)
        line = other["movielens-100k.click"]["auc"]["before"][0]
        line[change] = line[change] + (0.001 if change == "difference" else "x")
        assert [change in line for line in verdicts.differences(made, other)] == [True]
    del other["movielens-100k.click"]["log_loss"]
    assert verdicts.differences(made, other)


def test_every_model_but_the_first_has_one_before_it():
    assert set(verdicts.BEFORE) == set(ENTRIES) - {"logistic_regression"}
    assert set(verdicts.BEFORE.values()) <= set(ENTRIES)


@pytest.mark.slow("reads MovieLens and draws negatives for each task")
def test_the_counter_is_neutral_on_every_task(movielens):
    for task in study.TASKS:
        if task.startswith("movielens") and task.endswith("click"):
            assert abs(counter_auc(study.load(task)) - 0.5) < 0.01
