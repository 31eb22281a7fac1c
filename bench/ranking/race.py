"""Races on planted data, stored for the explorer's first view: every model, seeds 0 to 4, the default settings.

    python -m bench.ranking.race             all that is missing
    python -m bench.ranking.race --fresh     everything again

Each seed has data, starting weights and an order of rows of its own: an interval over seeds speaks of all three.
Settings are the same for all models and none was tuned: the question is what a model can see, not how good it can get.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from bench import pool
from recsys_lite.lab.race import RUNNERS, Race
from recsys_lite.store import RESULTS

FILE = RESULTS / "race.json"
SEEDS = range(5)
SETTINGS: dict[str, Any] = {"noise": 0.1, "rows": 2000, "lr": 0.01, "epochs": 20}

Record = dict[str, Any]


def work(name: str, seed: int) -> Record:
    """One model's run: models do not touch each other, so any two of the same seed are a race."""
    race = Race([name], seed, **SETTINGS)
    while not race.done:
        race.step()
    curve = race.table().drop(columns="model").to_dict("records")
    pairs = race.pairs().drop(columns="model").to_dict("records")
    return {"model": name, "seed": seed, "curve": curve, "pairs": pairs}


def run(record: Record, save: Callable[[], None], arguments: argparse.Namespace) -> None:
    """Fill what is missing, saving after each run."""
    record["about"] = {"settings": SETTINGS}

    def wanted() -> list[pool.Job]:
        known = {(r["model"], r["seed"]) for r in record["runs"]}
        return [(name, seed) for name in RUNNERS for seed in SEEDS if (name, seed) not in known]

    def place(run: Record) -> Any:
        return (RUNNERS.index(run["model"]), run["seed"])

    pool.run(work, wanted, pool.into_lists(record, save, place, "runs"), arguments.processes)


def main() -> None:
    pool.command(__doc__, FILE, {"about": {}, "runs": []}, run)


if __name__ == "__main__":
    main()
