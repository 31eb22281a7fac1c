"""Each chapter runs alone in a fresh environment, outside the repository; its own cell installs the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest
from built import copy_tree
from notebook_code import written

pytestmark = pytest.mark.slow
SLUGS = [c["slug"] for c in written()]
RUN = """
import sys, nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError
for last in (False, True):  # a kernel's answer can get lost on its way, which is not the chapter's doing
    notebook = nbformat.read(sys.argv[1], as_version=4)
    try:
        NotebookClient(notebook, timeout=400, kernel_name="python3").execute()
        break
    except CellTimeoutError:
        if last:
            raise
print("".join(o.get("text", "") for o in notebook.cells[-1].outputs))
"""
WHERE = "import recsys_lite\nprint('PACKAGE', recsys_lite.__file__)"


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Output of a command that must succeed."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=1500,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository of the working tree whose chapters are stamped with its own address."""
    place = copy_tree(tmp_path_factory.mktemp("origin"))
    address = f"file://localhost{place.as_posix()}"  # some versions of pip refuse an address without a host
    run(sys.executable, "tools/stamp.py", "--repository", address, "--revision", "main", cwd=place)
    me = ["-c", "user.name=tests", "-c", "user.email=tests@example.org"]
    run("git", "init", "--quiet", "--initial-branch=main", cwd=place)
    run("git", "add", "--all", cwd=place)
    run("git", *me, "commit", "--quiet", "--message", "As it stands", cwd=place)
    return place


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A new environment that sees the third-party packages of this one, but not recsys_lite."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(folder).iterdir():
            ours = "recsys_lite" in entry.name or "recsys-lite" in entry.name
            if not ours and entry.suffix != ".pth" and not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)
    place = tmp_path / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", place, cwd=tmp_path)
    (site,) = place.glob("lib/python*/site-packages")
    (site / "third_party.pth").write_text(f"{packages}\n")
    return place


@pytest.mark.parametrize("slug", SLUGS)
def test_chapter_runs_alone(slug: str, origin: Path, fresh: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    path = away / f"{slug}.ipynb"
    shutil.copyfile(origin / "book" / path.name, path)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(WHERE))
    nbformat.write(notebook, path)
    python = fresh / "bin" / "python"
    missing = "import importlib.util; print(importlib.util.find_spec('recsys_lite'))"
    # PIP_NO_BUILD_ISOLATION=0 is pip's way to say: build with the setuptools that is here, fetch none
    clean = {"PYTHONPATH": "", "RECSYS_LITE_STATIC": "", "PIP_NO_BUILD_ISOLATION": "0", "JUPYTER_PATH": ""}
    assert run(python, "-c", missing, cwd=away, **clean).strip() == "None"
    output = run(python, "-c", RUN, path, cwd=away, **clean)
    package = output.split("PACKAGE", 1)[1].strip()
    assert Path(package).is_relative_to(fresh), package
