"""What holds of every page of the book in every view; the views are files of their own, so that workers share them."""

from __future__ import annotations

from pages import PAGES, SLUGS, VIEWS, breaches, open_page
from playwright.sync_api import Browser, Page

ALL = ["intro", *PAGES, *SLUGS]

OUTSIDE = """() => [...document.querySelectorAll(
  '.rl-figure, .rl-table, .bd-article img, .bd-article table, .bd-article mjx-container')].filter(e => {
    const scrolling = '.rl-table, .pst-scrollable-table-container, div.cell_output, div.math, mjx-container.rl-wide';
    const box = e.closest(scrolling) || e;
    return box.getBoundingClientRect().right > document.documentElement.clientWidth + 1;
}).map(e => e.outerHTML.slice(0, 120))"""

OVERLAPPING = """() => [...document.querySelectorAll('.rl-plotly')].filter(p => {
    const names = ['.legend .bg', '.xtitle', '.gtitle', '.xaxislayer-above'];
    const parts = names.flatMap(n => [...p.querySelectorAll(n)]);
    const boxes = parts.map(e => e.getBoundingClientRect()).filter(b => b.width);
    return boxes.some((a, k) => boxes.slice(0, k).some(b => a.left < b.right && b.left < a.right
        && a.top + 3 < b.bottom && b.top + 3 < a.bottom));
}).map(p => p.getAttribute('aria-label'))"""

CUT = """() => {  // code wraps, formulas stop before their number, and what scrolls says so and has the keys
  const wrong = [];
  for (const pre of document.querySelectorAll('.cell_input pre')) {
    if (pre.scrollWidth > pre.clientWidth + 1) wrong.push('code cut: ' + pre.textContent.slice(0, 80));
  }
  for (const number of document.querySelectorAll('.eqno')) {
    const a = number.getBoundingClientRect(), formula = number.parentElement.querySelector('mjx-container');
    const b = formula.getBoundingClientRect(), beside = a.left >= b.right - 1 || b.left >= a.right - 1;
    if (!beside && a.top < b.bottom - 1 && b.top < a.bottom - 1) wrong.push('behind ' + number.textContent);
  }
  for (const box of document.querySelectorAll('.bd-article *')) {
    if (!/auto|scroll/.test(getComputedStyle(box).overflowX) || box.closest('details:not([open])')) continue;
    const scrolls = box.scrollWidth > box.clientWidth + 1 && box.clientWidth > 0;
    const stop = box.hasAttribute('data-scrolls'), hint = box.classList.contains('rl-more');
    if (scrolls === stop && scrolls === hint) continue;
    wrong.push((scrolls ? 'no hint: ' : 'needless stop: ') + box.outerHTML.slice(0, 120));
  }
  return wrong;
}"""  # fmt: skip

NAMELESS_KEYS = "() => [...document.querySelectorAll('mjx-container[tabindex]:not([data-scrolls])')].length"


LETTERS = "[...document.querySelectorAll('.rl-svg text')].map(t => t.getBoundingClientRect().height)"
HEADINGS = """['h1', 'h2', 'h3', 'h4'].map(h => document.querySelector(`.bd-article ${h}`)).filter(e => e)
    .map(e => parseFloat(getComputedStyle(e).fontSize))"""


def check_telephone(page: Page, name: str) -> None:
    """Drawings are readable, headings fall in size."""
    heights, sizes = page.evaluate(LETTERS), page.evaluate(HEADINGS)
    assert not heights or min(heights) >= 11
    assert heights or name not in SLUGS
    assert sizes == sorted(sizes, reverse=True) and min(sizes) >= 16


def check(browser: Browser, name: str, view: str) -> None:
    """Open a page in a view; everything is drawn, nothing cut off, nothing without a name, nothing wrong."""
    page, wrong = open_page(browser, f"book/{name}.html", view)
    assert page.evaluate("document.querySelectorAll('mjx-merror, [data-mjx-error]').length") == 0
    if name in SLUGS:
        assert page.locator(".rl-plotly .main-svg").count() > 0 and page.locator("mjx-container").count() > 0
    assert page.locator('script[type*="jupyter.widget"]').count() == 0
    assert page.evaluate("document.documentElement.dataset.theme") == VIEWS[view][0]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"the page is {wide} px wider than its window"
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(OVERLAPPING) == []
    assert page.evaluate(CUT) == []
    assert page.evaluate(NAMELESS_KEYS) == 0
    assert page.locator(".modebar").count() == 0
    if view == "telephone":
        check_telephone(page, name)
    assert breaches(page) == []
    assert wrong == []
    page.context.close()
