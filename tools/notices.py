"""Write what others should know before they use this: licences of dependencies, and cards of the stored weights.

    python tools/notices.py

``THIRD_PARTY.md`` lists what requirements.txt installs, with the licence that each package states;
``recsys_lite/store/results/weights/README.md`` says of every stored model what it was trained on and what it is not
for. Both follow from the environment and the records; run this again when either changes.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from recsys_lite.store import WEIGHTS, load_results, read_json

ROOT = Path(__file__).resolve().parents[1]
LICENCES = ROOT / "THIRD_PARTY.md"
CARDS = WEIGHTS / "README.md"
#: where the metadata holds a licence's whole text in place of its name
NAMES = {
    "altair": "BSD-3-Clause", "matplotlib": "PSF-based (matplotlib)", "jupyterlab_widgets": "BSD-3-Clause",
    "ipywidgets": "BSD-3-Clause", "widgetsnbextension": "BSD-3-Clause", "scipy": "BSD-3-Clause",
    "torch": "BSD-3-Clause", "python-dateutil": "Apache-2.0 OR BSD-3-Clause", "matplotlib-inline": "BSD-3-Clause",
}  # fmt: skip
DATA = {
    "movielens-100k": "MovieLens-100K, GroupLens; research use, no redistribution. The weights hold no rating.",
    "criteo-sample": "10,000 rows of the Criteo Display Advertising Challenge, Criteo; research, non-commercial.",
    "planted": "rows made up from a stated formula.",
    "movielens-clicks": "clicks simulated from the ratings of MovieLens-100K.",
}
LIMITS = """\
They are teaching material: they let chapters and explorer show what a trained model computes. They are not for
recommending anything to anyone. MovieLens-100K is 943 people of 1997 and 1998 who rated at least 20 films each; age,
gender and occupation are as they gave them then, and a model that reads them repeats what it finds. Negatives are
drawn, so a probability is not a chance of a real click. Logits of models of different seeds differ; what a difference
between two models is worth is told by the leaderboard, not by one file.
"""


def packages(text: str) -> list[tuple[str, str]]:
    """Name and version of each line of a requirements file."""
    return re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", text, flags=re.M)


def licence(name: str) -> str:
    """The licence that an installed package states."""
    if name in NAMES:
        return NAMES[name]
    try:
        about = metadata(name)
    except PackageNotFoundError:
        return "not installed here"
    stated = (about.get("License-Expression") or about.get("License") or "").strip().splitlines()
    classes = [c.split("::")[-1].strip() for c in about.get_all("Classifier") or [] if c.startswith("License")]
    short = stated[0] if stated and len(stated[0]) < 60 and stated[0] != "UNKNOWN" and "=" not in stated[0] else ""
    return short or ", ".join(classes) or "see the package"


def licences() -> str:
    """The page of licences."""
    found = packages((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    lines = [f"| {name} | {version} | {licence(name)} |" for name, version in found]
    return "\n".join([
        "# Licences of what this project uses", "",
        "Written by `python tools/notices.py` from requirements.txt and what each package states of itself.",
        "Scripts and fonts that the built book holds: book/_static/vendor/VENDOR.md.", "",
        "| package | version | licence |", "|---|---|---|", *lines, "",
    ])  # fmt: skip


def cards() -> str:
    """The page of model cards."""
    out = ["# Stored weights", "", LIMITS]
    records = {path.stem: read_json(path) for path in sorted(WEIGHTS.glob("*.json"))}
    for data in dict.fromkeys(stem.split(".")[0] for stem in records):
        mine = {stem: r for stem, r in records.items() if stem.split(".")[0] == data}
        out += [f"## {data}", "", DATA[data], "", "| file | model | seed | settings | test |", "|---|---|---|---|---|"]
        for stem, r in mine.items():
            about = r.get("about", {})
            settings = ", ".join(f"{k}={v}" for k, v in r.get("config", {}).items())
            test = ", ".join(f"{k} {v:.4f}" for k, v in about.get("test", {}).items() if isinstance(v, float))
            out.append(f"| {stem} | {r.get('model', '')} | {about.get('seed', '')} | {settings} | {test} |")
        out.append("")
    seeds = sorted({r["seed"] for r in load_results()})
    out += [f"Of the seeds {seeds[0]} to {seeds[-1]} of the leaderboard, seed 0 is stored. Written by "
            "`python tools/notices.py`.", ""]  # fmt: skip
    return "\n".join(out)


def main() -> None:
    LICENCES.write_text(licences(), encoding="utf-8")
    CARDS.write_text(cards(), encoding="utf-8")


if __name__ == "__main__":
    main()
