"""Build the book into _build/html; every warning is an error. `--clean` starts from nothing."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
VENDOR = ROOT / "book" / "_static" / "vendor"


def main() -> None:
    if "--clean" in sys.argv:
        shutil.rmtree(ROOT / "_build", ignore_errors=True)
    spec = importlib.util.find_spec("plotly")
    if spec is None or spec.origin is None:
        raise SystemExit("plotly is not installed: pip install -r requirements.txt")
    shutil.copyfile(Path(spec.origin).parent / "package_data" / "plotly.min.js", VENDOR / "plotly.min.js")
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", ".", "-n", "-W", "--keep-going"]
    raise SystemExit(subprocess.run(command, cwd=ROOT).returncode)


if __name__ == "__main__":
    main()
