"""A training in a process of its own: the same numbers, its errors, and its end whoever causes it."""

import gc
import os
import time

import numpy as np
import pandas as pd
import pytest
import torch

from recsys_lite.data import table
from recsys_lite.data.simulated.planted import planted
from recsys_lite.lab import race, trial
from recsys_lite.lab.worker import Worker

pytestmark = pytest.mark.slow("starts processes")


def ended(worker: Worker, seconds: float = 60.0) -> bool:
    until = time.monotonic() + seconds
    while worker.alive and time.monotonic() < until:
        time.sleep(0.05)
    return not worker.alive


def test_a_trial_in_a_process_gives_the_numbers_of_one_in_this_process():
    torch.set_num_threads(1)
    data = table.read_csv(table.example(rows=400), table.EXAMPLE)
    names, told, waited = ("logistic_regression", "fm"), [], []
    before = torch.get_rng_state()
    outcome, models = Worker("recsys_lite.lab.trial:job", data, names, seed=3, epochs=4).run(
        told.append, lambda: waited.append(1)
    )
    assert torch.equal(torch.get_rng_state(), before)  # nothing was drawn here
    trials = trial.run(data, names, seed=3, epochs=4, progress=lambda *step: told.remove(step))
    assert told == [("", 0)]  # every epoch was told, once
    assert waited  # the owner had its turns meanwhile
    for key, here in trial.outcome(data, trials).items():
        pd.testing.assert_frame_equal(outcome[key], here)
    for name, model in models.items():
        for a, b in zip(model.parameters(), trials[name].model.parameters(), strict=True):
            assert torch.equal(a, b)


def test_a_race_goes_on_step_by_step_when_it_is_asked():
    torch.set_num_threads(1)
    here = race.Race(["fm", "dcn"], 2, rows=500, epochs=2)
    with Worker("recsys_lite.lab.race:play", ["fm", "dcn"], 2, rows=500, epochs=2) as worker:
        assert worker.take(0.5) is None  # nobody asked
        for _ in range(2):
            here.step()
            worker.ask()
            worker.ask()  # one at a time
            kind, (table_, pairs) = worker.take(120)
            assert kind == "item"
            pd.testing.assert_frame_equal(table_, here.table())
            pd.testing.assert_frame_equal(pairs, here.pairs())
        assert worker.take(0.5) is None
        worker.ask()
        assert worker.take(60) == ("done", None) and ended(worker)


def test_errors_are_handed_over():
    with pytest.raises(ValueError, match="unknown model 'gpt'"):
        Worker("recsys_lite.lab.trial:job", planted(2, 0, rows=40), ["gpt"]).run(print)
    with pytest.raises(RuntimeError, match=r"TypeError: .*surprise"):
        Worker("recsys_lite.lab.worker:counted", 3, surprise=1).run(print)
    with pytest.raises(ValueError, match="expected 'recsys_lite"):
        Worker("os:listdir", "/")
    worker = Worker("recsys_lite.lab.worker:counted", 3)
    os.kill(worker.pid, 9)
    with pytest.raises(RuntimeError, match="ended before its time"):
        worker.run(print)


def test_a_process_ends_with_its_owner_with_the_one_who_waits_and_when_nobody_asks():
    worker = Worker("recsys_lite.lab.worker:counted", 3)
    process = worker._process
    del worker
    gc.collect()
    process.wait(30)

    class Left(BaseException):
        """What Streamlit raises when a visitor leaves."""

    def gone():
        raise Left

    worker = Worker("recsys_lite.lab.race:play", ["fm", "dcn"], rows=4000, epochs=40)
    with pytest.raises(Left):
        worker.run(lambda _: None, gone, every=0.01)
    assert not worker.alive
    idle = Worker("recsys_lite.lab.worker:counted", 3, idle=0.2)
    assert ended(idle)
    idle.ask()  # no error
    with pytest.raises(RuntimeError):
        idle.take(10)


def test_large_arguments_and_results_come_whole():
    rows = np.random.default_rng(0).normal(size=(200_000, 4))
    data = planted(2, 0, rows=40)
    data.extras["much"] = rows
    outcome, _ = Worker("recsys_lite.lab.trial:job", data, ["fm", "logistic_regression"], epochs=1).run(lambda _: None)
    assert set(outcome) == {"quality", "gaps", "curves", "calibration", "worth"}
