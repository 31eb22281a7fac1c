"""Kills: a job that is written aside survives them, one that is not is found."""

import time

import pytest

from bench import faults
from recsys_lite.store import RESULTS, read_json


def half(folder):
    """Writes in place, slowly."""
    with open(folder / "a", "w") as file:
        for _ in range(20):
            file.write("x")
            file.flush()
            time.sleep(0.01)


def read_whole(folder):
    if (folder / "a").exists():
        assert len((folder / "a").read_text()) == 20, "half"


@pytest.mark.slow("starts and kills processes")
def test_a_job_that_writes_in_place_is_found():
    case = faults.Case(half, read_whole, faults.written)
    found = faults.kills(case, 6, 0, lambda: None)
    assert found["half written"] > 0 and found["errors"] == ["AssertionError: half"]


@pytest.mark.slow("starts and kills processes")
@pytest.mark.parametrize("name", faults.CASES)
def test_nothing_half_written_is_read(name):
    found = faults.kills(faults.CASES[name], 2, 1, lambda: None)
    assert found["half written"] == 0 and found["resumed to the same"] == 2, found["errors"]


def test_the_stored_run_has_two_hundred_kills_and_no_fault():
    record = read_json(RESULTS / "faults.json")
    assert record["about"]["kills"] >= faults.KILLS
    assert [c["case"] for c in record["cases"]] == [*faults.CASES, "download"]
    for case in record["cases"]:
        assert case["half written"] == 0 and case["resumed to the same"] == case["kills"]
        assert case["stopped"] > case["kills"] / 2  # most came before the job's end
