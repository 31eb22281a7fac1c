"""The test run's chapters: away from the repository, installed by their own set-up cell, compared by nbval."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import fresh  # noqa: E402
import stamp  # noqa: E402
import times  # noqa: E402

PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "recsys-lite"
version = "9.9"
optional-dependencies = { plots = [] }

[tool.setuptools]
packages = ["recsys_lite"]
"""


def tiny(root: Path, stored: dict[str, str]) -> Path:
    """A repository with a small package and chapters that print a number, given what they have stored of it."""
    files = {
        "pyproject.toml": PROJECT,
        "recsys_lite/__init__.py": "__version__ = '9.9'",
        "recsys_lite/training.py": "def seed_everything(seed): pass",
        "recsys_lite/store/chapters.json": json.dumps([{"slug": slug} for slug in stored]),
        "book/run_times.json": json.dumps({"good": {"seconds": 5, "cores": 2}, "wrong": {"seconds": 9, "cores": 2}}),
        "book/stored.json": "{}",
        "recsys_lite/store/results/a.json": "{}",
        "book/nbval_sanitize.cfg": (ROOT / "book" / "nbval_sanitize.cfg").read_text(),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for slug, text in stored.items():
        cells = [
            nbformat.v4.new_code_cell(stamp.setup({"repository": "", "revision": ""}), metadata={"tags": ["setup"]})
        ]
        cells.append(nbformat.v4.new_code_cell("print(6 * 7)", metadata={"tags": ["nbval-check-output"]}))
        for count, cell in enumerate(cells, 1):
            cell.execution_count = count
        cells[1].outputs = [nbformat.v4.new_output("stream", text=text)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "book" / f"{slug}.ipynb")
    return root


def run(away: Path, arguments: list[str]) -> tuple[int, str]:
    """Exit status and output of pytest on prepared chapters."""
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={away / 'report.xml'}", *arguments]
    done = subprocess.run(
        command, cwd=away, env={**os.environ, "JUPYTER_PATH": str(away)}, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow("runs chapters in fresh environments")
def test_chapters_install_the_package_and_differences_are_shown(tmp_path: Path) -> None:
    root, away = tiny(tmp_path / "root", {"good": "42\n", "wrong": "43\n"}), tmp_path / "away"
    away.mkdir()
    arguments = fresh.prepare(away, root)
    assert [Path(a).stem for a in arguments[-2:]] == ["wrong", "good"]  # the longest first
    status, output = run(away, arguments)
    assert status == 1 and "1 failed, 7 passed" in output, output
    assert "wrong/wrong.ipynb::Cell 2" in output and "print(6 * 7)" in output
    assert "'43\\n' == '42\\n'" in output, output
    assert sorted(times.measured(away / "report.xml")) == ["good", "wrong"]


@pytest.mark.slow("runs chapters in fresh environments")
def test_a_package_from_elsewhere_is_refused(tmp_path: Path) -> None:
    root, away = tiny(tmp_path / "root", {"good": "42\n"}), tmp_path / "away"
    away.mkdir()
    arguments = fresh.prepare(away, root)
    (away / "packages" / "recsys_lite").symlink_to(root / "recsys_lite")
    status, output = run(away, arguments)
    assert status == 1 and "2 failed, 2 passed" in output, output
    assert "good.ipynb::Cell 0" in output and 'find_spec("recsys_lite") is None' in output
    assert "good.ipynb::Cell 3" in output and "packages/recsys_lite/__init__.py" in output


def test_the_working_tree_is_what_is_installed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / ".gitignore").write_text("left_out\n")
    for name in ("left_out", "kept"):
        (root / name).write_text(name)
    address, commit = fresh.origin(tmp_path / "origin.git", root)
    assert address == f"file://localhost{tmp_path}/origin.git"
    listed = ["git", f"--git-dir={tmp_path / 'origin.git'}", "ls-tree", "--name-only", commit]
    assert subprocess.run(listed, capture_output=True, text=True).stdout.split() == [".gitignore", "kept"]
    assert not (root / ".git").exists()


def test_a_notebook_that_nobody_would_run_is_named(tmp_path: Path) -> None:
    root = tiny(tmp_path, {"good": "42\n"})
    (root / "book" / "stray.ipynb").write_text("{}")
    with pytest.raises(ValueError, match=r"book/stray\.ipynb: not in"):
        fresh.prepare(tmp_path / "away", root)
