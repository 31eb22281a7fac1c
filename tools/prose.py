"""How a chapter reads: minutes of its main line, words a sentence, long paragraphs. A mirror, not a gate.

python tools/prose.py book/dcn_v2.ipynb    # one chapter; without arguments all
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from chapters import chapters, notebook_path

WORDS_A_MINUTE, LINES_A_MINUTE = 200, 10
LONG = 25  # words a sentence, as the mean of a paragraph
FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell", "setup"}
FENCE = re.compile(r"^(```|:::).*?^\1", re.MULTILINE | re.DOTALL)
DETAILS = re.compile(r"<details.*?</details>", re.DOTALL)


@dataclass(frozen=True)
class Reading:
    """What a reader of the main line meets: words, lines of code, and the paragraphs with their words a sentence."""

    words: int
    lines: int
    paragraphs: list[tuple[float, str]]

    @property
    def minutes(self) -> int:
        """Words at 200 a minute and lines of code at 10."""
        return round(self.words / WORDS_A_MINUTE + self.lines / LINES_A_MINUTE)

    @property
    def a_sentence(self) -> float:
        """Mean words a sentence over all paragraphs."""
        sentences = sum(len(sentences_of(p)) for _, p in self.paragraphs)
        return sum(len(p.split()) for _, p in self.paragraphs) / max(sentences, 1)

    @property
    def long(self) -> list[tuple[float, str]]:
        """Paragraphs above 25 words a sentence, the longest first."""
        return sorted((p for p in self.paragraphs if p[0] > LONG), reverse=True)


def plain(markdown: str) -> str:
    """A text without folds, formulas, fenced blocks, tags and links; a formula inside a line counts as a word.

    Example:
        >>> plain("See $x_0$ in [DCN](dcn.ipynb).<details>proof</details>")
        'See X in DCN.'
    """
    text = DETAILS.sub("", FENCE.sub("", markdown))
    text = re.sub(r"\$\$.*?\$\$(?: \(eq[^)]*\))?", " ", text, flags=re.DOTALL)
    text = re.sub(r"\$[^$\n]+\$", "X", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\{cite:\w+\}`[^`]*`", "", text)
    text = re.sub(r"\{eq\}`[^`]*`", "X", text)
    return re.sub(r"<[^>]+>", "", text).replace("*", "").replace("`", "")


def paragraphs_of(markdown: str) -> list[str]:
    """The paragraphs and list items; headings, tables and fenced blocks are none."""
    text = plain(markdown)
    text = re.sub(r"^\s*(?:[-*]|\d+\.)\s+", "\n\n", text, flags=re.MULTILINE)
    blocks = (" ".join(b.split()) for b in re.split(r"\n\s*\n", text))
    return [b for b in blocks if b and b[0] not in "#|" and len(b.split()) > 2]


def sentences_of(paragraph: str) -> list[str]:
    """Its sentences: a point, a question mark or an exclamation mark before a space ends one.

    Example:
        >>> len(sentences_of("AUC is 0.75, i.e. high. Why? It rose by 0.1."))
        3
    """
    text = re.sub(r"\b(e\.g|i\.e|vs|eq|eqs|et al)\.", r"\1", paragraph)
    return [s for s in re.split(r"(?<=[.?!])[\"”)]?\s+", text) if s.strip()]


def reading(notebook: Any) -> Reading:
    """The main line: Markdown outside of folds, sentences that cells made, and code that is not folded."""
    texts, lines = [], 0
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type == "markdown" and "header" not in tags:
            texts.append(cell.source)
        elif cell.cell_type == "code" and "hide-cell" not in tags:
            said = (o.get("data", {}).get("text/markdown", "") for o in cell.get("outputs", []))
            texts += ["".join(s) for s in said if s]
            if not tags & FOLDED:
                lines += sum(bool(line.strip()) for line in cell.source.splitlines())
    paragraphs = [p for text in texts for p in paragraphs_of(text)]
    words = sum(len(plain(text).split()) for text in texts)
    return Reading(words, lines, [(len(p.split()) / len(sentences_of(p)), p) for p in paragraphs])


def main(arguments: list[str]) -> None:
    names = [Path(a).stem for a in arguments] or [c["slug"] for c in chapters()]
    for name in names:
        found = reading(nbformat.read(notebook_path(name), as_version=4))
        print(
            f"{name}: {found.minutes} minutes ({found.words:,} words, {found.lines} lines of code), "
            f"{found.a_sentence:.1f} words a sentence, {len(found.long)} long paragraphs"
        )
        for mean, text in found.long if arguments else []:
            print(f"  {mean:.0f}: {text[:100]} …")


if __name__ == "__main__":
    main(sys.argv[1:])
