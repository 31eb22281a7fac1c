"""The status page is made from what is measured and pinned, and its commands exist."""

import importlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import chapters as book  # noqa: E402
import status  # noqa: E402

#: benchmarks of many hours that no page reads yet; a name goes when its file is there
NOT_YET = {"optimizers", "verdicts"}


def test_every_results_file_has_the_command_that_makes_it():
    made = status.commands()
    files = {p.stem for p in (ROOT / "recsys_lite" / "store" / "results").glob("*.json")} - {
        "published"
    }  # copied by hand, cited
    assert files <= set(made) and set(made) - files <= NOT_YET
    for name, module in made.items():
        assert importlib.import_module(f"bench.{module}").FILE.name == f"{name}.json"


def test_every_chapter_has_a_measured_time():
    page, times = status.status(), book.read("run_times.json")
    for c in book.chapters():
        assert f"[{c['short']}]({c['slug']}.ipynb)" in page and f"| {times[c['slug']]['seconds']} s on" in page
    assert "not measured" not in page


def test_versions_are_the_pinned_ones(tmp_path):
    assert status.versions()["torch"] == "2.13.0"
    (tmp_path / "requirements.txt").write_text("torch==2.13.0\n")
    with pytest.raises(ValueError, match="does not pin numpy"):
        status.versions(tmp_path)


def test_runs_are_counted_in_all_lists():
    assert status.runs({"about": {"a": 1}, "tuning": [{}, {}], "runs": [{}], "names": ["x"]}) == 3
    stored = json.loads((ROOT / "recsys_lite" / "store" / "results" / "dhen.json").read_text())
    assert f"| {status.runs(stored)} |" in status.status()
