"""The one list of chapters, from which map, contents, cards, headers and the explorer's links follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .files import read_json

#: The chapters in reading order, see ``tools/chapters.py``; those with ``planned`` are not written and drawn muted.
CHAPTERS: list[dict[str, Any]] = read_json(Path(__file__).with_name("chapters.json"))
