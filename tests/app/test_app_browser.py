"""The explorer as a stranger meets it: a real server and a real browser, wide and narrow, light and dark."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from app.parts import tour

ROOT = Path(__file__).parents[2]
BROWSER = next((b for b in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if b), None)
pytestmark = [
    pytest.mark.slow("starts the explorer and a browser"),
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def started():
    """The explorer on a free port: its address and its process."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "app", "--server.headless=true"]
    process = subprocess.Popen(
        [*command, f"--server.port={port}", "--server.address=127.0.0.1"], cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            assert process.poll() is None, "the explorer stopped"
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
                break
            except OSError:
                time.sleep(0.2)
        yield address, process
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def server(started):
    return started[0]


def memory(process: subprocess.Popen) -> float:
    """Megabytes that a process holds in memory; nothing where the system does not tell."""
    status = Path(f"/proc/{process.pid}/status")
    found = re.search(r"^VmRSS:\s+(\d+) kB", status.read_text(), re.M) if status.exists() else None
    return int(found[1]) / 1024 if found else 0.0


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield b
        b.close()


MOST_MEMORY = 1500  # megabytes of the server with ten visitors
PAGES = [
    ("retrieval?person=6", 3), ("position?log=device", 2), ("steps?model=fm&row=30", 2), ("embeddings", 2),
    ("inside?data=planted.pairs&model=dcn_v2&view=blocks", 4), ("position?view=own", 2), ("serving", 1), ("race", 4),
    ("own_data", 0), ("game", 0),
]  # fmt: skip  # address, its charts


def visit(browser, url: str, width: int, height: int, scheme: str) -> tuple[Page, list[str]]:
    """A page that has drawn everything, and what went wrong on the way: errors, and requests to other machines."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    wrong: list[str] = []
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.on(
        "request",
        lambda r: None if re.match(r"(https?|wss?)://127\.0\.0\.1|data:|blob:", r.url) else wrong.append(r.url),
    )
    page.goto(url)
    drawn(page)
    return page, wrong


def drawn(page: Page) -> None:
    page.get_by_text("What these numbers do not say").wait_for(timeout=120_000)
    page.locator(".cell").first.wait_for(timeout=60_000)
    page.locator(".bar").first.wait_for(state="attached", timeout=60_000)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def values(page: Page) -> list[str]:
    """What the models say, once the page has run to its end: half way there are fewer of them."""
    page.locator("[data-test-script-state=notRunning]").wait_for(timeout=60_000)
    expect(page.get_by_test_id("stMetricValue").nth(1)).to_be_visible()
    return page.get_by_test_id("stMetricValue").all_inner_texts()


@pytest.mark.parametrize(
    ("name", "width", "height", "scheme"),
    [("desktop", 1280, 900, "light"), ("phone", 360, 740, "light"), ("dark", 1280, 900, "dark")],
)
def test_looks(server, browser, tmp_path, name, width, height, scheme):
    page, wrong = visit(browser, server, width, height, scheme)
    page.wait_for_timeout(1500)
    folder = Path(os.environ.get("RECSYS_LITE_SHOTS", tmp_path))
    page.screenshot(path=folder / f"explorer-{name}.png")
    assert (folder / f"explorer-{name}.png").stat().st_size > 20_000
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    main = page.get_by_test_id("stMain")
    assert main.evaluate("e => e.scrollWidth <= e.clientWidth")
    ground = page.get_by_test_id("stApp").evaluate("e => getComputedStyle(e).backgroundColor")
    dark = sum(map(int, re.findall(r"\d+", ground)[:3])) < 200
    assert dark == (scheme == "dark")
    assert page.get_by_role("grid").count() >= 9  # the truth, and two maps of each of four models
    assert page.locator("table .bar").count() >= 8
    assert not wrong
    page.close()


def test_an_edit_by_keyboard_moves_the_answers_and_the_address_brings_them_back(server, browser):
    page, wrong = visit(browser, f"{server}/?models=fm,wide_deep&row=30", 1280, 900, "light")
    before = values(page)
    now = "F" if page.get_by_text("a man aged").count() else "M"
    chip = page.get_by_role("button", name=re.compile("Gender"))
    chip.focus()
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name=re.compile("Gender")).focus()
    page.keyboard.type(now)
    page.keyboard.press("Enter")
    page.get_by_text("With gender changed").wait_for(timeout=20_000)
    after = values(page)
    assert len(after) == 2 and after != before
    page.wait_for_url(re.compile(rf"set\.gender={now}"))
    page.reload()
    drawn(page)
    page.get_by_text("With gender changed").wait_for(timeout=20_000)
    assert values(page) == after
    page.get_by_role("button", name="Reset the row").click()
    page.get_by_text("With gender changed").wait_for(state="detached", timeout=20_000)
    assert values(page) == before
    assert not wrong
    page.close()


def test_on_a_phone_the_scores_are_above_the_fold_and_the_row_opens_from_its_chip(server, browser):
    page, wrong = visit(browser, f"{server}/?data=criteo-sample&row=5", 360, 740, "dark")
    assert len(values(page)) == 4
    assert all(page.get_by_test_id("stMetricValue").nth(k).bounding_box()["y"] < 740 for k in range(4))
    page.get_by_role("button", name=re.compile("Change a value")).click()
    expect(page.get_by_label("I3", exact=True)).to_be_visible()
    assert not wrong
    page.close()


def test_the_answer_is_above_the_fold_of_the_opening_scene(server, browser):
    page, wrong = visit(browser, server, 1024, 768, "light")
    maps = page.get_by_role("grid")
    assert [maps.nth(k).get_attribute("aria-label").split(":")[0] for k in range(2)] == ["Truth", "FM"]
    for name in ("Truth", "FM", "DCN V2", "AutoInt", "DHEN"):
        box = page.get_by_role("grid", name=re.compile(f"^{name}: ")).first.bounding_box()
        assert box["y"] + box["height"] < 768, name
    tops = {
        round(page.get_by_role("grid", name=re.compile(f"^{n}: ")).first.bounding_box()["y"]) for n in ("FM", "DHEN")
    }
    assert len(tops) == 1
    assert not wrong
    page.close()


def test_a_pair_is_lit_in_all_maps_by_pointer_and_by_keyboard(server, browser):
    page, wrong = visit(browser, server, 1024, 768, "dark")
    told = page.locator(".told")
    first = told.inner_text()
    page.get_by_role("gridcell", name=re.compile("^A × D: ")).first.hover()
    expect(told).to_contain_text("A × D: planted, FM")
    lit = page.locator(".cell.lit").count()
    assert lit == 2 * page.get_by_role("grid").count()  # both cells of the pair, in every map
    page.mouse.move(5, 5)
    expect(told).to_have_text(first)
    page.locator(".cell[tabindex='0']").first.focus()
    ways = {"ArrowRight": "A × B:", "ArrowDown": "B alone:", "ArrowLeft": "B × A:", "End": "B × F:"}
    for key, there in ways.items():
        page.keyboard.press(key)
        expect(told).to_contain_text(there)
    page.keyboard.press("ArrowDown")
    expect(told).to_contain_text("C × F: planted")
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.getAttribute('aria-label')").startswith(
        "C × F"
    )
    page.keyboard.press("Enter")  # stays lit
    page.keyboard.press("Tab")  # the next map, where the focus is lit
    expect(told).to_contain_text("A alone:")
    page.evaluate("document.activeElement.shadowRoot.activeElement.blur()")
    expect(told).to_contain_text("C × F: planted")
    assert not wrong
    page.close()


def test_back_and_forward_undo_and_redo(server, browser):
    page, wrong = visit(browser, server, 1280, 900, "light")
    opening = values(page)
    page.get_by_role("button", name="Next disagreement").click()
    page.wait_for_url(re.compile("row="))
    expect(page.get_by_test_id("stMetricValue").nth(1)).not_to_have_text(opening[1])
    second, address = values(page), page.url
    page.get_by_role("button", name="Next disagreement").click()
    page.wait_for_url(lambda url: url != address)
    page.wait_for_function(f"document.querySelectorAll('[data-testid=stMetricValue]')[1].innerText != {second[1]!r}")
    third = values(page)
    page.go_back()
    expect(page.get_by_test_id("stMetricValue").nth(1)).to_have_text(second[1])
    page.go_back()
    expect(page.get_by_test_id("stMetricValue").nth(1)).to_have_text(opening[1])
    assert "row=" not in page.url
    page.go_forward()
    page.go_forward()
    expect(page.get_by_test_id("stMetricValue").nth(1)).to_have_text(third[1])
    assert not wrong
    page.close()


def test_what_looks_like_an_address_in_the_address_is_no_link(server, browser):
    given = "x”%20![p](http://127.0.0.1:1/p.png)%20[log%20in](http://evil.example/login)%20www.evil.example%20a@evil.example"
    page, _ = visit(browser, f"{server}/?data={given}", 1024, 768, "light")
    warning = page.locator("[data-testid=stAlert]").first
    warning.wait_for()
    assert "evil.example/login" in warning.inner_text() and warning.locator("a, img, h1").count() == 0
    page.context.close()


def test_compare_has_an_address_of_its_own_and_a_link_can_be_copied(server, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{server}/compare?data=planted&task=pairs&models=fm,dcn&row=7")
    drawn(page)
    expect(page.get_by_text("Page not found")).to_have_count(0)
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("Copied.").wait_for(timeout=10_000)
    assert "row=7" in page.evaluate("navigator.clipboard.readText()")
    page.close()


@pytest.mark.skipif("RECSYS_LITE_AXE" not in os.environ, reason="RECSYS_LITE_AXE names no axe.min.js")
@pytest.mark.parametrize(("width", "scheme"), [(1024, "light"), (360, "dark")])
def test_axe_finds_nothing_serious(server, browser, width, scheme):
    page, _ = visit(browser, server, width, 768, scheme)
    page.evaluate(Path(os.environ["RECSYS_LITE_AXE"]).read_text(encoding="utf-8"))
    own = "{exclude: [['[data-testid=stSidebar]']]}"  # that menu is Streamlit's
    found = page.evaluate(f"axe.run({own}, {{resultTypes: ['violations']}})")["violations"]
    assert not [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
    page.close()


@pytest.mark.parametrize(("name", "width", "scheme"), [("desktop", 1280, "light"), ("phone", 360, "dark")])
@pytest.mark.parametrize(("path", "charts"), PAGES)
def test_other_pages_are_whole(server, browser, tmp_path, path, charts, name, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    wrong: list[str] = []
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.goto(f"{server}/{path}")
    page.get_by_text("Which map is more than noise?" if path == "game" else "What you see.").first.wait_for(
        timeout=120_000
    )
    page.wait_for_function(f"document.querySelectorAll('.js-plotly-plot .main-svg').length >= {charts}", timeout=60_000)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    main = page.get_by_test_id("stMain")
    assert main.evaluate("e => e.scrollWidth <= e.clientWidth")
    folder = Path(os.environ.get("RECSYS_LITE_SHOTS", tmp_path))
    page.screenshot(path=folder / f"explorer-{path.split('?')[0]}-{name}.png")
    assert not wrong
    page.close()


def test_a_person_chosen_by_keyboard_stays_in_the_address(server, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{server}/retrieval?models=popularity,ease")
    page.get_by_text("For person 1,").wait_for(timeout=120_000)
    box = page.get_by_role("spinbutton", name=re.compile("Person"))
    box.fill("77")
    box.press("Enter")
    page.get_by_text("For person 77,").wait_for(timeout=30_000)
    page.wait_for_url(re.compile("person=77"))
    page.reload()
    page.get_by_text("For person 77,").wait_for(timeout=60_000)
    page.close()


def test_the_tour_leads_through_the_pages(server, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    wrong: list[str] = []
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.goto(server)
    page.get_by_role("button", name="New here? Take the tour").click(timeout=120_000)
    for place, stop in enumerate(tour.STOPS, 1):
        page.get_by_text(f"Tour, {place} of {len(tour.STOPS)}: {stop.title}").wait_for(timeout=60_000)
        page.get_by_role("heading", level=1).wait_for(timeout=60_000)
        page.wait_for_url(re.compile(f"tour={place}"))
        if stop.question:
            page.get_by_text(stop.choices[stop.right], exact=True).click()
            page.get_by_text(stop.answer[:40]).wait_for(timeout=30_000)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        if place < len(tour.STOPS):
            page.get_by_role("button", name="Next", exact=True).first.click()
    expect(page.get_by_role("button", name="Leave the tour")).to_have_count(1, timeout=30_000)
    page.get_by_role("button", name="Leave the tour").click()
    page.get_by_role("button", name="New here? Take the tour").wait_for(timeout=30_000)
    assert not wrong
    page.close()


def test_ten_visitors_at_once_see_their_own_pages(started, browser):
    """Ten sessions of one server, opened together: each gets its own row, none an error, and the memory is bounded."""
    server, process = started
    pages = [browser.new_page(viewport={"width": 1000, "height": 700}) for _ in range(10)]
    wrong: list[str] = []
    for k, page in enumerate(pages):
        page.on("pageerror", lambda e: wrong.append(str(e)))
        address = f"/?row={100 + k}" if k % 2 else f"/{PAGES[k // 2 % len(PAGES)][0]}"
        page.goto(server + address, wait_until="commit")
    for k, page in enumerate(pages):
        page.get_by_text("What you see.").first.wait_for(timeout=180_000)
        if k % 2:
            expect(page.get_by_role("button", name=f"Row {100 + k}")).to_be_visible(timeout=60_000)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        page.close()  # the server keeps its session for a while
    assert not wrong
    assert memory(process) < MOST_MEMORY, f"{memory(process):.0f} MB"


def test_a_race_plays_waits_and_starts_again(server, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    wrong: list[str] = []
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.goto(f"{server}/race?rows=500&epochs=40&a=fm&b=deepfm")
    page.get_by_test_id("stMain").get_by_role("button", name="Play").click(timeout=120_000)  # not the shelf
    page.get_by_text(re.compile(r"Epoch [3-9] of 40|Epoch \d\d of 40")).first.wait_for(timeout=60_000)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Step: one epoch")).to_be_enabled(timeout=30_000)
    bar, told = page.get_by_text(re.compile(r"Epoch \d+ of 40")).first, ""
    while told != (told := bar.inner_text()):  # the epoch that ran while Pause was clicked may still arrive
        page.wait_for_timeout(3000)
    assert not told.startswith("Epoch 40")  # nothing trains by itself
    page.get_by_role("button", name="Step: one epoch").click()
    page.get_by_text(f"Epoch {int(re.findall(r'[0-9]+', told)[0]) + 1} of 40").first.wait_for(timeout=30_000)
    page.get_by_role("button", name="Reset", exact=True).click()
    page.get_by_text(re.compile(r"Epoch \d+ of 40")).first.wait_for(state="detached", timeout=30_000)
    assert not wrong
    page.close()


def test_a_file_of_the_reader_is_checked_and_trained(server, browser):
    page = browser.new_page(viewport={"width": 360, "height": 900})
    wrong: list[str] = []
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.goto(f"{server}/own_data")
    page.get_by_text("What you see.").first.wait_for(timeout=120_000)
    rows = [f"{20 + k % 50},{'tea' if k % 3 else 'coffee'},{int(k % 3 == 0) ^ int(k % 7 == 0)}" for k in range(400)]
    bad = ["age,drink,taken", *rows]
    bad[16] = "abc,tea,1"  # the header is line 1
    field = page.locator("input[type=file]")
    field.set_input_files({"name": "bad.csv", "mimeType": "text/csv", "buffer": "\n".join(bad).encode()})
    error = page.get_by_test_id("stAlert").first
    error.wait_for(timeout=60_000)
    assert "line 17" in error.inner_text() and "age" in error.inner_text() and "abc" in error.inner_text()
    field.set_input_files({
        "name": "good.csv", "mimeType": "text/csv", "buffer": "\n".join(["age,drink,taken", *rows]).encode(),
    })  # fmt: skip
    page.get_by_text("good.csv has 400 rows").first.wait_for(timeout=60_000)
    page.get_by_role("button", name=re.compile("^Train ")).click()
    page.get_by_text("On the test rows").first.wait_for(timeout=120_000)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert "good" not in page.url and not wrong
    page.close()
