"""The planted groups and chains: what is planted, and what the benchmark keeps."""

import pytest
import torch
from bench_pool import here

from bench.retrieval import planted_graphs as bench
from recsys_lite.data.simulated.graphs import CHAINS, FILMS, GROUPS, MEMBERS, ROOM, chains, communities
from recsys_lite.layers.graph import BipartiteGraph


@pytest.mark.parametrize("films", [3, 6])
def test_users_of_a_group_took_films_of_the_group(films):
    data = communities(1, films)
    assert data.num_users == GROUPS * MEMBERS and data.num_items <= GROUPS * FILMS
    for part in (data.train, data.validation, data.test):
        raw = torch.from_numpy(data.items[part[:, 1].numpy()])
        assert torch.equal(raw // FILMS, part[:, 0] // MEMBERS)
    assert len(data.train) == (films - 1) * data.num_users and len(data.test) == 3 * data.num_users
    control = communities(1, films, grouped=False)
    raw = torch.from_numpy(control.items[control.test[:, 1].numpy()])
    assert (raw // FILMS == control.test[:, 0] // MEMBERS).float().mean() < 0.2


def test_a_wanted_film_of_a_chain_is_five_edges_away():
    data = chains(1)
    assert len(data.test) == CHAINS * 6 * 4
    A = (BipartiteGraph(data.train, data.num_users, data.num_items).dense() > 0).float()
    user, item = data.test.T
    near = A
    for edges in (1, 3, 5):
        reached = near[user, data.num_users + item] > 0
        assert bool(reached.any()) is (edges == 5), edges
        near = near @ A @ A
    assert reached.float().mean() > 0.99
    raw = torch.from_numpy(data.items[item.numpy()])
    assert (raw % (3 * ROOM) >= 2 * ROOM).all()


def test_the_control_of_a_chain_wants_films_from_anywhere():
    data = chains(1, linked=False)
    raw = torch.from_numpy(data.items[data.test[:, 1].numpy()])
    assert 0.2 < (raw % (3 * ROOM) >= 2 * ROOM).float().mean() < 0.5


def test_every_trained_model_has_the_same_search(monkeypatch):
    monkeypatch.setattr(bench, "FIXED", bench.FIXED | {"epochs": 1, "device": "cpu"})
    monkeypatch.setattr(bench, "SEEDS", range(1))
    here(monkeypatch, bench.work)
    record = {"runs": []}
    bench.run(record, lambda: None, 1)
    assert [r["kind"] for r in record["runs"]] == [*bench.KINDS] and bench.missing(record) == []
    for run in record["runs"]:
        assert list(run["models"]) == ["popularity", "item_knn", "ease", "mf", "lightgcn"]
        assert all(run["models"][m]["setting"] in bench.SETTINGS for m in bench.LAYERS)
        assert all(0 <= found["recall"] <= 1 for found in run["models"].values())
