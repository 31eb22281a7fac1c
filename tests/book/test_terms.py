"""The first use of a term on a page becomes a link to the glossary, and nothing else changes."""

from __future__ import annotations

import sys
from pathlib import Path

from built import built_book
from docutils import nodes
from docutils.core import publish_doctree
from notebook_code import written

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import pytest  # noqa: E402
import terms  # noqa: E402

TERMS = [
    {"term": "logit", "means": "The number $z$ before the *sigmoid*.", "match": ["logit"]},
    {"term": "AUC", "means": "Share of pairs in order.", "match": ["AUC", "area under the curve"]},
    {"term": "gate", "means": "How much may pass.", "match": ["gate"], "only": ["gdcn"]},
    {"term": "cross", "means": "A product.", "match": ["feature cross", "cross"]},
    {"term": "cross layer", "means": "A layer of products.", "match": ["cross layer"]},
]


def linked(text: str, slug: str = "dcn") -> tuple[nodes.document, list[nodes.reference]]:
    tree = publish_doctree(text, settings_overrides={"report_level": 5})
    terms.link_terms(tree, TERMS, slug, lambda term: f"glossary.html#term-{term}")
    return tree, [n for n in tree.findall(nodes.reference) if "rl-term" in n["classes"]]


def test_the_first_use_is_a_link_with_the_definition_as_title() -> None:
    tree, links = linked("A logit here, and *the* logit there.\n\nLogits again.")
    assert [n.astext() for n in links] == ["logit"]
    assert links[0]["refuri"] == "glossary.html#term-logit"
    assert links[0]["reftitle"] == "logit: The number z before the sigmoid."
    assert tree.astext() == "A logit here, and the logit there.\n\nLogits again."


def test_lists_emphasis_plurals_and_the_start_of_a_sentence_count() -> None:
    _, links = linked("- Logits are sums.\n- The **AUC** sees order.\n\n  .. note:: One feature cross.")
    assert [n.astext() for n in links] == ["Logits", "AUC", "feature cross"]


def test_the_longest_form_wins_and_parts_of_words_do_not_count() -> None:
    _, links = linked("Cross layers, crossing, across, cross-validation, auc and AUCX. Then a cross.")
    assert [(n.astext(), n["refuri"][-11:]) for n in links] == [
        ("Cross layers", "cross layer"),
        ("cross", "#term-cross"),
    ]


def test_a_term_may_hold_in_some_chapters_only() -> None:
    assert linked("A gate.")[1] == [] and len(linked("A gate.", "gdcn")[1]) == 1


@pytest.mark.parametrize(
    "text",
    [
        "logit\n=====\n\nNothing.",
        "``logit``",
        "::\n\n  logit",
        "`logit <https://example.org>`_",
        ":math:`logit`",
        "=====  =====\nlogit  AUC\nlogit  AUC\n=====  =====",
        ".. figure:: a.png\n\n   The logit.\n\n   A logit.",
        "logit\n  the definition of a logit",
    ],
)
def test_headings_code_links_formulas_tables_figures_and_definitions_stay(text: str) -> None:
    tree, links = linked(text)
    assert links == [] and tree.astext() == publish_doctree(text, settings_overrides={"report_level": 5}).astext()


def test_code_that_stands_as_html_stays() -> None:
    """An address in a chapter's header: Markdown keeps the tags raw and what is between them as text."""
    html = [nodes.raw("", tag, format="html") for tag in ("<span><code>", "</code></span>")]
    paragraph = nodes.paragraph("", "", html[0], nodes.Text("host/logit"), html[1], nodes.Text(" of a cross"))
    texts = terms.running_text(nodes.section("", paragraph))
    assert [text.astext() for text in texts] == [" of a cross"]


def test_what_a_cell_printed_stays() -> None:
    tree = publish_doctree(".. container:: cell_output\n\n   A logit.\n\nText with an AUC.")
    for container in tree.findall(nodes.container):
        container["classes"] = ["cell_output", "docutils"]
    assert terms.link_terms(tree, TERMS, "dcn", str) == ["AUC"]


def test_without_terms_nothing_happens() -> None:
    tree = publish_doctree("A logit.")
    assert terms.link_terms(tree, [], "dcn", str) == []


@pytest.mark.slow("builds the book")
def test_chapters_of_the_built_book_link_to_the_glossary() -> None:
    pages = built_book()[0] / "book"
    for path in (ROOT / "book" / f"{chapter['slug']}.ipynb" for chapter in written()):
        text = (pages / f"{path.stem}.html").read_text(encoding="utf-8")
        assert text.count("rl-term") >= 5 and 'href="glossary.html#term-' in text, path.name
        assert "rl-term" not in path.read_text(encoding="utf-8")
    assert "rl-term" not in (pages / "references.html").read_text(encoding="utf-8").split("<article")[1]
