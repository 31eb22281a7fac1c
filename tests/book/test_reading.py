"""How a chapter reads that tells its minutes: a short main line, code that fits, checks that wait for the reader."""

from __future__ import annotations

import re
import sys

import pytest
from notebook_code import ROOT, read_back, written

sys.path.insert(0, str(ROOT / "tools"))

import prose

MINUTES = re.compile(r"\| the main line \|.*\| (\d+) \|")
CHAPTERS = [c["slug"] for c in written() if MINUTES.search("".join(x.source for x in read_back(c["slug"])[0].cells))]
READS = {"overview": (1, 13)}  # minutes that it may be off, words a sentence; the others: 2 and 15
CHECKS = {"dhen_training": 2}  # the others: 3


@pytest.mark.parametrize("slug", CHAPTERS)
def test_the_main_line_takes_as_long_as_the_chapter_says(slug):
    notebook, _ = read_back(slug)
    found, told = prose.reading(notebook), MINUTES.search("".join(c.source for c in notebook.cells))[1]
    off, words = READS.get(slug, (2, 15))
    assert abs(found.minutes - int(told)) <= off and found.minutes <= 27 and found.a_sentence < words
    assert [text for _, text in found.long if not text.startswith("New symbols")] == []
    assert found.long == [] or slug not in ("autoint", "overview")


@pytest.mark.parametrize("slug", CHAPTERS)
def test_lines_of_code_fit_and_no_check_shows_its_answer(slug):
    cells = [c for c in read_back(slug)[0].cells if c.cell_type == "code" and "setup" not in c.metadata.get("tags", [])]
    lines = [line for c in cells for line in c.source.splitlines()]
    assert [line for line in lines if len(line) > 88 or "# fmt" in line or "# noqa" in line] == []
    asked = [c for c in cells if "= ask(answer" in c.source]
    assert len(asked) >= CHECKS.get(slug, 3) and all(re.search(r"\bNone\b", c.source) for c in asked)
    assert all("Not answered yet" in "".join(o.get("text", "") for o in c.outputs) for c in asked)
    answers = [c for c in cells if "assert ask(" in c.source]
    assert len(answers) == len(asked) and all({"solution", "hide-cell"} <= set(c.metadata["tags"]) for c in answers)
