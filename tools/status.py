"""The status page: how long chapters take, what versions were tested together, which command made which results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from chapters import ROOT, chapters, read, table

SHOWN = ("torch", "numpy", "pandas", "scikit-learn", "faiss-cpu", "plotly", "ipywidgets", "jupyter-book", "streamlit")

HEAD = """\
What stands behind these pages. Run times are measured by the test run, which runs each chapter alone in a fresh
environment, two at a time, on a machine without a graphics card; another machine may need half or twice as long, and a
change of less than half is not news."""

HELP = """\
- *The data cannot be fetched.* The error names each source that was tried. Fetch `ml-100k.zip` by hand, unzip it, and
  put its folder into `RECSYS_LITE_ML100K`.
- *`recsys_lite.notebook needs plotly`, `index needs faiss`.* Install the part that the message names, for example
  `pip install -e '.[plots,retrieval]'`.
- *A figure says "Run this cell to see the figure".* GitHub shows no scripts: open the built page, Jupyter or Colab.
- *Numbers differ in the last digits.* Another processor or release of PyTorch adds in another order; sentences with
  verdicts are made from the numbers and follow them."""


def versions(root: Path = ROOT) -> dict[str, str]:
    """The pinned releases of :data:`SHOWN`.

    Raises:
        ValueError: for one that requirements.txt does not pin.
    """
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", (root / "requirements.txt").read_text(encoding="utf-8"), re.M))
    if missing := [name for name in SHOWN if name not in pinned]:
        raise ValueError(f"requirements.txt does not pin {missing[0]}")
    return {name: pinned[name] for name in SHOWN}


def runs(value: Any) -> int:
    """How many runs a results file holds: dictionaries in its lists."""
    parts = value.values() if isinstance(value, dict) else [value]
    return sum(isinstance(run, dict) for part in parts if isinstance(part, list) for run in part)


def commands(root: Path = ROOT) -> dict[str, str]:
    """Results file -> the module of ``bench`` that writes it, where one does."""
    found = {}
    for path in sorted((root / "bench").rglob("*.py")):
        for name in re.findall(r'^\w*FILE\w* = RESULTS / "(\w+)\.json"', path.read_text(encoding="utf-8"), re.M):
            found[name] = ".".join(path.relative_to(root / "bench").with_suffix("").parts)
    return found


def status(root: Path = ROOT) -> str:
    """The page's text below its title's comment."""
    times = read("run_times.json", root)
    lines = []
    for c in chapters(root):
        known = times.get(c["slug"])
        span = "not measured" if known is None else f"{known['seconds']} s on {known['cores']} cores"
        lines.append([f"[{c['short']}]({c['slug']}.ipynb)", c["level"], span, c["ram"], c["data"]])
    results = root / "recsys_lite" / "store" / "results"
    made = [
        [f"`{name}.json`", f"`python -m bench.{module}`", str(runs(json.loads(file.read_text())) or "–")]
        for name, module in sorted(commands(root).items()) if (file := results / f"{name}.json").exists()
    ]  # fmt: skip
    return "\n".join([
        "# Status", "", "<!-- written by tools/apparatus.py -->", "", HEAD, "",
        "## Chapters", "", *table(["chapter", "level", "run time", "memory", "data"], lines), "",
        "## Versions", "", "Python 3.11 or newer; the releases below were tested together.", "",
        *table(["package", "release"], [[f"`{k}`", v] for k, v in versions(root).items()]), "",
        "## Results", "", *table(["file", "command", "runs"], made), "",
        "## When something does not work", "", HELP, "",
    ])  # fmt: skip
