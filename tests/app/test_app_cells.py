"""The notebook cell beside each table makes that table from the library alone."""

import pytest
from explorer import on_page, run_cells

pytestmark = pytest.mark.slow("opens every page and runs the notebook cell of every table")

CASES = [
    ("compare", {"models": "fm,dcn_v2", "row": "30", "set.gender": "F", "set.genres": "Comedy|Drama"}, 3),
    ("compare", {"data": "criteo-sample", "models": "fm,deepfm", "row": "5", "set.I3": "7", "detail": "fine"}, 3),
    ("compare", {"about": "training", "metric": "log_loss"}, 3),
    ("compare", {"about": "calibration", "models": "fm,gdcn"}, 3),
    ("compare", {"about": "slices"}, 3),
    ("compare", {"about": "slices", "data": "criteo-sample"}, 3),
    ("compare", {"data": "planted", "models": "dhen,logistic_regression", "row": "3", "set.A": "A7"}, 3),
    ("compare", {}, 3),
    ("steps", {"model": "fm", "row": "30"}, 1),
    ("steps", {"data": "planted.pairs", "model": "dcn_v2", "row": "3", "set.A": "A7"}, 1),
    ("steps", {"data": "movielens-100k.films", "row": "7"}, 1),
    ("inside", {"model": "autoint", "view": "attention", "layer": "2", "head": "1"}, 2),
    ("inside", {"model": "fm", "view": "pairs", "rows": "one", "row": "7"}, 2),
    ("inside", {"model": "dcn_v2", "view": "worth"}, 1),
    ("inside", {"data": "planted.pairs", "model": "dhen", "view": "attention"}, 2),
    ("inside", {"data": "planted.pairs", "model": "gdcn", "view": "gates"}, 1),
    ("inside", {"data": "criteo-sample.click", "model": "dlrm"}, 1),
    ("leaderboard", {"metric": "log_loss"}, 1),
    ("position", {"log": "device"}, 1),
    ("position", {"view": "own"}, 2),
    ("race", {"a": "gdcn", "b": "autoint", "seed": "3"}, 1),
    ("serving", {"n": "50000", "hit": "90"}, 1),
    ("serving", {"view": "memory", "hash": "1000000"}, 2),
    ("serving", {"view": "budget"}, 2),
    ("serving", {"view": "index"}, 1),
    ("retrieval", {"person": "6", "models": "ease,popularity"}, 3),
]


@pytest.mark.parametrize(("page", "query", "count"), CASES)
def test_cells_make_the_tables(page, query, count):
    assert run_cells(on_page(page, **query)) == count
