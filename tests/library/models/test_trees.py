"""Boosted trees: they learn what stands in the rows, stop by the validation part, and never see the test part."""

import dataclasses

import pytest
import torch
from tiny import dataset

from recsys_lite.evaluation import auc
from recsys_lite.models import GradientBoostedTrees
from recsys_lite.training import fit_trees

QUICK = {"learning_rate": 0.3, "max_leaf_nodes": 15, "max_iter": 30, "min_samples_leaf": 2}


@pytest.fixture(scope="module")
def fitted():
    return GradientBoostedTrees(**QUICK).fit(dataset())


def test_they_learn_parity_which_no_sum_of_fields_can_hold(fitted):
    data = dataset()
    assert auc(data.test.label, fitted.logits(data.test)) > 0.8


def test_a_chance_is_the_sigmoid_of_the_logit(fitted):
    rows = dataset().test
    torch.testing.assert_close(fitted.predict(rows).double(), fitted.logits(rows).sigmoid(), rtol=1e-6, atol=1e-6)


def test_the_test_part_changes_no_tree(fitted):
    data = dataset()
    other = dataclasses.replace(data, test=dataclasses.replace(data.test, label=1 - data.test.label))
    again = GradientBoostedTrees(**QUICK).fit(other)
    assert torch.equal(again.logits(data.test), fitted.logits(data.test))


def test_validation_stops_the_trees():
    """With labels turned round there, no tree after the first few is an improvement."""
    data = dataset()
    turned = dataclasses.replace(data.validation, label=1 - data.validation.label)
    model = GradientBoostedTrees(**QUICK, patience=2).fit(dataclasses.replace(data, validation=turned))
    assert model.trees.n_iter_ <= 4


def test_the_test_part_is_looked_at_unless_it_must_not():
    assert fit_trees(GradientBoostedTrees(**QUICK), dataset()).test["auc"] > 0.8
    assert not fit_trees(GradientBoostedTrees(**QUICK), dataset(), evaluate_test=False).test
