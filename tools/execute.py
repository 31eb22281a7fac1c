"""Run chapters and store their outputs: `python tools/execute.py [book/name.ipynb ...]`.

Running twice gives the same file but for what truly varies (times, pictures).
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from chapters import BOOK, chapters, notebook_path
from nbclient import NotebookClient

from recsys_lite.store import write_aside, write_json

TIMES = BOOK / "run_times.json"


def execute(path: Path) -> float:
    """Run one notebook in place; seconds taken."""
    notebook = nbformat.read(path, as_version=4)
    started = time.perf_counter()
    NotebookClient(notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}).execute()
    seconds = time.perf_counter() - started
    clean(notebook)
    text = stable_widgets(nbformat.writes(notebook))
    write_aside(path, lambda p: p.write_text(text + "\n", encoding="utf-8"))
    return seconds


def clean(notebook: Any) -> None:
    """Drop what changes from run to run and says nothing: timestamps, progress bars, the kernel's details."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        **({"widgets": notebook.metadata["widgets"]} if "widgets" in notebook.metadata else {}),
    }
    count = 0
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
            for output in cell.outputs:
                output.get("metadata", {}).clear()
                if "execution_count" in output:
                    output["execution_count"] = count


def stable_widgets(text: str) -> str:
    """Widgets get random names; give them numbers in order of appearance."""
    state = json.loads(text)["metadata"].get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    names = sorted(state, key=lambda name: text.index(name))
    for k, name in enumerate(names):
        text = text.replace(name, f"{k:032x}")
    return re.sub(r"<IPython[^>]* at 0x[0-9a-f]+>", "<IPython object>", text)


def main() -> None:
    os.environ["RECSYS_LITE_STATIC"] = "1"
    wanted = [Path(a).resolve() for a in sys.argv[1:]] or [notebook_path(c["slug"]) for c in chapters()]
    for path in wanted:
        print(f"{path.name} … ", end="", flush=True)
        seconds = execute(path)
        print(f"{seconds:.0f} s")
        times = json.loads(TIMES.read_text()) if TIMES.exists() else {}
        times[path.stem] = {"seconds": round(seconds), "cores": os.cpu_count()}
        write_json(TIMES, times)


if __name__ == "__main__":
    main()
