"""Lighter and better named pages: the theme's unused scripts go, tabs need no widgets, every control has a name."""

import html
import re
from pathlib import Path

import nbformat
from docutils import nodes
from markupsafe import Markup

TEMPLATES = str(Path(__file__).parents[1] / "_templates")
VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"

# 1.5 MB of JavaScript that draws the icons which the theme's font draws as well; the search that works while one types
# (the theme has it switched off, its index is loaded all the same; search.html loads its own).
UNUSED = re.compile(
    r'<script[^>]*src="[^"]*(?:fontawesome\.js|searchtools\.js|language_data\.js|searchindex\.js)[^>]*></script>'
)

# What the theme's own HTML lacks for those who do not see the page or do not use a mouse.
MENDS = [
    # a name that contains the visible words
    (r'title="Search" aria-label="Search"', 'title="Search" aria-label="Search Ctrl+K"'),
    (r'(<button class="sidebar-toggle (\w+)-toggle[^>]*?) title=', r'\1 aria-label="Toggle \2 sidebar" title='),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    # all content within landmarks
    (r'<div id="pst-primary-sidebar"', '<div id="pst-primary-sidebar" role="complementary" aria-label="Book"'),
    (r'<div id="pst-secondary-sidebar"', '<div id="pst-secondary-sidebar" role="complementary" aria-label="Page"'),
    (r'<div id="pst-skip-link" class="', '<div id="pst-skip-link" role="navigation" aria-label="Skip" class="'),
    # a list whose children are entries of a bibliography, not list items
    (r'<div role="list" class="citation-list">', '<div class="citation-list">'),
    # the corner of a table is no heading of nothing
    (r"<th( [^>]*)?>(?:<p></p>)?</th>", r"<td\1></td>"),
]  # fmt: skip


def lean_head(text):
    """The head of a page without the scripts that this book does not use."""
    return Markup(UNUSED.sub("", str(text)))


def mended(text):
    """The body of a page with names and landmarks that the theme leaves out."""
    text = str(text)
    for wrong, right in MENDS:
        text = re.sub(wrong, right, text)
    return Markup(hung(text))


CODE = re.compile(
    r'(<div class="highlight-(?:ipython3|python|default)[^>]*><div class="highlight"><pre>(?:<span></span>)?)'
    r"(.*?)(?=</pre>)",
    re.DOTALL,
)


def hung(text):
    """Code whose lines may wrap, each under its own beginning: nothing is cut off, on no screen."""

    def line(one):
        indent = len(one) - len(one.lstrip(" "))
        return f'<span class="rl-line" style="--i:{indent}">{one}</span>' if one else ""

    return CODE.sub(lambda m: m[1] + "\n".join(map(line, m[2].split("\n"))), text)


def tabs_html(name, pages):
    """Tabs as HTML; book/_static/page.js switches them, without it and on paper all pages show.

    Args:
        name: begins the ids; once on a page.
        pages: title -> HTML.
    """
    heads, bodies = "", ""
    for k, (title, body) in enumerate(pages.items()):
        head, title = f"{name}-t{k}", html.escape(title)
        heads += f'<button type="button" role="tab" id="{head}" aria-controls="{name}-p{k}">{title}</button>'
        bodies += f'<div role="tabpanel" id="{name}-p{k}" aria-labelledby="{head}">'
        bodies += f'<p class="rl-tab-title">{title}</p>{body}</div>'
    return f'<div class="rl-tabs"><div role="tablist" hidden>{heads}</div>{bodies}</div>'


def stored_tabs(state, model):
    """Titles and pages of a stored tab widget.

    Raises:
        ValueError: for a widget of another kind: the book would show nothing in its place.
    """
    box = state.get(model, {})
    if box.get("model_name") != "TabModel":
        raise ValueError(f"a {box.get('model_name', 'missing widget')} is stored; the book shows tabs only")
    children = [state[child.removeprefix("IPY_MODEL_")]["state"]["value"] for child in box["state"]["children"]]
    return dict(zip(box["state"]["titles"], children, strict=True))


def replace_widgets(app, doctree):
    """Put HTML in the place of each stored tab widget: the widgets' own scripts are 3.7 MB."""
    views = [n for n in doctree.findall(nodes.container) if n.get("mime_type") == VIEW]
    if not views:
        return
    notebook = nbformat.read(app.env.doc2path(app.env.docname), as_version=4)
    state = notebook.metadata["widgets"][STATE]["state"]
    for k, view in enumerate(views):
        (model,) = re.findall(r'"model_id": "(\w+)"', "".join(raw.astext() for raw in view.findall(nodes.raw)))
        name = f"tabs-{app.env.docname.rsplit('/', 1)[-1]}-{k}"
        view.children = [nodes.raw("", tabs_html(name, stored_tabs(state, model)), format="html")]


def extend(app, pagename, templatename, context, doctree):
    """Give the templates their functions; leave out the state of widgets, and MathJax where nothing is to be set."""
    context |= {"lean_head": lean_head, "mended": mended}
    unused = [STATE] if re.search(r'class="[^"]*\bmath\b', context.get("body", "")) else [STATE, "mathjax"]
    known = [(f, f"{f} {getattr(f, 'attributes', '')}".lower()) for f in context.get("script_files", [])]
    context["script_files"] = [f for f, text in known if not any(word in text for word in unused)]


def setup(app):
    app.config.templates_path.append(TEMPLATES)
    app.connect("doctree-read", replace_widgets, priority=100)
    app.connect("html-page-context", extend, priority=998)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
