"""Do our layers, models and metrics compute what public libraries compute, from the same parameters?

    python -m bench.parity                        libraries that are missing; makes their environments first (a few GB)
    python -m bench.parity --libraries recbole    some, again
    python -m bench.parity --fresh                everything again
    python -m bench.parity --check                our side of the stored record against today's code, without libraries

For each pair the parameters of ours are copied into theirs. Then the outputs, the gradients and where ten steps of SGD
and of Adam lead are compared; a difference is relative to the largest number of ours. A pair whose differences are
rounding *agrees*. One that *differs* has a reason, a line of the library's code, and for modules ours under the
library's rule, which must agree: so the reason is the whole difference. The verdicts follow from the numbers; a
difference without a reason, or a reason without a difference, ends the command. Each library runs in an environment of
its own, shared with ``bench.speed``; scikit-learn is one of ours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import torch

from bench import pool
from bench.against import scores
from bench.against.cases import CASES
from bench.against.measure import BATCH, OPTIMIZERS, ROWS, STEPS, TOLERANCE, fingerprint
from bench.against.none import NONE
from bench.cost.workers import PEERS, ROOT, WorkerError, environment
from recsys_lite.store import RESULTS

FILE = RESULTS / "parity.json"
LIBRARIES = [*PEERS, "sklearn"]
CLOSE = 1e-6  # of a stored number of our side and today's, relative; other processors add in another order
Record = dict[str, Any]


def asked(library: str) -> Record:
    """The answer of a library's worker.

    Raises:
        WorkerError: if the library does not install, or the worker ends without an answer.
    """
    python = str(environment(library)) if library in PEERS else sys.executable
    command = [python, "-m", f"bench.against.{library}"]
    on_cpu = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    ran = subprocess.run(command, cwd=ROOT, env=on_cpu, capture_output=True, text=True)
    for line in ran.stdout.splitlines():
        if line.startswith('{"version"'):  # some libraries greet when they are imported
            return json.loads(line)
    raise WorkerError(f"{library}: {ran.stderr[-500:]}")


def ours(record: Record) -> Record:
    """Our side of all that is in the record, in a few numbers each."""
    named = {line["ours"] for line in record["results"]} | {
        line["rule"]["ours"] for line in record["results"] if "rule" in line
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # everything here is tiny
    try:
        found = {name: fingerprint(CASES[name]()) for name in CASES if name in named}
        return found | {name: {"value": scores.OURS[name]()} for name in scores.OURS if name in named}
    finally:
        torch.set_num_threads(threads)


def changed(stored: Record, now: Record) -> list[str]:
    """The names whose numbers are no longer those of the record, or are missing on one side.

    Example:
        >>> changed({"FM": {"forward": 1.0}, "DCN": {"forward": 2.0}}, {"FM": {"forward": 1.0}})
        ['DCN']
    """

    def same(name: str) -> bool:
        one, two = stored.get(name, {}), now.get(name, {})
        return one.keys() == two.keys() and all(abs(one[k] - two[k]) <= CLOSE * max(1.0, abs(one[k])) for k in one)

    return sorted(name for name in {*stored, *now} if not same(name))


def run(record: Record, save: Callable[[], None], arguments: argparse.Namespace) -> None:
    """Fill in the libraries that are missing, or check our side."""
    if arguments.check:
        if wrong := changed(record["ours"], ours(record)):
            raise SystemExit(f"{', '.join(wrong)}: not as compared; run: python -m bench.parity --fresh")
        return print("our side is as it was when it was compared")
    for name in ("libraries", "results"):
        record[name] = [line for line in record[name] if line["library"] not in (arguments.libraries or ())]
    for library in LIBRARIES:
        if library not in {line["library"] for line in record["libraries"]}:
            answer = asked(library)
            failed = [f"{line['ours']}: {line['why']}" for line in answer["results"] if line["verdict"] == "failed"]
            if failed:
                raise SystemExit("\n".join([f"{library} is not recorded:", *failed]))
            record["libraries"].append({"library": library, "version": answer["version"]} | answer["versions"])
            record["results"] += answer["results"]
            order = lambda line: LIBRARIES.index(line["library"])  # noqa: E731
            record["libraries"].sort(key=order)
            record["results"].sort(key=order)
            save()
    record["none"] = [line._asdict() for line in NONE]
    record["ours"] = ours(record)
    save()
    show(record)


def show(record: Record) -> None:
    """A line for each pair."""
    for line in record["results"]:
        most = max(line["differences"].values())
        by_rule = f"; by their rule {max(line['rule']['differences'].values()):.1e}" if "rule" in line else ""
        print(f"{line['library']:14} {line['ours']:34} {line['verdict']:8} {most:.1e}{by_rule}")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, help="made again; default: what is missing")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if our side has changed")


def main() -> None:
    about = {
        "rows": ROWS, "steps": STEPS, "batch": BATCH, "optimisers": [*OPTIMIZERS], "tolerance": TOLERANCE,
        "torch": torch.__version__,
    }  # fmt: skip
    empty: Record = {"about": about, "libraries": [], "results": [], "none": [], "ours": {}}
    pool.command(__doc__, FILE, empty, run, options)


if __name__ == "__main__":
    main()
