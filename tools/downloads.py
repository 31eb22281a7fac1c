"""The library as one file that pip installs, with the stored weights that the chapters load.

It is written here rather than by a build tool: it needs no network, takes a second, and the same sources give the same
bytes. All weights together are twice as large.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import re
import zipfile
from fnmatch import fnmatch
from pathlib import Path

from chapters import ROOT, chapters, notebook_path

MOST_BYTES = 12_000_000
THEN = (2020, 1, 1, 0, 0, 0)  # the time of every file
LEFT_OUT = ("__pycache__", "predictions")  # no chapter reads what models predicted
WEIGHTS = (  # data set, task, model of the weights that chapters load
    "movielens-100k.click.*", "movielens-100k.retrieval.*", "movielens-100k.places.*", "planted.*",
    "criteo-sample.click.logistic_regression", "criteo-sample.click.autoint", "criteo-sample.click.dlrm",
)  # fmt: skip
WHEEL = "Wheel-Version: 1.0\nGenerator: recsys-lite\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def members(root: Path = ROOT) -> dict[str, bytes]:
    """The files of the package by their place in the wheel."""
    found = {}
    for path in sorted((root / "recsys_lite").rglob("*")):
        unused = path.parent.name == "weights" and not any(fnmatch(path.stem, pattern) for pattern in WEIGHTS)
        if path.is_file() and not unused and not set(path.parts) & set(LEFT_OUT):
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
    """A folder to run for each chapter, and one for all, as archives: notebook and wheel. Returns their paths."""
    wheel = write_wheel(folder, root)
    listed = {c["slug"]: [c["slug"]] for c in chapters(root)}
    listed["recsys-lite"] = [slug for (slug,) in listed.values()]
    made = []
    for name, slugs in listed.items():
        path = folder / f"{name}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for slug in slugs:
                add(archive, f"{name}/{slug}.ipynb", notebook_path(slug, root).read_bytes())
            add(archive, f"{name}/{wheel.name}", wheel.read_bytes(), packed=False)
        made.append(path)
    return made
