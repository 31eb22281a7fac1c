"""NGCF: special cases, numbers by hand, dropout in training only, and the loss that it shares with LightGCN."""

import pytest
import torch
from torch.testing import assert_close

from recsys_lite.models import NGCF, LightGCN
from recsys_lite.training import bpr_loss

PAIRS = torch.tensor([[0, 0], [0, 1], [1, 1], [2, 2], [3, 0], [3, 2], [3, 1]])
USERS, ITEMS = 5, 4  # user 4 and item 3 have no edge
DATA = PAIRS, USERS, ITEMS


def test_without_layers_it_is_matrix_factorisation():
    m, mf = NGCF(DATA, dim=6, layers=0), LightGCN(DATA, dim=6, layers=0)
    mf.load_state_dict(m.state_dict())
    assert_close(m.scores(torch.arange(USERS)), mf.scores(torch.arange(USERS)))


def test_by_hand():
    """One user, one item, d = 1: user 2, item 3, W₁ = 1, W₂ = -1; (2 + 3) - 3 · 2 = -1, and LeakyReLU makes it -0.2."""
    m = NGCF((torch.tensor([[0, 0]]), 1, 1), dim=1, layers=1, drop=0.0)
    with torch.no_grad():
        m.table.copy_(torch.tensor([[2.0], [3.0]]))
        m.first[0].weight.fill_(1.0)
        m.second[0].weight.fill_(-1.0)
    assert_close(m.propagate(), torch.tensor([[2.0, -0.2], [3.0, -0.2]]))
    assert_close(m.scores(torch.tensor([0])), torch.tensor([[6.04]]))


def test_without_both_it_is_lightgcn_with_self_loops_and_products():
    m = NGCF(DATA, dim=6, layers=1, weights=False, nonlinear=False, combine="sum", std=1.0).eval()
    E, A = m.table, m.graph.dense()
    assert_close(m.propagate(), E + (A + torch.eye(9)) @ E + (A @ E) * E)
    assert [n for n, _ in m.named_parameters()] == ["table"]


def test_a_node_without_edges_meets_its_own_weights_only():
    m = NGCF(DATA, dim=6, layers=1, std=1.0).eval()
    own = torch.nn.functional.leaky_relu(m.first[0](m.table[4]), 0.2)
    assert_close(m.propagate()[4], torch.cat([m.table[4], own]))


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    m = NGCF(DATA, dim=64, layers=1, drop=0.5, std=1.0)
    share = (m.propagate()[:, 64:] == 0).float().mean().item()
    assert 0.4 < share < 0.6
    assert (m.eval().propagate()[:, 64:] != 0).all()


def test_the_loss_reaches_every_parameter_and_penalises_the_start():
    m = NGCF(DATA, dim=6, drop=0.0, std=1.0)
    triple = torch.tensor([0, 3]), torch.tensor([0, 2]), torch.tensor([2, 3])
    bpr_loss(m, *triple, decay=0.0).backward()
    assert all((p.grad != 0).any() for p in m.parameters())
    nodes = torch.tensor([0, 3, 5, 7, 7, 8])  # a row that is read twice counts twice
    difference = bpr_loss(m, *triple, decay=1.0) - bpr_loss(m, *triple, decay=0.0)
    assert_close(difference, m.table[nodes].square().sum() / 2 / 2)


@pytest.mark.parametrize("wrong", [{"dim": 0}, {"layers": -1}, {"drop": 1.0}, {"combine": "mean"}])
def test_wrong_options_are_named(wrong):
    with pytest.raises(ValueError, match="NGCF"):
        NGCF(DATA, **wrong)
