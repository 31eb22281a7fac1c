"""The stored files that each chapter reads: seen while it runs, kept in book/stored.json, packed into its download.

tools/execute.py notes them; in `make test` a chapter that reads another file than the list says fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
from chapters import ROOT, read, write

FOLDERS = ("store/results", "data/samples")  # of the package: what only some chapters read

#: A notebook's first cell: which files are opened, and which stored ones are asked for (``store.files.located``).
WATCH = """\
import sys

opened_files = set()


def watch_files(event, arguments):
    if event in ("open", "recsys_lite.stored"):
        opened_files.add(str(arguments[0]))


sys.addaudithook(watch_files)"""

#: Its last cell: ``found``, the stored files among them, without suffixes, since weights and their record are a pair.
FOUND = f"""\
from pathlib import Path

import recsys_lite

package = Path(recsys_lite.__file__).parent
found = {{Path(name) for name in opened_files if Path(name).is_file()}}
found = {{path.relative_to(package) for path in found if path.is_relative_to(package)}}
found = {{path for path in found if path.as_posix().startswith({FOLDERS!r})}}
found = sorted({{path.with_suffix("").as_posix() for path in found}})"""

#: What follows it in ``make test``.
SAME = """\
expected = {expected!r}
assert found == expected, (
    f"read but not listed: {{sorted(set(found) - set(expected))}}, listed but not read: "
    f"{{sorted(set(expected) - set(found))}}; run: python tools/execute.py book/{slug}.ipynb"
)"""


def watched(notebook: Any) -> None:
    """Put the two cells around those of a notebook."""
    notebook.cells.insert(0, nbformat.v4.new_code_cell(WATCH, id="watch"))
    notebook.cells.append(nbformat.v4.new_code_cell(f"import json\n\n{FOUND}\nprint(json.dumps(found))", id="found"))


def unwatched(notebook: Any) -> list[str]:
    """Take the two cells out of a notebook that has run; returns what it read."""
    (told,) = notebook.cells.pop().outputs
    notebook.cells.pop(0)
    return json.loads(told.text)


def note(slug: str, found: list[str], root: Path = ROOT) -> None:
    """Keep what a chapter read."""
    listed = read("stored.json", root) | {slug: found}
    write(root / "book" / "stored.json", json.dumps(listed, indent=1, sort_keys=True) + "\n")


def files(names: Iterable[str], root: Path = ROOT) -> list[Path]:
    """The files of such a list, with the notices that lie beside them.

    Raises:
        ValueError: for a name of which there is no file.
    """
    found: set[Path] = set()
    for name in names:
        path = root / "recsys_lite" / name
        own = [p for p in path.parent.glob(f"{path.name}.*") if p.with_suffix("") == path]
        if not own:
            raise ValueError(f"book/stored.json: there is no {name}; run the chapter again: python tools/execute.py")
        found |= {*own, *path.parent.glob("NOTICE*")}
    return sorted(found)
