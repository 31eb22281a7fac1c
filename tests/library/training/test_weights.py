"""Weights of rows and classes: a row of weight 2 is a row that stands there twice."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from torch.testing import assert_close

from recsys_lite.data import table
from recsys_lite.fields import Dataset, TableError, concatenate
from recsys_lite.models import FM, LogisticRegression
from recsys_lite.training import fit, seed_everything
from recsys_lite.training.pointwise import Labelled


def trained(data: Dataset, **options):
    seed_everything(0)
    model = FM(tiny.FIELDS, dim=2)
    options = {"epochs": 5, "lr": 0.05, "batch_size": 10_000, "progress": False} | options
    return model, fit(model, data, **options)


def test_a_weight_of_two_is_a_row_that_stands_there_twice():
    data = tiny.dataset(300)
    weight = torch.randint(0, 4, (300,), generator=torch.Generator().manual_seed(0)).float()
    repeated = torch.arange(300).repeat_interleave(weight.int())
    a, _ = trained(data.weighted(weight))
    b, _ = trained(dataclasses.replace(data, train=data.train[repeated]))
    c, _ = trained(data.weighted(weight * 1000))  # only their ratio counts
    for other in (b, c):
        for p, q in zip(a.parameters(), other.parameters(), strict=True):
            assert_close(p, q, rtol=1e-3, atol=1e-4)
    assert not torch.equal(a.bias, trained(data)[0].bias)


def test_weights_of_one_change_nothing_and_zero_removes_a_row():
    data = tiny.dataset(100)
    rows, model = data.train, tiny.filled(FM(tiny.FIELDS, dim=2))
    plain = Labelled(data).loss(model, rows, torch.Generator())
    assert_close(Labelled(data.weighted(np.ones(100))).loss(model, rows, torch.Generator()), plain)
    off = data.weighted([0.0] * 50 + [1.0] * 50)
    kept = dataclasses.replace(data, train=rows[50:])
    loss = Labelled(off).loss(model, off.train, torch.Generator())
    assert_close(loss, Labelled(kept).loss(model, kept.train, torch.Generator()))


def test_class_weights_are_weights_of_rows():
    data = tiny.dataset(200)
    label, model = data.train.label, tiny.filled(FM(tiny.FIELDS, dim=2))
    ones = float(label.mean())
    for given, both in ((3.0, (1, 3)), ([2.0, 0.5], (2, 0.5)), ("balanced", (0.5 / (1 - ones), 0.5 / ones))):
        by_row = data.weighted(torch.where(label == 1, both[1], both[0]))
        expected = Labelled(by_row).loss(model, by_row.train, torch.Generator())
        assert_close(Labelled(data, given).loss(model, data.train, torch.Generator()), expected)
    few = dataclasses.replace(data, train=data.train[label.argsort()[:120]])
    _, result = trained(few, class_weight="balanced")
    assert result.settings["class_weight"] == "balanced"
    assert "class_weight" not in trained(few)[1].settings


def test_balanced_classes_weigh_the_same():
    label = torch.tensor([1.0] * 10 + [0.0] * 90)
    data = tiny.dataset(100)
    data = dataclasses.replace(data, train=dataclasses.replace(data.train, label=label))
    model = LogisticRegression(tiny.FIELDS)
    fit(model, data, class_weight="balanced", epochs=1, progress=False)
    task = Labelled(data, "balanced")
    weight = task._weight(data.train)
    assert_close(weight[:10].sum(), weight[10:].sum())


@pytest.mark.parametrize("given", [0, -1.0, float("nan"), "equal", [1.0], [1, 2, 3], [1.0, float("inf")]])
def test_class_weights_that_are_none_are_named(given):
    with pytest.raises(ValueError, match="class_weight must be 'balanced', a number above 0, or two of them; got"):
        trained(tiny.dataset(50), class_weight=given)


def test_weights_that_are_none_are_named():
    data = tiny.dataset(50)
    with pytest.raises(ValueError, match="expected 50 weights, got shape"):
        data.weighted([1.0] * 49)
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"train, row 3: the weight is .*, expected a finite one of at least 0"):
            data.weighted([1.0] * 3 + [wrong] + [1.0] * 46)
    with pytest.raises(ValueError, match="all training rows of 'tiny' have weight 0"):
        trained(data.weighted([0.0] * 50))


def test_weights_stay_with_their_rows():
    data = tiny.dataset(50).weighted(torch.arange(50.0))
    assert data.train[[3, 7]].weight.tolist() == [3, 7] and data.select(["item", "user"]).train.weight[9] == 9
    assert concatenate([data.train[:2], data.train[5:6]]).weight.tolist() == [0, 1, 5]
    g = torch.Generator().manual_seed(0)
    for batch in data.train.batches(8, generator=g):
        assert torch.equal(batch.ids, data.train.ids[batch.weight.long()])


def test_a_checkpoint_of_other_weights_is_refused(tmp_path):
    data = tiny.dataset(50)
    trained(data.weighted(torch.ones(50)), checkpoint=tmp_path / "c")
    with pytest.raises(ValueError, match="the rows of 'tiny' differ"):
        trained(data.weighted(torch.arange(50.0)), checkpoint=tmp_path / "c")


def test_a_column_of_a_table_is_the_weight():
    g = np.random.default_rng(0)
    frame = pd.DataFrame({"c": g.choice(list("ab"), 300), "w": g.random(300).round(2), "label": g.integers(0, 2, 300)})
    data = table.encode(frame, {"c": "categorical", "label": "label"}, split="file", weight="w")
    assert_close(data.train.weight, torch.tensor(frame["w"][:180].to_numpy(np.float32)))
    with pytest.raises(TableError, match=r"row 4, column 'w': the weight is '-1', expected a number of at least 0"):
        bad = frame.assign(w=frame["w"].where(frame.index != 4, -1.0))
        table.encode(bad, {"c": "categorical", "label": "label"}, weight="w")
    with pytest.raises(ValueError, match="weight: expected a column that no model reads, got 'c'"):
        table.encode(frame, {"c": "categorical", "label": "label"}, weight="c")
