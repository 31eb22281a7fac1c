"""Pages of the built book in a browser, with no network: opened, drawn, and all that goes wrong on them."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

from built import ROOT, built_book
from notebook_code import written
from playwright.sync_api import Browser, Page, Playwright

SLUGS = [c["slug"] for c in written()]
PAGES = ["notation", "glossary", "timeline", "primer", "errata", "checked_against", "status", "references"]
VIEWS = {"light": ("light", 1400), "dark": ("dark", 1400), "telephone": ("light", 360)}
WAIT = 30_000  # ms, for the slowest machine
SET = "() => [...document.querySelectorAll('.math')].every(m => m.querySelector('mjx-container'))"
DRAW = """async () => {
  await window.recsysLite.drawAll();
  await new Promise(done => setTimeout(done, 250));  // boxes that scroll are measured after the page has settled
}"""


def launch(playwright: Playwright) -> Browser:
    """The Chromium of this machine."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    assert path, "these tests need Chromium: apt-get install chromium"
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


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
    page.wait_for_function(SET, timeout=WAIT)
    page.evaluate(DRAW)
    return page, wrong


RULES = [  # of axe-core, at any severity; beside these, none that it calls serious or critical may fail
    "label-content-name-mismatch", "scrollable-region-focusable", "nested-interactive", "empty-table-header", "region",
    "aria-required-children",
]  # fmt: skip
AXE = """async rules => {
  const found = await axe.run(document, {
    resultTypes: ['violations'], preload: false, rules: Object.fromEntries(rules.map(rule => [rule, {enabled: true}])),
  });
  return found.violations.filter(v => ['serious', 'critical'].includes(v.impact) || rules.includes(v.id))
    .flatMap(v => v.nodes.map(n => `${v.id}: ${n.html.slice(0, 200)}`));
}"""
THIN = """() => {  // what repeats thousands of times and has its colours from one sheet
  document.querySelectorAll('.highlight pre').forEach(p => {
    const wide = p.scrollWidth > p.clientWidth + 1;
    [...p.children].slice(wide ? 40 : 8).forEach(e => e.remove());
  });
  document.querySelectorAll('mjx-math, .main-svg .plot, .main-svg .xaxislayer-above, .main-svg .yaxislayer-above')
    .forEach(e => { e.style.width = `${e.getBoundingClientRect().width}px`; e.replaceChildren(); });
}"""


@functools.cache
def axe() -> str:
    """The script of axe-core."""
    return (ROOT / "tests" / "book" / "vendor" / "axe.min.js").read_text(encoding="utf-8")


def breaches(page: Page, thin: bool = True) -> list[str]:
    """What axe-core finds on a page; ``thin`` leaves out most of what every page has alike: code, formulas, ticks."""
    if thin:
        page.evaluate(THIN)
    page.evaluate(axe())
    return page.evaluate(AXE, RULES)


def page_of(name: str) -> Path:
    """The file of a page."""
    return built_book()[0] / "book" / f"{name}.html"
