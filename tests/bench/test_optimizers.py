"""The benchmark of table optimisers: equal effort, rates before seeds, and a stored record that is whole."""

import pytest

from bench.cost import optimizers as bench
from recsys_lite.store import read_json


def test_every_pair_gets_the_same_rates_and_then_its_seeds():
    record = {"tuning": [], "runs": []}
    jobs = bench.wanted(record)
    assert len(jobs) == 2 * 3 * 3 * len(bench.RATES) and {job[0] for job in jobs} == {"tuning"}
    pair = ("frappe.click", "fm", "lazy_adam")
    for kind, *of, lr, seed in jobs:
        if tuple(of) == pair:
            run = {"task": of[0], "model": of[1], "optimizer": of[2], "lr": lr, "seed": seed}
            record[kind].append(run | {"metrics": {"log_loss": abs(lr - 3e-3)}})
    after = [job for job in bench.wanted(record) if job[1:4] == pair]
    assert after == [("runs", *pair, 3e-3, seed) for seed in bench.SEEDS]


def test_a_gap_is_a_difference_of_means_with_the_interval_of_welch():
    gap, low, high = bench.welch([0.9, 0.8, 0.7], [0.5, 0.4, 0.3])
    # both variances 0.01, so the error is sqrt(0.02 / 3) = 0.08165 with 4 degrees of freedom, t = 2.7764
    assert (gap, low, high) == pytest.approx((0.4, 0.4 - 2.7764 * 0.08165, 0.4 + 2.7764 * 0.08165), abs=1e-4)


@pytest.mark.skipif(not bench.FILE.exists(), reason="python -m bench.cost.optimizers has not run yet")
def test_the_stored_runs_are_whole():
    record = read_json(bench.FILE)
    assert bench.wanted(record) == [] and record["runs"] == sorted(record["runs"], key=bench.place)
    assert all(0.5 < r["metrics"]["auc"] < 1 for r in record["runs"])
    assert len(bench.gaps(record)) == 12
