"""How fast do models train and score: ours, a hand-written minimum, and public libraries, interleaved in one run.

    python -m bench.speed                 what is missing; makes the libraries' environments first (a few GB)
    python -m bench.speed --models fm     only some
    python -m bench.speed --fresh         everything again

26 categorical columns of 840,543 ids in all and 13 numeric ones, vectors of 16, batches of 4096, networks of three
layers of 400. Each system runs in processes of its own, and they take turns: in each round every system does a
training step and a forward pass; then, in each of some more rounds, one epoch through its own loop. Times are
processor seconds of one thread, so that other work on the machine disturbs them little; a ratio is taken within a
round. Dropout, regularisation and batch norm are off everywhere. "minimum" is the least plain PyTorch for the same
model. After that come an FM's growth with its sizes, and DLRM in one and two processes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from tqdm import tqdm

from bench import pool
from bench.cost import growth, processes
from bench.cost.peers import problem
from bench.cost.workers import PEERS, Worker, WorkerError
from recsys_lite.explain.speed import PARTS, fastest_peer, predicted, product_share, ratios
from recsys_lite.store import RESULTS

FILE = RESULTS / "speed.json"
ROUNDS = 5
EPOCH_ROUNDS, EPOCH_ROWS = 3, 4 * problem.BATCH
STEP_EDGES, EPOCH_EDGES = 810_000, 81_000  # LightGCN: a step on a graph of Gowalla's size, epochs on a tenth
#: (system, optimiser of the tables); an optimiser that reaches only the rows read is ``lazy_adam``
SYSTEMS = [("ours", "adam"), ("ours", "lazy_adam"), ("minimum", "adam"), ("minimum", "lazy_adam")]
SYSTEMS += [(peer, "adam") for peer in PEERS]
Who = tuple[str, str]
Record = dict[str, Any]


class Round:
    """Systems that take turns with one model; one that fails is left out from then on, and its error is kept."""

    def __init__(self, workers: dict[Who, Worker], model: str, task: dict[str, Any]):
        self.workers, self.model = workers, model
        self.lines: dict[Who, Record] = {who: self.line(who) for who in workers}
        self.live = list(workers)
        self.each(lambda who: self.ask(who, model=model, optimizer=who[1], task=task), into=self.lines)

    def line(self, who: Who) -> Record:
        return {"model": self.model, "system": who[0], "optimizer": who[1]}

    def ask(self, who: Who, **command: Any) -> Record:
        return self.workers[who].ask(**command)

    def each(self, call: Callable[[Who], Record], into: dict[Who, Record] | None = None) -> dict[Who, Record]:
        """One turn of every system that still works."""
        out = {}
        for who in list(self.live):
            try:
                out[who] = call(who)
                if into is not None:
                    into[who] |= out[who]
            except WorkerError as error:
                self.lines[who]["error"] = str(error)
                self.live.remove(who)
        return out

    def timed(self, parts: list[str], rounds: int, warm_up: int = 1) -> list[Record]:
        """So many rounds of each part, after some that do not count; systems that fail in between are left out."""
        taken: dict[tuple[Who, str], list[float]] = {}
        for turn in range(warm_up + rounds):
            for part in parts:
                said = self.each(lambda who, part=part: self.ask(who, do=part))  # type: ignore[misc]
                for who, answer in said.items() if turn >= warm_up else ():
                    taken.setdefault((who, part), []).append(float(f"{answer['seconds']:.4g}"))
        return [
            self.line(who) | {"part": part, "seconds": seconds}
            for (who, part), seconds in taken.items()
            if who in self.live
        ]

    def close(self) -> None:
        self.each(lambda who: self.ask(who, do="close"))


def measure(workers: dict[Who, Worker], model: str) -> tuple[list[Record], list[Record]]:
    """All parts of one model: the lines of times, and those of sizes, peaks and errors."""
    graph = model == "lightgcn"
    if graph:
        workers = {who: w for who, w in workers.items() if who in (("ours", "adam"), ("recbole", "adam"))}
    turns = Round(workers, model, {"edges": STEP_EDGES} if graph else {"rows": EPOCH_ROWS})
    lines = turns.timed(["step", "score"], ROUNDS)
    sizes = turns.lines
    turns.each(lambda who: {"step peak": turns.ask(who, do="peak")["peak"]}, into=sizes)
    if graph:  # epochs on a smaller graph
        turns.close()
        turns = Round(workers, model, {"edges": EPOCH_EDGES})
    lines += turns.timed(["epoch"], EPOCH_ROUNDS, warm_up=0)
    if not graph:
        turns.each(lambda who: {"epoch peak": turns.ask(who, do="peak")["peak"]}, into=sizes)
    turns.close()
    return lines, list(sizes.values())


def products(model: str) -> list[Record]:
    """The time of the matrix products of a step alone, for the share that no library can save."""
    with Worker("minimum") as worker:
        turns = Round({("minimum", "adam"): worker}, model, {"rows": problem.BATCH})
        return turns.timed(["products"], ROUNDS)


def started(stack: ExitStack, record: Record) -> dict[Who, Worker]:
    """A worker for each system; libraries that do not install or import are recorded with their error."""
    workers, record["systems"] = {}, []
    for system, optimizer in SYSTEMS:
        line: Record = {"system": system, "version": PEERS[system][0] if system in PEERS else ""}
        try:
            workers[system, optimizer] = stack.enter_context(Worker(system))
            line["torch"] = workers[system, optimizer].torch
        except WorkerError as error:
            line["error"] = str(error)
        if line not in record["systems"]:
            record["systems"].append(line)
    return workers


def run(record: Record, save: Callable[[], None], arguments: argparse.Namespace) -> None:
    """Fill what is missing, saving after each model."""
    done = {line["model"] for line in record["models"]}
    wanted = [m for m in arguments.models if m not in done]
    if wanted:
        with ExitStack() as stack:
            workers = started(stack, record)
            for model in tqdm(wanted, unit="model"):
                runs, models = measure(workers, model)
                record["runs"] += runs
                record["models"] += models
                save()
    multiplied = {line["model"] for line in record["runs"] if line["part"] == "products"}
    for model in arguments.models:
        if model != "lightgcn" and model not in multiplied:
            record["runs"] += products(model)
            save()
    growth.run(record, save)
    processes.run(record, save)
    show(record)


def show(record: Record) -> None:
    """Ratios to ours with its default optimiser, a line for each model and system."""
    for part in ("step", "epoch", "score"):
        table = ratios(record, part)
        print(f"\n{PARTS[part]}: time relative to ours with fused Adam")
        for row in table.itertuples():
            print(f"  {row.model:10} {row.system:14} {row.optimizer:10} {row.ms:9.1f} ms   {row.ratio:5.2f} "
                  f"[{row.low:.2f}, {row.high:.2f}]")  # fmt: skip
        for optimizer in ("adam", "lazy_adam"):
            least = ratios(record, part, against=("minimum", optimizer))
            mine = least[(least["system"] == "ours") & (least["optimizer"] == optimizer)]
            shown = dict(mine[["model", "ratio"]].round(2).to_numpy())
            print(f"  ours relative to the minimum, {optimizer}: {shown}")
        print(f"  fastest library: {dict(fastest_peer(table)[['model', 'ratio']].round(2).to_numpy())}")
    print("\nshare of the matrix products:", dict(product_share(record)[["model", "share"]].round(2).to_numpy()))
    print(
        "\nDLRM in processes, the cost model beside the measurement\n",
        predicted(record).round(1).to_string(index=False),
    )
    print("\npeak memory in MB: after steps, after epochs; in brackets above what the import took")
    for line in record["models"]:
        peaks = [line[k] for k in ("step peak", "epoch peak") if k in line]
        shown = [f"{peak:6.0f} ({peak - line['base']:4.0f})" for peak in peaks] or [line["error"]]
        print(f"  {line['model']:10} {line['system']:14} {line['optimizer']:10}", *shown)


def options(parser: argparse.ArgumentParser) -> None:
    every = [*problem.MODELS, "lightgcn"]
    parser.add_argument("--models", nargs="+", default=every, choices=every, help="default: all")


def main() -> None:
    about = {
        "ids": sum(problem.SIZES), "categorical": len(problem.SIZES), "numeric": problem.NUMERIC, "dim": problem.DIM,
        "batch": problem.BATCH, "hidden": problem.HIDDEN, "seconds": "of the processor, one thread", "rounds": ROUNDS,
        "epoch rounds": EPOCH_ROUNDS, "epoch rows": EPOCH_ROWS, "memory": "MB", "torch": torch.__version__,
        "lightgcn": {"step edges": STEP_EDGES, "epoch edges": EPOCH_EDGES, "dim": 64, "layers": 3, "batch": 2048},
    }  # fmt: skip
    empty: Record = {"about": about, "systems": [], "models": [], "runs": [], "growth": [], "processes": []}
    pool.command(__doc__, FILE, empty, run, options)


if __name__ == "__main__":
    main()
