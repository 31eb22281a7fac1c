"""The book builds without a warning, and its pages load nothing from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from built import ROOT, built_book
from notebook_code import written

pytestmark = pytest.mark.slow("builds the book")

VENDOR = ROOT / "book" / "_static" / "vendor"
CDNS = (
    "jsdelivr",
    "unpkg",
    "cdnjs",
    "shields.io",
    "fonts.googleapis",
    "fonts.gstatic",
    "plot.ly/plotly",
    "colab-badge",
)


class Assets(HTMLParser):
    """Addresses that a page loads, addresses that it links to, and its anchors."""

    def __init__(self, page: Path):
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.anchors |= {found[key] for key in ("id", "name") if key in found}
        if tag in ("script", "img", "iframe", "source", "video", "audio", "embed") and "src" in found:
            self.loads.append(found["src"])
        if tag == "link" and "href" in found:
            self.loads.append(found["href"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])


@pytest.fixture(scope="module")
def site() -> Path:
    return built_book()[0]


@pytest.fixture(scope="module")
def pages(site: Path) -> list[Path]:
    return [page for page in sorted(site.rglob("*.html")) if "_static" not in page.parts]


def test_build_has_no_warning() -> None:
    log = built_book()[1]
    assert "exit status 0" in log, log[-3000:]
    assert not re.search(r"\b(WARNING|ERROR)\b", log), log[-3000:]


def test_pages_load_nothing_from_elsewhere(pages: list[Path]) -> None:
    assert len(pages) > 5
    for page in pages:
        away = [a for a in Assets(page).loads if re.match(r"(https?:)?//", a)]
        assert away == [], page
        text = page.read_text(encoding="utf-8")
        assert [cdn for cdn in CDNS if cdn in text] == [], page


def test_links_and_assets_exist(site: Path, pages: list[Path]) -> None:
    anchors = {page.resolve(): Assets(page).anchors for page in pages}
    dead = []
    for page in pages:
        found = Assets(page)
        for address in found.links + found.loads:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page.resolve()
            known = anchors.get(target)
            if not target.exists() or (known is not None and parts.fragment and unquote(parts.fragment) not in known):
                dead.append(f"{page.relative_to(site)}: {address}")
    assert dead == []


def test_every_chapter_has_a_page_and_its_notebook(site: Path) -> None:
    for chapter in written():
        page = site / "book" / f"{chapter['slug']}.html"
        assert f'download="{chapter["slug"]}.ipynb"' in page.read_text(encoding="utf-8")
        assert page.stat().st_size <= 2_000_000, f"{page.name} is heavy"
        assert (site / "downloads" / f"{chapter['slug']}.zip").exists()
        download = site / "_sources" / "book" / f"{chapter['slug']}.ipynb"
        assert json.loads(download.read_text())["nbformat"] == 4


def test_vendored_files_are_those_listed() -> None:
    listed = {}
    for line in (VENDOR / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split(maxsplit=1)
        listed[str(Path(name))] = digest
    unlisted = {"SHA256SUMS", "VENDOR.md"}
    files = {str(p.relative_to(VENDOR)): p for p in VENDOR.rglob("*") if p.is_file() and p.name not in unlisted}
    assert {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in files.items()} == listed
    licences = (VENDOR / "VENDOR.md").read_text()
    assert [name for name in files if Path(name).parts[0] not in licences] == []
