"""What five models answer in the explorer's game, round by round: the planted pair, found from a few rows.

    python -m bench.ranking.pair_game             all that is missing
    python -m bench.ranking.pair_game --fresh     everything again

Every model trains on the rows that the reader sees, with the settings of ``lab/pair_game.py``: the same for all, none
tuned.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from bench import pool
from recsys_lite.lab import pair_game
from recsys_lite.store import RESULTS

FILE = RESULTS / "pair_game.json"

Record = dict[str, Any]


def work(model: str, number: int) -> Record:
    """One model's answer in one round."""
    a, b = pair_game.guess(model, number)
    return {"round": number, "model": model, "a": a, "b": b}


def run(record: Record, save: Callable[[], None], arguments: argparse.Namespace) -> None:
    """Fill what is missing, saving after each answer."""
    record["about"] = {"levels": pair_game.LEVELS, "training": pair_game.TRAINING, "values": pair_game.VALUES}

    def wanted() -> list[pool.Job]:
        known = {(r["model"], r["round"]) for r in record["runs"]}
        jobs = [(m, k) for k in range(1, pair_game.ROUNDS + 1) for m in pair_game.PLAYERS]
        return [job for job in jobs if job not in known]

    def place(run: Record) -> Any:
        return (run["round"], pair_game.PLAYERS.index(run["model"]))

    pool.run(work, wanted, pool.into_lists(record, save, place, "runs"), arguments.processes)


def main() -> None:
    pool.command(__doc__, FILE, {"about": {}, "runs": []}, run)


if __name__ == "__main__":
    main()
