"""The page *Checked against*: our code beside public libraries', from the record of ``bench.parity``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chapters import ROOT, table

MADE = "<!-- written by tools/apparatus.py from recsys_lite/store/results/parity.json -->"
NAMES = {
    "deepctr_torch": "DeepCTR-Torch", "fuxictr": "FuxiCTR", "torch_rechub": "torch-rechub", "recbole": "RecBole",
    "sklearn": "scikit-learn",
}  # fmt: skip
KINDS = {"layer": "Layers", "model": "Models", "loss": "Losses", "metric": "Metrics"}
PARTS = {"forward": "output", "gradient": "gradient", "SGD": "SGD", "Adam": "Adam", "value": "value"}
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

READING = """\
A difference is the largest of its kind over all rows and parameters, relative to the largest number of ours; of several
kinds the largest is shown with its name. In float64 a difference up to {float64} counts as rounding, in float32 up to
{float32}, and up to {decimals} where a library rounds its answer to four decimals. SGD and Adam take {steps} steps of
{batch} rows each from the same start, and what is compared is how far each parameter has moved. The command is
`python -m bench.parity`; `--check` compares our side with today's code."""

DIFFER = """\
Every line says what the library computes, and links to its code. The last column is the difference that remains when
ours follows the library's rule. It is rounding in all {explained} lines that have one, so there the rule is the whole
difference. Not every difference is a mistake: some are choices, and some are documented by the library."""

AGREE = """\
A star marks pairs in which one side has a parameter that the other lacks; it was held at a fixed value, see below.
*Assembled* means put together from the library's pieces, where its package has no such model."""

WITHOUT = "These were compared with no library, or only inside of something else."


def number(value: float) -> str:
    """A difference with one digit.

    Example:
        >>> number(2.3e-16), number(0.34), number(0.0)
        ('2 · 10⁻¹⁶', '0.3', '0')
    """
    if value == 0:
        return "0"
    if value >= 0.001:
        return f"{value:.1g}" if value < 10 else f"{value:.0f}"
    digit, power = f"{value:.0e}".split("e")
    return f"{digit} · 10{str(int(power)).translate(SUPERSCRIPT)}"


def worst(differences: dict[str, float]) -> str:
    """The largest difference and of what it is."""
    name = max(differences, key=lambda n: differences[n])
    told = number(differences[name])
    return told if differences[name] == 0 or name == "value" else f"{told} ({PARTS[name]})"


def shown(values: Iterable[Any]) -> str:
    """Two answers, ours first."""
    one, two = (f"{v:.4g}" if isinstance(v, float) else str(v) for v in values)
    return f"{one} and {two}"


def opening(record: dict[str, Any]) -> str:
    """The three sentences of the top."""
    results = record["results"]
    agree = [r for r in results if r["verdict"] == "agrees"]
    exact = [max(r["differences"].values()) for r in agree if r["precision"] == "float64"]
    names = [NAMES[line["library"]] for line in record["libraries"]]
    others = len(results) - len(agree)
    return (
        f"Our parameters are copied into the code of {', '.join(names[:-1])} and {names[-1]}, and then outputs, "
        f"gradients and short trainings are compared. Of {len(results)} comparisons, {len(agree)} agree up to "
        f"rounding; in float64 their largest relative difference is {number(max(exact))}. The other {others} differ "
        f"for a reason, which is shown below by numbers and by a link to the line of code."
    )


def agreeing(lines: list[dict[str, Any]]) -> list[list[str]]:
    made = []
    for r in lines:
        star = r" \*" if "held" in r else ""
        precision = "" if r["precision"] == "float64" else f", {r['precision']}"
        made.append([
            f"`{r['ours']}`{star}", NAMES[r["library"]], f"[`{r['theirs']}`]({r['link']})",
            worst(r["differences"]) + precision, "agrees",
        ])  # fmt: skip
    return made


def differing(lines: list[dict[str, Any]]) -> list[list[str]]:
    made = []
    for r in lines:
        values = f" (ours and theirs: {shown(r['values'])})" if "values" in r else ""
        gap = "" if "values" in r and isinstance(r["values"][0], str) else worst(r["differences"])
        rule = worst(r["rule"]["differences"]) if "rule" in r else "–"
        made.append([
            f"`{r['ours']}`", f"{NAMES[r['library']]}: [`{r['theirs']}`]({r['link']})", f"{gap}{values}".strip(),
            f"{r['why']} ${r['formula']}$", rule,
        ])  # fmt: skip
    return made


def held(lines: list[dict[str, Any]]) -> list[str]:
    """A fold with the parameters that stayed where they were."""
    rows = [
        [f"`{r['ours']}`", NAMES[r["library"]], ", ".join(f"`{name}`" for name in r["held"])]
        for r in lines
        if "held" in r
    ]
    head = "<details><summary>Parameters that were held at a fixed value</summary>"
    return [head, "", *table(["ours", "library", "held"], rows), "</details>", ""]


def page(root: Path = ROOT) -> str:
    """The page, all of it from the record."""
    file = root / "recsys_lite" / "store" / "results" / "parity.json"
    record = json.loads(file.read_text(encoding="utf-8"))
    results, about = record["results"], record["about"]
    libraries = []
    for line in record["libraries"]:
        of = [r["verdict"] for r in results if r["library"] == line["library"]]
        counts = [str(of.count("agrees")), str(of.count("differs"))]
        libraries.append([NAMES[line["library"]], line["version"], line["torch"], line["numpy"], *counts])
    tolerance = about["tolerance"]
    reading = READING.format(
        float64=number(tolerance["float64"]), float32=number(tolerance["float32"]),
        decimals=number(tolerance["four decimals"]), steps=about["steps"], batch=about["batch"],
    )  # fmt: skip
    lines = [
        "# Checked against", "", MADE, "", opening(record), "",
        "## The libraries", "",
        *table(["library", "version", "PyTorch", "NumPy", "agree", "differ"], libraries), reading, "",
        "## What agrees", "", AGREE, "",
    ]  # fmt: skip
    agree, differ = ([r for r in results if r["verdict"] == verdict] for verdict in ("agrees", "differs"))
    for kind, title in KINDS.items():
        some = sorted((r for r in agree if r["kind"] == kind), key=lambda r: r["ours"])
        lines += [f"### {title}", ""]
        lines += table(["ours", "library", "theirs", "largest difference", "verdict"], agreeing(some))
    lines += held(agree)
    differ.sort(key=lambda r: (list(KINDS).index(r["kind"]), r["ours"]))
    explained = sum("rule" in r for r in differ)
    lines += ["## What differs", "", DIFFER.format(explained=explained), ""]
    lines += table(["ours", "theirs", "difference", "what theirs computes", "by their rule"], differing(differ))
    lines += ["## What could not be compared", "", WITHOUT, ""]
    lines += table(["ours", "kind", "why"], [[f"`{n['ours']}`", n["kind"], n["why"]] for n in record["none"]])
    return "\n".join(lines)
