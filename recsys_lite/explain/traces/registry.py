"""All traces by the name of their model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...fields import Rows
from . import clicks, graph
from .rankers import RANKERS, Trace, traced
from .steps import Step

#: name of a model -> its trace
TRACES: dict[str, Trace] = {**RANKERS, "lightgcn": graph.lightgcn, "pal": clicks.pal, "watch_next": clicks.watch_next}


def trace(name: str, model: Any, rows: Rows, words: Mapping[str, str] | None = None) -> list[Step]:
    """Every step of a model on one row, in the order of the arrows of its drawing.

    Args:
        name: of the model, a key of :data:`TRACES`.
        model: with its weights, on any device; the steps are worked out on the CPU.
        rows: exactly one row.
        words: what to call the value of a field, such as a film's title, by the field's name. Default: the labels of
            the fields' vocabularies.

    Returns:
        at least one step for every box of ``drawings.ARCHITECTURES[name]``; the last holds the probability, that of
        ``lightgcn`` the score of the user and the item whose numbers are the ids of the row.

    Raises:
        ValueError: for an unknown name, a model of another kind, several rows or none, and if the numbers of a step do
            not give the step's result.

    Example:
        >>> import torch
        >>> from recsys_lite.fields import Field, Vocabulary
        >>> from recsys_lite.models import LogisticRegression
        >>> model = LogisticRegression([Field("colour", "categorical", Vocabulary(["red", "blue"]))])
        >>> steps = trace("logistic_regression", model, Rows(torch.tensor([[1]]), torch.zeros(1, 0)))
        >>> [step.box for step in steps], steps[-1].numbers
        ([0, 1, 2, 3], '\\\\hat y = \\\\sigma(0.000) = \\\\frac{1}{1 + e^{-0.000}} = 0.500')
    """
    return traced(TRACES, name, model, rows, words)
