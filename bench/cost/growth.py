"""How training time of an FM grows with rows, fields, embedding size and vocabulary; part of ``bench.speed``.

One axis at a time, its sizes interleaved round after round. The base case is small: 10 columns of 1,000 ids each.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from bench.cost.workers import Worker

BASE = {"rows": 40_960, "sizes": [1000] * 10, "numeric": 0, "dim": 16}
ROUNDS = 3
#: axis -> size -> the task; every case is an epoch of ``fit``
AXES: dict[str, dict[int, dict[str, Any]]] = {
    "rows": {n: {"rows": n} for n in (10_000, 100_000, 1_000_000, 10_000_000)},
    "fields": {n: {"sizes": [1000] * n} for n in (5, 10, 20, 40)},
    "dim": {n: {"dim": n} for n in (8, 16, 32, 64)},
    "vocabulary": {n: {"sizes": [n // 10] * 10} for n in (10_000, 100_000, 1_000_000, 3_000_000)},
}
OPTIMIZERS = {"vocabulary": ("adam", "lazy_adam")}


def measure(axis: str, optimizer: str) -> list[dict[str, Any]]:
    """Seconds of an epoch for each size of an axis; the largest number of rows is one round, all others three."""
    lines = []
    with ExitStack() as stack:
        workers = {}
        for size, options in AXES[axis].items():
            worker = workers[size] = stack.enter_context(Worker("ours"))
            worker.ask(model="fm", optimizer=optimizer, task=BASE | options)
            rows = (BASE | options)["rows"]
            lines.append({"axis": axis, "optimizer": optimizer, "size": size, "rows": rows, "seconds": []})
        for turn in range(ROUNDS + 1):
            for line in lines:
                long = line["rows"] > 1_000_000
                if turn != 1 if long else turn == 0 and line["rows"] > 100_000:
                    continue  # the first round warms up small cases
                taken = workers[line["size"]].ask(do="epoch")["seconds"]
                if turn:
                    line["seconds"].append(float(f"{taken:.4g}"))
        for worker in workers.values():
            worker.ask(do="close")
    return lines


def run(record: dict[str, Any], save: Callable[[], None]) -> None:
    """Fill what is missing, saving after each axis."""
    done = {(line["axis"], line["optimizer"]) for line in record["growth"]}
    for axis in AXES:
        for optimizer in OPTIMIZERS.get(axis, ("adam",)):
            if (axis, optimizer) not in done:
                record["growth"] += measure(axis, optimizer)
                save()
