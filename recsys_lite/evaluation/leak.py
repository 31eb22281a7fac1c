"""Do a data set's negatives betray its test part? A counter that learns nothing must not tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from ..fields import Dataset, Rows


def counter_auc(dataset: Dataset, by: Sequence[str] = ("user", "item")) -> float:
    r"""AUC in the test part of a table that only counts training negatives. 0.5: they betray nothing.

    The score of a test row with the values k in the fields ``by`` is

    .. math:: s = -\#\{\text{training rows with label 0 and the values } k\}

    If training spares the items that a user takes later, test positives have lower counts than test negatives, and the
    table's AUC lies above 0.5 although it has learned nothing. Only test rows whose values k **no training positive**
    has are compared: that training draws no negative where it has a positive is fair knowledge, and no leak. Of these,
    P are positives; the AUC is the chance that one beats a negative of its own group (user), ties counting half:

    .. math:: \frac1P \sum_{i:\, y_i = 1} \frac{\#\{j: s_j < s_i\} + \tfrac12 \#\{j: s_j = s_i\}}{\#\{j\}},
        \qquad j:\ y_j = 0,\ g_j = g_i

    Within users, because a user with many rows has large counts whatever the item. Positives of users without a
    negative are left out. Where all rows have the group -1, all are compared with all.

    Neutral by construction is the unit by which negatives are spared, ``("user", "item")``: a training negative of user
    u is uniform over items that u has not taken in training, so all rows of u that are compared, positives and
    negatives, have the same expected count. Two others:

    - ``("item",)`` is neutral, too, but compares only items without a training positive: often few rows, much noise.
      (The count of *all* items is not: an item that many people take is a negative of few, so it holds popularity.)
    - The fields without the item (user and context) tell whether a positive and its negatives are in one part. If they
      are, training holds no negative where it holds no positive, and the AUC is exactly 0.5. If rows are split one by
      one, two negatives in training say that the third row, in the test part, is the positive: the AUC is far *below*
      0.5, and the leak no smaller.

    Args:
        dataset: with a categorical field for each name in ``by``.
        by: the fields whose values count as one key.

    Raises:
        ValueError: for an empty ``by``, a field that is unknown or not categorical, or if no positive can be compared.

    Example: a user takes films 1 and 2, the latter in the test part. Training drew film 3, and spared film 2.

        >>> import torch
        >>> from recsys_lite.fields import Field, Vocabulary
        >>> user, item = (Field(n, "categorical", Vocabulary([1, 2, 3])) for n in ("user", "item"))
        >>> def rows(*items):
        ...     ids = torch.tensor([[1, i] for i in items], dtype=torch.int32)
        ...     label = torch.tensor([1.0] + [0.0] * (len(items) - 1))
        ...     return Rows(ids, torch.zeros(len(items), 0), {}, label, ids[:, 0])
        >>> counter_auc(Dataset("tiny", "click", (user, item), rows(1, 3), rows(2, 3), rows(2, 3)))
        1.0
    """
    categorical = [f.name for f in dataset.fields if f.kind == "categorical"]
    if not by or not set(by) <= set(categorical):
        raise ValueError(f"counter_auc: by must name categorical fields, got {list(by)}; there are {categorical}")
    columns = [categorical.index(name) for name in by]
    train, test = dataset.train, dataset.test
    ids = np.concatenate([rows.ids[:, columns].numpy() for rows in (train, test)])
    key = pd.DataFrame(ids).groupby(list(range(len(by))), sort=False).ngroup().to_numpy()
    ours, theirs, size = key[: len(train)], key[len(train) :], key.max() + 1
    label = _labels(train)
    negatives = np.bincount(ours[label == 0], minlength=size)[theirs]
    new = np.bincount(ours[label == 1], minlength=size)[theirs] == 0
    group = np.full(len(test), -1) if test.group is None else test.group.numpy()
    frame = pd.DataFrame({"score": -negatives, "label": _labels(test), "group": group})[new]
    placements = [_placements(of_one) for _, of_one in frame.groupby("group")]
    found = np.concatenate([np.zeros(0), *placements])
    if not len(found):
        raise ValueError(
            f"counter_auc: by {list(by)}, no test positive is new to training and has a negative beside it"
        )
    return float(found.mean())


def _labels(rows: Rows) -> np.ndarray:
    assert rows.label is not None  # a Dataset has labels
    return rows.label.numpy()


def _placements(rows: pd.DataFrame) -> np.ndarray:
    """Of each positive, the share of the negatives that score below it, ties counting half; none without negatives."""
    score, positive = rows["score"].to_numpy(), rows["label"].to_numpy() == 1
    rivals = int((~positive).sum())
    if not rivals:
        return np.zeros(0)
    return (stats.rankdata(score)[positive] - stats.rankdata(score[positive])) / rivals
