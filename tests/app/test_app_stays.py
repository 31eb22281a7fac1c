"""The explorer stays calm: nothing jumps while it is drawn, and a training is a process that ends with its visitor."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from test_app_browser import browser, drawn, pytestmark, server, started, values  # noqa: F401

WATCH = """window.moved = 0; new PerformanceObserver(list => list.getEntries().forEach(e => {
  if (!e.hadRecentInput) window.moved += e.value; })).observe({type: "layout-shift", buffered: true});"""


@pytest.mark.parametrize(("width", "height"), [(1024, 768), (360, 740)])
@pytest.mark.parametrize("path", ["", "?data=movielens-100k&task=click&row=30&set.gender=F"])
def test_nothing_jumps_while_the_first_page_is_drawn(server, browser, path, width, height):  # noqa: F811
    page = browser.new_page(viewport={"width": width, "height": height})
    page.add_init_script(WATCH)
    page.goto(f"{server}/{path}")
    drawn(page)
    page.wait_for_timeout(2000)
    assert page.evaluate("window.moved") < 0.1
    page.close()


def workers(process) -> list[int]:
    """The processes that train for a server."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            status, command = (entry / "status").read_text(), (entry / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if b"recsys_lite.lab.worker" in command and f"PPid:\t{process.pid}\n" in status:
            found.append(int(entry.name))
    return found


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="the system does not list its processes")
def test_a_training_is_a_process_others_go_on_and_it_ends_with_its_visitor(started, browser):  # noqa: F811
    address, process = started
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{address}/own_data?epochs=100&lr=0.001&b=dhen")
    page.get_by_role("button", name=re.compile("^Train ")).click(timeout=120_000)
    page.get_by_text(re.compile("epoch [0-9]+, at most 100")).first.wait_for(timeout=180_000)
    assert len(workers(process)) == 1
    expect(page.get_by_text("The results will stand here")).to_be_visible()
    other = browser.new_page(viewport={"width": 1280, "height": 900})
    other.goto(address)
    drawn(other)
    before = values(other)
    other.get_by_role("button", name="Next disagreement").click()
    other.wait_for_function(f"document.querySelectorAll('[data-testid=stMetricValue]')[1].innerText != {before[1]!r}")
    other.close()
    page.close()
    for _ in range(600):
        if not workers(process):
            break
        page_ = browser.new_page()
        page_.wait_for_timeout(100)
        page_.close()
    assert not workers(process)


def test_the_game_is_played_by_pointer_and_keyboard(server, browser):  # noqa: F811
    page = browser.new_page(viewport={"width": 360, "height": 740})
    wrong: list[str] = []
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.goto(f"{server}/game")
    first = page.get_by_role("button", name="A × B")
    first.wait_for(timeout=120_000)
    assert page.get_by_role("img", name=re.compile("^A × B: the share of label 1")).count() == 1
    first.focus()
    page.keyboard.press("Enter")
    page.get_by_text("What you see.").wait_for(timeout=60_000)
    expect(page.get_by_text(re.compile("Score after 1 round"))).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="Next round").click()
    page.wait_for_url(re.compile("round=2"))
    expect(page.get_by_role("button", name="A × B")).to_be_enabled(timeout=60_000)
    assert not wrong
    page.close()


def test_the_share_card_is_a_picture(server, browser, tmp_path):  # noqa: F811
    page = browser.new_page(viewport={"width": 1024, "height": 768})
    page.goto(server)
    drawn(page)
    with page.expect_download(timeout=120_000) as waiting:
        page.get_by_role("button", name="Share card").click()
    path = tmp_path / "card.png"
    waiting.value.save_as(path)
    assert waiting.value.suggested_filename == "recsys-lite-planted-row30.png"
    assert path.read_bytes()[1:4] == b"PNG" and 20_000 < path.stat().st_size < 1_000_000
    page.close()
