"""Run chapters and store their outputs, so that the same code gives the same text.

python tools/execute.py                       # all chapters
python tools/execute.py book/overview.ipynb   # one
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from chapters import ROOT, chapters, notebook_path, read, write_notebook
from nbclient import NotebookClient
from stamp import stamp
from stored import note, unwatched, watched
from times import note_time

TIMEOUT = 900  # seconds a cell may take
WIDGETS = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
KEEP_CELL = {"tags", "mystnb"}
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def run(path: Path) -> tuple[Any, float, list[str]]:
    """Execute a notebook in its own folder; returns it, the seconds it took, and the stored files that it read."""
    notebook = nbformat.read(path, as_version=4)
    watched(notebook)
    os.environ["RECSYS_LITE_STATIC"] = "1"
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=True,
        on_cell_execute=lambda cell, cell_index: print(".", end="", flush=True),
    )
    start = time.monotonic()
    client.execute()
    seconds = time.monotonic() - start
    return notebook, seconds, unwatched(notebook)


def tidy(notebook: Any, slug: str) -> Any:
    """Drop what changes from run to run, number what has a random name.

    Times and other tools' metadata go; cells are counted from 1; progress bars go; neighbouring pieces of one stream
    are joined; cells without a readable id get one from their place; widgets get theirs from chapter and order.
    """
    state = notebook.metadata.get("widgets", {}).get(WIDGETS)
    notebook["metadata"] = nbformat.from_dict(json.loads(json.dumps(KERNEL)))
    name_cells(notebook.cells, slug)
    count = 0
    for cell in notebook.cells:
        cell["metadata"] = {key: value for key, value in cell.metadata.items() if key in KEEP_CELL}
        if cell.cell_type == "code":
            count += 1
            cell["execution_count"] = count
            cell["outputs"] = tidy_outputs(cell.outputs, count)
    used = {
        o["data"][VIEW]["model_id"] for c in notebook.cells for o in c.get("outputs", []) if VIEW in o.get("data", {})
    }
    if not state or not used:
        return notebook
    notebook["metadata"]["widgets"] = {WIDGETS: state}
    text = json.dumps(notebook)
    for place, old in enumerate(state["state"]):
        text = text.replace(old, hashlib.sha256(f"{slug} widget {place}".encode()).hexdigest()[:32])
    return nbformat.from_dict(json.loads(text))


def name_cells(cells: list[Any], slug: str) -> None:
    """Give each cell with a random id, or without one, an id from its place; chosen ids stay."""
    taken = {cell.get("id", "") for cell in cells}
    for place, cell in enumerate(cells):
        if re.fullmatch(r"|[0-9a-f]{8}|[0-9a-f-]{36}", cell.get("id", "")):
            name = f"{slug}-{place:03d}"[-64:]
            while name in taken:
                name += "b"
            taken.add(name)
            cell["id"] = name


def tidy_outputs(outputs: list[Any], count: int) -> list[Any]:
    """Outputs without progress bars on stderr, streams joined, without metadata of their own."""
    kept: list[Any] = []
    for output in outputs:
        if output["output_type"] == "stream":
            if output["name"] == "stderr" and progress(output["text"]):
                continue
            if kept and kept[-1].get("name") == output["name"]:
                kept[-1]["text"] += output["text"]
                continue
        if "execution_count" in output:
            output["execution_count"] = count
        if "metadata" in output:
            output["metadata"] = {}
        kept.append(output)
    return kept


def progress(text: str) -> bool:
    """Whether a piece of stderr is a progress bar: it returns to the start of its line, or is blank."""
    return "\r" in text or "it/s" in text or "%|" in text or not text.strip()


def main(arguments: list[str] | None = None, root: Path = ROOT) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "chapters", nargs="*", type=Path, help="notebooks; default: all of recsys_lite/store/chapters.json"
    )
    paths = parser.parse_args(arguments).chapters
    paths = paths or [notebook_path(c["slug"], root) for c in chapters(root)]
    missing = [str(p) for p in paths if not p.exists()]
    if missing:
        raise SystemExit(f"no such notebook: {', '.join(missing)}")
    stamp(root)  # what runs is what is stored
    for path in paths:
        print(f"{path.stem} ", end="", flush=True)
        notebook, seconds, found = run(path)
        write_notebook(path, tidy(notebook, path.stem))
        note(path.stem, found, root)
        if path.stem not in read("run_times.json", root):  # until the test run measures it
            note_time(path.stem, seconds, root)
        print(f" {seconds:.0f} s, {path.stat().st_size / 1e3:.0f} kB", flush=True)
    stamp(root)  # the header tells the new run time


if __name__ == "__main__":
    sys.exit(main())
