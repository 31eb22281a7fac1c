"""Whole tables by hand and the engine's rows of tables are the same training, in one process and in two."""

import pytest

from recsys_lite.distributed.processes import processes
from recsys_lite.distributed.two_processes import launch
from recsys_lite.distributed.two_ways import compare

EXACT = 1e-11


def check(report, criteo, ranks):
    assert max(report["apart"].values()) < EXACT and report["moved"] > 0.01
    assert max(report["losses"].values()) - min(report["losses"].values()) < 1e-6  # their mean is kept in float32
    whole = report["dim"] * sum(f.size for f in criteo.fields if f.kind == "categorical")
    assert len(report["ranks"]) == ranks
    assert sum(r["by hand"] for r in report["ranks"]) == whole <= sum(r["engine"] for r in report["ranks"])


def test_alone_all_ways_are_one(criteo):
    with processes("cpu"):
        report = compare(criteo, batch=2000, dim=4, bottom=(8,), top=(8,))
    check(report, criteo, 1)
    assert report["steps"] == 4 and sum(report["ranks"][0]["sent"].values()) == report["ranks"][0]["sent"][
        "gradients of networks"
    ]  # fmt: skip


@pytest.mark.slow("two processes")
def test_two_processes_by_hand_and_by_the_engine_equal_one(criteo):
    report = launch(2, module="recsys_lite.distributed.two_ways")
    check(report, criteo, 2)
    assert {r["tables"] for r in report["ranks"]} == {13}
