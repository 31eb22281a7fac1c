"""Planted strings: each label follows its own rule and no other; the bag of letters is always the same."""

import pytest
import torch

from recsys_lite.data.simulated.orders import TASKS, orders


def rules(data, back):
    strings = data.train.bags["letters"].flip(1)  # as they are read
    a, b = (strings.eq(k).int().argmax(1) for k in (1, 2))
    both = [strings.eq(k).any(1) for k in (1, 2)]
    size = data.fields[2].size - 1
    far = strings[:, max(strings.shape[1] - back, 0)] <= size // 2
    return {
        "together": data.train.ids.sum(1) % 2 == 0, "next to": (a - b).abs() == 1, "before": a < b,
        "far": far, "bag": both[0] == both[1],
    }  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_a_label_follows_its_rule_and_no_other(task):
    data = orders(task, 0, letters=8, back=3)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [2000, 500, 1000]
    y = data.train.label.bool()
    for name, rule in rules(data, 3).items():
        assert (y == rule).all() == (name == task)
    share = {"next to": 0.25, "bag": 3 / 7}.get(task, 0.5)
    assert abs(y.float().mean() - share) < 0.05
    if task != "bag":
        assert (data.train.bags["letters"].sort(1).values == torch.arange(1, 9)).all()
    else:
        assert data.train.bags["letters"].shape[1] == 4


def test_seeds_differ_and_places_count_from_the_end():
    one, other = orders("far", 0, letters=6, back=1), orders("far", 1, letters=6, back=1)
    assert not torch.equal(one.train.bags["letters"], other.train.bags["letters"])
    assert torch.equal(one.train.label.bool(), one.train.bags["letters"][:, 0] <= 3)
    first = orders("far", 0, letters=6, back=6)
    assert torch.equal(first.train.label.bool(), first.train.bags["letters"][:, -1] <= 3)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="unknown task"):
        orders("after", 0)
    for wrong in ({"letters": 7}, {"letters": 26}, {"back": 0}, {"back": 9}, {"rows": 3}):
        with pytest.raises(ValueError, match="out of range"):
            orders("far", 0, **wrong)
