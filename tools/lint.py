"""Check the chapters against the template. Prints each breach; fails if there is one."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from chapters import BOOK, by_tag, chapters, notebook_path

SECTIONS = [
    "At a glance", "Why", "By hand", "Theory", "From scratch", "In the library", "Known answer", "Real data",
    "Look inside", "Ablation", "Cost and practice", "Your turn", "Compare", "Summary", "References",
]  # fmt: skip
OPTIONAL = {"overview": {"Ablation"}}
MOST_LINES = 25
MOST_BYTES = 2_000_000
REMOTE = re.compile(
    r"""(?:src|href)=["']https?://[^"']+\.(?:js|css|png|svg|jpe?g|gif|woff2?)["']|!\[[^]]*\]\(https?://"""
)
LEVELS = ("★", "★★", "★★★")


def source(cell: Any) -> str:
    return cell.source


def lint(path: Path, slug: str, keys: set[str]) -> list[str]:
    """All breaches of one notebook."""
    notebook = nbformat.read(path, as_version=4)
    rules = (header, sections, cells, pictures, remote, outputs, exercises, citations, size)
    found = [message for rule in rules for message in rule(notebook, path, slug, keys)]
    return [f"{path.name}: {message}" for message in found]


def header(notebook: Any, path: Path, slug: str, keys: set[str]) -> list[str]:
    tags = [t for c in notebook.cells for t in c.metadata.get("tags", [])]
    return [f"expected one cell tagged {t!r}, found {tags.count(t)}" for t in ("header", "setup") if tags.count(t) != 1]


def sections(notebook: Any, path: Path, slug: str, keys: set[str]) -> list[str]:
    text = "\n".join(source(c) for c in notebook.cells if c.cell_type == "markdown")
    found = re.findall(r"^## (.+?)\s*$", text, re.M)
    wanted = [s for s in SECTIONS if s not in OPTIONAL.get(slug, set()) or s in found]
    return [] if found == wanted else [f"sections are {found}, expected {wanted}"]


def cells(notebook: Any, path: Path, slug: str, keys: set[str]) -> list[str]:
    messages = []
    for k, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        lines = source(cell).count("\n") + 1
        if lines > MOST_LINES and "setup" not in cell.metadata.get("tags", []):
            messages.append(f"cell {k} has {lines} lines, at most {MOST_LINES} are allowed")
        if k == 0 or notebook.cells[k - 1].cell_type != "markdown":
            messages.append(f"cell {k}: no sentence before it says what to look for")
        if re.search(r"^\s*[!%]\s*pip|pip install", source(cell), re.M) and "setup" not in cell.metadata.get(
            "tags", []
        ):
            messages.append(f"cell {k} installs something; only the set-up cell may")
    return messages


def pictures(notebook: Any, path: Path, slug: str, keys: set[str]) -> list[str]:
    messages = []
    for k, cell in enumerate(notebook.cells):
        for alt in re.findall(r"!\[([^]]*)\]\(", source(cell)) if cell.cell_type == "markdown" else []:
            if len(alt) < 15:
                messages.append(f"cell {k}: alt text {alt!r} says too little")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            markup = str(data.get("text/html", ""))
            images = re.findall(r"<(?:img|svg)[^>]*>", markup)
            if images and "aria-label=" not in markup and "alt=" not in markup:
                messages.append(f"cell {k}: a picture without alt text")
            if any(kind in data for kind in ("image/png", "image/svg+xml")):
                messages.append(f"cell {k}: a bare picture; show it with recsys_lite.notebook.show or show_svg")
            if "application/vnd.plotly.v1+json" in data and "rl-plotly" not in markup:
                messages.append(f"cell {k}: a plotly figure that the book cannot draw; use recsys_lite.notebook.show")
    return messages


def remote(notebook: Any, path: Path, slug: str, keys: set[str]) -> list[str]:
    text = nbformat.writes(notebook).replace('\\"', '"')
    return [f"remote asset {m}" for m in sorted(set(REMOTE.findall(text)))]


def outputs(notebook: Any, path: Path, slug: str, keys: set[str]) -> list[str]:
    code = [c for c in notebook.cells if c.cell_type == "code"]
    messages = [f"cell stores an error: {o.ename}" for c in code for o in c.outputs if o.output_type == "error"]
    if not any(c.outputs for c in code):
        messages.append("no stored outputs; run tools/execute.py")
    if any(c.execution_count is None for c in code):
        messages.append("a code cell was not run; run tools/execute.py")
    return messages


def exercises(notebook: Any, path: Path, slug: str, keys: set[str]) -> list[str]:
    text = "\n".join(source(c) for c in notebook.cells if c.cell_type == "markdown")
    levels = re.findall(r"\*\*Exercise[^*\n★]*(★+)", text)
    messages = [f"no exercise of level {level}" for level in LEVELS if level not in levels]
    if len(by_tag(notebook, "solution")) < len(levels):
        messages.append(f"{len(levels)} exercises but {len(by_tag(notebook, 'solution'))} cells tagged 'solution'")
    if text.count("<details") < 4:
        messages.append("fewer than four quiz answers (<details>)")
    return messages


def citations(notebook: Any, path: Path, slug: str, keys: set[str]) -> list[str]:
    text = "\n".join(source(c) for c in notebook.cells if c.cell_type == "markdown")
    cited = {k.strip() for group in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text) for k in group.split(",")}
    return [f"citation {key!r} is not in references.bib" for key in sorted(cited - keys)]


def size(notebook: Any, path: Path, slug: str, keys: set[str]) -> list[str]:
    html = sum(len(str(o.get("data", {}).get("text/html", ""))) for c in notebook.cells for o in c.get("outputs", []))
    return [f"its outputs make a page of {html} bytes, at most {MOST_BYTES}"] if html > MOST_BYTES else []


def bibliography() -> set[str]:
    """Keys of the references."""
    return set(re.findall(r"^@\w+\{([^,]+),", (BOOK / "references.bib").read_text(encoding="utf-8"), re.M))


def main() -> None:
    keys = bibliography()
    messages = []
    for chapter in chapters():
        path = notebook_path(chapter["slug"])
        messages += lint(path, chapter["slug"], keys) if path.exists() else [f"{path.name} is missing"]
    print("\n".join(messages) or f"{len(chapters())} chapters follow the template")
    sys.exit(bool(messages))


if __name__ == "__main__":
    main()
