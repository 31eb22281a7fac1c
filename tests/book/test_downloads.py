"""A downloaded chapter runs anywhere: notebook and wheel in one folder, and the set-up cell installs the wheel."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import downloads  # noqa: E402
import fresh  # noqa: E402
import stamp  # noqa: E402
from chapters import by_tag, chapters, notebook_path  # noqa: E402

pytestmark = pytest.mark.slow("packs the library with its weights, installs it")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("downloads")
    downloads.write_downloads(made)
    return made


def test_every_chapter_and_all_together_are_a_notebook_and_a_small_wheel(folder: Path) -> None:
    (wheel,) = folder.glob("*.whl")
    assert wheel.stat().st_size <= downloads.MOST_BYTES
    slugs = [c["slug"] for c in chapters()]
    for name, inside in [*((slug, [slug]) for slug in slugs), ("recsys-lite", slugs)]:
        with zipfile.ZipFile(folder / f"{name}.zip") as archive:
            wanted = {f"{name}/{wheel.name}", *(f"{name}/{slug}.ipynb" for slug in inside)}
            assert set(archive.namelist()) == wanted
            assert archive.read(f"{name}/{inside[0]}.ipynb") == notebook_path(inside[0]).read_bytes()


def test_the_same_sources_give_the_same_wheel(folder: Path, tmp_path: Path) -> None:
    assert downloads.write_wheel(tmp_path).read_bytes() == next(folder.glob("*.whl")).read_bytes()


def test_the_record_holds_every_file(folder: Path) -> None:
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        (record,) = (name for name in wheel.namelist() if name.endswith("/RECORD"))
        listed = [line.split(",")[0] for line in wheel.read(record).decode().splitlines()]
        assert sorted(listed) == sorted(wheel.namelist())
        assert "recsys_lite/py.typed" in listed and "recsys_lite/store/chapters.json" in listed


@pytest.mark.parametrize("slug", [c["slug"] for c in chapters()])
def test_the_wheel_has_the_weights_that_a_chapter_names(slug: str) -> None:
    """Calls weights_path("data", "task", "model"); other ways to weights use the same MovieLens and planted files."""
    cells = nbformat.read(notebook_path(slug), as_version=4).cells
    calls = [
        node for cell in cells if cell.cell_type == "code" for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "weights_path"
    ]  # fmt: skip
    stems = [
        ".".join(a.value for a in call.args) for call in calls if all(isinstance(a, ast.Constant) for a in call.args)
    ]
    assert [stem for stem in stems if not any(fnmatch(stem, pattern) for pattern in downloads.WEIGHTS)] == []


def test_the_setup_cell_installs_the_wheel_beside_it_and_says_so(folder: Path, tmp_path: Path) -> None:
    slug = "factorization_machines"
    zipfile.ZipFile(folder / f"{slug}.zip").extractall(tmp_path)
    python = fresh.environment(tmp_path / "environment", fresh.third_party(tmp_path / "packages"))
    (cell,) = by_tag(nbformat.read(tmp_path / slug / f"{slug}.ipynb", as_version=4), "setup")
    assert cell.source == stamp.setup(stamp.site(), "plots")
    after = """
from recsys_lite.store import weights_path
print(recsys_lite.__file__, Path(f"{weights_path('movielens-100k', 'click', 'fm')}.safetensors").exists())
"""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PIP_NO_INDEX": "1"}
    done = subprocess.run(
        [python, "-c", cell.source + after], cwd=tmp_path / slug, env=env, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert any(line.startswith("Processing") for line in lines) and any("Successfully" in line for line in lines)
    assert lines[-1].startswith(str(tmp_path / "environment")) and lines[-1].endswith("True")
