"""The linter passes a sound chapter and names each kind of breach."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import chapters as book  # noqa: E402
import lint  # noqa: E402
import lint_reference  # noqa: E402

FIGURE = '<figure class="rl-figure"><div class="rl-plotly" aria-label="A line that falls"></div></figure>'

VIOLIN = new_output(
    "display_data", {"text/html": FIGURE, "application/vnd.plotly.v1+json": {"data": [{"type": "violin"}]}}
)


def sound() -> nbformat.NotebookNode:
    """The smallest notebook that follows the template."""
    figure = new_output("display_data", {"text/html": FIGURE, "application/vnd.plotly.v1+json": {}})
    cells = [
        new_markdown_cell("# Title", metadata={"tags": ["header"]}),
        new_code_cell("import recsys_lite  # pip install", metadata={"tags": ["setup"]}),
        *(new_markdown_cell(f"## {s}") for s in lint.SECTIONS),
        new_code_cell("show(figure, alt='A line that falls')", outputs=[figure]),
        new_markdown_cell("Known {cite:p}`rendle2010fm`.\n\n" + "<details><summary>Q</summary>A</details>\n\n" * 4),
    ]
    for level in lint.LEVELS:
        cells.append(new_markdown_cell(f"**Exercise {level} Something.** Do it."))
        cells.append(new_code_cell("assert True", metadata={"tags": ["solution", "hide-cell"]}))
    notebook = new_notebook(cells=cells)
    for count, (_, cell) in enumerate(lint.code(notebook), start=1):
        cell.execution_count = count
    return notebook


def test_sound_chapter_passes() -> None:
    assert lint.lint(sound(), {}) == []


def test_sections_may_be_fewer_where_the_chapter_says_so() -> None:
    notebook = sound()
    notebook.cells = [c for c in notebook.cells if c.source != "## Ablation"]
    assert lint.lint(notebook, {})
    assert not lint.lint(notebook, {"sections": [s for s in lint.SECTIONS if s != "Ablation"]})


def find(notebook: nbformat.NotebookNode, start: str) -> nbformat.NotebookNode:
    return next(c for c in notebook.cells if c.source.startswith(start))


def drop(start: str):
    def change(notebook: nbformat.NotebookNode) -> None:
        notebook.cells.remove(find(notebook, start))

    return change


def rewrite(start: str, text: str):
    def change(notebook: nbformat.NotebookNode) -> None:
        find(notebook, start).source = text

    return change


def untag(start: str, *tags: str):
    def change(notebook: nbformat.NotebookNode) -> None:
        find(notebook, start).metadata["tags"] = list(tags)

    return change


def store(*outputs: nbformat.NotebookNode):
    def change(notebook: nbformat.NotebookNode) -> None:
        find(notebook, "show(").outputs = list(outputs)

    return change


def swap(notebook: nbformat.NotebookNode) -> None:
    a, b = find(notebook, "## Why"), find(notebook, "## Theory")
    a.source, b.source = b.source, a.source


def chain(notebook: nbformat.NotebookNode) -> None:
    place = notebook.cells.index(find(notebook, "show("))
    notebook.cells.insert(place + 1, new_code_cell("x = 1"))


def forget_to_run(notebook: nbformat.NotebookNode) -> None:
    find(notebook, "show(").execution_count = None


BROKEN = {
    "no header": (untag("# Title"), "expected one cell tagged 'header'"),
    "no set-up": (untag("import recsys_lite"), "expected one cell tagged 'setup'"),
    "section missing": (drop("## Look inside"), "missing ['Look inside']"),
    "section unknown": (rewrite("## Why", "## Why not"), "unknown ['Why not']"),
    "order": (swap, "order found"),
    "long cell": (rewrite("show(", "show(f, alt='A line that falls')\n" + "x = 1\n" * 25), "at most 25"),
    "no words before code": (chain, "no markdown cell before"),
    "installs": (rewrite("show(", "!pip install something"), "installs something"),
    "markdown image without alt": (rewrite("## Why", "## Why\n![fig](fig.svg)"), "alt text 'fig'"),
    "HTML image without alt": (rewrite("## Why", "## Why\n<img src='fig.svg'>"), "an image has no alt"),
    "show without alt": (rewrite("show(", "show(figure)"), "show() without alt"),
    "show with short alt": (rewrite("show(", "show(figure, 'plot')"), "alt of fewer than"),
    "explore without alt": (rewrite("show(", "explore(f, k=[1, 2])"), "explore() without alt"),
    "figure without label": (store(new_output("display_data", {"text/html": "<svg></svg>"})), "a figure has no label"),
    "bare picture": (store(new_output("display_data", {"image/png": "aGk="})), "bare picture"),
    "figure of a kind that is not drawn": (store(VIOLIN), "figure of type 'violin'"),
    "plotly without HTML": (
        store(new_output("display_data", {"application/vnd.plotly.v1+json": {}})), "figure that the book cannot"),
    "remote script": (
        store(new_output("display_data", {"text/html": '<script src="https://cdn.example/x.js"></script>'})),
        "loads from elsewhere"),
    "remote image": (rewrite("## Why", "![A line that falls](https://example.org/a.png)"), "loads from elsewhere"),
    "not run": (forget_to_run, "outputs are missing"),
    "error": (store(new_output("error", ename="KeyError", evalue="", traceback=[])), "stores an error: KeyError"),
    "warning": (store(new_output("stream", name="stderr", text="careful")), "stores warnings"),
    "nothing shown": (store(), "stores no output"),
    "level missing": (rewrite("**Exercise ★★★", "Nothing."), "no exercise of level ★★★"),
    "solution missing": (untag("assert True"), "★ has no solution"),
    "solution open": (untag("assert True", "solution"), "not tagged 'hide-cell'"),
    "quiz": (rewrite("Known", "Known {cite:p}`rendle2010fm`."), "quiz items"),
    "details open": (rewrite("Known", "<details><summary>Q</summary>A" * 4), "not closed"),
    "citation": (rewrite("## Why", "## Why\n{cite:t}`nobody1999, rendle2010fm`"), "citation 'nobody1999'"),
    "symbol": (rewrite("## Summary", "## Summary\n**New symbols:** $q_f$, $z$ something."), "symbol $q_f$"),
    "symbol in a table": (
        rewrite("## Summary", "## Summary\n### Symbols new here\n\n| symbol | shape |\n|---|---|\n| $\\zeta$ | $N$ |"),
        "symbol $\\zeta$"),
    "remote object": (rewrite("## Why", '<object data="https://example.org/a.svg"></object>'), "loads from elsewhere"),
    "size": (
        store(new_output("display_data", {"text/html": FIGURE + "x" * 2_100_000})), "makes a page of 2.1 MB"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_each_breach_is_named(name: str) -> None:
    change, message = BROKEN[name]
    notebook = copy.deepcopy(sound())
    change(notebook)
    breaches = lint.lint(notebook, {})
    assert any(message in breach for breach in breaches), breaches


def test_listed_symbols_are_split_and_relations_left_out() -> None:
    text = "## Summary\n\n**New symbols:** $c_0, c_l$ states ($W_{l,fg}$); $R = GS$ ranks; $N(u), d_u$; $n + 1$.\n\n$x$"
    assert lint_reference.listed(text) == ["c_0", "c_l", "W_{l,fg}", "R", "N(u)", "d_u"]
    assert lint_reference.listed("## Theory\n\n**New symbols:** $x$") == []


def test_a_symbol_of_another_chapter_is_no_symbol_of_this_one() -> None:
    notebook = sound()
    rewrite("## Summary", "## Summary\n\n**New symbols:** $J_f$ slope.")(notebook)
    assert list(lint.symbols(notebook, {"slug": "deepfm"})) == []
    assert list(lint.symbols(notebook, {"slug": "dcn"})) == [
        "symbol $J_f$ is not in book/notation.json for this chapter"
    ]


@pytest.mark.parametrize(
    "text, message",
    [
        ("![A line that falls](https://example.org/a.png)", "loads from elsewhere"),
        ("```{image} https://example.org/a.png\n```", "loads from elsewhere"),
        ("<style>body { background: url(https://example.org/a.png) }</style>", "loads from elsewhere"),
        ("x" * 2_100_000, "makes a page of 2.1 MB"),
        ("{cite:p}`nobody1999`", "citation 'nobody1999'"),
    ],
)
def test_breaches_of_a_page_are_named(text: str, message: str) -> None:
    assert any(message in breach for breach in lint_reference.page(text))
    assert list(lint_reference.page("[A link](https://example.org) and {cite:t}`rendle2010fm`.")) == []


@pytest.mark.parametrize("path", sorted((ROOT / "book").glob("*.md")), ids=lambda p: p.stem)
def test_pages_keep_the_rules(path: Path) -> None:
    assert list(lint_reference.page(path.read_text(encoding="utf-8"))) == []


def test_every_rule_has_a_broken_notebook() -> None:
    caught = set()
    for change, _ in BROKEN.values():
        notebook = sound()
        change(notebook)
        caught |= {rule.__name__ for rule in lint.RULES if list(rule(notebook, {}))}
    assert caught == {rule.__name__ for rule in lint.RULES}


@pytest.mark.parametrize("chapter", book.chapters(), ids=lambda c: c["slug"])
def test_chapters_follow_the_template(chapter: dict) -> None:
    notebook = nbformat.read(book.notebook_path(chapter["slug"]), as_version=4)
    assert lint.lint(notebook, chapter) == []


def test_the_list_of_chapters_is_that_of_the_notebooks() -> None:
    slugs = [c["slug"] for c in book.chapters()]
    assert set(slugs) == {p.stem for p in (ROOT / "book").glob("*.ipynb")}
    for chapter in book.chapters():
        assert set(chapter["requires"]) <= set(slugs[: slugs.index(chapter["slug"])]), "read before, not after"
