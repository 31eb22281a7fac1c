"""LightGCN: special cases, its loss and penalty, and the ways to combine layers."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import logsigmoid
from torch.testing import assert_close

from recsys_lite.models import LightGCN
from recsys_lite.training import bpr, bpr_loss, bpr_step, retrieval_steps

PAIRS = torch.tensor([[0, 0], [0, 1], [1, 1], [2, 2], [3, 0], [3, 2], [3, 1]])
USERS, ITEMS = 5, 4  # user 4 and item 3 have no edge


def mask(*_):
    taken = torch.zeros(USERS, ITEMS, dtype=torch.bool)
    taken[PAIRS[:, 0], PAIRS[:, 1]] = True
    return taken


DATA = SimpleNamespace(train=PAIRS, num_users=USERS, num_items=ITEMS, mask=mask)


def model(seed=0, **options):
    torch.manual_seed(seed)
    return LightGCN(DATA, **{"dim": 6, **options})


def test_bpr_is_minus_the_log_of_the_chance_of_the_right_order():
    good, bad = torch.randn(9), torch.randn(9)
    assert_close(bpr(good, bad), -logsigmoid(good - bad).mean())
    assert bpr(torch.tensor([1000.0]), torch.tensor([-1000.0])) == 0
    assert bpr(torch.tensor([-1000.0]), torch.tensor([1000.0])) == 2000  # no overflow
    shift = torch.randn(9)
    assert_close(bpr(good + shift, bad + shift), bpr(good, bad))
    for a, b in ((good, bad[:4]), (good[:0], bad[:0])):
        with pytest.raises(ValueError, match="two equal shapes, not empty"):
            bpr(a, b)


def test_without_layers_it_is_matrix_factorisation():
    m = model(layers=0)
    assert_close(m.scores(torch.arange(USERS)), m.table[:USERS] @ m.table[USERS:].T)


@pytest.mark.parametrize("layers", [0, 1, 2, 3, 6])
@pytest.mark.parametrize("combine", ["mean", "last", "sum"])
def test_the_vectors_are_the_stated_mixture_of_layers(layers, combine):
    m = model(layers=layers, combine=combine)
    states, dense = [m.table], m.graph.dense()
    for _ in range(layers):
        states.append(dense @ states[-1])
    expected = {"mean": sum(states) / (layers + 1), "last": states[-1], "sum": sum(states)}[combine]
    assert_close(m.propagate(), expected)
    assert_close(torch.stack(m.layer_vectors()), torch.stack(states))
    (ours,) = torch.autograd.grad(m.propagate().square().sum(), m.table)
    (theirs,) = torch.autograd.grad(expected.square().sum(), m.table)
    assert_close(ours, theirs)


def test_a_sum_orders_as_the_mean_does_with_larger_scores():
    mean, total = model(layers=3), model(layers=3, combine="sum")
    users = torch.arange(USERS)
    assert_close(total.scores(users), 16 * mean.scores(users))


def test_nodes_without_edges_keep_their_start_and_hear_nothing():
    m = model(layers=3)
    alone = [4, USERS + 3]
    assert_close(m.propagate()[alone], m.table[alone] / 4)
    assert (model(layers=3, combine="last").propagate()[alone] == 0).all()
    (grad,) = torch.autograd.grad(m.propagate()[:4].square().sum(), m.table)
    assert (grad[alone] == 0).all() and grad[:4].abs().sum() > 0
    assert m.scores(torch.arange(USERS)).isfinite().all()


def test_the_loss_is_bpr_and_a_penalty_on_the_rows_of_the_batch_before_the_spread():
    users, items, others = torch.tensor([0, 3, 0]), torch.tensor([1, 2, 0]), torch.tensor([2, 3, 3])
    m = model(layers=2)
    scores = m.scores(torch.arange(USERS))
    plain = bpr(scores[users, items], scores[users, others])
    assert_close(bpr_loss(m, users, items, others, decay=0), plain)
    rows = m.table[torch.cat([users, USERS + items, USERS + others])]
    assert_close(bpr_loss(m, users, items, others, decay=0.3), plain + 0.3 / 2 * rows.square().sum() / 3)
    end = model(layers=2, penalise="end")
    rows = end.propagate()[torch.cat([users, USERS + items, USERS + others])]
    assert_close(bpr_loss(end, users, items, others, decay=0.3), plain + 0.3 / 2 * rows.square().sum() / 3)


def test_one_spread_for_a_step_and_for_scores(monkeypatch):
    m, calls = model(), []
    spread = m.propagate
    monkeypatch.setattr(m, "propagate", lambda: calls.append(1) or spread())
    step = bpr_step(DATA)
    step(m, torch.arange(len(PAIRS)), torch.Generator().manual_seed(0)).backward()
    assert len(calls) == 1
    m.scores(torch.arange(USERS))
    assert len(calls) == 2


def test_a_step_draws_items_that_the_user_has_not_and_repeats_with_its_generator(monkeypatch):
    seen = []
    monkeypatch.setattr(retrieval_steps, "bpr_loss", lambda _, *batch: seen.append(batch))
    for seed in (0, 0, 1):
        bpr_step(DATA, 0.5)(model(), torch.arange(7).repeat(20), torch.Generator().manual_seed(seed))
    for users, items, others, decay in seen:
        assert not mask()[users, others].any() and mask()[users, items].all() and decay == 0.5
    assert (seen[0][2] == seen[1][2]).all() and (seen[0][2] != seen[2][2]).any()


def test_pairs_are_scored_as_in_the_table_of_all_scores():
    m = model()
    users, items = torch.tensor([0, 4, 2]), torch.tensor([3, 1, 2])
    assert_close(m(users, items), m.scores(torch.arange(USERS))[users, items])


def test_the_start_is_normal_and_the_table_is_all_that_is_learned():
    torch.manual_seed(0)
    m = LightGCN((torch.tensor([[0, 0]]), 2000, 3000), dim=16)
    assert [n for n, _ in m.named_parameters()] == ["table"] == list(m.state_dict())
    assert m.table.std().item() == pytest.approx(0.1, abs=0.002) and abs(m.table.mean().item()) < 0.002
    other = LightGCN((torch.tensor([[0, 0]]), 2000, 3000), dim=16)
    other.load_state_dict(m.state_dict())
    assert (other.table == m.table).all()


def test_training_lowers_the_loss_and_ranks_the_training_items_first():
    m, step, g = model(layers=2), bpr_step(DATA, 1e-3), torch.Generator().manual_seed(0)
    adam = torch.optim.Adam(m.parameters(), lr=0.05)
    losses = []
    for _ in range(120):
        losses.append(step(m, torch.arange(7), g))
        adam.zero_grad()
        losses[-1].backward()
        adam.step()
    assert sum(losses[-10:]) < sum(losses[:10]) / 2
    scores = m.scores(torch.arange(4))
    assert scores.masked_fill(~mask()[:4], torch.inf).min() > scores.masked_fill(mask()[:4], -torch.inf).max(1)[0].min()


def test_settings_out_of_range_are_refused():
    for options in ({"dim": 0}, {"layers": -1}):
        with pytest.raises(ValueError, match="dim must be at least 1 and layers at least 0"):
            model(**options)
    with pytest.raises(ValueError, match="got 'max' and 'start'"):
        model(combine="max")
    with pytest.raises(ValueError, match="got 'mean' and 'middle'"):
        model(penalise="middle")
    with pytest.raises(ValueError, match="decay must be at least 0"):
        bpr_step(DATA, -1)


def test_positives_drawn_by_users_give_every_user_the_same_weight(monkeypatch):
    seen = []
    monkeypatch.setattr(retrieval_steps, "bpr_loss", lambda m, u, i, j, d: seen.append(torch.stack([u, i, j])))
    g = torch.Generator().manual_seed(0)
    bpr_step(DATA, draw="users")(model(), torch.zeros(20_000, dtype=torch.long), g)
    u, i, j = seen[0]
    count = torch.bincount(u, minlength=USERS)
    assert count[4] == 0 and (count[:4] - 5000).abs().max() < 5 * (20_000 * 3 / 16) ** 0.5  # user 4 has no item
    assert mask()[u, i].all() and not mask()[u, j].any()
    of_three = torch.bincount(i[u == 3], minlength=ITEMS)
    assert of_three[3] == 0 and (of_three[:3] / of_three.sum() - 1 / 3).abs().max() < 0.04


def test_positives_drawn_by_interactions_are_those_of_the_batch(monkeypatch):
    seen = []
    monkeypatch.setattr(retrieval_steps, "bpr_loss", lambda m, u, i, j, d: seen.append((u, i)))
    batch = torch.tensor([6, 0, 3])
    bpr_step(DATA)(model(), batch, torch.Generator().manual_seed(0))
    assert torch.equal(torch.stack(seen[0], 1), PAIRS[batch])
    with pytest.raises(ValueError, match="draw must be 'interactions' or 'users'"):
        bpr_step(DATA, draw="items")
