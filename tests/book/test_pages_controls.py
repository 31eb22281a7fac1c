"""Figures, tabs, tables and search of the built pages, worked with no kernel, with the mouse and with the keys."""

from __future__ import annotations

import re

import pytest
from built import built_book
from pages import DRAW, PAGES, SLUGS, WAIT, breaches, open_page
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow("builds the book and opens its pages in a browser")
INK = "() => getComputedStyle(document.querySelector('.rl-plotly text')).fill"


STEP = '"label": *"%s", *"method"'  # of a figure's control, as it is stored


def first_with(browser: Browser, pattern: str, view: str = "light") -> tuple[Page, list[str]]:
    """The first chapter whose page has a pattern."""
    name = next(s for s in SLUGS if re.search(pattern, (built_book()[0] / "book" / f"{s}.html").read_text()))
    return open_page(browser, f"book/{name}.html", view)


def test_88_columns_of_code_and_output_fit_on_a_wide_screen(browser: Browser) -> None:
    page, _ = open_page(browser, f"book/{SLUGS[1]}.html", "light")
    room = """kind => [...document.querySelectorAll(`${kind} pre`)].slice(0, 3).map(pre => {
        const ruler = document.createElement('span'), style = getComputedStyle(pre);
        ruler.textContent = '0'.repeat(88);
        ruler.style.cssText = 'white-space: pre; display: inline-block';
        pre.append(ruler);
        const needed = ruler.getBoundingClientRect().width;
        ruler.remove();
        return pre.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - needed;
    })"""
    for kind in (".cell_input", ".cell_output"):
        assert min(page.evaluate(room, kind)) >= 0
    page.context.close()


def test_code_is_copied_as_it_was_written(browser: Browser) -> None:
    page, _ = open_page(browser, f"book/{SLUGS[1]}.html", "light")
    texts = page.locator(".cell_input pre").evaluate_all("all => all.map(e => e.textContent)")
    assert any(line.startswith("        ") for text in texts for line in text.splitlines())
    assert not any("\xa0" in text for text in texts)
    page.context.close()


def test_axe_on_a_whole_page(browser: Browser) -> None:
    """The other pages are thinned out before the same check; here every token of code has its contrast measured."""
    for view in ("light", "dark"):
        page, _ = open_page(browser, "book/wide_and_deep.html", view)
        assert breaches(page, thin=False) == []
        page.context.close()


def test_axe_finds_what_it_should(browser: Browser) -> None:
    page, _ = open_page(browser, "book/intro.html", "light")
    page.evaluate("""() => document.querySelector('.bd-article').insertAdjacentHTML('beforeend',
        '<div role="img" aria-label="a figure"><button>inside</button></div><button></button>')""")
    assert {b.split(":")[0] for b in breaches(page)} == {"nested-interactive", "button-name"}
    page.context.close()


def test_figures_follow_the_theme(browser: Browser) -> None:
    page, wrong = open_page(browser, f"book/{SLUGS[0]}.html", "light")
    light = page.evaluate(INK)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(f"before => ({INK})() !== before", arg=light, timeout=WAIT)
    assert wrong == []
    page.context.close()


def test_marks_show_on_the_ground_of_the_page(browser: Browser) -> None:
    """An empty dot of the timeline is not filled."""
    page, _ = open_page(browser, "book/timeline.html", "dark")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    fills = page.locator(".rl-svg circle").evaluate_all("all => all.map(e => getComputedStyle(e).fill)")
    assert len(set(fills)) == 2 and ground in fills
    page.context.close()


def test_keys_move_a_slider_and_stay_in_the_chapter(browser: Browser) -> None:
    page, wrong = first_with(browser, STEP % "[0-9.]+")
    slider = page.locator(".rl-control input[type=range]").first
    address, figure = page.url, slider.locator("xpath=ancestor::figure")
    seen = "e => JSON.stringify(e.querySelector('.rl-plotly').data.map(t => t.visible))"
    name = slider.evaluate("e => e.labels[0].textContent.trim()")
    before, said = figure.evaluate(seen), slider.get_attribute("aria-valuetext")
    assert name and said
    slider.focus()
    page.keyboard.press("ArrowRight" if slider.evaluate("e => +e.value < +e.max") else "ArrowLeft")
    page.wait_for_timeout(300)
    assert figure.evaluate(seen) != before and slider.get_attribute("aria-valuetext") != said
    page.locator(".bd-article h1").click()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    assert page.url == address and wrong == []
    assert page.locator(".rl-plotly .slider-group, .rl-plotly .updatemenu-container").count() == 0
    page.context.close()


def test_a_choice_among_words_is_a_row_of_buttons(browser: Browser) -> None:
    page, wrong = first_with(browser, STEP % '[A-Za-z][^"]*')
    page.evaluate(DRAW)
    choice = page.locator(".rl-control fieldset").first
    figure = choice.locator("xpath=ancestor::figure")
    seen = "e => JSON.stringify(e.querySelector('.rl-plotly').data.map(t => t.visible))"
    before, buttons = figure.evaluate(seen), choice.get_by_role("radio")
    assert buttons.count() > 1 and choice.locator("legend").inner_text()
    choice.locator("input:checked").focus()
    page.keyboard.press("ArrowRight")  # the next one, or around to the first
    page.wait_for_timeout(300)
    assert figure.evaluate(seen) != before
    at = choice.locator("input:checked").evaluate("e => +e.value")
    other = (at + 1) % buttons.count()
    choice.locator("label").nth(other).click()
    assert choice.locator("input:checked").evaluate("e => +e.value") == other
    page.wait_for_timeout(300)
    assert wrong == []
    page.context.close()


def test_every_figure_has_each_of_its_controls_once(browser: Browser) -> None:
    page, _ = first_with(browser, '"sliders"')
    page.evaluate(DRAW)
    stored, made = page.evaluate("""() => ['script[type="application/json"]', '.rl-control'].map(s =>
        [...document.querySelectorAll(`figure.rl-figure ${s}`)].filter(e => s !== 'script[type="application/json"]'
            || JSON.parse(e.textContent).layout?.sliders || JSON.parse(e.textContent).layout?.updatemenus).length)""")
    assert stored == made > 0
    page.context.close()


def test_keys_hide_and_show_a_row_of_a_legend(browser: Browser) -> None:
    page, wrong = first_with(browser, '"sliders"')
    toggle = page.locator(".legendtoggle[role=button]").first
    name = toggle.get_attribute("aria-label").removeprefix("show or hide ")
    hidden = """name => [...document.querySelectorAll('.rl-plotly')].flatMap(p => p.data)
        .filter(t => t.name === name && t.visible === 'legendonly').length"""
    toggle.focus()
    assert page.evaluate(hidden, name) == 0
    page.keyboard.press("Enter")
    page.wait_for_function(f"name => ({hidden})(name) > 0", arg=name, timeout=WAIT)
    page.keyboard.press("Enter")
    page.wait_for_function(f"name => ({hidden})(name) === 0", arg=name, timeout=WAIT)
    assert wrong == []
    page.context.close()


def test_keys_switch_tabs_without_a_kernel(browser: Browser) -> None:
    page, wrong = first_with(browser, 'class="rl-tabs"', "dark")
    box = page.locator(".rl-tabs").first
    before = box.inner_text()
    box.locator("[role=tab]").first.focus()
    page.keyboard.press("ArrowRight")
    assert box.locator("[role=tab]").nth(1).get_attribute("aria-selected") == "true"
    assert box.inner_text() != before and box.locator("[role=tabpanel]:visible").count() == 1
    page.emulate_media(media="print")
    assert box.locator("[role=tabpanel]:visible").count() == box.locator("[role=tab]").count()
    assert wrong == []
    page.context.close()


def test_a_table_of_many_columns_is_cards_on_a_telephone(browser: Browser) -> None:
    page, _ = open_page(browser, "book/comparison.html", "telephone")
    row = page.locator(".rl-filter tbody tr").first
    box, screen = row.bounding_box(), page.viewport_size
    assert box["x"] >= 0 and box["x"] + box["width"] <= screen["width"] and box["height"] > 100
    page.locator(".rl-filter select").first.select_option(index=1)
    hidden = page.locator(".rl-filter tbody").first.locator("tr[hidden]")
    assert hidden.count() > 0 and not hidden.first.is_visible()
    page.context.close()
    page, _ = open_page(browser, "book/comparison.html", "light")
    wide = page.locator(".rl-filter .rl-table").evaluate_all("all => all.map(e => e.scrollWidth - e.clientWidth)")
    assert wide and max(wide) <= 1, "the table of all systems is cut off on a wide screen"
    page.context.close()


def test_search_works_from_disk(browser: Browser) -> None:
    page, wrong = open_page(browser, "search.html?q=logit", "light")
    page.wait_for_selector("#search-results li a", timeout=WAIT)
    links = page.locator("#search-results li a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert any(slug in link for slug in SLUGS for link in links)
    assert breaches(page) == [] and wrong == []
    page.context.close()


def test_first_page_leads_to_the_book(browser: Browser) -> None:
    page, _ = open_page(browser, "index.html", "light")
    page.wait_for_url("**/book/intro.html", timeout=WAIT)
    for slug in SLUGS:
        assert page.locator(f'.bd-article a[href="{slug}.html"]').count() >= 1
    page.context.close()


def test_pages_are_where_the_table_of_contents_says() -> None:
    pages = built_book()[0]
    assert all((pages / "book" / f"{name}.html").exists() for name in ["intro", *PAGES, *SLUGS])
