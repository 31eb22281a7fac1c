"""Exact and approximate search behind one interface; what is saved comes back, and what is damaged is refused."""

import importlib
import json

import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from recsys_lite.retrieval import ExactIndex, FaissIndex, load_index

KINDS = ["exact", "hnsw", "ivf"]


def vectors(count=300, dim=8, seed=0):
    g = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(count, dim, generator=g), dim=1)


def build(kind, given=None, **settings):
    if kind != "exact":
        pytest.importorskip("faiss")
    given = vectors() if given is None else given
    return ExactIndex(given) if kind == "exact" else FaissIndex(given, kind, **settings)


def test_exact_search_is_the_order_of_all_products():
    given, queries = vectors(), vectors(20, seed=1) * 3
    scores, items = ExactIndex(given).search(queries, 7)
    everything = queries @ given.T
    assert (items == everything.argsort(1, descending=True)[:, :7]).all()
    assert_close(scores, everything.gather(1, items))


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_with_all_effort_an_approximate_index_finds_what_the_exact_one_finds(kind):
    queries = vectors(20, seed=1)
    index = build(kind, cells=10) if kind == "ivf" else build(kind)
    index.effort = 10 if kind == "ivf" else 300
    scores, items = index.search(queries, 5)
    expected, exact = ExactIndex(vectors()).search(queries, 5)
    assert (items == exact).float().mean() > 0.98
    assert_close(scores[items == exact], expected[items == exact], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_more_effort_finds_more(kind):
    given, queries = vectors(4000, 32), vectors(100, 32, seed=1)
    exact, found = ExactIndex(given).search(queries, 10)[1], []
    index = build(kind, given)
    for effort in (1, 4, 32):
        index.effort = effort
        assert index.effort == effort
        items = index.search(queries, 10)[1]
        found.append((items[:, :, None] == exact[:, None]).any(1).float().mean().item())
    assert found == sorted(found) and found[0] < 0.9 and found[2] > found[0] + 0.1


def test_where_an_index_meets_too_few_the_rest_is_minus_one():
    given = torch.cat([normalize(torch.tensor([[1.0, 0.01 * k]]), dim=1) for k in range(3)] + [-vectors(50, 2).abs()])
    scores, items = build("ivf", given, cells=20, effort=1).search(torch.tensor([[1.0, 0.0]]), 30)
    missing = items[0] < 0
    assert missing.any() and (items[0][missing] == -1).all() and (scores[0][missing] == -torch.inf).all()
    assert scores[0][~missing].isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_index_comes_back_the_same(kind, tmp_path):
    index, queries = build(kind), vectors(9, seed=2)
    if kind != "exact":
        index.effort = 7
    index.save(tmp_path / "films")
    loaded = load_index(tmp_path / "films")
    assert loaded.kind == kind and len(loaded) == 300 and loaded.dim == 8
    for a, b in zip(index.search(queries, 6), loaded.search(queries, 6), strict=True):
        assert_close(a, b)
    if kind != "exact":
        assert loaded.effort == 7
    assert sorted(p.name for p in tmp_path.iterdir()) == ["films.index", "films.json"]  # nothing half-written is left


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_or_mismatching_files_are_refused(kind, tmp_path):
    build(kind).save(tmp_path / "a")
    build(kind, vectors(200, seed=5)).save(tmp_path / "b")
    data = (tmp_path / "a.index").read_bytes()
    (tmp_path / "a.index").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="damaged"):
        load_index(tmp_path / "a")
    (tmp_path / "a.index").write_bytes((tmp_path / "b.index").read_bytes())
    with pytest.raises(ValueError, match="another index"):
        load_index(tmp_path / "a")
    (tmp_path / "b.index").unlink()
    with pytest.raises(ValueError, match="does not exist"):
        load_index(tmp_path / "b")
    with pytest.raises(ValueError, match="does not exist"):
        load_index(tmp_path / "c")


def test_a_description_that_lies_is_refused(tmp_path):
    build("exact").save(tmp_path / "a")
    record = json.loads((tmp_path / "a.json").read_text())
    assert record["similarity"] == "dot" and record["count"] == 300
    for wrong, message in (({"count": 299}, "says otherwise"), ({"kind": "tree"}, "known kind")):
        (tmp_path / "a.json").write_text(json.dumps(record | wrong))
        with pytest.raises(ValueError, match=message):
            load_index(tmp_path / "a")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(ValueError, match="does not describe an index"):
        load_index(tmp_path / "a")


@pytest.mark.parametrize("kind", KINDS)
def test_bad_queries_are_refused(kind):
    index = build(kind)
    for queries, k, message in (
        (torch.zeros(2, 9), 3, "9 numbers, the index 8"), (torch.zeros(2, 8), 0, "k must be 1 to 300"),
        (torch.zeros(2, 8), 301, "k must be 1 to 300"), (torch.full((1, 8), torch.nan), 3, "not finite"),
        (torch.zeros(8), 3, r"shape \(N, D\)"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            index.search(queries, k)


def test_bad_vectors_and_settings_are_refused():
    with pytest.raises(ValueError, match="not empty"):
        ExactIndex(torch.zeros(0, 4))
    with pytest.raises(ValueError, match="not finite"):
        ExactIndex(torch.full((2, 2), torch.inf))
    with pytest.raises(ValueError, match="kind must be one of"):
        FaissIndex(vectors(), "tree")
    for wrong in ({"neighbours": 1}, {"cells": 301}, {"effort": -1}):
        with pytest.raises(ValueError, match="out of range"):
            FaissIndex(vectors(), **wrong)
    with pytest.raises(ValueError, match="at least 1"):
        build("hnsw").effort = 0


def test_without_faiss_the_error_names_the_extra(monkeypatch):
    real = importlib.import_module

    def absent(name, *rest):
        if name == "faiss":
            raise ModuleNotFoundError("No module named 'faiss'")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ModuleNotFoundError, match=r"recsys-lite\[retrieval\]"):
        FaissIndex(vectors())
    assert len(ExactIndex(vectors())) == 300
