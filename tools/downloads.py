"""The folders that a reader takes away and runs: notebooks, the library as a wheel, and the stored files they read.

The wheel is the same everywhere and holds code only, so that a second chapter runs in the environment of the first.
Results, weights and samples lie beside the notebook in a folder ``stored``, where the library looks for what it does
not have (``recsys_lite.store.files.located``); ``book/stored.json`` lists what each chapter reads. The wheel is written
here rather than by a build tool: it needs no network, takes a second, and the same sources give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import re
import zipfile
from pathlib import Path

from chapters import ROOT, chapters, notebook_path, read
from stored import FOLDERS, files

from recsys_lite.store.files import BESIDE

ALL = "recsys-lite"
THEN = (2020, 1, 1, 0, 0, 0)  # the time of every file
WHEEL = "Wheel-Version: 1.0\nGenerator: recsys-lite\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def members(root: Path = ROOT) -> dict[str, bytes]:
    """The files of the library by their place in the wheel."""
    found = {}
    for path in sorted((root / "recsys_lite").rglob("*")):
        apart = path.relative_to(root / "recsys_lite").as_posix().startswith(FOLDERS)
        if path.is_file() and not apart and "__pycache__" not in path.parts:
            found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found


def add(archive: zipfile.ZipFile, name: str, content: bytes, packed: bool = True) -> None:
    """Put a file into an archive, always with the same bytes."""
    entry = zipfile.ZipInfo(name, THEN)
    entry.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    archive.writestr(entry, content)


def write_wheel(folder: Path, root: Path = ROOT) -> Path:
    """Write the wheel into a folder; returns its path."""
    installed = importlib.metadata.distribution("recsys-lite")
    about = installed.read_text("METADATA") or installed.read_text("PKG-INFO")
    if not about:
        raise ValueError("recsys-lite is not installed: its description is missing. Run: pip install -e .")
    (version,) = re.findall(r"^Version: (.+)$", about, re.MULTILINE)
    name = f"recsys_lite-{version}"
    files = members(root)
    files |= {f"{name}.dist-info/METADATA": about.encode(), f"{name}.dist-info/WHEEL": WHEEL.encode()}
    files[f"{name}.dist-info/licenses/LICENSE"] = (root / "LICENSE").read_bytes()
    record = ""
    for place, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{place},sha256={digest},{len(content)}\n"
    files[f"{name}.dist-info/RECORD"] = f"{record}{name}.dist-info/RECORD,,\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, content in files.items():
            add(archive, place, content)
    return path


def write_downloads(folder: Path, root: Path = ROOT) -> list[Path]:
    """An archive for each chapter, and one for all, of a folder to run. Returns their paths."""
    wheel, listed = write_wheel(folder, root), read("stored.json", root)
    slugs = [c["slug"] for c in chapters(root)]
    made = []
    for name, inside in [*((slug, [slug]) for slug in slugs), (ALL, slugs)]:
        path = folder / f"{name}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for slug in inside:
                add(archive, f"{name}/{slug}.ipynb", notebook_path(slug, root).read_bytes())
            add(archive, f"{name}/{wheel.name}", wheel.read_bytes(), packed=False)
            for file in files({stored for slug in inside for stored in listed.get(slug, [])}, root):
                place = file.relative_to(root / "recsys_lite").as_posix()
                add(archive, f"{name}/{BESIDE}/{place}", file.read_bytes())
        made.append(path)
    return made
