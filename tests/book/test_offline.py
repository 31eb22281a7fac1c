"""What the book's own extension adds to the pages: previews of links, folders to take away."""

import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import offline  # noqa: E402


def test_a_preview_tells_title_and_idea_and_nothing_remote_without_an_address():
    chapters = [{"slug": "fm", "idea": 'Pairs & "vectors"'}]
    tags = offline.preview("fm", "FM", chapters, "")
    assert '<meta property="og:title" content="FM" />' in tags
    assert "Pairs &amp; &quot;vectors&quot;" in tags and "http" not in tags
    assert "Recommender architectures" in offline.preview("intro", "Start", chapters, "")


def test_a_preview_has_its_picture_where_the_book_has_an_address():
    tags = offline.preview("fm", "FM", [], "https://book.example/")
    assert 'content="https://book.example/_static/preview.png"' in tags
    assert 'content="https://book.example/book/fm.html"' in tags
    assert (ROOT / "book" / "_static" / "preview.png").stat().st_size > 10_000


def test_a_failed_build_leaves_no_downloads(tmp_path):
    offline.archive(SimpleNamespace(builder=SimpleNamespace(name="html"), outdir=tmp_path), ValueError())
    assert not (tmp_path / offline.DOWNLOADS).exists()
