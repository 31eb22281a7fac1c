"""The book on paper: nothing is lost, nothing blank, pages are numbered and findable."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import nbformat
import pypdf
import pytest
from built import copy_tree
from notebook_code import ROOT, written

pytestmark = pytest.mark.slow("prints the whole book")
MOST_BYTES = 25_000_000


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = copy_tree(tmp_path_factory.mktemp("print"))
    done = subprocess.run([sys.executable, "tools/build.py", "--print"], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return tree / "_build" / "print" / "recsys-lite.pdf"


def plain(text: str) -> str:
    """Text without spaces and ligatures: lines break elsewhere on paper."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


def test_nothing_is_lost_on_paper(printed: Path) -> None:
    document = pypdf.PdfReader(printed)
    pages = [page.extract_text() for page in document.pages]
    text = plain("\n".join(pages))
    lost = []
    for chapter in written():
        cells = nbformat.read(ROOT / "book" / f"{chapter['slug']}.ipynb", as_version=4).cells
        code = [cell.source for cell in cells if cell.cell_type == "code"]
        lost += [f"{chapter['slug']}: {line}" for one in code for line in one.splitlines() if plain(line) not in text]
    assert lost == []
    assert [k for k, page in enumerate(pages, 1) if "code cell" in page and "Show" in page] == []
    assert sum(len(page) < 60 for page in pages) <= 3
    assert len(document.outline) > len(written())


def test_the_paper_is_small(printed: Path) -> None:
    assert printed.stat().st_size <= MOST_BYTES
