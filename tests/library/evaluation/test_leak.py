"""The counter of training negatives: numbers worked by hand, and a planted leak beside its cure."""

import numpy as np
import pytest
import torch

from recsys_lite.data.negatives import draw_negatives
from recsys_lite.evaluation import counter_auc
from recsys_lite.fields import Dataset, Field, Rows, Vocabulary

ITEMS = 60


def rows(triples, group=True):
    user, item, label = torch.tensor(triples).T
    ids = torch.stack([user, item], 1).int()
    return Rows(ids, torch.zeros(len(ids), 0), {}, label.float(), user.int() if group else torch.full_like(user, -1))


def dataset(train, test, group=True):
    fields = tuple(Field(n, "categorical", Vocabulary(list(range(1, ITEMS + 1)))) for n in ("user", "item"))
    return Dataset("made", "click", fields, rows(train, group), rows(test, group), rows(test, group))


TRAIN = [(1, 1, 1), (1, 4, 0), (1, 4, 0), (1, 5, 0), (2, 2, 1), (2, 3, 0)]
TEST = [
    (1, 5, 1), (1, 4, 0), (1, 6, 0), (1, 5, 0),  # counts 1; 2, 0, 1: better than one of three, equal to one
    (1, 1, 1),  # a training positive: not compared
    (2, 3, 1), (2, 6, 0),  # counts 1; 0: beaten
    (3, 6, 1),  # a user without a negative
]  # fmt: skip


def test_by_hand():
    assert counter_auc(dataset(TRAIN, TEST)) == pytest.approx((1.5 / 3 + 0) / 2)
    # without groups: the positives 1, 1, 0 against the negatives 2, 0, 1, 0
    assert counter_auc(dataset(TRAIN, TEST, group=False)) == pytest.approx((1.5 + 1.5 + 3) / 12)
    # by item: 1 and 2 are training positives; counts of 3, 4, 5, 6 are 1, 2, 1, 0 whoever the user is
    assert counter_auc(dataset(TRAIN, TEST), by=("item",)) == pytest.approx((1.5 / 3 + 0) / 2)


def test_what_cannot_be_counted_is_named():
    for by in ((), ("user", "film")):
        with pytest.raises(ValueError, match=r"by must name categorical fields.*there are \['user', 'item'\]"):
            counter_auc(dataset(TRAIN, TEST), by=by)
    with pytest.raises(ValueError, match="no test positive is new to training"):
        counter_auc(dataset(TRAIN, [(1, 1, 1), (1, 4, 0)]))


@pytest.mark.parametrize("repeats", [False, True])
def test_it_sees_a_planted_leak_and_not_its_cure(repeats):
    """Random interactions, of which nothing can be learned; with repeats, users take a third of the items often."""
    rng = np.random.default_rng(0)
    found = {}
    taken = [rng.choice(ITEMS // (3 if repeats else 1), 20, replace=repeats) for _ in range(ITEMS)]
    user, item = np.repeat(np.arange(ITEMS), 20), np.concatenate(taken)
    part = np.tile(np.arange(20) // 7, ITEMS)  # 7 in training, 7 in validation, 6 in the test part
    for name, known in (("open", part), ("sparing", np.zeros_like(part))):
        drawn = draw_negatives(user, item, known, ITEMS, 10, rng)
        positives, negatives = np.stack([user, item], 1), np.stack([np.repeat(user, 10), drawn.ravel()], 1)
        made = [
            np.concatenate([
                np.column_stack([positives[part == p] + 1, np.ones((part == p).sum(), int)]),
                np.column_stack([negatives[np.repeat(part == p, 10)] + 1, np.zeros((part == p).sum() * 10, int)]),
            ]).tolist()
            for p in (0, 2)
        ]  # fmt: skip
        found[name] = counter_auc(dataset(*made))
    assert found["open"] == pytest.approx(0.5, abs=0.03) and found["sparing"] > 0.7
