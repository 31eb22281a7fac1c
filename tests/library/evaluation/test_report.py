"""Verdicts on differences: known answers, and that noise is called noise."""

import numpy as np
import pytest

from recsys_lite.evaluation.report import bootstrap_gaps, standings


def runs(**models):
    return [{"model": m, "test": {"auc": v, "log_loss": 1 - v}} for m, values in models.items() for v in values]


def test_standings_order_by_the_metrics_own_direction():
    table = standings(runs(a=[0.7, 0.71], b=[0.9, 0.91]), "log_loss")
    assert list(table["model"]) == ["b", "a"] and table["gap"].tolist() == pytest.approx([0, 0.2])


@pytest.mark.slow("resamples hundreds of comparisons")
def test_models_of_equal_truth_are_called_no_difference_most_of_the_time():
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(200):
        values = {f"m{k}": rng.normal(0.8, 0.01, 5).tolist() for k in range(6)}
        wrong += "worse" in set(standings(runs(**values))["verdict"])
    # the best of six is chosen after looking, so more than 5 % are wrong; uncorrected it would be about half
    assert wrong / 200 < 0.25


def test_a_clear_difference_is_worse_and_a_missing_metric_is_named():
    assert standings(runs(a=[0.8, 0.801, 0.802], b=[0.7, 0.701, 0.702]))["verdict"].tolist() == ["best", "worse"]
    with pytest.raises(ValueError, match="no run has the metric 'grouped_auc'"):
        standings(runs(a=[0.8, 0.8]), "grouped_auc")


def test_models_whose_seeds_all_agree_are_level_if_they_are_equal():
    table = standings(runs(a=[0.8, 0.8], b=[0.8, 0.8], c=[0.7, 0.7])).set_index("model")
    assert table["p"].tolist() == [1, 1, 0]  # a t test of nothing that varies would give NaN, which is not above 0.05
    assert table["verdict"].tolist() == ["best", "no difference", "worse"]


def test_people_are_drawn_whole_and_the_interval_is_wider_for_it():
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(40), 25)
    y = rng.integers(0, 2, 1000)
    skill = rng.normal(size=40)[group]  # one model is good for some people, bad for others
    scores = {"a": y + rng.normal(size=1000), "b": y * (1 + skill) + rng.normal(size=1000)}
    people, by_row = bootstrap_gaps(y, scores, group), bootstrap_gaps(y, scores)
    width = lambda t: (t["high"] - t["low"])[1]  # noqa: E731
    assert width(people) > 1.2 * width(by_row)
    assert people["verdict"][0] == "best" and people["low"][0] == people["high"][0] == 0
    with pytest.raises(ValueError, match="needs two models or more"):
        bootstrap_gaps(y, {"a": scores["a"]})


def test_copies_of_a_model_do_not_differ():
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 400)
    score = y + rng.normal(size=400)
    same = bootstrap_gaps(y, {"a": score, "b": score * 2, "c": rng.normal(size=400)}).set_index("model")
    assert same.loc["b", "verdict"] in ("best", "no difference") and same.loc["c", "verdict"] == "worse"
    assert same.loc[["a", "b"], "high"].abs().max() < 1e-12
    other = bootstrap_gaps(y, {"a": score, "c": rng.normal(size=400)}, best="c").set_index("model")
    assert other.loc["a", "verdict"] == "better" and other.loc["a", "gap"] < 0 and other.loc["c", "verdict"] == "best"
