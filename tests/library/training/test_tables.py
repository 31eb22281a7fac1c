"""Optimisers of tables: equal to PyTorch's where both say the same, equal to their formulas, blind to rows not read."""

import math

import pytest
import tiny
import torch
from torch import nn
from torch.testing import assert_close

from recsys_lite.models import FM, MODELS, LogisticRegression
from recsys_lite.training import LazyAdam, RowwiseAdagrad, Settings, fit, fit_in_steps, seed_everything
from recsys_lite.training.tables import sparse_gradients, tables_of

READ = [torch.tensor([[0, 2, 2], [5, 0, 2]]), torch.tensor([[1, 1], [1, 3]]), torch.tensor([[4]])]


def trained(make, reads, weight_decay=0.0):
    """A table of 6 rows after a step for each batch of row numbers, and its gradients as dense tensors."""
    torch.manual_seed(0)
    table, gradients = nn.Embedding(6, 3, sparse=True), []
    optimizer = make([table.weight], weight_decay)
    for k, read in enumerate(reads):
        optimizer.zero_grad()
        (table(read) * torch.arange(1.0, 4.0) * (k + 1)).square().sum().backward()
        gradients.append(table.weight.grad.to_dense())
        optimizer.step()
    return table.weight.detach(), gradients


def test_lazy_adam_is_sparse_adam():
    ours, _ = trained(lambda p, _: LazyAdam(p, lr=0.1), READ)
    theirs, _ = trained(lambda p, _: torch.optim.SparseAdam(p, lr=0.1), READ)
    assert_close(ours, theirs)


def test_lazy_adam_is_adam_where_every_row_is_read():
    everything = [torch.arange(6).repeat(2)] * 4
    ours, _ = trained(lambda p, decay: LazyAdam(p, lr=0.1, weight_decay=decay), everything, 0.3)
    torch.manual_seed(0)
    table = nn.Embedding(6, 3)
    optimizer = torch.optim.Adam(table.parameters(), lr=0.1, weight_decay=0.3)
    for k, read in enumerate(everything):
        optimizer.zero_grad()
        (table(read) * torch.arange(1.0, 4.0) * (k + 1)).square().sum().backward()
        optimizer.step()
    assert_close(ours, table.weight.detach())


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_rowwise_adagrad_by_its_formula(decay):
    ours, _ = trained(lambda p, decay: RowwiseAdagrad(p, lr=0.1, weight_decay=decay), READ, decay)
    torch.manual_seed(0)
    w = nn.Embedding(6, 3).weight.detach().double().tolist()
    total = [0.0] * 6
    for k, read in enumerate(READ):
        counts = {r: read.flatten().tolist().count(r) for r in read.flatten().tolist()}
        for r, n in counts.items():
            g = [2 * n * w[r][c] * ((c + 1) * (k + 1)) ** 2 + decay * w[r][c] for c in range(3)]
            total[r] += sum(x * x for x in g) / 3
            w[r] = [w[r][c] - 0.1 * g[c] / (math.sqrt(total[r]) + 1e-10) for c in range(3)]
    assert_close(ours, torch.tensor(w), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [LazyAdam, RowwiseAdagrad])
def test_rows_that_are_not_read_stay(kind):
    start, _ = trained(lambda p, _: torch.optim.SGD(p, lr=0.0), [])
    ours, _ = trained(lambda p, _: kind(p, lr=0.1, weight_decay=0.5), READ[:1])
    moved = (ours != start).any(1)
    assert moved.tolist() == [True, False, True, False, False, True]


@pytest.mark.parametrize("kind", [LazyAdam, RowwiseAdagrad])
def test_a_dense_gradient_and_settings_out_of_range_are_refused(kind):
    table = nn.Embedding(3, 2)
    table(torch.tensor([0])).sum().backward()
    with pytest.raises(ValueError, match=f"{kind.__name__}: expected a sparse gradient"):
        kind([table.weight]).step()
    with pytest.raises(ValueError, match=f"{kind.__name__}: expected lr above 0"):
        kind([table.weight], lr=0.0)


@pytest.mark.parametrize("kind", ["lazy_adam", "rowwise_adagrad"])
@pytest.mark.parametrize("name", MODELS)
def test_every_model_trains_with_its_tables_apart(name, kind):
    sides = {"query": ["user", "history"], "candidate": ["item", "genres"]}
    options = sides if name in ("two_towers", "split_network") else {}
    seed_everything(0)
    model = MODELS[name](tiny.FIELDS, **options)
    result = fit(model, tiny.dataset(), epochs=4, batch_size=16, lr=0.01, progress=False, optimizer=kind)
    losses = [line["train_loss"] for line in result.curve]
    assert result.settings["optimizer"] == kind and min(losses[1:]) < losses[0]
    # a later training with Adam is the one of a fresh model: nothing of the sparse gradients is left
    assert fit(model, tiny.dataset(), epochs=1, progress=False).settings["optimizer"] == "Adam"
    assert not any(table.sparse for table in tables_of(model))


def test_sparse_and_dense_gradients_are_the_same():
    model, rows, grads = tiny.filled(FM(tiny.FIELDS, dim=3), std=0.3), tiny.rows(9), []
    for on in (False, True):
        sparse_gradients(model, on)
        model.zero_grad()
        model(rows).square().sum().backward()
        grads.append([t.weight.grad.to_dense() if on else t.weight.grad for t in tables_of(model)])
    for dense, sparse in zip(*grads, strict=True):
        assert_close(dense, sparse)


def test_an_unknown_name_is_refused_before_anything_is_trained():
    with pytest.raises(ValueError, match=r"unknown optimizer 'lazy_sgd'; there are .*'rowwise_adagrad'"):
        Settings(optimizer="lazy_sgd")

    class Bare(LogisticRegression):
        def modules(self):
            return iter(())

    with pytest.raises(ValueError, match="Bare has no embedding tables for 'lazy_adam'"):
        fit_in_steps(Bare(tiny.FIELDS), tiny.dataset(), optimizer="lazy_adam")
