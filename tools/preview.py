"""Draw book/_static/preview.png, the picture that a shared link unfolds into; it needs a Chromium.

python tools/preview.py
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from build import BROWSERS
from chapters import ROOT
from playwright.sync_api import sync_playwright

from recsys_lite.plots.diagrams import architecture

SHOWN = ("fm", "deepfm", "dcn_v2")
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; width: 1200px; height: 630px; font-family: system-ui, sans-serif; background: #fbfbf8;
  color: #1c2430; box-sizing: border-box; padding: 56px 64px; overflow: hidden; }}
h1 {{ font-size: 68px; margin: 0 0 12px; }} p {{ font-size: 31px; margin: 0 0 30px; line-height: 1.3; opacity: .85; }}
div {{ display: flex; gap: 36px; align-items: flex-start; }} svg {{ width: 332px; height: auto; }}
</style><h1>recsys-lite</h1><p>Recommender architectures that run: every formula derived,<br>coded and measured.</p>
<div>{drawings}</div>"""


def main() -> None:
    browser = next((found for b in BROWSERS if (found := shutil.which(b))), None)
    if browser is None:
        raise SystemExit("tools/preview.py needs Chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = Path(folder) / "preview.html"
        page_file.write_text(PAGE.format(drawings="".join(map(architecture, SHOWN))), encoding="utf-8")
        page = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page(
            viewport={"width": 1200, "height": 630}
        )
        page.goto(page_file.as_uri())
        page.screenshot(path=ROOT / "book" / "_static" / "preview.png")


if __name__ == "__main__":
    main()
