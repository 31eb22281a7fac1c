"""The explorer's floors: imports go one way, pages do not know each other, and no module grows long."""

import ast
from pathlib import Path

import pytest

from app.pages import PAGES

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "app").rglob("*.py"))
FORBIDDEN = {"core": ("app.parts", "app.pages", "app.main"), "parts": ("app.pages", "app.main"), "pages": ("app.main",)}


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """All that a module imports, as full dotted names, wherever in the file."""
    package = path.relative_to(ROOT).parent.parts
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{source}.{a.name}" for a in node.names}
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_go_one_way_and_modules_stay_short(path):
    floor = path.relative_to(ROOT / "app").parts[0]
    names = imported(path)
    assert not [n for n in names if any(within(n, p) for p in FORBIDDEN.get(floor, ()))]
    if floor == "pages" and path.stem != "__init__":
        assert not [n for n in names if within(n, "app.pages")], "what two pages share is a part"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_the_folder_of_pages_holds_pages_and_each_begins_with_its_page():
    listed = {module.__name__: module for section in PAGES.values() for module, _ in section.values()}
    pages = [path for path in MODULES if path.parent.name == "pages" and path.stem != "__init__"]
    assert {dotted(path) for path in pages} == set(listed)
    for path in pages:
        first = next(n for n in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(n, ast.FunctionDef))
        assert first.name == "page", path


def test_streamlits_script_stands_beside_no_folder_of_pages():
    """Streamlit would run the files of such a folder as scripts, and a first visit to a page's address would fail."""
    assert (ROOT / "streamlit_app.py").is_file() and not (ROOT / "pages").exists()


def test_what_a_module_imports_is_read_in_full(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / "app" / "core" / "x.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "from ..pages import race\nfrom . import run\nfrom .run import turn\ndef f():\n    import app.parts.cells\n"
    )
    assert imported(path) == {"app.pages.race", "app.core.run", "app.core.run.turn", "app.parts.cells"}
