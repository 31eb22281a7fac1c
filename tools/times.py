"""How long the chapters took in the test run, beside what their headers tell; `--keep` writes what has changed.

python tools/times.py          the table; `make test` prints it after the chapters
python tools/times.py --keep   also write book/run_times.json and the headers made of it
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

from chapters import ROOT, read, write

REPORT = "_build/chapters.xml"  # what pytest tells of the run of the chapters


def rounded(seconds: float) -> int:
    """Seconds to about two digits, so that a run time seldom changes."""
    step = 1 if seconds < 10 else 5 if seconds < 60 else 10 if seconds < 300 else 60
    return max(1, round(seconds / step) * step)


def note_time(slug: str, seconds: float, root: Path = ROOT) -> None:
    """Keep a chapter's run time; a change of less than half is the machine's mood, not news."""
    times = read("run_times.json", root)
    old = times.get(slug, {}).get("seconds")
    if old is None or not old / 1.5 <= seconds <= old * 1.5:
        times[slug] = {"seconds": rounded(seconds), "cores": os.cpu_count() or 1}
        write(root / "book" / "run_times.json", json.dumps(times, indent=1, sort_keys=True) + "\n")


def measured(report: Path) -> dict[str, float]:
    """Chapter -> seconds of all its cells, start of kernel and installation with them, from a JUnit report of nbval.

    Raises:
        ValueError: if there is no report, or no chapter in it.
    """
    if not report.is_file():
        raise ValueError(f"times: no {report}; `make test` writes it")
    found: dict[str, float] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        parts = case.get("classname", "").split(".")
        if parts[-1] == "ipynb":
            found[parts[-2]] = found.get(parts[-2], 0.0) + float(case.get("time", 0))
    if not found:
        raise ValueError(f"times: {report} tells of no chapter")
    return dict(sorted(found.items()))


def main(arguments: list[str], root: Path = ROOT) -> None:
    """Print the table, and keep the times if asked to."""
    told = read("run_times.json", root)
    seconds = measured(root / REPORT)
    print(f"{'chapter':<24}{'told':>8}{'this run':>10}")
    for slug, now in seconds.items():
        then = told.get(slug, {}).get("seconds")
        print(f"{slug:<24}{'-' if then is None else f'{then} s':>8}{now:>8.0f} s")
    if "--keep" in arguments:
        from stamp import stamp

        for slug, now in seconds.items():
            note_time(slug, now, root)
        stamp(root)


if __name__ == "__main__":
    main(sys.argv[1:])
