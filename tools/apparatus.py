"""Write the pages to look things up on: notation, glossary, timeline, errata, checks and status, from data.

python tools/apparatus.py            # write the pages (tools/stamp.py does so, too)
python tools/apparatus.py --check    # change nothing; fail if a page disagrees with its data
"""

from __future__ import annotations

import argparse
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import checked
import primer
from chapters import ROOT, chapters, read, table, write
from status import status

from recsys_lite.notebook import drawing
from recsys_lite.plots.diagrams import timeline_drawing

#: The reference pages in the order of the table of contents; the last one is written by hand.
PAGES = ("notation", "glossary", "timeline", "primer", "errata", "checked_against", "status", "references")
MADE = "<!-- written by tools/apparatus.py from book/{}.json -->"

NOTATION = """\
Symbols with their shapes and their names in the code. Letters are not set bold: whether one is a number, a vector or a
matrix stands in its shape, and `a.b` is a part of the chapter's model. A chapter may list a symbol as new only if it
stands here; the linter holds the two together."""

LETTERS = """\
The papers use the same letters for different things, and the chapters keep the papers' letters where they can. Where a
letter returns with another meaning or index, it stands in this list."""

GLOSSARY = """\
Words of the field as this book uses them. In the chapters, the first use of each leads here; hold the pointer over it
to read the sentence on the spot."""

TIMELINE = """\
From tables of ratings to networks of crosses: what each system added. The year is that of the paper cited, which for
some is later than a first draft (DCN V2 was on arXiv in 2020)."""

ERRATA = """\
Where the sources of this book disagree. The paper is followed. The tests named in a line hold for what the paper has,
and wrong code of that kind fails them; that each of them exists is tested as well."""

PRIMER = """\
The book started from a primer on architectures {cite:p}`chadha2020architectures`. These are sentences and formulas of
it that the papers do not bear out."""

CODE = """\
Mistakes found in public implementations or in their documentation, and how they show. A project is named only where the
file or the thread was read, so that readers need not search twice; it may have changed since."""


def link(slug: str, written: dict[str, dict[str, Any]], text: str = "") -> str:
    """A link to a chapter, or only its name where it is not written yet."""
    chapter = written.get(slug)
    if chapter is None:
        return text or slug.replace("_", " ")
    return f"[{text or chapter['short']}]({slug}.ipynb)"


def normal(symbol: str) -> str:
    """A symbol without the spaces that TeX does not show."""
    return re.sub(r"\\[,;!]|\s", "", symbol)


def letter(symbol: str) -> str:
    """The letter that a symbol is made of, without hats, indices and bars."""
    bare = re.sub(r"\\(hat|bar|tilde|mathrm|mathbf|mathcal)\b|[\s{}|]", "", symbol)
    found = re.match(r"\\[A-Za-z]+|[A-Za-z]+", bare)
    return found[0] if found else bare


def check_notation(entries: list[dict[str, Any]]) -> None:
    """No symbol has two meanings in one place.

    Raises:
        ValueError: for a symbol that two entries explain for the same chapter, or both for the whole book.
    """
    for one, two in combinations(entries, 2):
        both = {normal(s) for s in one["symbols"]} & {normal(s) for s in two["symbols"]}
        places = [set(e.get("in", [""])) for e in (one, two)]
        if both and places[0] & places[1]:
            raise ValueError(
                f"book/notation.json: {sorted(both)} means both {one['means']!r} and {two['means']!r} in "
                f"{sorted(places[0] & places[1])}, expected one meaning a chapter"
            )


def known_symbols(slug: str, root: Path = ROOT) -> set[str]:
    """The symbols that a chapter may list: those of the whole book and its own."""
    entries = read("notation.json", root)
    return {normal(s) for e in entries if "in" not in e or slug in e["in"] for s in e["symbols"]}


def _signs(entry: dict[str, Any], sign: str = "") -> str:
    """The symbols of an entry (of one letter) as formulas; a bar would end the cell of a table."""
    shown = [s for s in entry["symbols"] if sign in ("", letter(s))]
    return ", ".join(f"${s.replace('|', chr(92) + 'vert ')}$" for s in shown)


def notation(root: Path = ROOT) -> str:
    """The page of symbols: those of the whole book, those of each chapter, and letters with several meanings."""
    entries, written = read("notation.json", root), {c["slug"]: c for c in chapters(root)}
    check_notation(entries)
    entries = [e for e in entries if "in" not in e or set(e["in"]) & set(written)]
    head = ["symbol", "meaning", "shape", "in code"]

    def rows(those: list[dict[str, Any]]) -> list[list[str]]:
        return [[_signs(e), e["means"], e.get("shape", ""), e.get("code", "")] for e in those]

    lines = [
        "# Notation", "", MADE.format("notation"), "", NOTATION, "",
        "## In the whole book", "", *table(head, rows([e for e in entries if "in" not in e])),
        "## By chapter", "",
    ]  # fmt: skip
    for slug, chapter in written.items():
        own = [e for e in entries if slug in e.get("in", [])]
        if own:
            lines += [f"### {chapter['short']}", "", f"See {link(slug, written, chapter['title'])}.", ""]
            lines += table(head, rows(own))
    lines += [
        "## Letters with more than one meaning", "", LETTERS, "",
        *table(["letter", "meanings"], _meanings(entries, written)),
    ]  # fmt: skip
    return "\n".join(lines)


def _meanings(entries: list[dict[str, Any]], written: dict[str, dict[str, Any]]) -> list[list[str]]:
    """A row for each letter that several entries share."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        for sign in sorted({letter(s) for s in entry["symbols"]}):
            groups.setdefault(sign, []).append(entry)
    made = []
    for sign in sorted(groups, key=lambda s: (s.startswith("\\"), s.lower(), s)):
        if len(groups[sign]) > 1:
            said = []
            for e in groups[sign]:
                places = ", ".join(link(s, written) for s in e.get("in", []) if s in written)
                said.append(f"{_signs(e, sign)} {e['means']} ({places or 'whole book'})")
            made.append([f"${sign}$", "; ".join(said)])
    return made


def glossary(root: Path = ROOT) -> str:
    """The page of terms; book/_ext/terms.py links to it from where a term is first used on a page."""
    written = {c["slug"]: c for c in chapters(root)}
    lines = ["# Glossary", "", MADE.format("glossary"), "", GLOSSARY, "", "```{glossary}"]
    for entry in sorted(read("glossary.json", root), key=lambda e: e["term"].lower()):
        places = [link(s, written) for s in entry["chapters"] if s in written]
        lines += [entry["term"], *entry.get("names", [])]
        lines += [f"  {entry['means']}" + (f" See {' and '.join(places)}." if places else ""), ""]
    return "\n".join([*lines, "```", ""])


def bibliography(root: Path = ROOT) -> Any:
    """The entries of book/references.bib by key."""
    from pybtex.database import parse_file

    return parse_file(str(root / "book" / "references.bib")).entries


def timeline(root: Path = ROOT) -> str:
    """The page of the field's history: a drawing and a table, years from the bibliography."""
    written, papers = {c["slug"]: c for c in chapters(root)}, bibliography(root)
    events = sorted(read("timeline.json", root), key=lambda e: int(papers[e["paper"]].fields["year"]))
    years = [papers[e["paper"]].fields["year"] for e in events]
    marks = [(y, e["system"], e.get("chapter") in written) for y, e in zip(years, events, strict=True)]
    told = f"Timeline from {years[0]} to {years[-1]}, a line a system; the table below says what was new in each."
    figure = drawing(timeline_drawing(marks), told, "Filled: in a chapter of this book. Years are those of the papers.")
    rows = [
        [year, link(e["chapter"], written, e["system"]) if "chapter" in e else e["system"], e["new"],
         f"{{cite:p}}`{e['paper']}`"]
        for year, e in zip(years, events, strict=True)
    ]  # fmt: skip
    lines = [
        "# Timeline", "", MADE.format("timeline"), "", TIMELINE, "",
        figure["text/html"], "",
        "## What was new", "", *table(["year", "system", "what was new", "paper"], rows),
    ]  # fmt: skip
    return "\n".join(lines)


def errata(root: Path = ROOT) -> str:
    """The page of differences: primer against papers, and public code against papers, each with its test."""
    written, data = {c["slug"]: c for c in chapters(root)}, read("errata.json", root)

    def shown(entry: dict[str, Any]) -> str:
        return "<br>".join(f"`{t}`" for t in entry["tests"]) or "a matter of the sources, nothing to compute"

    def place(entry: dict[str, Any]) -> str:
        return link(entry["chapter"], written)

    primer = [[e["says"], e["paper"], shown(e), place(e)] for e in data["primer"]]
    code = [[e["mistake"], e["shows"], e["seen"], shown(e), place(e)] for e in data["code"]]
    lines = [
        "# Errata", "", MADE.format("errata"), "", ERRATA, "",
        "## The primer and the papers", "", PRIMER, "",
        *table(["the primer", "the paper", "shown by", "chapter"], primer),
        "## Public code and the papers", "", CODE, "",
        *table(["mistake", "how it shows", "seen in", "caught by", "chapter"], code),
    ]  # fmt: skip
    return "\n".join(lines)


def pages(root: Path = ROOT) -> dict[Path, str]:
    """The generated pages with the text that they should have."""
    made = {
        "notation": notation, "glossary": glossary, "timeline": timeline, "primer": primer.page, "errata": errata,
        "checked_against": checked.page, "status": status,
    }  # fmt: skip
    return {root / "book" / f"{name}.md": write_page(root) for name, write_page in made.items()}


def update(wanted: dict[Path, str], check: bool = False) -> list[str]:
    """Write the pages that differ from what is wanted (not with ``check``); return their names."""
    wrong = [p for p, text in wanted.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    for path in [] if check else wrong:
        write(path, wanted[path])
    return [path.name for path in wrong]


def main(arguments: list[str] | None = None, root: Path = ROOT) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a page disagrees with its data")
    check = parser.parse_args(arguments).check
    wrong = update(pages(root), check)
    if wrong and check:
        raise SystemExit(f"{', '.join(wrong)}: not as the data in book/ say; run: python tools/apparatus.py")
    print("agree" if not wrong else "wrote " + ", ".join(wrong))


if __name__ == "__main__":
    main()
