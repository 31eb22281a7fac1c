"""Write each chapter's header and set-up cell from book/site.json, book/chapters.json and book/run_times.json.

    python tools/stamp.py                                        stamp all chapters
    python tools/stamp.py --repository URL --revision TAG        set the address first
    python tools/stamp.py --check                                fail if a chapter disagrees

The address of the repository stands in book/site.json and nowhere else.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import nbformat
from chapters import BOOK, by_tag, chapters, notebook_path

from recsys_lite.store import write_aside, write_json

SITE = BOOK / "site.json"


def header(chapter: dict[str, Any], site: dict[str, str], times: dict[str, Any], titles: dict[str, str]) -> str:
    """The first cell of a chapter, Markdown."""
    slug = chapter["slug"]
    badges = []
    repository = site["repository"].removesuffix(".git")
    if repository.startswith("https://github.com/"):
        path = f"{repository.removeprefix('https://github.com/')}/blob/{site['revision']}/book/{slug}.ipynb"
        badges.append(f'<a href="https://colab.research.google.com/github/{path}">Open in Colab</a>')
        badges.append(f'<a href="https://github.com/{path}">Source</a>')
    if site["app"]:
        badges.append(f'<a href="{site["app"]}/?chapter={slug}">Open in the explorer</a>')
    if slug in times:
        badges.append(f"<span>about {readable(times[slug]['seconds'])} on {times[slug]['cores']} cores</span>")
    badges.append(f"<span>{chapter['ram']} of memory</span>")
    badges.append(f"<span>{chapter['level']}</span>")
    if chapter["year"]:
        badges.append(f"<span>{chapter['paper']}, {chapter['year']}</span>")
    needs = ", ".join(f"[{titles[r]}]({r}.ipynb)" for r in chapter["requires"]) or "PyTorch basics, no recommender systems"
    return (
        f"# {chapter['title']}\n\n<p class=\"rl-idea\">{chapter['idea']}</p>\n\n"
        f'<div class="rl-badges">{"".join(badges)}</div>\n\n**Before this:** {needs}. **Data:** {chapter["data"]}.'
    )


def readable(seconds: float) -> str:
    """A running time in words."""
    return f"{max(10, round(seconds / 10) * 10)} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def setup(site: dict[str, str]) -> str:
    """The set-up cell, Python: it installs the package only from the stamped address."""
    if site["repository"]:
        address = f"recsys-lite[plots] @ git+{site['repository']}@{site['revision'] or 'main'}"
        install = f'    import subprocess, sys\n\n    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "{address}"], check=True)'
    else:
        install = "    raise SystemExit(\"recsys_lite is not installed: in a clone of the book's repository, run  pip install '.[plots]'\")"
    return (
        "# Set-up: the only cell that installs anything, and only where recsys_lite is missing.\n"
        "import importlib.util\n\n"
        f'if importlib.util.find_spec("recsys_lite") is None:\n{install}\n\n'
        "import recsys_lite\nfrom recsys_lite.train import seed_everything\n\nseed_everything(0)\n"
        'print("recsys_lite", recsys_lite.__version__)'
    )


def stamped(path: Path, chapter: dict[str, Any], context: tuple[Any, Any, Any]) -> tuple[Any, bool]:
    """The notebook with its two cells written, and whether that changed it."""
    site, times, titles = context
    notebook = nbformat.read(path, as_version=4)
    changed = False
    for tag, text in (("header", header(chapter, site, times, titles)), ("setup", setup(site))):
        cells = by_tag(notebook, tag)
        if len(cells) != 1:
            raise SystemExit(f"{path.name}: expected one cell tagged {tag!r}, found {len(cells)}")
        changed |= cells[0].source != text
        cells[0].source = text
    return notebook, changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    for name in ("repository", "revision", "app", "site"):
        parser.add_argument(f"--{name}", help="set it in book/site.json first")
    arguments = vars(parser.parse_args())
    site = json.loads(SITE.read_text(encoding="utf-8"))
    given = {k: v for k, v in arguments.items() if k != "check" and v is not None}
    if given:
        site |= given
        write_json(SITE, site)
    times = json.loads((BOOK / "run_times.json").read_text(encoding="utf-8"))
    titles = {c["slug"]: c["title"] for c in chapters()}
    stale = []
    for chapter in chapters():
        path = notebook_path(chapter["slug"])
        notebook, changed = stamped(path, chapter, (site, times, titles))
        if changed and arguments["check"]:
            stale.append(path.name)
        elif changed:
            text = nbformat.writes(notebook) + "\n"
            write_aside(path, lambda p, text=text: p.write_text(text, encoding="utf-8"))  # type: ignore[misc]
            print("stamped", path.name)
    if stale:
        raise SystemExit(f"these chapters disagree with book/site.json and friends, run `make stamp`: {stale}")


if __name__ == "__main__":
    main()
