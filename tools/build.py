"""Build the book into _build/html; it needs no network and runs no notebook.

python tools/build.py            # only what changed
python tools/build.py --clean    # from nothing, as the tests do
python tools/build.py --print    # all on one page, _build/print/recsys-lite.html, and as PDF if there is a Chromium
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PRINT_SECONDS = 300  # for all figures and formulas of one page


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clean", action="store_true", help="remove _build first")
    parser.add_argument("--print", action="store_true", help="one page for printing in the place of many")
    asked = parser.parse_args(arguments)
    if asked.clean:
        shutil.rmtree(root / "_build", ignore_errors=True)
    # -n and -W: a missing reference is a warning, a warning is a failure
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", ".", "-n", "-W", "--keep-going"]
    if asked.print:
        done = subprocess.run([*command, "--builder", "singlehtml"], cwd=root).returncode
        return done or print_book(root)
    built = root / "_build" / "html" / ".built"  # tools/start.py compares the sources with it
    done = subprocess.run([*command, *(["--all"] if look_changed(built, root) else [])], cwd=root).returncode
    if not done:
        built.touch()
    return done


def look_changed(built: Path, root: Path = ROOT) -> bool:
    """Whether what all pages are made with changed since the last build: Sphinx compares the chapters only."""
    parts = [p for part in ("_ext", "_static", "_templates") for p in (root / "book" / part).rglob("*.*")]
    return built.exists() and max(p.stat().st_mtime for p in parts if p.is_file()) > built.stat().st_mtime


def print_book(root: Path = ROOT) -> int:
    """Give the one page its name; print it to PDF with a Chromium, where one is found."""
    target = root / "_build" / "print"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(root / "_build" / "singlehtml", target)
    page = target / "recsys-lite.html"
    (target / "book" / "intro.html").replace(page)  # its links to scripts and styles are those of the folder above
    for left in (target / "book", target / "index.html"):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    browser = next((found for b in BROWSERS if (found := shutil.which(b))), None)
    if browser is None:
        print(f"{page.relative_to(root)}: print it from a browser; there is no Chromium here to make the PDF")
        return 0
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--timeout={PRINT_SECONDS}000"]
    options += ["--no-pdf-header-footer", "--generate-pdf-document-outline"]  # the style sheet numbers the pages
    address = f"{page.as_uri()}?print"  # all folds open, all figures drawn
    done = subprocess.run([browser, *options, f"--print-to-pdf={page.with_suffix('.pdf')}", address])
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
