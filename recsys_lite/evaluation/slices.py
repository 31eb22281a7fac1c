"""Where a model is good and where not: metrics by how much training showed of the item, the user or the row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..data.interactions import Interactions
from ..fields import UNSEEN, Dataset
from . import metrics
from .full_ranking import K, Retriever, wanted_places
from .ranking import hit_rate


def recall_by_degree(
    retriever: Retriever, data: Interactions, part: str = "test", k: int = K, bounds: Sequence[int] = (1, 10, 100)
) -> pd.DataFrame:
    r"""Recall of the interactions of a part, in groups of items by their number of training interactions.

    Each interaction counts once, so users with many count more than in
    :func:`~recsys_lite.evaluation.full_ranking.evaluate_retrieval`. Places are among **all** items that the user has
    not in an earlier part, not only those of the group; ties count by average.

    Args:
        bounds: where a group ends and the next begins. Default: never shown, 1 to 9, 10 to 99, 100 or more.

    Returns:
        a line per group that has items: training interactions (in words), items, to find, recall (NaN if there is
        nothing to find).

    Raises:
        ValueError: if the bounds do not rise from 1 or more.

    Example:
        >>> names(1, 10, 100)
        ['0', '1 to 9', '10 to 99', '100 or more']
    """
    group_names = names(*bounds)
    _, item, above, tied = wanted_places(retriever, data, part, k)
    group = torch.bucketize(data.degree(), torch.tensor(bounds), right=True)
    count = torch.bincount(group, minlength=len(group_names))
    hit, its = hit_rate(above, tied, k).double(), group[item]
    found = torch.bincount(its, hit, minlength=len(group_names))
    wanted_count = torch.bincount(its, minlength=len(group_names))
    table = pd.DataFrame({
        "training interactions": group_names, "items": count.numpy(), "to find": wanted_count.numpy(),
        "recall": (found / wanted_count).numpy(),
    })  # fmt: skip
    return table[table["items"] > 0].reset_index(drop=True)


def click_slices(dataset: Dataset) -> Iterator[tuple[str, str, Tensor]]:
    """The test rows of a data set in groups: by what, group in words, (B,) bool.

    With users and items: by how many ratings of the row's user and of its item the training part holds (rows drawn as
    negatives are no ratings), in quarters of the test rows, ties together. Else: by how many of the row's values
    training never showed (or too seldom to keep).
    """
    columns = [f.name for f in dataset.fields if f.kind == "categorical"]
    if "user" in columns and "item" in columns:
        rated = dataset.train.ids
        if dataset.task == "click" and dataset.train.label is not None:
            rated = rated[dataset.train.label == 1]
        for by, name in (("ratings of the user", "user"), ("ratings of the item", "item")):
            k = columns.index(name)
            count = torch.bincount(rated[:, k], minlength=int(dataset.test.ids[:, k].max()) + 1)
            count[UNSEEN] = 0
            yield from _groups(by, count[dataset.test.ids[:, k]])
    else:
        yield from _groups("values not seen in training", (dataset.test.ids == UNSEEN).sum(1))


def _groups(by: str, count: Tensor) -> Iterator[tuple[str, str, Tensor]]:
    bounds = sorted({int(q) for q in torch.quantile(count.double(), torch.tensor([0.25, 0.5, 0.75]).double())})
    bounds = [b for b in bounds if b >= 1 and (count < b).any()]
    group = torch.bucketize(count, torch.tensor(bounds, dtype=count.dtype), right=True)
    for k, words in enumerate(names(*bounds) if bounds else ["all"]):
        yield by, words, group == k


def auc_by_slice(dataset: Dataset, predictions: Mapping[str, object]) -> pd.DataFrame:
    """AUC within the groups of :func:`click_slices`, with its interval over rows (:func:`metrics.auc_interval`).

    Ranks are within the group only: an AUC over all rows also counts pairs of two groups, so it is no mean of these.

    Args:
        predictions: model -> scores of the test rows (B,).

    Returns:
        a line per group and model: by, group, rows, positives, model, auc, low, high; NaN where a group has fewer than
        ten rows of a class.

    Raises:
        ValueError: for unlabelled test rows.
    """
    if dataset.test.label is None:
        raise ValueError("auc_by_slice: the test rows have no labels")
    label, lines = dataset.test.label.numpy(), []
    for by, group, mask in click_slices(dataset):
        keep = mask.numpy()
        y = label[keep]
        positives = int(y.sum())
        for model, scores in predictions.items():
            enough = min(positives, len(y) - positives) >= 10
            told = metrics.auc_interval(y, np.asarray(scores)[keep]) if enough else (float("nan"),) * 3
            lines.append((by, group, len(y), positives, model, *told))
    return pd.DataFrame(lines, columns=["by", "group", "rows", "positives", "model", "auc", "low", "high"])


def names(*bounds: int) -> list[str]:
    """The groups that some bounds make, in words."""
    if not bounds or bounds[0] < 1 or any(a >= b for a, b in pairwise(bounds)):
        raise ValueError(f"recall_by_degree: bounds must rise from at least 1, got {bounds}")
    middle = [f"{a} to {b - 1}" if b > a + 1 else str(a) for a, b in pairwise((0, *bounds))]
    return [*middle, f"{bounds[-1]} or more"]
