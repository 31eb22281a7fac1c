"""The penalty on embedding tables, and rates that fall when an epoch was not the best."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from recsys_lite.models import DHEN, FM, FieldMLP, NeuMF, SplitNetwork, TwoTowers, WideDeep
from recsys_lite.training import Settings, fit, fit_in_steps, seed_everything
from tests.tiny import FIELDS, filled, rows
from tests.tiny import dataset as tiny_dataset


def test_the_penalty_is_the_gradient_of_half_lambda_times_the_squares_of_all_rows():
    dataset = tiny_dataset()
    seed_everything(0)
    model = WideDeep(dataset.fields, [("user", "item")], hidden=(4,))
    assert model.crosses is not None
    tables = [model.weights.table.weight, model.embedding.table.weight, model.crosses.weight]
    inside = {id(t) for t in tables}
    (adam,) = Settings(lr=0.1, embedding_penalty=0.3, weight_decay=0.01).optimizers(model)
    decay = {id(p): g["weight_decay"] for g in adam.param_groups for p in g["params"]}
    assert decay == {id(p): 0.3 if id(p) in inside else 0.01 for p in model.parameters()}
    # Adam's own term is the gradient of the penalty: one step of SGD on both losses agrees
    table = nn.Parameter(torch.randn(5, 3))
    (0.15 * table.square().sum()).backward()
    torch.testing.assert_close(table.grad, 0.3 * table.detach())


def test_a_penalty_pulls_rows_that_no_batch_reads_to_zero():
    whole = tiny_dataset()
    keep = whole.train.ids[:, 0] != 0  # user 0 stands in no training row
    dataset = replace(whole, train=whole.train[keep])
    norms = []
    for penalty in (0.0, 0.5):
        seed_everything(0)
        model = FM(dataset.fields)
        row = model.embedding.row("user", 0)
        with torch.no_grad():
            model.embedding.table.weight[row] = 1.0  # 16 numbers
        fit(model, dataset, epochs=3, lr=0.05, embedding_penalty=penalty, patience=9, progress=False)
        norms.append(float(model.embedding.table.weight[row].detach().norm()))
    assert norms[0] == pytest.approx(4.0, rel=1e-6) and norms[1] < 0.95 * norms[0]


def test_a_penalty_without_tables_or_with_another_optimiser_is_refused():
    with pytest.raises(ValueError, match="no embedding tables"):
        Settings(embedding_penalty=0.1).optimizers(nn.Linear(2, 1))
    with pytest.raises(ValueError, match="embedding_penalty needs optimizer='adam'"):
        Settings(embedding_penalty=0.1, optimizer="lazy_adam")
    with pytest.raises(ValueError, match="embedding_penalty must be at least 0"):
        Settings(embedding_penalty=-1)
    with pytest.raises(ValueError, match="lr_decay"):
        Settings(lr_decay=0)
    assert "embedding_penalty" not in Settings().record()
    assert Settings(embedding_penalty=0.1, lr_decay=0.5).record()["embedding_penalty"] == 0.1


def test_the_rate_falls_after_each_epoch_that_was_not_the_best():
    dataset = tiny_dataset()
    seed_everything(0)
    steps = fit_in_steps(FM(dataset.fields), dataset, epochs=12, lr=1.0, lr_decay=0.5, patience=20)
    rates, losses = [], []
    while not steps.done:
        losses.append(steps.step()["log_loss"])
        rates.append(steps.optimizers[0].param_groups[0]["lr"])
    stale = [sum(v >= min(losses[:k]) for k, v in enumerate(losses[:n]) if k) for n in range(12)]
    assert stale[-1] > 0, "the case has no epoch that was not the best"
    assert rates == pytest.approx([0.5**k for k in stale])


def test_a_resumed_run_with_falling_rates_equals_an_unbroken_one(tmp_path):
    dataset = tiny_dataset()

    def run(epochs, checkpoint):
        seed_everything(0)
        model = FM(dataset.fields)
        settings = {"lr": 1.0, "lr_decay": 0.5, "patience": 20, "embedding_penalty": 1e-3}
        fit(model, dataset, epochs=epochs, checkpoint=checkpoint, progress=False, **settings)
        return model.state_dict()

    whole = run(10, tmp_path / "whole")
    run(4, tmp_path / "broken")
    resumed = run(10, tmp_path / "broken")
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)


@pytest.mark.parametrize("model", [FieldMLP, NeuMF, TwoTowers, SplitNetwork, DHEN])
def test_dropout_drops_in_training_only(model):
    sides = {"query": ["user", "history"], "candidate": ["item"]} if model in (TwoTowers, SplitNetwork) else {}
    seed_everything(0)
    made, few = filled(model(FIELDS, dropout=0.5, **sides)), rows(50)
    made.train()
    assert not torch.equal(made(few), made(few))
    made.eval()
    assert torch.equal(made(few), made(few))
