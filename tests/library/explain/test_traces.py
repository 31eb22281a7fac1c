"""What holds for the trace of every ranking model: stored ones, every structure, formulas that fit a telephone."""

from __future__ import annotations

import re

import pytest
import tiny
import torch
from structures import ALL, VARIANTS
from traced import checked, stored

from recsys_lite import store
from recsys_lite.explain.traces import trace
from recsys_lite.explain.traces.rankers import RANKERS
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.layers.ensemble import MODULES
from recsys_lite.models import DHEN, MODELS
from recsys_lite.notebook import traces as show

ROWS = (0, 30, 777)
ONE = (Field("f", "categorical", Vocabulary(["v"])),)
ONE_ROW = Rows(torch.ones(1, 1, dtype=torch.int32), torch.zeros(1, 0))


def trained(dataset):
    """The models whose weights are stored."""
    paths = {name: store.weights_path(dataset.name, dataset.task, name) for name in MODELS}
    return [name for name, path in paths.items() if path.with_name(path.name + ".json").exists()]


def test_every_ranking_model_is_here():
    assert set(VARIANTS) == set(RANKERS) == set(MODELS)


@pytest.mark.parametrize("name", RANKERS)
def test_every_box_of_the_stored_models(movielens, criteo, name):
    there = [d for d in (movielens, criteo) if name in trained(d)]
    assert movielens in there
    for dataset in there:
        model = stored(dataset, name)
        for row in ROWS:
            rows = dataset.test[row]
            checked(name, model, rows, trace(name, model, rows))


@pytest.mark.parametrize(("name", "options"), ALL, ids=[f"{n}-{k}" for k, (n, _) in enumerate(ALL)])
def test_every_structure_with_every_kind_of_field(name, options):
    model = tiny.filled(MODELS[name](tiny.FIELDS, **options), std=0.3).eval()
    for k in range(12):  # bags that are empty, values that are unseen
        rows = tiny.rows(12)[k]
        checked(name, model, rows, trace(name, model, rows))


@pytest.mark.parametrize(("name", "options"), [(n, o) for n, o in ALL if n in ("autoint", "dhen")])
def test_one_field_has_no_pair_and_nobody_else_to_look_at(name, options):
    few = tiny.filled(MODELS[name](ONE, **options), std=0.3).eval()
    checked(name, few, ONE_ROW, trace(name, few, ONE_ROW))


@pytest.mark.parametrize("name", [*RANKERS, "dhen of all modules"])
def test_lines_fit_a_telephone(movielens, name):
    if name in RANKERS:
        model = stored(movielens, name)
    else:
        model = tiny.filled(DHEN(movielens.fields, modules=list(MODULES), join="sum"), std=0.2).eval()
    for step in trace(name.split()[0], model, movielens.test[30]):
        for text in (step.formula, step.numbers):
            cut = show.lines(text)
            assert re.sub(r"\s", "", "".join(cut)) == re.sub(r"\s", "", text)  # nothing is lost
            assert max(map(show.width, cut)) <= 40, text
