"""What a page weighs as `make start` serves it, and how soon something shows."""

from __future__ import annotations

import gzip
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from built import ROOT, built_book
from pages import SLUGS, WAIT
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(ROOT / "tools"))

import start

from recsys_lite.store.chapters import CHAPTERS

pytestmark = pytest.mark.slow("builds the book, serves it and opens its pages in a browser")
MOST = 1_300_000  # bytes of a chapter until its first figure is drawn
SOON = 1000  # ms from the request to the first paint


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    port = start.free_port(8730)
    server = start.serve_book(port, built_book()[0], "http://127.0.0.1:1")
    yield f"http://127.0.0.1:{port}"
    server.shutdown()


def opened(browser: Browser, url: str) -> tuple[Page, dict[str, float]]:
    """A page opened with an empty cache, and the bytes that each address took on the way; fills as more are loaded."""
    page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    wire, names, sizes = page.context.new_cdp_session(page), {}, {}
    wire.send("Network.enable")
    wire.on("Network.responseReceived", lambda e: names.update({e["requestId"]: e["response"]["url"]}))
    wire.on("Network.loadingFinished", lambda e: sizes.update({names[e["requestId"]]: e["encodedDataLength"]}))
    page.goto(url, wait_until="load")
    return page, sizes


@pytest.mark.parametrize("slug", SLUGS)
def test_a_chapter_is_light_until_its_first_figure(browser: Browser, address: str, slug: str) -> None:
    page, sizes = opened(browser, f"{address}/book/{slug}.html")
    page.locator(".rl-plotly").first.scroll_into_view_if_needed()
    page.wait_for_selector(".rl-plotly .main-svg", timeout=WAIT)
    assert any("plotly" in url for url in sizes)
    fonts = [url for url in sizes if "fa-" in url or "icons" in url]
    assert [url.rsplit("/", 1)[-1] for url in fonts] == ["icons.woff"]  # all icons of the page are in it
    assert sizes[fonts[0]] < 5_000
    assert sum(sizes.values()) <= MOST, sorted(sizes.items(), key=lambda item: -item[1])[:5]
    page.context.close()


def test_explorer_addresses_are_links_where_both_are_served(browser: Browser, address: str) -> None:
    page, _ = opened(browser, f"{address}/book/{SLUGS[3]}.html")
    link = page.locator(".rl-explorer a")
    link.wait_for(timeout=WAIT)
    chapter = next(c for c in CHAPTERS if c["slug"] == SLUGS[3])
    assert link.get_attribute("href") == f"http://127.0.0.1:1/{chapter['explore']}"
    page.context.close()
    page = browser.new_page()
    page.goto((built_book()[0] / "book" / f"{SLUGS[3]}.html").as_uri())
    assert "make app" in page.locator(".rl-explorer").inner_text() and page.locator(".rl-explorer a").count() == 0
    page.close()


@pytest.mark.parametrize("name", ["glossary", "timeline"])
def test_a_page_without_figures_loads_no_script_for_them(browser: Browser, address: str, name: str) -> None:
    page, sizes = opened(browser, f"{address}/book/{name}.html")
    page.wait_for_timeout(500)
    assert not any("plotly" in url or "require" in url or "searchindex" in url for url in sizes)
    assert sum(sizes.values()) <= 550_000
    page.context.close()


def test_something_shows_within_a_second(browser: Browser, address: str) -> None:
    """The best of three, since other tests run beside this one."""
    for name in ("intro", "overview"):
        times = []
        for _ in range(3):
            page, _ = opened(browser, f"{address}/book/{name}.html")
            times.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            page.context.close()
        assert min(times) < SOON


def test_text_is_served_as_gzip_to_those_who_take_it(address: str) -> None:
    url = f"{address}/book/intro.html"
    stored = (built_book()[0] / "book" / "intro.html").read_bytes()
    with urllib.request.urlopen(url) as plain:
        assert plain.headers["Content-Encoding"] is None and plain.read() == stored
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})) as packed:
        body = packed.read()
        assert packed.headers["Content-Encoding"] == "gzip" and int(packed.headers["Content-Length"]) == len(body)
        assert gzip.decompress(body) == stored and len(body) < len(stored) / 3
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(f"{address}/no.html", headers={"Accept-Encoding": "gzip"}))
