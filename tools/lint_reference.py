"""The linter's rules on what chapters look up elsewhere: citations, symbols, and the pages themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apparatus
from chapters import ROOT

MOST_BYTES = 2_000_000
REMOTE = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*\b(?:src|data)\s*=\s*["']?(?:https?:)?//[^"'\s>]+"""
    r"""|<link\b[^>]*\bhref\s*=\s*["']?(?:https?:)?//[^"'\s>]+|!\[[^\]]*\]\(https?://[^)]+|@import[^;]*https?://[^;]+"""
    r"""|```\{(?:image|figure)\}\s*https?://\S+|url\(\s*["']?(?:https?:)?//[^)]+""",
    re.IGNORECASE,
)
FORMULA = re.compile(r"(?<![\\$])\$([^$\n]+)\$")
NO_SYMBOL = re.compile(r"^[\d\s.+-]*$|(?<![{_^(])[+<>]|\\(odot|cdot|times|le|ge|in|to)\b")


def text_of(notebook: Any) -> str:
    """All markdown of a notebook."""
    return "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def cited(text: str) -> set[str]:
    """The keys that a text cites."""
    groups = re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text)
    return {key.strip() for group in groups for key in group.split(",")}


def unknown(text: str, root: Path = ROOT) -> Iterator[str]:
    """Keys that a text cites and the bibliography lacks."""
    bibliography = (root / "book" / "references.bib").read_text(encoding="utf-8")
    keys = set(re.findall(r"^@\w+\{\s*([^,\s]+)\s*,", bibliography, re.MULTILINE))
    yield from (f"citation {key!r} is not in references.bib" for key in sorted(cited(text) - keys))


def citations(notebook: Any, chapter: dict[str, Any]) -> Iterator[str]:
    """Every cited key is in the bibliography."""
    yield from unknown(text_of(notebook))


def apart(formula: str) -> list[str]:
    """The symbols that a formula lists: what stands between commas outside of brackets, before any equals sign."""
    parts, depth = [""], 0
    for letter in formula:
        depth += letter in "({"
        depth -= letter in ")}"
        if letter == "," and not depth and not parts[-1].endswith("\\"):
            parts.append("")
        else:
            parts[-1] += letter
    symbols = [apparatus.normal(part.split("=")[0]) for part in parts]
    return [s for s in symbols if s and not NO_SYMBOL.search(s)]


def listed(text: str) -> list[str]:
    """The symbols in the list of new ones that closes a chapter's summary: a paragraph or a table."""
    summary = re.search(r"^## Summary\b.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    inside = summary[0] if summary else ""
    paragraph = re.search(r"\*\*(?:New symbols|Symbols new here):?\*\*:?(.+?)(?:\n\s*\n|\Z)", inside, re.DOTALL)
    rows = re.search(r"^### (?:New symbols|Symbols new here)\n+((?:\|.*\n?)+)", inside, re.MULTILINE)
    formulas = FORMULA.findall(paragraph[1].replace("\n", " ")) if paragraph else []
    for row in rows[1].splitlines()[2:] if rows else []:
        formulas += FORMULA.findall(row.split("|")[1])
    return [symbol for formula in formulas for symbol in apart(formula)]


def symbols(notebook: Any, chapter: dict[str, Any]) -> Iterator[str]:
    """Every symbol that a chapter lists as new is in the notation, for the whole book or for this chapter."""
    known = apparatus.known_symbols(chapter.get("slug", ""))
    for symbol in dict.fromkeys(listed(text_of(notebook))):
        if symbol not in known:
            yield f"symbol ${symbol}$ is not in book/notation.json for this chapter"


def page(text: str, root: Path = ROOT) -> Iterator[str]:
    """Breaches of a page in Markdown: assets from elsewhere, size, citations."""
    yield from (f"loads from elsewhere: {found[:120]}" for found in sorted(set(REMOTE.findall(text))))
    if len(text.encode()) > MOST_BYTES:
        yield f"makes a page of {len(text.encode()) / 1e6:.1f} MB, at most {MOST_BYTES / 1e6:g} MB are allowed"
    yield from unknown(text, root)
