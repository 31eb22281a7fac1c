"""Negatives: items that a user is not known to have taken, drawn without knowledge of what comes later."""

from __future__ import annotations

import numpy as np


def draw_negatives(
    user: np.ndarray,
    item: np.ndarray,
    part: np.ndarray,
    items: int,
    count: int,
    rng: np.random.Generator,
    replace: bool = True,
) -> np.ndarray:
    r"""For each interaction, items that its user does not have in the interaction's part or an earlier one.

    With :math:`P_t(u)` the items of user u in part t, the negatives of an interaction of u in part t are uniform over

    .. math:: \{1..I\} \setminus \bigcup_{s \le t} P_s(u)

    drawn with replacement, so that two of them may be the same item. A negative of training may be taken in a later
    part; sparing these items would tell a model which they are (see :func:`recsys_lite.evaluation.counter_auc`).

    Args:
        user: (N,) whole numbers.
        item: (N,) whole numbers from 0 to ``items`` - 1.
        part: (N,) 0 training, 1 validation, 2 test. All 0 spares everything that the user ever takes.
        items: I, how many there are to draw from.
        count: negatives for each interaction.
        rng: of the draw.
        replace: whether an item may be drawn again for the same user and part. Default True.

    Returns:
        (N, count) int64 items.

    Raises:
        ValueError: if there are too few items to draw from, naming the user's number.

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
            mine = rows[part[rows] == t]
            if len(free) < (1 if replace else len(mine) * count):
                need = "no negatives" if replace else f"no {len(mine) * count} different negatives"
                raise ValueError(f"user number {user[rows[0]]} has all but {len(free)} items: {need} can be drawn")
            out[mine] = rng.choice(free, (len(mine), count), replace)
    return out
