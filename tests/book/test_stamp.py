"""The address stands in book/site.json; the chapters agree with it, and an unset one leaves no dead link."""

from __future__ import annotations

import ast
import html
import json
import shutil
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import chapters as book  # noqa: E402
import execute  # noqa: E402
import stamp  # noqa: E402
import times  # noqa: E402

pytestmark = pytest.mark.slow("stamps copies of the whole book")

UNSET = dict.fromkeys(stamp.KEYS, "")
SET = {
    "repository": "https://github.com/someone/recsys-lite.git",
    "revision": "v1",
    "app": "https://app.example/",
    "site": "https://book.example",
}
CHAPTER = {
    "slug": "x", "title": "X", "idea": "An idea & more.", "paper": "Some, Paper", "year": "2010", "level": "beginner",
    "ram": "1 GB", "data": "a sample", "requires": ["overview"], "explore": "data=x",
}  # fmt: skip


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the book's text, to stamp at will."""
    names = [path for kind in ("json", "ipynb", "md", "bib") for path in (ROOT / "book").glob(f"*.{kind}")]
    for path in [
        *names,
        *(ROOT / "book" / "primer").glob("*.json"),
        ROOT / "_toc.yml",
        ROOT / "requirements.txt",
        ROOT / "recsys_lite" / "store" / "chapters.json",
        ROOT / "recsys_lite" / "store" / "results" / "parity.json",
    ]:
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return tmp_path


def test_chapters_agree_with_site_json() -> None:
    assert stamp.stamp(check=True) == []


def test_contents_follow_from_the_list(copy: Path) -> None:
    listed = [{**CHAPTER, "part": "One"}, {**CHAPTER, "slug": "y", "title": "Y: more", "year": "", "part": "Two"}]
    contents = stamp.contents(listed)
    assert (
        contents.index("caption: One")
        < contents.index("book/x")
        < contents.index("caption: Two")
        < contents.index("book/y")
        < contents.index("caption: Reference")
        < contents.index("book/notation")
        < contents.index("book/references")
    )
    (copy / "_toc.yml").write_text("stale")
    with pytest.raises(SystemExit, match=r"_toc\.yml"):
        stamp.main(["--check"], copy)
    stamp.main([], copy)
    assert (copy / "_toc.yml").read_text() == (ROOT / "_toc.yml").read_text()


def test_a_reference_page_follows_its_data(copy: Path) -> None:
    data = copy / "book" / "glossary.json"
    data.write_text(data.read_text().replace("One showing of one item", "A showing of an item"))
    with pytest.raises(SystemExit, match=r"glossary\.md"):
        stamp.main(["--check"], copy)
    stamp.main([], copy)
    assert "A showing of an item" in (copy / "book" / "glossary.md").read_text()


def test_check_tells_a_changed_header(copy: Path) -> None:
    slug = book.chapters()[0]["slug"]
    path = copy / "book" / f"{slug}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    book.by_tag(notebook, "header")[0].source += " changed by hand"
    book.write_notebook(path, notebook)
    with pytest.raises(SystemExit, match=slug):
        stamp.main(["--check"], copy)
    stamp.main([], copy)
    assert path.read_text() == (ROOT / "book" / f"{slug}.ipynb").read_text()


def test_a_stored_map_follows_the_list(copy: Path) -> None:
    """Publishing a chapter must not leave the maps in the others as they were."""
    path = copy / "book" / "overview.ipynb"
    text = path.read_text()
    assert text.count(">Overview</text>") == 1
    path.write_text(text.replace(">Overview</text>", ">Old name</text>"))
    with pytest.raises(SystemExit, match=r"overview\.ipynb"):
        stamp.main(["--check"], copy)
    stamp.main([], copy)
    assert path.read_text() == text


def test_one_command_sets_the_address_everywhere(copy: Path) -> None:
    explore = {c["slug"]: c["explore"] for c in book.chapters(copy)}
    stamp.main(["--repository", SET["repository"], "--revision", "v1", "--app", SET["app"]], copy)
    assert json.loads((copy / "book" / "site.json").read_text())["repository"] == SET["repository"]
    for path in (copy / "book").glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        assert f'"{SET["repository"]}", "v1"' in book.by_tag(notebook, "setup")[0].source
        header = book.by_tag(notebook, "header")[0].source
        assert f"https://colab.research.google.com/github/someone/recsys-lite/blob/v1/book/{path.name}" in header
        assert html.escape(f"https://app.example/{explore[path.stem]}") in header
    stamp.main(["--check"], copy)


def test_header_without_addresses_has_no_link_elsewhere() -> None:
    text = stamp.header(CHAPTER, UNSET, {}, {"overview": "Overview"})
    assert "https://" not in text and "href" not in text
    assert "make app" in text and "Read before: [Overview](overview.ipynb)." in text and "idea &amp; more" in text


def test_header_tells_run_time_and_paper() -> None:
    text = stamp.header(CHAPTER, SET, {"x": {"seconds": 40, "cores": 2}}, {"overview": "Overview"})
    assert "runs in about 40 s on 2 cores" in text and 'title="Paper">Some, 2010<' in text and "make app" not in text


def test_setup_is_python_and_installs_only_from_the_address() -> None:
    for address in (UNSET, SET):
        text = stamp.setup(address)
        ast.parse(text)
        assert text.count("install") > 1 and "git+" in text and len(text.splitlines()) <= 30


def test_setup_without_address_installs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util
    import subprocess

    def never(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be run")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "Popen", never)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install -e"):
        exec(stamp.setup(UNSET), {})


@pytest.mark.parametrize("content", [{"repository": ""}, {**UNSET, "extra": ""}, {**UNSET, "app": None}])
def test_bad_site_json_is_named(tmp_path: Path, content: dict) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "site.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"site\.json"):
        stamp.site(tmp_path)


def test_missing_tag_is_named() -> None:
    notebook = nbformat.v4.new_notebook(cells=[])
    with pytest.raises(ValueError, match="'header', expected 1"):
        stamp.stamped(notebook, "a", "b", "x")


def test_executing_twice_gives_the_same_text(tmp_path: Path) -> None:
    import nbformat.v4 as v4

    cells = [
        v4.new_code_cell("import sys\nprint('one'); print('bar 5%|', file=sys.stderr); print('two')"),
        v4.new_code_cell("from recsys_lite.notebook import tabs\ntabs({'a': '<b>1</b>', 'b': '2'})"),
    ]
    texts = []
    for _ in range(2):
        path = tmp_path / "small.ipynb"
        book.write_notebook(path, v4.new_notebook(cells=cells))
        notebook, _, found = execute.run(path)
        assert found == []  # no stored file is read
        book.write_notebook(path, execute.tidy(notebook, "small"))
        texts.append(path.read_text())
    assert texts[0] == texts[1]
    stored = json.loads(texts[0])
    assert [c["id"] for c in stored["cells"]] == ["small-000", "small-001"]
    assert stored["cells"][0]["outputs"][0]["text"] == ["one\n", "two\n"] and len(stored["cells"][0]["outputs"]) == 1
    view = stored["cells"][1]["outputs"][0]["data"][execute.VIEW]["model_id"]
    assert view in stored["metadata"]["widgets"][execute.WIDGETS]["state"]


def test_run_time_changes_only_when_it_is_news(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    kept = tmp_path / "book" / "run_times.json"
    kept.write_text("{}")
    times.note_time("x", 42.3, tmp_path)
    assert json.loads(kept.read_text())["x"]["seconds"] == 40
    times.note_time("x", 55, tmp_path)
    assert json.loads(kept.read_text())["x"]["seconds"] == 40
    times.note_time("x", 100, tmp_path)
    assert json.loads(kept.read_text())["x"]["seconds"] == 100


def test_run_times_are_those_of_the_test_run(tmp_path: Path, capsys) -> None:
    with pytest.raises(ValueError, match="make test"):
        times.measured(tmp_path / "chapters.xml")
    report = tmp_path / times.REPORT
    report.parent.mkdir()
    cell = '<testcase classname="{0}.{0}.ipynb" name="Cell {1}" time="{2}" />'.format
    cases = cell("fm", 0, 4.5) + cell("fm", 1, 30) + cell("dcn", 0, 2.25)
    report.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    assert times.measured(report) == {"dcn": 2.25, "fm": 34.5}
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "run_times.json").write_text('{"dcn": {"seconds": 5, "cores": 2}}')
    times.main([], tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:]] == [["dcn", "5", "s", "2", "s"], ["fm", "-", "34", "s"]]
    report.write_text("<testsuites />")
    with pytest.raises(ValueError, match="no chapter"):
        times.measured(report)
