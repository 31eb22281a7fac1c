"""Planted runs side by side: each is the run that it would be alone, and the stored ones are complete."""

import pandas as pd
import pytest
import torch

from bench.ranking import converged_crosses as bench
from bench.ranking.planted_crosses import TUNING_SEEDS, build
from recsys_lite.data.simulated.planted import planted
from recsys_lite.store import RESULTS, read_json

STORED = read_json(RESULTS / "converged_crosses.json")


def test_stored_runs_are_complete_converged_and_of_equal_effort():
    runs, tried = pd.DataFrame(STORED["runs"]), pd.DataFrame(STORED["tuning"])
    assert bench.wanted(STORED) == []
    assert len(runs) == len(bench.ORDERS) * len(bench.NAMES) * len(bench.SEEDS)
    sizes = tried.groupby(["order", "model", "lr"]).size()
    assert (sizes == len(TUNING_SEEDS)).all() and len(sizes) == len(bench.ORDERS) * len(bench.NAMES) * len(bench.RATES)
    assert not set(tried["seed"]) & set(runs["seed"])
    assert (runs["best_epoch"] + bench.TRAINING["patience"] <= bench.TRAINING["epochs"]).all()
    for (order, name), part in runs.groupby(["order", "model"]):
        assert set(part["lr"]) == {bench.chosen(STORED, order, name)}
        same = "cross 2" if name == "cross" and order == 3 else "cross 3" if name == "cross" else name
        model = build(same, planted(order, 0, **bench.PLANTED), order)
        assert set(part["outside"]) == {model.parameter_count - bench.in_tables(model)}


@pytest.mark.parametrize("name", bench.NAMES)
def test_a_run_beside_others_is_the_run_alone(monkeypatch, name):
    monkeypatch.setattr(bench, "PLANTED", {**bench.PLANTED, "rows": 400})
    monkeypatch.setattr(bench, "TRAINING", {"epochs": 12, "patience": 2, "batch_size": 400})  # the order of rows is one
    runs = [(0.01, 1), (0.5, 2)]  # the second one stops first
    both = bench.train(3, name, runs, "test")
    for run, (rate, seed) in zip(both, runs, strict=True):
        (alone,) = bench.train(3, name, [(rate, seed)], "test")
        assert alone["log_loss"] == pytest.approx(run["log_loss"], abs=1e-4)
        assert (alone["best_epoch"], alone["outside"]) == (run["best_epoch"], run["outside"])


def test_a_step_is_adams():
    torch.manual_seed(0)
    weights = {"a": torch.randn(2, 3)}
    ours, theirs = bench.Adam(weights, torch.tensor([0.1, 0.01])), []
    for k, rate in enumerate((0.1, 0.01)):
        w = weights["a"][k].clone().requires_grad_()
        optimizer = torch.optim.Adam([w], lr=rate)
        for _ in range(3):
            optimizer.zero_grad()
            w.square().sum().backward()
            optimizer.step()
        theirs.append(w.detach())
    for _ in range(3):
        weights = ours(weights, {"a": 2 * weights["a"]})
    torch.testing.assert_close(weights["a"], torch.stack(theirs))
