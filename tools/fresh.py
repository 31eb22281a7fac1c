"""The chapters as a reader has them: each away from the repository, in a fresh environment, to be run by nbval.

An environment sees the third-party packages of this one, but not recsys_lite: the chapter's own set-up cell installs it
from a git repository of the working tree.
"""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import nbformat
from chapters import ROOT, by_tag, chapters, notebook_path, read, write_notebook
from stamp import setup
from stored import FOUND, SAME, WATCH

CELL_TIMEOUT = 600  # seconds

BEFORE = """\
import importlib.util

assert importlib.util.find_spec("recsys_lite") is None
"""

AFTER = """\
from pathlib import Path

assert Path(recsys_lite.__file__).is_relative_to({environment!r}), recsys_lite.__file__"""


def origin(place: Path, root: Path = ROOT) -> tuple[str, str]:
    """Commit the working tree to a new repository; returns its address and the commit."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}

    def git(*command: str) -> str:
        command = ("git", f"--git-dir={place}", f"--work-tree={root}", *command)
        return subprocess.run(
            command, cwd=root, env=clean, check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()

    git("init", "--quiet")
    git("config", "core.compression", "0")  # cloned more often than stored: fast beats small
    git("config", "pack.window", "0")
    git("config", "user.name", "tests")
    git("config", "user.email", "tests@example.org")
    git("config", "commit.gpgSign", "false")
    git("add", "--all")
    git("commit", "--quiet", "--no-verify", "--message", "As it stands")
    # some versions of pip refuse an address without a host
    return f"file://localhost{place.as_posix()}", git("rev-parse", "HEAD")


def third_party(place: Path) -> Path:
    """A folder with links to all installed packages except recsys_lite."""
    place.mkdir()
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(folder).iterdir():
            ours = "recsys_lite" in entry.name or "recsys-lite" in entry.name
            if not ours and entry.suffix != ".pth" and not (place / entry.name).exists():
                (place / entry.name).symlink_to(entry)
    return place


def environment(place: Path, packages: Path) -> Path:
    """A new environment without pip that sees a folder of packages; returns its Python."""
    venv.create(place, symlinks=True)
    (site,) = place.glob("lib/python*/site-packages")
    (site / "third_party.pth").write_text(f"{packages}\n", encoding="utf-8")
    return place / "bin" / "python"


def prepare(away: Path, root: Path = ROOT) -> list[str]:
    """Put the chapters and what they need into an empty folder outside the repository.

    Returns:
        arguments for pytest, the chapter that takes longest first; it needs ``JUPYTER_PATH=away``.

    Raises:
        ValueError: for a notebook in the book that is no chapter: nobody would run it.
    """
    slugs = {chapter["slug"] for chapter in chapters(root)}
    if stray := sorted(p.name for p in (root / "book").glob("*.ipynb") if p.stem not in slugs):
        raise ValueError(f"book/{stray[0]}: not in recsys_lite/store/chapters.json")
    away = away.resolve()
    repository, revision = origin(away / "origin.git", root)
    packages = third_party(away / "packages")
    # The commit, not a branch: pip may keep the wheel that it builds, and does so in a cache of this run. To build, it
    # takes the setuptools that are here: PIP_NO_BUILD_ISOLATION=0 is its way to say so.
    settings = {"PIP_CACHE_DIR": str(away / "cache"), "PIP_NO_BUILD_ISOLATION": "0", "PYTHONPATH": ""}
    paths, listed = {}, read("stored.json", root)
    for chapter in chapters(root):
        slug = chapter["slug"]
        python = environment(away / "environments" / slug, packages)
        kernel = away / "kernels" / slug
        kernel.mkdir(parents=True)
        command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": command, "display_name": slug, "language": "python", "env": settings}
        (kernel / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
        notebook = nbformat.read(notebook_path(slug, root), as_version=4)
        notebook.metadata["kernelspec"] = {"name": slug, "display_name": slug, "language": "python"}
        (cell,) = by_tag(notebook, "setup")
        cell.source = setup({"repository": repository, "revision": revision}, chapter.get("extras", "plots"))
        # With one cell before it, nbval's Cell 5 is the chapter's [5].
        first, last = BEFORE + WATCH, AFTER.format(environment=str(away / "environments" / slug))
        last = f"{last}\n{FOUND}\n{SAME.format(expected=listed.get(slug, []), slug=slug)}"
        notebook.cells.insert(0, nbformat.v4.new_code_cell(first, id="before"))
        notebook.cells.append(nbformat.v4.new_code_cell(last, id="after"))
        paths[slug] = away / "chapters" / slug / f"{slug}.ipynb"
        paths[slug].parent.mkdir(parents=True)
        write_notebook(paths[slug], notebook)
    times = read("run_times.json", root)
    longest = sorted(paths, key=lambda slug: -times.get(slug, {}).get("seconds", float("inf")))
    nbval = ["--nbval-lax", "--nbval-cell-timeout", str(CELL_TIMEOUT)]
    nbval += ["--nbval-sanitize-with", str(root / "book" / "nbval_sanitize.cfg")]
    return [*nbval, "-p", "no:cacheprovider", f"--rootdir={away / 'chapters'}", *(str(paths[slug]) for slug in longest)]
