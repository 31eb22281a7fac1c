"""Metrics in groups of rows: who is in which group, and what the group's AUC is."""

import numpy as np
import pytest
import torch

from recsys_lite.evaluation import metrics, slices
from recsys_lite.fields import UNSEEN, Dataset, Field, Rows, Vocabulary


@pytest.mark.parametrize("name", ["movielens", "criteo"])
def test_every_row_is_in_one_group_of_each_kind(name, request):
    dataset = request.getfixturevalue(name)
    groups: dict[str, list[torch.Tensor]] = {}
    for by, _, mask in slices.click_slices(dataset):
        groups.setdefault(by, []).append(mask)
    assert len(groups) == (2 if name == "movielens" else 1)
    for masks in groups.values():
        assert (torch.stack(masks).sum(0) == 1).all() and len(masks) > 1


def test_groups_hold_the_rows_with_so_many_ratings(movielens):
    users, labels = movielens.train.ids[:, 0], movielens.train.label
    for by, words, mask in slices.click_slices(movielens):
        if by != "ratings of the user":
            continue
        low, _, high = words.partition(" to ")
        high = high or "999999"
        row = int(mask.nonzero()[0])
        user = int(movielens.test.ids[row, 0])
        count = 0 if user == UNSEEN else int(((users == user) & (labels == 1)).sum())
        assert int(low.split()[0]) <= count <= int(high)


def test_a_groups_auc_is_that_of_its_rows(criteo):
    scores = np.random.default_rng(0).random(len(criteo.test))
    table = slices.auc_by_slice(criteo, {"chance": scores})
    for line, (_, words, mask) in zip(table.itertuples(), slices.click_slices(criteo), strict=True):
        keep = mask.numpy()
        assert line.group == words and line.rows == keep.sum()
        assert line.auc == pytest.approx(metrics.auc(criteo.test.label.numpy()[keep], scores[keep]))
        assert line.low < line.auc < line.high


def test_a_value_that_training_never_showed_has_no_ratings():
    """Even where rows of training bear the number of unseen values: they are those of other values."""
    fields = tuple(Field(name, "categorical", Vocabulary(range(5))) for name in ("user", "item"))
    ids = lambda *items: torch.tensor([[1, i] for i in items], dtype=torch.int32)  # noqa: E731
    make = lambda *items: Rows(ids(*items), torch.zeros(len(items), 0), {}, torch.ones(len(items)))  # noqa: E731
    dataset = Dataset("d", "click", fields, make(0, 0, 1, 2, 3, 4), make(1), make(0, 0, 1, 2, 3, 4, 1, 2))
    groups = {words: mask.tolist() for by, words, mask in slices.click_slices(dataset) if by == "ratings of the item"}
    assert groups == {"0": [True] * 2 + [False] * 6, "1 or more": [False] * 2 + [True] * 6}
