"""Each statement of the primer has its place in the book."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import primer  # noqa: E402

SAID = primer.answers()


def test_no_line_of_the_primer_is_left_open():
    assert primer.left_open() == []


@pytest.mark.parametrize("slug", sorted({e["slug"] for e in SAID}))
def test_every_answer_names_a_heading_of_its_chapter(slug):
    known = primer.headings(slug)
    assert [e["where"] for e in SAID if e["slug"] == slug and e["where"] not in known] == []


def test_every_answer_is_on_the_page():
    text = primer.page()
    assert all(" ".join(e["short"].replace("|", r"\|").split()) in text for e in SAID)


@pytest.mark.parametrize("change", [{"answer": "ignored"}, {"where": None}, {"lines": [9, 3]}])
def test_an_answer_that_is_none_is_named(tmp_path, change):
    entry = {"lines": [3, 9], "claim": "c", "answer": "explained", "where": "w", "short": "s"}
    entry = {k: v for k, v in (entry | change).items() if v is not None}
    (tmp_path / "book/primer").mkdir(parents=True)
    (tmp_path / "recsys_lite/store").mkdir(parents=True)
    (tmp_path / "recsys_lite/store/chapters.json").write_text('[{"slug": "fm", "short": "FM"}]')
    (tmp_path / "book/primer/fm.json").write_text(json.dumps([entry]))
    with pytest.raises(ValueError, match=r"fm\.json"):
        primer.answers(tmp_path)
