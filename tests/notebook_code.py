"""Definitions of a chapter, so that tests run the code that readers see."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat

from recsys_lite.store.chapters import CHAPTERS

ROOT = Path(__file__).parents[1]


def definitions(path: str) -> SimpleNamespace:
    """The functions, classes and imports of a notebook's code cells, in order; nothing else of it is run."""
    kept: list[ast.stmt] = []
    for cell in nbformat.read(ROOT / path, as_version=4).cells:
        if cell.cell_type == "code":
            kinds = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
            kept += [node for node in ast.parse(cell.source).body if isinstance(node, kinds)]
    names: dict[str, object] = {"__name__": Path(path).stem}
    exec(compile(ast.Module(kept, type_ignores=[]), path, "exec"), names)
    return SimpleNamespace(**names)


def read_back(slug: str) -> tuple[Any, str]:
    """A chapter's stored notebook, and the sentences that its cells made."""
    notebook = nbformat.read(ROOT / "book" / f"{slug}.ipynb", as_version=4)
    made = [o.get("data", {}) for c in notebook.cells for o in c.get("outputs", [])]
    return notebook, "\n".join(data["text/markdown"] for data in made if "text/markdown" in data)


def written() -> list[dict[str, Any]]:
    """What is known of each written chapter, in reading order."""
    return [c for c in CHAPTERS if "planned" not in c]
