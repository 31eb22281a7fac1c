"""Optimisers and losses against loops over single numbers in NumPy."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from recsys_lite.models import LightGCN
from recsys_lite.training.losses import bpr
from recsys_lite.training.optim import FTRL
from recsys_lite.training.retrieval_steps import bpr_loss
from recsys_lite.training.tables import LazyAdam, RowwiseAdagrad

#: rows that each of six steps reads, some twice
READ = [[0, 2, 2], [1], [0, 1, 3, 0], [2, 2, 2], [3], [0, 1, 2, 3]]


def gradients(shape, seed=0):
    return np.random.default_rng(seed).standard_normal((6, *shape))


@pytest.mark.parametrize("settings", [
    {}, {"lr": 0.5, "beta": 0.3}, {"l1": 0.8}, {"l2": 0.7}, {"lr": 0.2, "l1": 0.5, "l2": 0.1}, {"beta": 0.0},
])  # fmt: skip
def test_ftrl(settings):
    """McMahan et al., KDD 2013, Algorithm 1, a coordinate at a time: w is made of z and n before each gradient."""
    alpha, beta, l1, l2 = ({"lr": 0.1, "beta": 1.0, "l1": 0.0, "l2": 0.0} | settings).values()
    weight = nn.Parameter(torch.zeros(5, dtype=torch.float64))
    optimizer = FTRL([weight], **settings)
    z, n = np.zeros(5), np.zeros(5)
    w = np.zeros(5)
    for g in gradients((5,)):
        g[4] = 0.0  # a feature that never occurs
        weight.grad = torch.from_numpy(g.copy())
        optimizer.step()
        for i in range(5):
            sigma = (np.sqrt(n[i] + g[i] ** 2) - np.sqrt(n[i])) / alpha
            z[i] += g[i] - sigma * w[i]
            n[i] += g[i] ** 2
            if abs(z[i]) <= l1:
                w[i] = 0.0
            else:
                w[i] = -1 / ((beta + np.sqrt(n[i])) / alpha + l2) * (z[i] - np.sign(z[i]) * l1)
        assert_allclose(weight.detach().numpy(), w, rtol=1e-12, atol=1e-15)
        assert ((weight == 0).numpy() == (np.abs(z) <= l1)).all()


def test_ftrl_takes_a_closure():
    weight = nn.Parameter(torch.zeros(2))
    optimizer = FTRL([weight])

    def closure():
        optimizer.zero_grad()
        loss = ((weight - 1) ** 2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert (weight > 0).all()


def sparse(table, rows, g):
    """The gradient that a table gets when a batch reads these rows, and the rows with their sums."""
    values = torch.from_numpy(g[: len(rows)].copy())
    table.grad = torch.sparse_coo_tensor(torch.tensor([rows]), values, table.shape, check_invariants=True)
    return {r: sum(g[k] for k, row in enumerate(rows) if row == r) for r in sorted(set(rows))}


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_lazy_adam(decay):
    """Kingma & Ba, ICLR 2015, Algorithm 1, on the rows that are read; t counts the steps of the table."""
    start = gradients((4, 3), 1)[0]
    table = nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = LazyAdam([table], lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=decay)
    w, m, v = start.copy(), np.zeros((4, 3)), np.zeros((4, 3))
    for t, (rows, g) in enumerate(zip(READ, gradients((4, 3)), strict=True), 1):
        for r, gradient in sparse(table, rows, g).items():
            for k in range(3):
                d = gradient[k] + decay * w[r, k]
                m[r, k] = 0.8 * m[r, k] + 0.2 * d
                v[r, k] = 0.9 * v[r, k] + 0.1 * d**2
                w[r, k] -= 0.1 * (m[r, k] / (1 - 0.8**t)) / (np.sqrt(v[r, k] / (1 - 0.9**t)) + 1e-3)
        optimizer.step()
        assert_allclose(table.detach().numpy(), w, rtol=1e-12)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_rowwise_adagrad(decay):
    """Duchi et al., JMLR 2011, with one sum of squares a row: the mean over the row's numbers (FBGEMM)."""
    start = gradients((4, 3), 1)[0]
    table = nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = RowwiseAdagrad([table], lr=0.1, eps=1e-3, weight_decay=decay)
    w, total = start.copy(), np.zeros(4)
    for rows, g in zip(READ, gradients((4, 3)), strict=True):
        for r, gradient in sparse(table, rows, g).items():
            d = gradient + decay * w[r]
            total[r] += sum(x**2 for x in d) / 3
            w[r] -= 0.1 * d / (np.sqrt(total[r]) + 1e-3)
        optimizer.step()
        assert_allclose(table.detach().numpy(), w, rtol=1e-12)


def test_bpr_and_its_penalty():
    """Rendle et al., UAI 2009, eq. 5; the penalty of LightGCN, eq. 15, on the rows of the table that a batch reads."""
    pairs = torch.tensor([[0, 0], [0, 1], [1, 1], [2, 2]])
    model = LightGCN((pairs, 3, 3), dim=2, layers=1).double()
    u, i, j = torch.tensor([0, 0, 2]), torch.tensor([0, 1, 2]), torch.tensor([2, 2, 0])
    scores = model.scores(torch.arange(3)).detach().numpy()
    table = model.table.detach().numpy()
    loss, penalty = 0.0, 0.0
    for a, b, c in zip(u.tolist(), i.tolist(), j.tolist(), strict=True):
        loss -= np.log(1 / (1 + np.exp(-(scores[a, b] - scores[a, c])))) / 3
        penalty += sum((table[node] ** 2).sum() for node in (a, 3 + b, 3 + c)) / 2 / 3
    assert_allclose(bpr_loss(model, u, i, j, decay=0.3).item(), loss + 0.3 * penalty, rtol=1e-12)
    one = bpr(torch.tensor([2.0, -800.0]).double(), torch.tensor([1.0, 800.0]).double()).item()
    assert_allclose(one, (np.log1p(np.exp(-1.0)) + 1600) / 2, rtol=1e-12)
