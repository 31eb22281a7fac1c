"""The built pages, opened from disk with no network: light, dark and on a telephone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from built import built_book
from notebook_code import written
from playwright.sync_api import Browser, Page, sync_playwright

pytestmark = pytest.mark.slow("builds the book and opens its pages in a browser")
SLUGS = [c["slug"] for c in written()]
PAGES = ["notation", "glossary", "timeline", "errata", "references"]
VIEWS = {"light": ("light", 1280), "dark": ("dark", 1280), "telephone": ("light", 360)}
WAIT = 30_000  # ms, for the slowest machine
DRAWN = """() => [...document.querySelectorAll('.rl-plotly')].every(p => p.querySelector('.main-svg'))
    && [...document.querySelectorAll('.math')].every(m => m.querySelector('mjx-container'))"""
TALL_FORMULA = "() => document.querySelectorAll('mjx-merror, [data-mjx-error]').length"
INK = "() => getComputedStyle(document.querySelector('.rl-plotly text')).fill"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    assert path, "these tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def open_page(browser: Browser, name: str, view: str) -> tuple[Page, list[str]]:
    """A page of the book from disk, and a list that fills with all that goes wrong on it."""
    scheme, width = VIEWS[view]
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)  # type: ignore[arg-type]
    page, wrong = context.new_page(), []
    page.on("console", lambda m: wrong.append(f"{m.text} {m.location.get('url')}") if m.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else wrong.append(r.url))
    path, _, query = name.partition("?")
    page.goto(f"{(built_book()[0] / path).as_uri()}?{query}")
    page.wait_for_function(DRAWN, timeout=WAIT)
    return page, wrong


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["intro", *PAGES, *SLUGS])
def test_page_is_whole(browser: Browser, name: str, view: str) -> None:
    page, wrong = open_page(browser, f"book/{name}.html", view)
    assert page.evaluate(TALL_FORMULA) == 0
    if name in SLUGS:
        assert page.locator(".rl-plotly .main-svg").count() > 0 and page.locator("mjx-container").count() > 0
    stored = page.locator('script[type="application/vnd.jupyter.widget-view+json"]').count()
    if stored:
        page.wait_for_function(
            "n => document.querySelectorAll('.jupyter-widgets').length >= n", arg=stored, timeout=WAIT
        )
    assert page.evaluate("document.documentElement.dataset.theme") == VIEWS[view][0]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"the page is {wide} px wider than its window"
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(OVERLAPPING) == []
    assert wrong == []
    page.context.close()


OUTSIDE = """() => [...document.querySelectorAll(
  '.rl-figure, .rl-table, .bd-article img, .bd-article table, .bd-article mjx-container')].filter(e => {
    const scrolling = '.rl-table, .pst-scrollable-table-container, div.cell_output, div.math, mjx-container.rl-wide';
    const box = e.closest(scrolling) || e;
    return box.getBoundingClientRect().right > document.documentElement.clientWidth + 1;
}).map(e => e.outerHTML.slice(0, 120))"""


OVERLAPPING = """() => [...document.querySelectorAll('.rl-plotly')].filter(p => {
    const names = ['.legend .bg', '.xtitle', '.gtitle', '.slider-group', '.xaxislayer-above'];
    const parts = names.flatMap(n => [...p.querySelectorAll(n)]);
    const boxes = parts.map(e => e.getBoundingClientRect()).filter(b => b.width);
    return boxes.some((a, k) => boxes.slice(0, k).some(b => a.left < b.right && b.left < a.right
        && a.top + 3 < b.bottom && b.top + 3 < a.bottom));
}).map(p => p.getAttribute('aria-label'))"""


@pytest.mark.parametrize("slug", SLUGS)
def test_drawings_are_readable_on_a_telephone(browser: Browser, slug: str) -> None:
    page, _ = open_page(browser, f"book/{slug}.html", "telephone")
    heights = page.evaluate("[...document.querySelectorAll('.rl-svg text')].map(t => t.getBoundingClientRect().height)")
    assert heights and min(heights) >= 11
    page.context.close()


def test_figures_follow_the_theme(browser: Browser) -> None:
    page, wrong = open_page(browser, f"book/{SLUGS[0]}.html", "light")
    light = page.evaluate(INK)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(f"before => ({INK})() !== before", arg=light, timeout=WAIT)
    assert wrong == []
    page.context.close()


def test_a_slider_moves_its_figure_without_a_kernel(browser: Browser) -> None:
    for slug in SLUGS:
        page, wrong = open_page(browser, f"book/{slug}.html", "light")
        if page.locator(".rl-plotly .slider-group").count():
            break
    else:
        pytest.fail("no chapter has a figure with a slider")
    change = """() => {
        const all = [...document.querySelectorAll('.rl-plotly')];
        const place = all.find(p => p.layout.sliders && p.layout.sliders.length);
        const slider = place.layout.sliders[0], seen = () => JSON.stringify(place.data.map(t => t.visible));
        const before = seen(), step = slider.steps[slider.active ? 0 : slider.steps.length - 1];
        return Plotly.update(place, ...step.args).then(() => before !== seen());
    }"""
    assert page.evaluate(change)
    assert wrong == []
    page.context.close()


def test_tabs_switch_without_a_kernel(browser: Browser) -> None:
    for slug in SLUGS:
        page, wrong = open_page(browser, f"book/{slug}.html", "dark")
        if page.locator('script[type="application/vnd.jupyter.widget-view+json"]').count():
            break
        page.context.close()
    else:
        pytest.skip("no chapter uses tabs yet")
    page.wait_for_selector(".lm-TabBar-tab", timeout=WAIT)
    box = page.locator(".widget-tab").first
    before = box.inner_text()
    box.locator(".lm-TabBar-tab").nth(1).click()
    page.wait_for_timeout(300)
    assert box.inner_text() != before and wrong == []
    page.context.close()


def test_search_works_from_disk(browser: Browser) -> None:
    page, wrong = open_page(browser, "search.html?q=logit", "light")
    page.wait_for_selector("#search-results li a", timeout=WAIT)
    links = page.locator("#search-results li a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert any(slug in link for slug in SLUGS for link in links)
    assert wrong == []
    page.context.close()


def test_first_page_leads_to_the_book(browser: Browser) -> None:
    page, _ = open_page(browser, "index.html", "light")
    page.wait_for_url("**/book/intro.html", timeout=WAIT)
    for slug in SLUGS:
        assert page.locator(f'.rl-cards a[href="{slug}.html"]').count() == 1
    page.context.close()


def test_pages_are_where_the_table_of_contents_says() -> None:
    pages: Path = built_book()[0]
    assert all((pages / "book" / f"{name}.html").exists() for name in ["intro", *PAGES, *SLUGS])
