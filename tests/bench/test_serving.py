"""The benchmark of serving: three forms that give one list, the formulas, and the recall of an index."""

import pytest
import torch

import bench.cost.serving as bench
from recsys_lite.data.interactions import interactions


@pytest.fixture(scope="module")
def retriever():
    return bench.towers(interactions(), epochs=0)


@pytest.mark.slow("scores every film in three forms")
@torch.no_grad()
def test_the_three_forms_find_the_same_films(retriever):
    forms = bench.Forms(retriever, retriever.candidates[:300])
    lists = [getattr(forms, name)() for name in ("every_pair", "user_once", "cached")]
    scores = forms.vectors @ forms.model.query(forms.user)[0]
    best = scores.topk(bench.K).values
    for found in lists:  # films of equal features may change places
        assert torch.allclose(scores[found], best, atol=1e-5)


def test_the_formulas_by_hand():
    unit = {"u": 5.0, "c": 4.0, "d": 0.01, "u_alone": 5.0, "k": 2.0}
    expected = {"every_pair": 9010.0, "user_once": 4015.0, "cached": 17.0}
    assert bench.predicted(1000, unit) == pytest.approx(expected)


def test_a_form_that_would_take_too_long_is_left_out(retriever, monkeypatch):
    monkeypatch.setattr(bench, "clock", lambda function: (function(), 1.0)[1])
    unit = {"u": 1.0, "c": 0.0, "d": 0.0, "u_alone": 1.0, "k": 0.0}
    line = bench.cost(retriever, 100, unit)
    assert line["measured"] == {"every_pair": None, "user_once": 1.0, "cached": 1.0}
    assert line["predicted"]["every_pair"] == 100


def test_recall_counts_what_was_found_in_any_order():
    exact, found = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[4, 9, 1, -1]])
    assert bench.recall(found, exact) == 0.5 and bench.recall(exact.flip(1), exact) == 1


def test_an_index_is_measured_effort_by_effort(retriever, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(bench, "QUERIES", 20)
    monkeypatch.setattr(bench, "EFFORTS", {"ivf": [1, 30], "hnsw": [10]})
    monkeypatch.setattr(bench, "clock", lambda function, **_: (function(), 1.0)[1])
    lines = [*bench.ann(retriever, "hnsw", 900), *bench.ann(retriever, "ivf", 900)]
    assert [(line["kind"], line["effort"]) for line in lines] == [("exact", 0), ("hnsw", 10), ("ivf", 1), ("ivf", 30)]
    assert lines[0]["recall"] == lines[3]["recall"] == 1 > lines[2]["recall"]
