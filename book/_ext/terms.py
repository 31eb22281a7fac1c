"""Link the first use of each glossary term on a chapter's page to the glossary; notebooks stay as they are."""

import json
import re
from pathlib import Path

from docutils import nodes

TERMS = Path(__file__).parents[1] / "glossary.json"
WITHIN = (nodes.paragraph, nodes.emphasis, nodes.strong)  # text directly in these may be linked
NEVER = (nodes.table, nodes.figure, nodes.footnote, nodes.citation, nodes.definition_list, nodes.literal_block)


def plain(text):
    """A definition as it can stand in a tooltip."""
    return re.sub(r"\\(\w+)", r"\1", re.sub(r"[$*`]", "", text))


def pattern(form):
    """A form of a term as a regular expression: capitals count where it has some, a plural is the same word."""
    exact = re.escape(form)
    if form == form.lower() and form[0].isalpha():
        exact = f"[{form[0]}{form[0].upper()}]{re.escape(form[1:])}"
    return f"{exact}(?:s|es)?"


def finder(terms, slug):
    """One regular expression for all forms that hold in a chapter, longest first, and the term of each."""
    forms = {}
    for term in terms:
        if slug in term.get("only", [slug]):
            for form in term.get("match", [term["term"], *term.get("names", [])]):
                forms[form] = term
    ordered = sorted(forms, key=len, reverse=True)
    if not ordered:
        return None, []
    inner = "|".join(f"({pattern(form)})" for form in ordered)
    return re.compile(rf"(?<![\w-])(?:{inner})(?![\w-])"), [forms[form] for form in ordered]


def in_raw_code(text):
    """Whether a text lies between raw tags of ``<code>`` or ``<a>``: Markdown leaves what is between them as text."""
    before = text.parent.children[: text.parent.index(text)]
    tags = "".join(node.astext() for node in before if isinstance(node, nodes.raw))
    return len(re.findall(r"<(?:code|a)\b", tags)) > len(re.findall(r"</(?:code|a)>", tags))


def running_text(document):
    """The text nodes of paragraphs and list items, without headings, code, links, formulas, figures and tables."""
    for paragraph in document.findall(nodes.paragraph):
        above = paragraph.parent
        while above is not None and not isinstance(above, NEVER) and "cell_output" not in above.get("classes", []):
            above = above.parent
        if above is None:
            for text in list(paragraph.findall(nodes.Text)):
                inner = text.parent
                while isinstance(inner, WITHIN) and inner is not paragraph:
                    inner = inner.parent
                if inner is paragraph and not in_raw_code(text):
                    yield text


def link_terms(document, terms, slug, target):
    """Replace the first use of each term by a link with its definition as tooltip; return the terms that were found.

    ``target(term)`` gives the address of a term in the glossary.
    """
    search, owners = finder(terms, slug)
    seen = []
    for text in running_text(document) if search else ():
        pieces, start = [], 0
        for found in search.finditer(text):
            term = owners[found.lastindex - 1]
            if term["term"] in seen:
                continue
            seen.append(term["term"])
            link = nodes.reference("", found[0], internal=True, refuri=target(term["term"]), classes=["rl-term"])
            link["reftitle"] = f"{term['term']}: {plain(term['means'])}"
            pieces += [nodes.Text(text[start : found.start()]), link]
            start = found.end()
        if pieces:
            text.parent.replace(text, [p for p in [*pieces, nodes.Text(text[start:])] if p.astext()])
    return seen


def resolve(app, doctree, docname):
    """Sphinx calls this for every page that it writes."""
    if app.builder.format != "html" or not str(app.env.doc2path(docname)).endswith(".ipynb"):
        return
    places = app.env.domains["std"].objects

    def target(term):
        page, anchor = places["term", term]
        return f"{app.builder.get_relative_uri(docname, page)}#{anchor}"

    known = [t for t in app.config.glossary_terms if ("term", t["term"]) in places]
    link_terms(doctree, known, docname.rsplit("/", 1)[-1], target)


def setup(app):
    app.add_config_value("glossary_terms", json.loads(TERMS.read_text(encoding="utf-8")), "html", types=(list,))
    app.connect("doctree-resolved", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
