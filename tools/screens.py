"""Take the pictures of the README: the built book and the running explorer; they need a Chromium.

    python tools/screens.py           # book/_static/screens.png and book/_static/explorer.png

Build the book before (``make book``); the explorer is started on a free port and ended again.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from io import BytesIO
from pathlib import Path

from build import BROWSERS
from chapters import ROOT
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

STATIC = ROOT / "book" / "_static"
SCREENS = [("intro", 1200, "light"), ("dcn_v2", 1200, "dark"), ("dcn_v2", 360, "light")]  # page, width, colours
HEIGHT, GAP, SHOWN = 900, 24, 0.5  # of a screen; between screens; their scale in the picture
COLOURS = 128
SECONDS = 120


def screen(page: Page, width: int | None = None) -> Image.Image:
    """What a page shows, without what lies below the window."""
    picture = Image.open(BytesIO(page.screenshot()))
    return picture if width is None else picture.resize((width, round(picture.height * width / picture.width)))


def opened(browser: Browser, address: str, width: int, colours: str) -> Page:
    """A page in a window of a width, in light or dark."""
    page = browser.new_page(viewport={"width": width, "height": HEIGHT}, color_scheme=colours)
    page.goto(address)
    page.wait_for_timeout(4000)  # figures move into place
    return page


def book(browser: Browser) -> None:
    """Front page in light, a chapter in dark, and the same on a telephone, beside each other."""
    html = ROOT / "_build" / "html" / "book"
    shown = []
    for name, width, colours in SCREENS:
        page = opened(browser, (html / f"{name}.html").as_uri(), width, colours)
        shown.append(screen(page, round(width * SHOWN)))
        page.close()
    whole = Image.new("RGB", (sum(s.width for s in shown) + GAP * (len(shown) - 1), shown[0].height), "white")
    left = 0
    for part in shown:
        whole.paste(part, (left, 0))
        left += part.width + GAP
    whole.quantize(COLOURS).save(STATIC / "screens.png", optimize=True)


def explorer(browser: Browser) -> None:
    """The first screen of the explorer."""
    with closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "app", "--server.headless=true", f"--server.port={port}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address, until = f"http://127.0.0.1:{port}", time.time() + SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
                break
            except OSError:
                if process.poll() is not None or time.time() > until:
                    raise SystemExit("the explorer did not start") from None
                time.sleep(0.5)
        page = opened(browser, address, 1200, "light")
        page.locator(".cell").first.wait_for(timeout=SECONDS * 1000)
        page.wait_for_timeout(2000)
        screen(page).quantize(COLOURS).save(STATIC / "explorer.png", optimize=True)
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    found = next((path for b in BROWSERS if (path := shutil.which(b))), None)
    if found is None or not (ROOT / "_build" / "html" / "book" / "intro.html").exists():
        raise SystemExit("tools/screens.py needs Chromium and a built book: make book")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        book(browser)
        explorer(browser)
        browser.close()
    for name in ("screens", "explorer"):
        size = (STATIC / f"{name}.png").stat().st_size
        print(f"{Path('book/_static') / name}.png: {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
