"""Write what follows from the list of chapters: headers, set-up cells, maps, contents, front page, reference pages.

The list is recsys_lite/store/chapters.json; addresses come from book/site.json, run times from book/run_times.json.

python tools/stamp.py                                        # stamp all chapters
python tools/stamp.py --repository ADDRESS --revision TAG    # put the address into book/site.json, then stamp
python tools/stamp.py --check                                # change nothing; fail if a chapter disagrees
"""

from __future__ import annotations

import argparse
import html
import json
from itertools import groupby
from pathlib import Path
from typing import Any

import apparatus
import front
import nbformat
from chapters import ROOT, by_tag, chapters, notebook_path, read, write, write_notebook
from prose import reading

from recsys_lite.notebook import map_drawing

KEYS = ("app", "repository", "revision", "site")

SETUP = """\
# Set-up, the same in Colab, in Jupyter, in the repository, and in a downloaded folder,
# where a wheel lies beside the notebook.
import importlib.util
import subprocess
import sys
from pathlib import Path

REPOSITORY, REVISION = {repository}, {revision}
if importlib.util.find_spec("recsys_lite") is None:
    sources = [wheel.as_uri() for wheel in Path.cwd().glob("recsys_lite-*.whl")]
    if REPOSITORY:
        sources.append("git+" + REPOSITORY + ("@" + REVISION if REVISION else ""))
    if not sources:
        how = "in a clone of its repository: pip install -e '.[{extras}]'"
        raise ModuleNotFoundError("recsys_lite is missing; " + how)
    command = [sys.executable, "-m", "pip", "install"]
    command.append("recsys-lite[{extras}] @ " + sources[0])
    pipe = {{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}}
    with subprocess.Popen(command, **pipe) as pip:
        for line in pip.stdout:  # PyTorch takes minutes: say what is under way
            print(line[:88].rstrip(), flush=True)
    if pip.returncode:
        raise RuntimeError("pip could not install recsys-lite: see above")
    importlib.invalidate_caches()

import recsys_lite
from recsys_lite.training import seed_everything

seed_everything(0)
print("recsys-lite", recsys_lite.__version__)"""


def site(root: Path = ROOT) -> dict[str, str]:
    """The addresses, checked.

    Raises:
        ValueError: for an unknown or missing key, or a value that is not text.
    """
    found = read("site.json", root)
    if sorted(found) != sorted(KEYS) or not all(isinstance(v, str) for v in found.values()):
        raise ValueError(f"book/site.json: got {found}, expected text for each of {KEYS}")
    return found


def run_time(slug: str, times: dict[str, Any]) -> str:
    """How long a chapter took, in words."""
    if slug not in times:
        return ""
    seconds, cores = times[slug]["seconds"], times[slug]["cores"]
    span = f"{seconds} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    return f"runs in about {span} on {cores} core{'s' if cores > 1 else ''}"


def badges(chapter: dict[str, Any], address: dict[str, str], times: dict[str, Any], minutes: int) -> list[str]:
    """The row under the title; links only where their address is known. ``minutes`` are those of reading it."""
    slug, repository, revision = chapter["slug"], address["repository"], address["revision"] or "main"
    links = []
    if repository.startswith("https://github.com/"):
        place = repository.removesuffix(".git").removeprefix("https://github.com/")
        colab = f"https://colab.research.google.com/github/{place}/blob/{revision}/book/{slug}.ipynb"
        links.append(("Open in Colab", colab))
    if repository.startswith("https://"):
        links.append(("Source", f"{repository.removesuffix('.git')}/blob/{revision}/book/{slug}.ipynb"))
    if address["app"]:
        links.append(("Explorer", f"{address['app'].rstrip('/')}/{chapter['explore']}"))
    row = [f'<a href="{html.escape(url)}">{name}</a>' for name, url in links]
    facts = [chapter["level"], f"{minutes} min to read" if minutes else "", run_time(slug, times)]
    facts.append(f"{chapter['ram']} memory")
    if chapter["data"]:
        facts.append(f"data: {chapter['data']}")
    row += ['<span class="rl-download"></span>', *(f"<span>{html.escape(f)}</span>" for f in facts if f)]
    if chapter["paper"]:  # the whole title stands in the references
        authors, _, title = chapter["paper"].partition(", ")
        row.append(f'<span title="{html.escape(title)}">{html.escape(authors)}, {chapter["year"]}</span>')
    return row  # the book turns the empty download badge into a link to the notebook


def header(
    chapter: dict[str, Any], address: dict[str, str], times: dict[str, Any], titles: dict[str, str], minutes: int = 0
) -> str:
    """The text of a chapter's first cell."""
    explorer = f"http://localhost:8501/{chapter['explore']}"
    lines = [
        f"# {chapter['title']}",
        f'<p class="rl-idea">{html.escape(chapter["idea"])}</p>',
        '<div class="rl-badges">\n' + "\n".join(badges(chapter, address, times, minutes)) + "\n</div>",
    ]
    told = []
    if chapter["requires"]:
        links = " and ".join(f"[{titles[slug]}]({slug}.ipynb)" for slug in chapter["requires"])
        told.append(f"Read before: {links}.")
    if not address["app"]:
        place = html.escape(chapter["explore"])  # page.js makes it a link where `make start` serves both
        told.append(
            f'Explorer: <span class="rl-explorer" data-place="{place}">run <code>make app</code> in a clone of the '
            f"repository and open <code>{html.escape(explorer)}</code></span>."
        )
    if told:
        lines.append(" ".join(told))
    return "\n\n".join(lines)


def setup(address: dict[str, str], extras: str = "plots") -> str:
    """The text of a chapter's set-up cell."""
    quoted = {key: json.dumps(address[key], ensure_ascii=False) for key in ("repository", "revision")}
    return SETUP.format(**quoted, extras=extras)


def stamped(notebook: Any, header_text: str, setup_text: str, slug: str) -> Any:
    """The notebook with both cells rewritten, and its map of the book drawn again where one is stored.

    Raises:
        ValueError: unless exactly one cell has the tag ``header`` and one has ``setup``.
    """
    wanted = {"header": header_text, "setup": setup_text}
    for tag, text in wanted.items():
        cells = by_tag(notebook, tag)
        if len(cells) != 1:
            raise ValueError(f"{slug}: got {len(cells)} cells with the tag {tag!r}, expected 1")
        cells[0].source = text
        if tag == "setup":  # the book folds it and what it prints: nobody reads them twice
            cells[0].metadata["tags"] = sorted({*cells[0].metadata["tags"], "hide-cell"} - {"hide-input"})
    for cell in notebook.cells:  # the map that here(slug) drew before another chapter was written
        for output in cell.get("outputs", []):
            if output.get("data", {}).get("text/plain", "").startswith("[drawing] Map of the book"):
                output["data"] |= map_drawing(slug)
    return notebook


def contents(listed: list[dict[str, Any]]) -> str:
    """The text of ``_toc.yml``: the written chapters by part, then the pages to look things up on."""
    lines = [
        "# written by tools/stamp.py from recsys_lite/store/chapters.json",
        "format: jb-book",
        "root: book/intro",
        "parts:",
    ]
    for part, those in groupby(listed, key=lambda c: c["part"]):
        lines += [f"  - caption: {part}", "    chapters:", *(f"      - file: book/{c['slug']}" for c in those)]
    lines += ["  - caption: Reference", "    chapters:", *(f"      - file: book/{name}" for name in apparatus.PAGES)]
    return "\n".join([*lines, ""])


def pages(root: Path) -> dict[Path, str]:
    """The other files that follow from the list of chapters, with the text that they should have."""
    toc, intro = root / "_toc.yml", root / "book" / "intro.md"
    made = {toc: contents(chapters(root)), intro: front.filled(intro.read_text(encoding="utf-8"), front.blocks(root))}
    return made | apparatus.pages(root)  # they link to the chapters that are written


def stamp(root: Path = ROOT, check: bool = False) -> list[str]:
    """Stamp all chapters that exist, and the pages that list them; return the names of those that disagreed."""
    address, times, wrong = site(root), read("run_times.json", root), []
    titles = {c["slug"]: c["title"] for c in chapters(root)}
    wrong += apparatus.update(pages(root), check)
    for chapter in chapters(root):
        path = notebook_path(chapter["slug"], root)
        if not path.exists():
            continue
        notebook = nbformat.read(path, as_version=4)
        before = nbformat.writes(notebook)
        after = stamped(
            notebook,
            header(chapter, address, times, titles, reading(notebook).minutes),
            setup(address, chapter.get("extras", "plots")),
            chapter["slug"],
        )
        if nbformat.writes(after) != before:
            wrong.append(path.name)
            if not check:
                write_notebook(path, after)
    return wrong


def main(arguments: list[str] | None = None, root: Path = ROOT) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a chapter disagrees")
    for key in KEYS:
        parser.add_argument(f"--{key}", help=f"put this into book/site.json as {key!r}; '' empties it")
    given = vars(parser.parse_args(arguments))
    check = given.pop("check")
    changes = {key: value for key, value in given.items() if value is not None}
    if changes and check:
        parser.error("--check changes nothing: give it no addresses")
    if changes:
        write(root / "book" / "site.json", json.dumps(site(root) | changes, indent=1, sort_keys=True) + "\n")
    wrong = stamp(root, check)
    if wrong and check:
        raise SystemExit(
            f"{', '.join(wrong)}: not as book/site.json and recsys_lite/store/chapters.json say; "
            "run: python tools/stamp.py"
        )
    print("agree" if not wrong else "stamped " + ", ".join(wrong))


if __name__ == "__main__":
    main()
