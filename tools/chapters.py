"""Where the chapters lie and what is known about them; shared by the tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "book"


def chapters() -> list[dict[str, Any]]:
    """Metadata of all chapters, in reading order."""
    return json.loads((BOOK / "chapters.json").read_text(encoding="utf-8"))


def notebook_path(slug: str) -> Path:
    """The notebook of a chapter."""
    return BOOK / f"{slug}.ipynb"


def by_tag(notebook: Any, tag: str) -> list[Any]:
    """The cells of a notebook that carry a tag."""
    return [c for c in notebook.cells if tag in c.metadata.get("tags", [])]
