"""Lines of code and of text output in the chapters that are wider than the page.

python tools/widths.py                       # all chapters
python tools/widths.py book/overview.ipynb   # one
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from chapters import chapters, notebook_path
from prose import FOLDED

MOST_COLUMNS = 88
SHOWN_FIRST = ("text/html", "text/markdown", "image/svg+xml", "text/latex")  # where one is stored, text is not shown


class Wide(NamedTuple):
    """A line that is too wide."""

    cell: int
    kind: str  # "code" or "output"
    folded: bool
    columns: int
    text: str


def shown_text(output: Any) -> str:
    """What the page shows of an output as text in a box."""
    if output.output_type == "stream":
        return output.text
    data = output.get("data", {})
    return "" if any(kind in data for kind in SHOWN_FIRST) else data.get("text/plain", "")


def wide(notebook: Any) -> Iterator[Wide]:
    """The lines of a notebook that are too wide; the set-up cell is the same everywhere and not counted."""
    for place, cell in enumerate(notebook.cells):
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type != "code" or "setup" in tags:
            continue
        texts = [("code", cell.source, bool(tags & FOLDED))]
        hidden = bool(tags & {"hide-output", "hide-cell", "remove-output", "remove-cell"})
        texts += [("output", shown_text(output), hidden) for output in cell.outputs]
        for kind, text, folded in texts:
            for line in text.split("\n"):
                if len(line) > MOST_COLUMNS:
                    yield Wide(place, kind, folded, len(line), line)


def main(arguments: list[str]) -> int:
    slugs = [Path(a).stem for a in arguments] or [c["slug"] for c in chapters()]
    count = 0
    for slug in slugs:
        for one in wide(nbformat.read(notebook_path(slug), as_version=4)):
            count += 1
            where = "folded" if one.folded else "open"
            print(f"{slug}, cell {one.cell}, {where} {one.kind}, {one.columns} columns: {one.text.strip()[:60]}")
    print(f"{count} lines of more than {MOST_COLUMNS} columns")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
