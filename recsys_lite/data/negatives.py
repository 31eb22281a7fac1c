"""Negatives: items that a user is not known to have taken, drawn without knowledge of what comes later."""

from __future__ import annotations

import numpy as np


def draw_negatives(
    user: np.ndarray, item: np.ndarray, part: np.ndarray, items: int, count: int, rng: np.random.Generator
) -> np.ndarray:
    r"""For each interaction, items that its user does not have in the interaction's part or an earlier one.

    With :math:`P_t(u)` the items of user u in part t, the negatives of an interaction of u in part t are uniform over

    .. math:: \{1..I\} \setminus \bigcup_{s \le t} P_s(u)

    independently of each other: two of them may be the same item. A negative of training may be taken in a later part;
    sparing these items would tell a model which they are (see :func:`recsys_lite.evaluation.counter_auc`).

    Args:
        user: (N,) whole numbers.
        item: (N,) whole numbers from 0 to ``items`` - 1.
        part: (N,) 0 training, 1 validation, 2 test. All 0 spares everything that the user ever takes.
        items: I, how many there are to draw from.
        count: negatives for each interaction.
        rng: of the draw.

    Returns:
        (N, count) int64 items.

    Raises:
        ValueError: if a user has every item, naming the user's number.

    Example: user 7 takes item 0 in training and item 1 in the test part; of three items, 1 and 2 are left for training,
    only 2 for the test.

        >>> rng = np.random.default_rng(0)
        >>> draw_negatives(np.array([7, 7]), np.array([0, 1]), np.array([0, 2]), 3, 4, rng).tolist()
        [[2, 2, 2, 1], [2, 2, 2, 2]]
    """
    out = np.zeros((len(user), count), np.int64)
    order = np.argsort(user, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(user[order])) + 1):
        for t in np.unique(part[rows]):
            free = np.delete(np.arange(items), item[rows[part[rows] <= t]])
            if not len(free):
                raise ValueError(f"user number {user[rows[0]]} has every item: no negatives can be drawn")
            mine = rows[part[rows] == t]
            out[mine] = rng.choice(free, (len(mine), count))
    return out
