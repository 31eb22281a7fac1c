"""Growing boosted trees, recorded as other trainings are."""

from __future__ import annotations

import time

import numpy as np

from ..evaluation.metrics import evaluate
from ..fields import Dataset
from ..models.trees import GradientBoostedTrees
from .record import Result


def fit_trees(model: GradientBoostedTrees, dataset: Dataset, *, evaluate_test: bool = True) -> Result:
    """Grow trees on ``dataset.train``, stop by ``dataset.validation``, look at the test part once.

    Returns:
        the record; an epoch of its curve is a tree, and ``parameters`` counts nodes.
    """
    started = time.perf_counter()
    trees = model.fit(dataset).trees
    result = Result(dataset.name, dataset.task, "gbdt", model.seed, {"optimizer": "boosting", **model.settings})
    result.curve = [
        {"epoch": k, "train_loss": -float(a), "log_loss": -float(b)}
        for k, (a, b) in enumerate(zip(trees.train_score_, trees.validation_score_, strict=True))
    ]
    result.best_epoch = int(np.argmax(trees.validation_score_))
    result.parameters = sum(tree.nodes.shape[0] for stage in trees._predictors for tree in stage)
    rows = dataset.validation
    result.validation = evaluate(rows.label, model.predict(rows), rows.group)
    result.seconds = time.perf_counter() - started
    if evaluate_test:
        result.test = evaluate(dataset.test.label, model.predict(dataset.test), dataset.test.group)
    return result
