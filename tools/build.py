"""Build the book into _build/html; it needs no network and runs no notebook.

python tools/build.py            # only what changed
python tools/build.py --clean    # from nothing, as the tests do
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def copy_plotly(root: Path = ROOT) -> None:
    """Put plotly's script, which the plotly wheel carries, beside the other vendored ones."""
    spec = importlib.util.find_spec("plotly")
    if spec is None or spec.origin is None:
        raise SystemExit("plotly is missing: pip install -e '.[book]'")
    source = Path(spec.origin).parent / "package_data" / "plotly.min.js"
    target = root / "book" / "_static" / "vendor" / "plotly.min.js"
    if not target.exists() or target.stat().st_size != source.stat().st_size:
        shutil.copyfile(source, target)


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clean", action="store_true", help="remove _build first")
    if parser.parse_args(arguments).clean:
        shutil.rmtree(root / "_build", ignore_errors=True)
    copy_plotly(root)
    # -n and -W: a missing reference is a warning, a warning is a failure
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", ".", "-n", "-W", "--keep-going"]
    done = subprocess.run(command, cwd=root).returncode
    if not done:
        (root / "_build" / "html" / ".built").touch()  # tools/start.py compares the sources with it
    return done


if __name__ == "__main__":
    sys.exit(main())
