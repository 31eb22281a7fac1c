"""Code and text output of the chapters fit the page."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import chapters as book  # noqa: E402
import widths  # noqa: E402

REWRITTEN = {"comparison", "leaderboard", "catalogue_to_screen"}  # being written anew; then they belong here, too
SENTENCES = {  # text outputs that are one long line and wrap on the page, by chapter and cell
    ("dhen_training", 26): "a command to copy into a shell",
    ("autoint", 56): "a list of words",
    ("dcn_v2", 98): "a list of numbers with commas",
    ("wide_and_deep", 94): "a sentence",
}


def found(slug: str) -> list[widths.Wide]:
    return list(widths.wide(nbformat.read(book.notebook_path(slug), as_version=4)))


@pytest.mark.parametrize("slug", [c["slug"] for c in book.chapters() if c["slug"] not in REWRITTEN])
def test_lines_fit(slug: str) -> None:
    assert [w for w in found(slug) if w.kind == "code" or (slug, w.cell) not in SENTENCES] == []


def test_every_exception_is_one() -> None:
    assert {(slug, w.cell) for slug, _ in SENTENCES for w in found(slug)} == set(SENTENCES)


def test_wide_lines_are_found_open_and_folded() -> None:
    long = "x = 1  # " + "-" * 80
    html = new_output("display_data", {"text/html": "<b>1</b>", "text/plain": "y" * 89})
    cells = [
        new_code_cell(long, metadata={"tags": ["setup"]}),
        new_code_cell(long, outputs=[new_output("stream", text="y" * 88 + "\n" + "y" * 89), html]),
        new_code_cell(long, metadata={"tags": ["hide-input"]}),
    ]
    told = [(w.cell, w.kind, w.folded, w.columns) for w in widths.wide(new_notebook(cells=cells))]
    assert told == [(1, "code", False, 89), (1, "output", False, 89), (2, "code", True, 89)]
