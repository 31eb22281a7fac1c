"""Negatives drawn by part: what is spared, and that what is left is drawn evenly."""

import numpy as np
import pytest

from recsys_lite.data.negatives import draw_negatives

USER = np.repeat([9, 4], [6000, 3])
ITEM = np.concatenate([np.arange(6000) % 2, [0, 1, 2]])
PART = np.concatenate([np.arange(6000) % 2 * 2, [0, 1, 2]])  # user 9: item 0 in training, item 1 in the test part


def test_a_part_spares_what_it_and_earlier_parts_hold():
    drawn = draw_negatives(USER, ITEM, PART, 4, 2, np.random.default_rng(0))
    assert {tuple(np.unique(drawn[(USER == 9) & (PART == p)])) for p in (0, 2)} == {(1, 2, 3), (2, 3)}
    assert not set(drawn[-3].tolist()) & {0} and not set(drawn[-2].tolist()) & {0, 1}
    assert drawn[-1].tolist() == [3, 3]


def test_what_is_left_is_uniform():
    drawn = draw_negatives(USER, ITEM, PART, 4, 2, np.random.default_rng(0))
    share = np.bincount(drawn[(USER == 9) & (PART == 0)].ravel(), minlength=4) / 6000
    assert share == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3], abs=0.025)  # four deviations


def test_a_user_with_every_item_is_named():
    with pytest.raises(ValueError, match="user number 4 has all but 0 items: no negatives can be drawn"):
        draw_negatives(USER, ITEM, PART, 3, 2, np.random.default_rng(0))


def test_without_replacement_none_comes_twice_and_too_few_are_named():
    user, item, part = np.array([1, 1, 1, 2]), np.array([0, 1, 2, 0]), np.zeros(4, int)
    drawn = draw_negatives(user, item, part, 9, 2, np.random.default_rng(0), replace=False)
    assert sorted(drawn[:3].ravel().tolist()) == [3, 4, 5, 6, 7, 8] and drawn[3, 0] != drawn[3, 1]
    with pytest.raises(ValueError, match="user number 1 has all but 5 items: no 6 different negatives can be drawn"):
        draw_negatives(user, item, part, 8, 2, np.random.default_rng(0), replace=False)
