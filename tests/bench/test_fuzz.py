"""The fuzzer: its inputs are the same each time, what is right is taken, and faults are seen."""

import time
from pathlib import Path

import pytest

from bench import fuzz
from bench.fuzz_targets import TARGETS, Target
from recsys_lite.store import RESULTS, read_json


@pytest.mark.parametrize("name", TARGETS)
def test_right_inputs_are_taken_and_a_few_spoilt_ones_do_no_harm(name, tmp_path):
    target = TARGETS[name]
    for k, parts in enumerate(target.right()):
        (tmp_path / f"right{k}").mkdir()
        assert fuzz.outcome(target, list(parts), tmp_path / f"right{k}")[:2] == ("taken", "")
    for number in range(10_000, 10_005):  # others than the stored run's
        (tmp_path / str(number)).mkdir()
        word, error, *_ = fuzz.outcome(target, fuzz.made(target, name, number), tmp_path / str(number))
        assert word != "fault", error


def test_an_input_depends_on_seed_target_and_number():
    target = TARGETS["csv table"]
    assert fuzz.made(target, "x", 3) == fuzz.made(target, "x", 3) != fuzz.made(target, "x", 4)
    assert fuzz.made(target, "y", 3) != fuzz.made(target, "x", 3) != fuzz.made(target, "x", 3, seed=1)


def test_faults_are_seen(tmp_path, monkeypatch):
    def broken(parts, folder):
        raise KeyError("a")

    monkeypatch.setattr(fuzz, "SLOW", 0.05)

    def busy(parts, folder):
        until = time.process_time() + 0.1
        while time.process_time() < until:
            pass

    targets = {name: Target(lambda: [[b"abc"]], read) for name, read in {"k": broken, "b": busy}.items()}
    monkeypatch.setattr(fuzz, "TARGETS", targets)
    found = fuzz.run(["k", "b"], 6)
    assert [(t["target"], t["fault"]) for t in found["targets"]] == [("k", 3), ("b", 3)]
    assert {f["error"].split(":")[0] for f in found["faults"]} == {"KeyError", "taken"}


def test_a_documented_error_is_a_refusal(tmp_path: Path):
    target = Target(lambda: [[b""]], lambda parts, folder: int("x"))
    assert fuzz.outcome(target, [b""], tmp_path)[0] == "refused"


def test_the_stored_run_has_ten_thousand_inputs_and_no_fault():
    record = read_json(RESULTS / "fuzz.json")
    assert record["about"]["inputs"] >= fuzz.INPUTS and record["faults"] == []
    assert [t["target"] for t in record["targets"]] == list(TARGETS)
    assert all(t["slowest"] <= fuzz.SLOW for t in record["targets"])
