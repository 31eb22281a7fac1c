"""Where a retriever finds things: recall by how often training showed the item."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd
import torch

from .data.interactions import Interactions
from .ranking import hit_rate, place
from .retrieval import K, Retriever, earlier, scored


def recall_by_degree(
    retriever: Retriever, data: Interactions, part: str = "test", k: int = K, bounds: Sequence[int] = (1, 10, 100)
) -> pd.DataFrame:
    r"""Recall of the interactions of a part, in groups of items by their number of training interactions.

    Each interaction counts once, so users with many count more than in
    :func:`~recsys_lite.retrieval.evaluate_retrieval`. Places are among **all** items that the user has not in an
    earlier part, not only those of the group; ties count by average.

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
    known, wanted = data.mask(*earlier(part)), data.mask(part)
    hits, items = [], []
    for some, scores in scored(retriever, wanted.any(1).nonzero().flatten()):
        row, item = wanted[some].nonzero().T
        for at, target in zip(row.split(8192), item.split(8192), strict=True):
            above, tied = place(scores[at], scores[at, target], ~known[some[at]])
            hits.append(hit_rate(above, tied - 1, k))  # the item is no rival of itself
            items.append(target)
    group = torch.bucketize(data.degree(), torch.tensor(bounds), right=True)
    count = torch.bincount(group, minlength=len(group_names))
    hit, its = torch.cat(hits).double(), group[torch.cat(items)]
    found = torch.bincount(its, hit, minlength=len(group_names))
    wanted_count = torch.bincount(its, minlength=len(group_names))
    table = pd.DataFrame({
        "training interactions": group_names, "items": count.numpy(), "to find": wanted_count.numpy(),
        "recall": (found / wanted_count).numpy(),
    })  # fmt: skip
    return table[table["items"] > 0].reset_index(drop=True)


def names(*bounds: int) -> list[str]:
    """The groups that some bounds make, in words."""
    if not bounds or bounds[0] < 1 or any(a >= b for a, b in pairwise(bounds)):
        raise ValueError(f"recall_by_degree: bounds must rise from at least 1, got {bounds}")
    middle = [f"{a} to {b - 1}" if b > a + 1 else str(a) for a, b in pairwise((0, *bounds))]
    return [*middle, f"{bounds[-1]} or more"]
