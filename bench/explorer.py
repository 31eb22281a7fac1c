"""How long the explorer thinks: the first view of every page in a fresh server, a second visitor's, and an edit.

    python -m bench.explorer           pages that are missing
    python -m bench.explorer --fresh   everything again

Streamlit's own test runner runs the pages, so these are the seconds of the server, without network and browser; what
``python -m app`` does before it serves stands apart, as *start*. Compare only what stands in one file: it was measured
in one run on one machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from tqdm import tqdm

from recsys_lite import store
from recsys_lite.store import RESULTS

FILE = RESULTS / "explorer.json"
ROUNDS = 3  # fresh processes a page

Edit = Callable[[Any], Any]

#: page -> what a reader changes first
EDITS: dict[str, Edit] = {
    "compare": lambda app: app.number_input("compare.row").set_value(31),
    "steps": lambda app: app.number_input("control.row").set_value(31),
    "inside": lambda app: app.selectbox("control.layer").select_index(1),
    "embeddings": lambda app: app.selectbox("control.colour").select_index(1),
    "retrieval": lambda app: app.number_input("control.person").set_value(7),
    "position": lambda app: app.selectbox("control.log").select_index(1),
    "serving": lambda app: app.selectbox("control.view").select_index(1),
    "race": lambda app: app.selectbox("control.b").select_index(2),
    "own_data": lambda app: app.selectbox("control.a").select_index(2),
    "game": lambda app: app.number_input("control.round").set_value(2),
    "leaderboard": lambda app: app.selectbox("control.metric").select_index(1),
}


def measured(page: str) -> dict[str, float]:
    """Seconds in this process, which should be fresh: the server's start, first view, another visitor's, an edit."""
    started = time.perf_counter()
    from streamlit.testing.v1 import AppTest

    from app.__main__ import read

    read()
    seconds = {"start": time.perf_counter() - started}

    def script(module: str) -> None:
        import importlib

        importlib.import_module(f"app.pages.{module}").page()

    started = time.perf_counter()
    app = AppTest.from_function(script, args=(page,), default_timeout=300).run()
    seconds["first"] = time.perf_counter() - started
    started = time.perf_counter()
    app = AppTest.from_function(script, args=(page,), default_timeout=300).run()
    seconds["second"] = time.perf_counter() - started
    change = EDITS[page](app)
    started = time.perf_counter()
    change.run()
    seconds["edit"] = time.perf_counter() - started
    if page == "compare":
        seconds["edit while another trains"] = beside(lambda: app.number_input("compare.row").set_value(32).run())
    if app.exception:
        raise SystemExit(f"{page}: {app.exception[0].value}")
    return seconds


def beside(click: Callable[[], Any]) -> float:
    """Seconds of a click while another visitor's race trains."""
    from recsys_lite.lab.worker import Worker

    with Worker("recsys_lite.lab.race:play", ["fm", "dhen"], rows=4000, epochs=40) as worker:
        worker.ask()
        worker.take(300)
        worker.ask()
        started = time.perf_counter()
        click()
        return time.perf_counter() - started


def main() -> None:
    """Measure what is asked for, and write it after each page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="everything again")
    parser.add_argument("--page", choices=EDITS, help="print the seconds of one page, write nothing")
    arguments = parser.parse_args()
    if arguments.page:
        print(json.dumps(measured(arguments.page)))
        return
    about = {"cores": os.cpu_count(), "streamlit": version("streamlit"), "rounds": ROUNDS}
    record = store.read_json(FILE) if FILE.is_file() and not arguments.fresh else {"about": about, "runs": []}
    missing = [page for page in EDITS if page not in {run["page"] for run in record["runs"]}]
    for page in tqdm(missing, desc="pages"):
        command = [sys.executable, "-m", "bench.explorer", "--page", page]
        for k in range(ROUNDS):
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            record["runs"].append({"page": page, "round": k, **json.loads(done.stdout.splitlines()[-1])})
        store.write_json(FILE, record)


if __name__ == "__main__":
    main()
