"""What the tests of traces share: stored models, and what holds for every trace."""

from __future__ import annotations

import re

import pandas as pd
import pytest
import torch

from recsys_lite import store
from recsys_lite.explain.boxes import ARCHITECTURES
from recsys_lite.fields import Field, Rows, Vocabulary

TWO = (
    Field("user", "categorical", Vocabulary(["ann", "bob"])),
    Field("item", "categorical", Vocabulary(["x", "y"], {"x": "_Up & On"})),
)
PAIR = Rows(torch.tensor([[1, 1]], dtype=torch.int32), torch.zeros(1, 0))


def stored(dataset, name):
    return store.load_model(store.weights_path(dataset.name, dataset.task, name), dataset.fields)


def of_box(made, box):
    return [s for s in made if s.box == box]


def checked(name, model, rows, made):
    """What holds for every trace."""
    boxes, arrows = ARCHITECTURES[name]
    first = {box: [s.box for s in made].index(box) for box in range(len(boxes))}
    assert {s.box for s in made} == set(range(len(boxes)))
    assert all(first[a] < first[b] for a, b in arrows)  # no box before what it reads
    assert [s.box for s in made] == sorted(s.box for s in made)
    for s in made:
        assert s.title and s.formula and s.numbers and isinstance(s.result, pd.DataFrame)
        assert s.result.index.is_unique and s.result.columns.is_unique
        assert s.numbers.count("{") == s.numbers.count("}") and s.formula.count("{") == s.formula.count("}")
        assert not re.search(r"\\text\{[^}]*[_&%#$\\][^}]*\}", s.numbers)  # no reader of LaTeX trips over a title
    chance = torch.sigmoid(model(rows)).item()
    assert made[-1].box == len(boxes) - 1
    assert made[-1].result.iloc[0, 0] == pytest.approx(chance, abs=1e-6)
    assert made[-1].numbers.endswith(f"= {chance:.3f}")
