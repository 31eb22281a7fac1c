"""Check the chapters against the template; print each breach; fail if there is one.

python tools/lint.py                       # all chapters and pages
python tools/lint.py book/overview.ipynb   # one
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lint_reference
import nbformat
from chapters import ROOT, by_tag, chapters, notebook_path
from lint_reference import MOST_BYTES, REMOTE, citations, symbols, text_of

SECTIONS = [
    "At a glance", "Why", "By hand", "Theory", "From scratch", "In the library", "Known answer", "Real data",
    "Look inside", "Ablation", "Cost and practice", "Your turn", "Compare", "Summary", "References",
]  # fmt: skip
MOST_LINES = 25
LEAST_ALT = 15
LEAST_QUIZ = 4
LEVELS = ("★", "★★", "★★★")
SHOWING = {"show": 1, "show_svg": 1, "explore": None}  # place of alt, or only by name
TRACES = {"scatter", "bar", "heatmap", "waterfall"}  # what the book's plotly draws: book/_static/vendor/VENDOR.md
EXERCISE = re.compile(r"^(?:#{3,5}\s+|\*\*)[^\n★]{0,20}?(★{1,3})(?!★)", re.MULTILINE)


def tags(cell: Any) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def code(notebook: Any) -> Iterator[tuple[int, Any]]:
    """The code cells with their places."""
    return ((k, c) for k, c in enumerate(notebook.cells) if c.cell_type == "code")


def generated(notebook: Any, chapter: dict[str, Any]) -> Iterator[str]:
    """One header, first of all; one set-up cell, before all other code."""
    for tag in ("header", "setup"):
        if len(by_tag(notebook, tag)) != 1:
            yield f"expected one cell tagged {tag!r}, found {len(by_tag(notebook, tag))}"
    if notebook.cells and "header" not in tags(notebook.cells[0]):
        yield "the first cell is not the one tagged 'header'"
    first = next((c for _, c in code(notebook)), None)
    if first is not None and "setup" not in tags(first):
        yield "the first code cell is not the one tagged 'setup'"


def sections(notebook: Any, chapter: dict[str, Any]) -> Iterator[str]:
    """The template's headings, all and in order; a heading may go on after a colon."""
    plain = re.sub(r"^```.*?^```", "", text_of(notebook), flags=re.MULTILINE | re.DOTALL)
    found = [h.split(":")[0].strip() for h in re.findall(r"^## (.+)$", plain, re.MULTILINE)]
    wanted = chapter.get("sections", SECTIONS)
    if found != wanted:
        missing, extra = [s for s in wanted if s not in found], [s for s in found if s not in wanted]
        yield f"sections: missing {missing}, unknown {extra}, order found {found}"


def cells(notebook: Any, chapter: dict[str, Any]) -> Iterator[str]:
    """Short code cells, each with words before it; only the set-up cell installs."""
    for k, cell in code(notebook):
        if "setup" in tags(cell):
            continue
        lines = cell.source.count("\n") + 1
        if lines > MOST_LINES:
            yield f"cell {k} has {lines} lines, at most {MOST_LINES} are allowed"
        if k == 0 or notebook.cells[k - 1].cell_type != "markdown":
            yield f"cell {k}: no markdown cell before it says what to look for"
        if re.search(r"\bpip3?\s+install\b|\bconda\s+install\b", cell.source):
            yield f"cell {k} installs something; only the set-up cell may"


def alt_texts(notebook: Any, chapter: dict[str, Any]) -> Iterator[str]:
    """Every figure says in words what it shows, where it is made and where it is stored."""
    for k, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            short = [a for a in re.findall(r"!\[([^\]]*)\]\(", cell.source) if len(a.strip()) < LEAST_ALT]
            yield from (f"cell {k}: alt text {a!r} has fewer than {LEAST_ALT} characters" for a in short)
            yield from missing_alt(k, cell.source)
            continue
        yield from silent_calls(k, cell.source)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            markup = str(data.get("text/html", ""))
            yield from missing_alt(k, markup)
            if any(kind.startswith("image/") for kind in data):
                yield f"cell {k} stores a bare picture; use recsys_lite.notebook.show or show_svg"
            if "application/vnd.plotly.v1+json" in data and "rl-plotly" not in markup:
                yield f"cell {k} stores a plotly figure that the book cannot draw; use recsys_lite.notebook.show"


def traces(notebook: Any, chapter: dict[str, Any]) -> Iterator[str]:
    """Every stored figure is of a kind that the book's part of plotly draws; others it would draw as lines."""
    for k, cell in code(notebook):
        for output in cell.outputs:
            figure = output.get("data", {}).get("application/vnd.plotly.v1+json", {})
            for kind in sorted({t.get("type", "scatter") for t in figure.get("data", [])} - TRACES):
                yield f"cell {k} stores a figure of type {kind!r}, expected one of {sorted(TRACES)}"


def missing_alt(k: int, markup: str) -> Iterator[str]:
    """Images and drawings in HTML without a label."""
    for image in re.findall(r"<img\b[^>]*>", markup):
        said = re.search(r"""\balt\s*=\s*["']([^"']*)["']""", image)
        if not said or len(said[1].strip()) < LEAST_ALT:
            yield f"cell {k}: an image has no alt text of {LEAST_ALT} characters"
    labels = re.findall(r'aria-label="([^"]*)"', markup)
    if ("<svg" in markup or "rl-plotly" in markup) and not any(len(label.strip()) >= LEAST_ALT for label in labels):
        yield f"cell {k}: a figure has no label of {LEAST_ALT} characters"


def silent_calls(k: int, source: str) -> Iterator[str]:
    """Calls of show, show_svg and explore without alt text, or with too short a one."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a line of IPython
        return
    for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        if name not in SHOWING or (isinstance(call.func, ast.Attribute) and name == "show" and not call.args):
            continue  # figure.show() is plotly's own
        place = SHOWING[name]
        given = [w.value for w in call.keywords if w.arg == "alt"]
        given += call.args[place : place + 1] if place is not None else []
        if not given:
            yield f"cell {k}: {name}() without alt"
        elif isinstance(given[0], ast.Constant) and len(str(given[0].value).strip()) < LEAST_ALT:
            yield f"cell {k}: {name}() with an alt of fewer than {LEAST_ALT} characters"


def remote(notebook: Any, chapter: dict[str, Any]) -> Iterator[str]:
    """Nothing is loaded from elsewhere."""
    for k, cell in enumerate(notebook.cells):
        texts = [cell.source] if cell.cell_type == "markdown" else []
        texts += [str(o.get("data", {}).get("text/html", "")) for o in cell.get("outputs", [])]
        for found in sorted({m for text in texts for m in REMOTE.findall(text)}):
            yield f"cell {k} loads from elsewhere: {found[:120]}"


def outputs(notebook: Any, chapter: dict[str, Any]) -> Iterator[str]:
    """All code has run, in order, without errors and without noise on stderr."""
    counts = [c.execution_count for _, c in code(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield "outputs are missing or not those of one run from the top; run tools/execute.py"
    for k, cell in code(notebook):
        for output in cell.outputs:
            if output.output_type == "error" and "raises-exception" not in tags(cell):
                yield f"cell {k} stores an error: {output.ename}"
            if output.get("name") == "stderr":
                yield f"cell {k} stores warnings: {output.text.strip()[:80]!r}"
    shown = [
        k for k, c in code(notebook) if re.search(r"^(show|show_svg|show_table|explore|here|tabs)\(", c.source, re.M)
    ]
    yield from (f"cell {k} shows something but stores no output" for k in shown if not notebook.cells[k].outputs)


def exercises(notebook: Any, chapter: dict[str, Any]) -> Iterator[str]:
    """Exercises of all three levels, each followed by its executed solution."""
    if chapter.get("reference"):  # a page to look things up on has nothing to practise
        return
    open_level, seen = "", set()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for level in EXERCISE.findall(cell.source):
                if open_level:
                    yield f"an exercise {open_level} has no solution before the next one"
                open_level = level
                seen.add(level)
        elif "solution" in tags(cell):
            open_level = ""
            if "hide-cell" not in tags(cell):
                yield "a solution is not tagged 'hide-cell'"
    if open_level:
        yield f"the last exercise {open_level} has no solution"
    yield from (f"no exercise of level {level}" for level in LEVELS if level not in seen)


def quiz(notebook: Any, chapter: dict[str, Any]) -> Iterator[str]:
    """A few questions whose answers fold."""
    text = text_of(notebook)
    if text.count("<details") < LEAST_QUIZ and not chapter.get("reference"):
        yield f"fewer than {LEAST_QUIZ} quiz items (<details>)"
    if text.count("<details") != text.count("</details>") or text.count("<summary") != text.count("</summary>"):
        yield "a <details> or <summary> is not closed"


def size(notebook: Any, chapter: dict[str, Any]) -> Iterator[str]:
    """A page that a telephone can load."""
    total = len(text_of(notebook).encode()) + len(str(notebook.metadata.get("widgets", "")).encode())
    for _, cell in code(notebook):
        total += len(cell.source.encode())
        total += sum(len(str(o.get("data", {}).get("text/html", o.get("text", ""))).encode()) for o in cell.outputs)
    if total > MOST_BYTES:
        yield f"makes a page of {total / 1e6:.1f} MB, at most {MOST_BYTES / 1e6:g} MB are allowed"


RULES = (generated, sections, cells, alt_texts, traces, remote, outputs, exercises, quiz, citations, symbols, size)


def lint(notebook: Any, chapter: dict[str, Any]) -> list[str]:
    """All breaches of one notebook."""
    return [breach for rule in RULES for breach in rule(notebook, chapter)]


def main(arguments: list[str]) -> int:
    wanted = {Path(a).stem for a in arguments}
    known = [c for c in chapters() if not wanted or c["slug"] in wanted]
    found = [f"{slug}: not in recsys_lite/store/chapters.json" for slug in sorted(wanted - {c["slug"] for c in known})]
    for chapter in known:
        path = notebook_path(chapter["slug"])
        breaches = lint(nbformat.read(path, as_version=4), chapter) if path.exists() else ["is missing"]
        found += [f"{path.name}: {breach}" for breach in breaches]
    for path in [] if wanted else sorted((ROOT / "book").glob("*.md")):
        found += [f"{path.name}: {breach}" for breach in lint_reference.page(path.read_text(encoding="utf-8"))]
    print("\n".join(found) or f"{len(known)} chapters follow the template")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
