"""Drawn negatives: the draws of the plain definition on a mask, whatever holds what is forbidden."""

import pytest
import torch
from small import Largest, of_pairs, random_pairs

from recsys_lite.data.item_sets import ItemSets
from recsys_lite.models import MatrixFactorisation
from recsys_lite.training import bpr_step, draw_negatives


def by_mask(forbidden, users, count, generator):
    """The definition: draw for all, then again for every place that is forbidden, until none is."""
    items = torch.randint(forbidden.shape[1], (len(users), count), generator=generator)
    while (wrong := forbidden[users[:, None], items]).any():
        items[wrong] = torch.randint(forbidden.shape[1], (int(wrong.sum()),), generator=generator)
    return items


@pytest.mark.parametrize("seed", range(20))
def test_the_same_generator_draws_the_same_items(seed):
    users, items, count = 5 + seed, 9 + seed % 4, 1 + seed % 3
    (pairs,) = random_pairs(seed, users, items, [users * items // 2])
    sets = ItemSets(pairs, users, items)
    free = (sets.count < items).nonzero().flatten()
    asked = free[torch.randint(len(free), (200,), generator=torch.Generator().manual_seed(seed))]
    generators = [torch.Generator().manual_seed(seed) for _ in range(3)]
    expected = by_mask(sets.mask(), asked, count, generators[0])
    assert torch.equal(draw_negatives(sets, asked, count, generators[1]), expected)
    assert torch.equal(draw_negatives(sets.mask(), asked, count, generators[2]), expected)
    assert all(torch.equal(g.get_state(), generators[0].get_state()) for g in generators)


def test_a_user_with_nothing_left_is_named_when_asked_for():
    sets = ItemSets(torch.tensor([[1, 0], [1, 1], [1, 2], [0, 0]]), 2, 3)
    for forbidden in (sets, sets.mask()):
        assert draw_negatives(forbidden, torch.tensor([0, 0]), 2, torch.Generator().manual_seed(0)).min() > 0
        with pytest.raises(ValueError, match="user number 1 has no item left to draw"):
            draw_negatives(forbidden, torch.tensor([0, 1]), 1, torch.Generator())


def test_a_training_step_looks_at_its_batch_only():
    users, items = 400, 300
    data = of_pairs(*random_pairs(0, users, items, [900, 50, 50]), users, items)
    model = MatrixFactorisation(data, dim=2)
    batch, generator = torch.arange(8), torch.Generator().manual_seed(0)
    with Largest() as made:
        step = bpr_step(data)
    assert made.size <= 2 * len(data.train)  # memory of the pairs
    with Largest() as made:
        step(model, batch, generator)
    assert made.size == model.table.numel() < users * items / 10  # what is spread, not what is drawn from
    with Largest() as made:
        draw_negatives(ItemSets.of(data, "train").mask(), data.train[batch, 0], 1, generator)
    assert made.size >= users  # a mask is read whole, and that is seen
