"""Item sets say what a table of all pairs says, without one."""

from types import SimpleNamespace

import pytest
import torch
from small import Largest, of_pairs, random_pairs

from recsys_lite.data.item_sets import ItemSets


@pytest.mark.parametrize("seed", range(10))
def test_they_say_what_a_table_says(seed):
    users, items = 3 + seed, 12 - seed
    (pairs,) = random_pairs(seed, users, items, [10])
    table = torch.zeros(users, items, dtype=torch.bool)
    table[pairs[:, 0], pairs[:, 1]] = True
    sets = ItemSets(torch.cat([pairs, pairs[:4]]), users, items)  # some pairs come twice
    assert torch.equal(sets.mask(), table) and torch.equal(sets.count, table.sum(1))
    assert torch.equal(sets.contains(torch.arange(users)[:, None], torch.arange(items)), table)
    some = torch.tensor([2, 0, 2, 1])  # in any order, and one twice
    assert torch.equal(sets.mask(some), table[some])
    assert torch.equal(torch.stack(sets.pairs(some)), table[some].nonzero().T)


def test_sets_may_be_empty_and_numbers_large():
    none = ItemSets(torch.zeros(0, 2, dtype=torch.int64), 2, 3)
    assert (
        not none.mask().any() and none.count.tolist() == [0, 0] and not none.contains(torch.tensor(1), torch.tensor(2))
    )
    end = 2**20 - 1  # 2⁴⁰ pairs: the keys are no int32, whatever the pairs are
    large = ItemSets(torch.tensor([[end, end], [end, 0]], dtype=torch.int32), end + 1, end + 1)
    assert large.contains(torch.tensor([end, end, 0]), torch.tensor([end, 1, 0])).tolist() == [True, False, False]


def test_parts_of_both_kinds_of_data():
    data = of_pairs([[0, 0], [1, 4]], [[0, 1]], [[1, 0]])
    assert ItemSets.of(data, "train", "test").mask().nonzero().tolist() == [[0, 0], [1, 0], [1, 4]]
    one_each = SimpleNamespace(train=torch.tensor([[0, 0]]), test=torch.tensor([2, 1]), num_users=2, num_items=3)
    assert ItemSets.of(one_each, "train", "test").mask().nonzero().tolist() == [[0, 0], [0, 2], [1, 1]]
    for both in (data, one_each):
        assert not ItemSets.of(both).mask().any()


@pytest.mark.parametrize(
    ("pairs", "message"),
    [([1, 2], r"expected \(N, 2\) pairs, got \(2,\)"), ([[0, 3]], "beyond 2 × 3"), ([[-1, 0]], "beyond 2 × 3")],
)
def test_bad_pairs_are_named(pairs, message):
    with pytest.raises(ValueError, match=message):
        ItemSets(torch.tensor(pairs), 2, 3)


def test_memory_is_that_of_the_pairs():
    (pairs,) = random_pairs(0, 1000, 500, [2000])
    with Largest() as made:
        sets = ItemSets(pairs, 1000, 500)
        sets.contains(pairs[:, 0], pairs[:, 1])
        sets.mask(torch.arange(3))
    assert made.size <= 4000  # the pairs
    with Largest() as made:
        sets.mask()
    assert made.size == 1000 * 500  # and a table would be seen
