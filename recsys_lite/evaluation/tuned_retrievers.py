"""The stored runs of ``bench.retrieval.tuned_towers``, arranged for comparisons over users and seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Record = Mapping[str, Any]


def chosen(record: Record, arm: str, how: str = "plain") -> dict[str, Any]:
    """The setting of an arm whose trial was best on the validation part, for one way to serve it.

    Raises:
        ValueError: for an arm without trials of that kind.
    """
    trials = [t for t in record["tuning"] if t["arm"] == arm and how in t["served"]]
    if not trials:
        known = sorted({t["arm"] for t in record["tuning"]})
        raise ValueError(f"tuned retrievers: no trials of {arm!r}, served {how!r}; there are {known}")
    return dict(max(trials, key=lambda t: t["served"][how]["validation"])["setting"])


def runs_of(record: Record, arm: str, how: str = "plain") -> list[dict[str, Any]]:
    """What the seeds with the chosen setting found: ``test``, ``ndcg_by_user``, ``validation``.

    Raises:
        ValueError: as :func:`chosen`, and if no seed has been run.
    """
    setting = chosen(record, arm, how)
    found = [r["served"][how] for r in record["runs"] if (r["arm"], r["setting"]) == (arm, setting)]
    if not found:
        raise ValueError(f"tuned retrievers: no runs of {arm!r} with {setting}")
    return found


def of_users(record: Record, arm: str, how: str = "plain", state: str = "fresh") -> np.ndarray:
    """(S, U) NDCG@20 of each seed and user of the test part, for :func:`~recsys_lite.evaluation.compare`.

    Args:
        record: of ``tuned_towers.json``.
        arm, how: what was trained, and how it is served.
        state: ``known`` or ``fresh``, the histories.
    """
    return np.array([np.array(r["ndcg_by_user"][state].split(), float) for r in runs_of(record, arm, how)])


def mean_of(record: Record, arm: str, how: str = "plain", state: str = "fresh", metric: str = "ndcg@20") -> float:
    """Mean of a test metric over seeds."""
    return float(np.mean([r["test"][state][metric] for r in runs_of(record, arm, how)]))


def open_ends(record: Record, arm: str, how: str = "plain") -> list[str]:
    """Names of the chosen setting's values that have no tried value on one side, all else being equal.

    The lowest value of a ladder that is 0 (no penalty) needs none below it.
    """
    middle, trials = chosen(record, arm, how), [t["setting"] for t in record["tuning"] if t["arm"] == arm]
    found = []
    for name, ladder in record["ladders"][arm].items():
        at = ladder.index(middle[name])
        below = middle[name] == 0 or any({**middle, name: v} in trials for v in ladder[:at])
        if not (below and any({**middle, name: v} in trials for v in ladder[at + 1 :])):
            found.append(name)
    return found
