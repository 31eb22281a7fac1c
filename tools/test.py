"""Everything that must hold: style, types, chapters, tests.

python tools/test.py           all of it
python tools/test.py --check   style, types, floors, and the tests that are not marked slow: an answer in minutes
python tools/test.py --lint    style and types only
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from build import BROWSERS
from times import REPORT

ROOT = Path(__file__).parents[1]


def run(*command: str, **environment: str) -> None:
    """Run a command in the repository; stop at its failure."""
    print("$", " ".join(command), flush=True)
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment})
    if done.returncode:
        raise SystemExit(done.returncode)


def need_browser() -> None:
    """Debian's chromium, installed if the machine has none and we may."""
    if any(shutil.which(b) for b in BROWSERS):
        return
    if not shutil.which("apt-get"):
        raise SystemExit("the page tests need Chromium: install it and call `make test` again")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    run(*sudo, "apt-get", "update", "-qq")
    run(*sudo, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core")


def main() -> None:
    python = sys.executable
    run(python, "-m", "ruff", "check", ".")
    run(python, "-m", "ruff", "format", "--check", ".")
    run(python, "-m", "mypy")
    run(python, "tools/lint.py")
    run(python, "tools/stamp.py", "--check")
    if "--lint" in sys.argv:
        return
    run(python, "-c", "from recsys_lite import data; print(data.load('movielens-100k').about['source'])")
    threads = {"OMP_NUM_THREADS": "1", "RECSYS_LITE_STATIC": "1"}
    # In the order that is given, or of their names: the longest files start early, so that no worker waits at the end.
    spread = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "-q"]
    tests = [*spread, "--durations=20", "recsys_lite", "tests"]
    if "--check" in sys.argv:
        run(python, "-m", "pytest", "-m", "not slow", *tests, **threads)
        return
    need_browser()
    from fresh import prepare  # imports the library: not before it is checked

    # Notebooks first: one closing line of pytest is the last, and it counts the rest.
    with tempfile.TemporaryDirectory() as away:
        chapters = [f"--junitxml={REPORT}", *prepare(Path(away))]
        run(python, "-m", "pytest", *spread, *chapters, **threads, JUPYTER_PATH=away)
    run(python, "tools/times.py")
    run(python, "-m", "pytest", *tests, **threads)


if __name__ == "__main__":
    main()
