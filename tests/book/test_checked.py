"""The page *Checked against* is what the record says."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import checked  # noqa: E402

FILE = Path("recsys_lite") / "store" / "results" / "parity.json"
RECORD = json.loads((ROOT / FILE).read_text(encoding="utf-8"))
AGREE = [r for r in RECORD["results"] if r["verdict"] == "agrees"]
DIFFER = [r for r in RECORD["results"] if r["verdict"] == "differs"]


def section(page: str, title: str) -> list[str]:
    """Rows of the tables under a title, without heads."""
    text = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0].partition("<details>")[0]
    return [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| ours"))]


def test_the_page_is_that_of_the_record():
    page = checked.page()
    assert page == (ROOT / "book" / "checked_against.md").read_text(encoding="utf-8")
    assert len(section(page, "What agrees")) == len(AGREE) and len(section(page, "What differs")) == len(DIFFER)
    assert len(section(page, "What could not be compared")) == len(RECORD["none"])
    for line in RECORD["results"]:
        assert f"[`{line['theirs']}`]({line['link']})" in page
    for line in RECORD["libraries"]:
        assert f"| {checked.NAMES[line['library']]} | {line['version']} |" in page


def test_the_opening_counts_and_follows_the_numbers(tmp_path):
    told = checked.opening(RECORD)
    assert (
        f"Of {len(RECORD['results'])} comparisons, {len(AGREE)} agree" in told and f"other {len(DIFFER)} differ" in told
    )
    assert told.count(". ") == 2  # three sentences
    exact = max(max(r["differences"].values()) for r in AGREE if r["precision"] == "float64")
    assert checked.number(exact) in told
    changed = json.loads(json.dumps(RECORD))
    next(r for r in changed["results"] if r["verdict"] == "agrees")["differences"]["forward"] = 7e-10
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_text(json.dumps(changed))
    assert "difference is 7 · 10⁻¹⁰." in checked.page(tmp_path) and checked.page(tmp_path) != checked.page()


@pytest.mark.parametrize("value, told", [(0.0, "0"), (2.3e-16, "2 · 10⁻¹⁶"), (0.34, "0.3"), (1.8, "2"), (12.0, "12")])
def test_differences_in_words(value, told):
    assert checked.number(value) == told


def test_every_accusation_has_its_line_its_reason_and_its_numbers():
    page = checked.page()
    for line in DIFFER:
        start = f"| `{line['ours']}` | {checked.NAMES[line['library']]}: "
        row = next(r for r in section(page, "What differs") if r.startswith(start))
        assert line["why"] in row and line["link"] in row
        assert f"${line['formula']}$" in row
        if "values" in line:
            assert checked.shown(line["values"]) in row
        else:
            assert checked.worst(line["differences"]) in row
