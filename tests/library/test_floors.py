"""The house: which wing may import which, no ring, files that are read in one sitting, what lies at the root."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "recsys_lite"

#: The floors from the ground up: a module imports from its own wing and from floors below. ARCHITECTURE.md draws them.
FLOORS = [
    {"_lazy"},
    {"store.sparse"},
    {"store.files", "fields"},
    {"data", "layers", "store.chapters", "store.predictions"},
    {"models"},
    {"evaluation"},
    {"training"},
    {"store.trained"},
    {"distributed", "retrieval", "explain", "store.programs"},
    {"lab", "plots"},
    {"notebook"},
]
FLOOR = {wing: floor for floor, wings in enumerate(FLOORS) for wing in wings}
MODULES = {
    ".".join(("recsys_lite", *p.relative_to(LIBRARY).with_suffix("").parts)).removesuffix(".__init__"): p
    for p in sorted(LIBRARY.rglob("*.py"))
}
MOST_LINES = 300


def wing(module: str) -> str:
    """The wing of a module: its first part; in ``store`` files lie on the ground, weights above models."""
    parts = module.split(".")[1:]
    if parts[:1] == ["store"]:
        return ".".join(parts[:2]).removesuffix("_clicks").removesuffix("_retrievers")
    return parts[0] if parts else ""


def imports(module: str) -> set[str]:
    """The modules of the library that a module imports, wherever the line stands, for types only too."""
    path, found = MODULES[module], set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            found |= {f"{base}.{a.name}" if f"{base}.{a.name}" in MODULES else base for a in node.names}
    return {name for name in found if name in MODULES} - {module}


GRAPH = {module: imports(module) for module in MODULES}


def test_no_ring():
    # A package's face imports its own modules, and they import each other: what counts is module to module.
    graph = {m: {d for d in needs if MODULES[d].name != "__init__.py"} for m, needs in GRAPH.items()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a ring of imports: {' -> '.join(error.args[1])}")


def test_no_module_needs_the_face_of_its_own_wing():
    wrong = [(m, d) for m, needs in GRAPH.items() for d in needs if m.startswith(d + ".") and d != "recsys_lite"]
    assert not wrong, wrong


@pytest.mark.parametrize("module", [m for m in MODULES if wing(m) and m != "recsys_lite.store"])
def test_imports_go_down(module):
    mine = wing(module)
    assert mine in FLOOR, f"{module}: no floor for the wing {mine!r}"
    for needed in GRAPH[module]:
        other = wing(needed)
        if other not in ("", mine, "store"):  # the faces of root and store import nothing before they are asked
            assert FLOOR[other] < FLOOR[mine], f"{module} imports {needed}, which does not lie below it"


def test_a_planted_ring_and_a_planted_climb_are_seen():
    ring = {"a": {"b"}, "b": {"c"}, "c": {"a"}}
    with pytest.raises(CycleError):
        list(TopologicalSorter(ring).static_order())
    assert FLOOR["models"] < FLOOR[wing("recsys_lite.training.loop")]
    assert "recsys_lite.training.settings" in GRAPH["recsys_lite.training.loop"]
    assert wing("recsys_lite.store.files") == "store.files" and wing("recsys_lite.explain.traces.steps") == "explain"


@pytest.mark.parametrize("module", MODULES)
def test_a_file_is_read_in_one_sitting(module):
    lines = MODULES[module].read_text(encoding="utf-8").count("\n")
    assert lines <= MOST_LINES, f"{module}: {lines} lines, expected at most {MOST_LINES}"


def test_few_modules_stay_at_the_root():
    assert len(list(LIBRARY.glob("*.py"))) <= 6


def test_every_wing_says_what_lives_there():
    for package in sorted({p.parent for p in LIBRARY.rglob("*.py")}):
        text = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")))
        assert text and len(text.split()) >= 8, package


def test_every_system_of_the_book_is_importable_from_models():
    models = importlib.import_module("recsys_lite.models")
    for path in sorted((LIBRARY / "models").glob("*.py")):
        if path.stem in ("__init__", "base", "cross_model", "click_models"):
            continue
        classes = [n.name for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef)]
        assert any(getattr(models, name, None) is not None for name in classes), path.stem
    for name in models.__all__:
        assert getattr(models, name) is not None


def test_the_first_import_is_light():
    code = (
        "import sys, recsys_lite; assert 'torch' not in sys.modules and 'pandas' not in sys.modules, 'heavy';"
        "from recsys_lite import FM, fit, load, load_model, predict; print(FM.__module__, fit.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["recsys_lite.models.fm", "recsys_lite.training.pointwise"], done.stderr


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="module 'recsys_lite' has no attribute 'fits'"):
        importlib.import_module("recsys_lite").fits  # noqa: B018
