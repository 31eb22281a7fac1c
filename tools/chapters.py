"""Where the chapters lie and what is known about them; shared by the tools."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).parents[1]


def read(name: str, root: Path = ROOT) -> Any:
    """A JSON file of the book."""
    return json.loads((root / "book" / name).read_text(encoding="utf-8"))


def chapters(root: Path = ROOT) -> list[dict[str, Any]]:
    """Metadata of all written chapters, in reading order: the one list that book, explorer, tools and tests read."""
    listed = json.loads((root / "recsys_lite" / "store" / "chapters.json").read_text(encoding="utf-8"))
    return [c for c in listed if "planned" not in c]


def notebook_path(slug: str, root: Path = ROOT) -> Path:
    """The notebook of a chapter."""
    return root / "book" / f"{slug}.ipynb"


def by_tag(notebook: Any, tag: str) -> list[Any]:
    """The cells of a notebook that carry a tag."""
    return [c for c in notebook.cells if tag in c.metadata.get("tags", [])]


def write(path: Path, text: str) -> None:
    """Write beside the file, then rename: an interrupt leaves the old one."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.new")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)


def write_notebook(path: Path, notebook: Any) -> None:
    """Store a notebook; the same content always gives the same text."""
    write(path, nbformat.writes(notebook, version=4).rstrip("\n") + "\n")


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a table in Markdown, in a box of its own that scrolls on a telephone."""
    lines = [" | ".join(cells) for cells in [head, ["---"] * len(head), *rows]]
    return [":::{container} rl-reference", *(f"| {line} |" for line in lines), ":::", ""]
