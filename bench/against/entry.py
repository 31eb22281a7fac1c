"""What a library's file lists: modules and values that are compared, and a worker's answer of all of them."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from .cases import CASES
from .measure import TOLERANCE, Case, Peer, differences

Record = dict[str, Any]
Build = Callable[[Case], Peer]
#: library -> its repository, and the commit of its default branch whose files named here are those of the release;
#: for scikit-learn the tag of the release
SOURCES = {
    "deepctr_torch": ("shenweichen/DeepCTR-Torch", "f6854257b1fc29caab655ce72c6b5528b7432574"),
    "fuxictr": ("reczoo/FuxiCTR", "0245987fdc1d43c36164ea496a02324885a8557a"),
    "torch_rechub": ("datawhalechina/torch-rechub", "5a73b2eebc3a670dc64c54971cc06a78ddd55394"),
    "recbole": ("RUCAIBox/RecBole", "7b02be5ec80a88310f2d04a27a82adfcbb5dc211"),
    "sklearn": ("scikit-learn/scikit-learn", ""),
}


@dataclass
class Entry:
    """A case of ours beside a library's module.

    Args:
        ours: name in ``cases.CASES``.
        theirs: their class with its options.
        build: makes it.
        where: their file, and text of a line of it; ``text >> more`` is the first line with ``more`` from there on.
        why: what differs, in a sentence; empty where nothing should.
        formula: what they compute, in TeX.
        rule: a case of ours that follows their rule; it must agree.
        by_rule: builds theirs for that case. Default: ``build``.
        precision: ``float64`` unless the library cannot.
    """

    ours: str
    theirs: str
    build: Build
    where: tuple[str, str]
    why: str = ""
    formula: str = ""
    rule: str = ""
    by_rule: Build | None = None
    precision: str = "float64"

    def record(self) -> Record:
        case = CASES[self.ours]().to(self.precision)
        peer = self.build(case)
        found: Record = {"kind": case.kind, "differences": shortened(differences(case, peer))}
        if held := [*peer.held, *(f"ours: {n}" for n in peer.our_held)]:
            found["held"] = held
        if self.rule:
            case = CASES[self.rule]().to(self.precision)
            by_rule = shortened(differences(case, (self.by_rule or self.build)(case)))
            found["rule"] = {"ours": self.rule, "differences": by_rule}
        return found


@dataclass
class Value:
    """Numbers of ours beside a library's: metrics, losses, starts; or what a call answers, in words.

    Args:
        ours, kind: what it is of.
        pair: gives ours and theirs.
        by_rule: what ours gives under their rule.
        Others as in :class:`Entry`.
    """

    ours: str
    kind: str
    theirs: str
    pair: Callable[[], tuple[Any, Any]]
    where: tuple[str, str]
    why: str = ""
    formula: str = ""
    rule: str = ""
    by_rule: Callable[[], float] | None = None
    precision: str = "float64"

    def record(self) -> Record:
        ours, theirs = self.pair()
        if isinstance(ours, str):
            return {"kind": self.kind, "values": [ours, theirs], "differences": {"value": float(ours != theirs)}}
        shown = [float(f"{v:.6g}") if math.isfinite(v) else str(v) for v in (ours, theirs)]
        found: Record = {"kind": self.kind, "values": shown, "differences": _gap(ours, theirs)}
        if self.by_rule:
            found["rule"] = {"ours": self.rule, "differences": _gap(self.by_rule(), theirs)}
        return found


def _gap(ours: float, theirs: float) -> dict[str, float]:
    gap = abs(ours - theirs) / (abs(ours) or 1.0)
    return shortened({"value": gap if math.isfinite(gap) else 1.0})


def shortened(found: dict[str, float]) -> dict[str, float]:
    """Two digits are enough for a difference."""
    return {name: float(f"{value:.2g}") for name, value in found.items()}


def worst(found: dict[str, float]) -> float:
    return max(found.values())


def verdict(found: Record, precision: str, why: str) -> str:
    """*agrees* by the numbers alone; *differs* only with a reason, and where there is a rule, only if it explains all.

    Raises:
        ValueError: for a difference without a reason, a reason without a difference, or a rule that does not explain.
    """
    tolerance = TOLERANCE[precision]
    agrees = worst(found["differences"]) <= tolerance
    if agrees == bool(why):
        raise ValueError(f"differences {found['differences']}, and the reason given is {why!r}")
    if "rule" in found and worst(found["rule"]["differences"]) > tolerance:
        raise ValueError(f"the rule {found['rule']['ours']} does not explain the difference: {found['rule']}")
    return "agrees" if agrees else "differs"


def link(library: str, path: str, text: str) -> str:
    """The address of a line of the installed release's file, in the library's repository.

    Raises:
        ValueError: if the text is not in the file.
    """
    spec = importlib.util.find_spec(library)
    assert spec is not None and spec.origin is not None
    lines = (Path(spec.origin).parents[1] / path).read_text(encoding="utf-8").splitlines()
    at = 0
    for part in text.split(" >> "):
        try:
            at = next(k for k in range(at, len(lines)) if part in lines[k])
        except StopIteration:
            raise ValueError(f"{path}: no line with {part!r}") from None
    repository, commit = SOURCES[library]
    return f"https://github.com/{repository}/blob/{commit or version('scikit-learn')}/{path}#L{at + 1}"


def records(library: str, entries: Iterable[Entry | Value]) -> list[Record]:
    """All comparisons of a library. One that fails with an exception is recorded as *failed* with its words."""
    made = []
    for entry in entries:
        line: Record = {"library": library, "ours": entry.ours, "theirs": entry.theirs, "precision": entry.precision}
        try:
            found = entry.record()
            line |= found | {"verdict": verdict(found, entry.precision, entry.why)}
            line |= {"why": entry.why, "formula": entry.formula, "link": link(library, *entry.where)}
        except Exception as error:
            line |= {"verdict": "failed", "why": f"{type(error).__name__}: {error}"}
        made.append(line)
    return made


def answer(library: str, entries: Callable[[], Iterable[Entry | Value]]) -> None:
    """The worker: all comparisons as JSON on standard output; what the library prints goes to standard error."""
    torch.set_num_threads(1)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    versions = {"torch": torch.__version__, "numpy": version("numpy"), "python": sys.version.split()[0]}
    released = version({"sklearn": "scikit-learn"}.get(library, library))
    out.write(json.dumps({"version": released, "versions": versions, "results": records(library, entries())}))
