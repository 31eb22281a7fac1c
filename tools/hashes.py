"""Write requirements-hashed.txt: the pinned set with the hashes of all files of each release, for every platform.

python tools/hashes.py            # ask the package index; makes an environment for uv first
python tools/hashes.py --check    # offline: fail if the two files pin other releases, or one has no hash

Install from it with ``python -m pip install --require-hashes --no-deps -r requirements-hashed.txt``.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
import venv
from pathlib import Path

from chapters import ROOT, write

FIRST = "3.11.5"  # the oldest Python that all pinned releases take
PINNED, HASHED = "requirements.txt", "requirements-hashed.txt"
HEAD = "# written by tools/hashes.py from requirements.txt: hashes of all files of each release, for every platform\n"


def pins(text: str) -> dict[str, str]:
    """Name -> release of every line that pins one; names as the index compares them.

    Example:
        >>> pins("torch==2.13.0\\nast_serialize==0.13.1 \\\\\\n    --hash=sha256:00")
        {'torch': '2.13.0', 'ast-serialize': '0.13.1'}
    """
    found = re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): release for name, release in found}


def without_hash(text: str) -> list[str]:
    """Names of pinned releases that no hash follows."""
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)
    return [b.partition("==")[0] for b in blocks if "==" in b and not re.search(r"--hash=sha256:[0-9a-f]{64}\b", b)]


def wrong(root: Path = ROOT) -> list[str]:
    """What the hashed file has otherwise than the pinned one, in words."""
    wanted, text = pins((root / PINNED).read_text(encoding="utf-8")), (root / HASHED).read_text(encoding="utf-8")
    found = pins(text)
    names = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    told = [f"{name}: {wanted.get(name, 'not')} pinned, {found.get(name, 'not')} hashed" for name in names]
    return told + [f"{name}: no hash" for name in without_hash(text)]


def make(root: Path = ROOT) -> str:
    """The hashed file's text, from the package index."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python, out = Path(folder) / "bin" / "python", Path(folder) / "hashed.txt"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        options = ["--no-deps", "--universal", "--generate-hashes", "--python-version", FIRST, "--no-config"]
        options += ["--no-header", "--no-annotate", "--quiet", "--cache-dir", f"{folder}/cache"]
        subprocess.run([python, "-m", "uv", "pip", "compile", *options, root / PINNED, "-o", out], check=True)
        return HEAD + out.read_text(encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="offline; fail if the two files disagree")
    if not parser.parse_args().check:
        write(ROOT / HASHED, make())
    if told := wrong():
        raise SystemExit("\n".join([*told, "run: python tools/hashes.py"]))
    print(f"{HASHED} has a hash for each of {len(pins((ROOT / PINNED).read_text(encoding='utf-8')))} releases")


if __name__ == "__main__":
    main()
