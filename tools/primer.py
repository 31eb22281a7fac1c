"""The page *From the primer to this book*: each statement of the primer, and where the book treats it.

``book/primer/lines.json`` has the lines of the primer that state something, and its sections. A chapter's answers stand
in ``book/primer/<slug>.json``: ``lines`` [first, last], ``claim`` in our words, ``answer``, ``where`` (a heading of the
chapter) and ``short``, what the chapter says or found.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
from chapters import ROOT, chapters, notebook_path, read, table

ANSWERS = ("explained", "measured", "corrected", "cited")
INTRODUCTION = """\
The book started from a primer on architectures {{cite:p}}`{source}`. Each of its statements is listed here, in our
words, with the place where the book treats it. *Explained*: derived or illustrated. *Measured*: there is an experiment.
*Corrected*: the paper, or an experiment, says otherwise; see also the [errata](errata.md). *Cited*: a result that only
its authors can measure. Counts: {counts}."""


def answers(root: Path = ROOT) -> list[dict[str, Any]]:
    """All answers with the chapter's slug, in the order of the primer.

    Raises:
        ValueError: naming the file, for an answer without a key, of an unknown kind, or with lines in no order.
    """
    found = []
    for chapter in chapters(root):
        path = root / "book" / "primer" / f"{chapter['slug']}.json"
        for entry in json.loads(path.read_text(encoding="utf-8")) if path.exists() else []:
            lacking = {"lines", "claim", "answer", "where", "short"} - set(entry)
            if lacking or entry["answer"] not in ANSWERS or not entry["lines"][0] <= entry["lines"][1]:
                raise ValueError(f"{path.name}: {entry} needs lines, claim, where, short and an answer of {ANSWERS}")
            found.append(entry | {"slug": chapter["slug"]})
    return sorted(found, key=lambda e: (e["lines"], e["slug"]))


def left_open(root: Path = ROOT) -> list[int]:
    """The lines of the primer that no chapter answers."""
    said = {line for e in answers(root) for line in range(e["lines"][0], e["lines"][1] + 1)}
    content = read("primer/lines.json", root)["content"]
    return [line for first, last in content for line in range(first, last + 1) if line not in said]


def headings(slug: str, root: Path = ROOT) -> list[str]:
    """The headings of a chapter, and the summaries of its folds."""
    notebook = nbformat.read(notebook_path(slug, root), as_version=4)
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    folds = [re.sub(r"<[^>]+>", "", s) for s in re.findall(r"<summary>(.*?)</summary>", text, re.DOTALL)]
    return [h.strip() for h in re.findall(r"^#+ +(.+)$", text, re.MULTILINE)] + [" ".join(f.split()) for f in folds]


def page(root: Path = ROOT) -> str:
    """The text of the page: a table for each section of the primer."""
    about, said = read("primer/lines.json", root), answers(root)
    place = {c["slug"]: f"[{c['short']}]({c['slug']}.ipynb)" for c in chapters(root)}
    counts = ", ".join(f"{sum(e['answer'] == kind for e in said)} {kind}" for kind in ANSWERS)
    lines = ["# From the primer to this book", "", "<!-- written by tools/primer.py from book/primer/ -->", ""]
    lines += [INTRODUCTION.format(source=about["source"], counts=counts), ""]
    for section in about["sections"]:
        first, last = section["lines"]
        rows = [
            [
                _cell(e["claim"]),
                e["answer"],
                _cell(e["short"]),
                f"{place[e['slug']]}: {e['where']}",
            ]
            for e in said
            if first <= e["lines"][0] <= last
        ]
        if rows:
            lines += [f"## {section['title']}", "", *table(["the primer", "answer", "this book", "where"], rows)]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """A bar would end the cell of a table."""
    return " ".join(text.replace("|", r"\|").split())
