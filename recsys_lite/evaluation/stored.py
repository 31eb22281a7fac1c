"""Verdicts on stored models: over users and seeds where predictions are stored, over seeds where only metrics are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd

from ..fields import Dataset
from ..store import predictions
from ..store.files import load_results, located
from .compare import WORDS, Verdict, _worded, compare_all, compare_runs
from .metrics import evaluate
from .power import holm

_MIRRORED = {WORDS[0]: WORDS[1], WORDS[1]: WORDS[0]}


def together(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts of one table, their p values corrected for their number (Holm), their words by the corrected p.

    ``low`` and ``high`` stay those of each comparison alone, and so does ``needed``.

    Example:
        >>> one = compare_runs([0.81, 0.83, 0.82], [0.79, 0.80, 0.79])
        >>> one.word, round(one.p, 3), [v.word for v in together([one] * 3)], round(together([one] * 3)[0].p, 3)
        ('better', 0.025, ['undecided', 'undecided', 'undecided'], 0.074)
    """
    return [_worded(v, p) for v, p in zip(verdicts, holm([v.p for v in verdicts]), strict=True)]


def compare_stored(
    data: str, task: str, model: str, rivals: Sequence[str], *, dataset: Dataset | None = None, metric: str = "auc"
) -> pd.DataFrame:
    """A stored model against stored rivals, by the one rule, with Holm's correction for their number.

    Args:
        data, task: as in :func:`recsys_lite.store.load_results`.
        model: the one that the words speak of: ``better`` means that it is better than the rival.
        rivals: names of other stored models.
        dataset: the data with its test rows. If it is given and the predictions of all named models are stored, users
            and seeds are both drawn (:func:`compare_all`). Otherwise the stored metric of each seed is compared
            (:func:`compare_runs`): the interval then holds the seeds' noise only and speaks of this test part.
        metric: one of those that :func:`evaluate` computes. Default ``"auc"``.

    Returns:
        a line per rival: model, against, ``mean`` and ``other`` (means of the metric over seeds), the fields of
        :class:`Verdict`, and ``over``: ``"users and seeds"`` or ``"seeds"``.

    Raises:
        ValueError: without rivals, for a model that is not stored with two seeds, or predictions that do not belong to
            the test rows.
    """
    names = [model, *rivals]
    if not rivals or len(set(names)) < len(names):
        raise ValueError(f"compare_stored: needs different rivals of {model!r}, got {list(rivals)}")
    if dataset is not None and all(_predicted(data, task, name) for name in names):
        return _by_users(dataset, names, metric)
    values = {name: [r["test"][metric] for r in load_results(data, task, name)] for name in names}
    if few := [name for name, found in values.items() if len(found) < 2]:
        raise ValueError(f"compare_stored: {few[0]!r} has no two stored seeds on {data}, {task}")
    found = together([compare_runs(values[model], values[rival], metric=metric) for rival in rivals])
    means = {name: float(np.mean(v)) for name, v in values.items()}
    return _table(model, rivals, means, found, "seeds")


def _predicted(data: str, task: str, name: str) -> bool:
    return located(predictions.PREDICTIONS / f"{data}.{task}.{name}.json").exists()


def _by_users(dataset: Dataset, names: list[str], metric: str) -> pd.DataFrame:
    stored = predictions.load_predictions(dataset, names)
    label, group = dataset.test.label, dataset.test.group
    means = {n: float(np.mean([evaluate(label, p, group)[metric] for p in stored[n]])) for n in names}
    table = compare_all(stored, label, group, against=names[0], metric=metric)
    lines = table[[f.name for f in fields(Verdict)]].to_dict("records")
    return _table(names[0], names[1:], means, [_mirrored(Verdict(**line)) for line in lines], "users and seeds")


def _mirrored(v: Verdict) -> Verdict:
    """The same comparison with the models exchanged."""
    return replace(v, difference=-v.difference, low=-v.high, high=-v.low, word=_MIRRORED.get(v.word, v.word))


def _table(
    model: str, rivals: Sequence[str], means: dict[str, float], found: Sequence[Verdict], over: str
) -> pd.DataFrame:
    lines: list[dict[str, Any]] = [
        {"model": model, "against": rival, "mean": means[model], "other": means[rival], **vars(v), "over": over}
        for rival, v in zip(rivals, found, strict=True)
    ]
    return pd.DataFrame(lines)
