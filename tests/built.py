"""The book built once for all tests, from a copy of the working tree."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).parents[1]


def copy_tree(target: Path) -> Path:
    """Copy what git knows or would add; returns the target."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    return target


def state() -> str:
    """A name for what the book is made of: any change of it gives another."""
    files = [ROOT / "_config.yml", ROOT / "_toc.yml", ROOT / "tools" / "build.py"]
    files += [p for p in (ROOT / "book").rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    stamps = sorted((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files)
    import hashlib

    return hashlib.sha256(repr(stamps).encode()).hexdigest()[:16]


@functools.cache
def built_book() -> tuple[Path, str]:
    """Folder of the built pages and what the build printed; the processes of one test run share one build."""
    place = Path(tempfile.gettempdir()) / f"recsys-lite-book-{state()}"
    with FileLock(f"{place}.lock"):
        log = place / "build.log"
        if not log.exists():
            shutil.rmtree(place, ignore_errors=True)
            copy_tree(place / "tree")
            command = [sys.executable, "tools/build.py", "--clean"]
            done = subprocess.run(command, cwd=place / "tree", capture_output=True, text=True)
            log.write_text(f"{done.stdout}\n{done.stderr}\nexit status {done.returncode}\n")
    return place / "tree" / "_build" / "html", log.read_text()
