"""A game: which two of six fields decide the label? A reader and five models look at the same few rows."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pandas as pd

from ..data.simulated.planted import planted
from ..fields import Dataset
from .race import ORDER, Race

#: Who plays against the reader: one of each way to cross fields.
PLAYERS = ("fm", "dcn_v2", "autoint", "dlrm", "dhen")
#: Rows and share of labels turned over, from easy to hard; each level has three rounds.
LEVELS = ((600, 0.2), (300, 0.2), (300, 0.3), (150, 0.25))
EACH, VALUES, FIRST_SEED = 3, 4, 100
ROUNDS = EACH * len(LEVELS)
TRAINING: dict[str, Any] = {"lr": 0.02, "epochs": 60}


def level(number: int) -> tuple[int, float]:
    """Training rows, and the share of labels turned over, of a round from 1.

    Raises:
        ValueError: for a round that there is not.

    Example:
        >>> level(1), level(12)
        ((600, 0.2), (150, 0.25))
    """
    if not 1 <= number <= ROUNDS:
        raise ValueError(f"level: expected a round from 1 to {ROUNDS}, got {number}")
    return LEVELS[(number - 1) // EACH]


def board(number: int) -> Dataset:
    """The rows of a round; its ``extras`` hold the pair."""
    rows, noise = level(number)
    return planted(ORDER, FIRST_SEED + number, rows=rows, noise=noise, values=VALUES)


def answer(dataset: Dataset) -> tuple[str, str]:
    """The planted pair."""
    ((a, b),) = dataset.extras["crosses"]
    return a, b


def shares(dataset: Dataset) -> pd.DataFrame:
    """What everybody sees: for each pair of fields and each combination of two values, how often the label is 1.

    Returns:
        a, b, ``value of a``, ``value of b``, rows, ``share of 1`` (of the training rows; ``nan`` where there is none).

    Example:
        >>> table = shares(board(1))
        >>> len(table), int(table["rows"].sum()) == 15 * 600
        (240, True)
    """
    rows = dataset.train
    columns = {f.name: [f.vocabulary.label(int(i)) for i in rows.ids[:, k]] for k, f in enumerate(dataset.fields)}  # type: ignore[union-attr]
    frame = pd.DataFrame(columns | {"label": rows.label.numpy()})  # type: ignore[union-attr]
    lines = []
    for a, b in combinations(columns, 2):
        of_pair = frame.groupby([a, b])["label"].agg(["size", "mean"])
        values = [dataset.field(n).vocabulary.values for n in (a, b)]  # type: ignore[union-attr]
        for u in values[0]:
            for v in values[1]:
                count, share = of_pair.loc[(u, v)] if (u, v) in of_pair.index else (0, float("nan"))
                lines.append((a, b, u, v, int(count), float(share)))
    return pd.DataFrame(lines, columns=["a", "b", "value of a", "value of b", "rows", "share of 1"])


def guess(model: str, number: int) -> tuple[str, str]:
    """The pair that a model takes for the planted one: trained on the round's rows, its strongest by swapping."""
    rows, noise = level(number)
    race = Race([model], FIRST_SEED + number, noise, rows, values=VALUES, **TRAINING)
    while not race.done:
        race.step()
    pairs = race.pairs()
    best = pairs.loc[pairs["strength"].idxmax()]
    return str(best["a"]), str(best["b"])
