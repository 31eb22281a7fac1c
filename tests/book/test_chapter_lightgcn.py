"""The chapter on LightGCN: its own definitions against the library's, and the guards against wrong code."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from notebook_code import definitions, read_back
from torch.testing import assert_close

from recsys_lite.evaluation import compare, compare_runs, together
from recsys_lite.layers.graph import BipartiteGraph
from recsys_lite.models import NGCF, LightGCN
from recsys_lite.notebook import told
from recsys_lite.store import RESULTS, read_json
from recsys_lite.training import bpr_loss


@pytest.fixture(scope="module")
def chapter():
    return definitions("book/lightgcn.ipynb")


def some_pairs(users: int, items: int, edges: int, seed: int = 0) -> torch.Tensor:
    cells = torch.randperm(users * items, generator=torch.Generator().manual_seed(seed))[:edges]
    return torch.stack([cells // items, cells % items], 1)


@pytest.mark.parametrize(
    ("users", "items", "edges", "layers"), [(1, 1, 1, 2), (3, 4, 5, 1), (7, 5, 18, 3), (4, 4, 6, 0)]
)
def test_loops_dense_and_module_are_the_librarys_spread(chapter, users, items, edges, layers):
    pairs = some_pairs(users, items, edges)
    library = LightGCN((pairs, users, items), dim=3, layers=layers, std=1.0)
    matrix = chapter.adjacency(pairs, users, items)
    lists = [row.nonzero().flatten().tolist() for row in matrix]
    scratch = chapter.ScratchLightGCN(pairs, users, items, 3, layers)
    scratch.load_state_dict({"E0": library.table}, strict=False)
    expected = library.propagate()
    for found in (
        chapter.spread_loops(lists, library.table, layers),
        chapter.spread_dense(matrix, library.table, layers),
        scratch.propagate(),
    ):
        assert_close(found, expected)
    weights = torch.randn_like(expected)
    gradients = [torch.autograd.grad((m.propagate() * weights).sum(), p)[0] for m, p in
                 ((library, library.table), (scratch, scratch.E0))]  # fmt: skip
    assert_close(gradients[0], gradients[1])


def test_the_chapters_loss_is_the_librarys_in_value_and_gradient(chapter):
    pairs = some_pairs(6, 8, 20)
    library, triple = LightGCN((pairs, 6, 8), dim=4, layers=2), torch.tensor([[0, 3, 5], [1, 2, 7], [4, 4, 0]])
    scratch = chapter.ScratchLightGCN(pairs, 6, 8, 4, 2)
    scratch.load_state_dict({"E0": library.table}, strict=False)
    ours, theirs = bpr_loss(library, *triple, decay=0.3), scratch.loss(*triple, decay=0.3)
    assert_close(ours, theirs)
    assert_close(torch.autograd.grad(ours, library.table)[0], torch.autograd.grad(theirs, scratch.E0)[0])


def test_each_guard_passes_right_code_and_catches_wrong_code(chapter):
    pairs = torch.tensor([[0, 0], [0, 1], [1, 1]])
    right = chapter.adjacency(pairs, 3, 3)
    assert chapter.has_no_loops(right) and not chapter.has_no_loops(right + torch.eye(6))
    lone = chapter.lone_node_is_its_start
    for combine, good in (("mean", True), ("last", False), ("sum", False)):
        model = LightGCN((pairs, 3, 3), dim=4, layers=2, combine=combine)
        assert lone(model.propagate(), model.table, 2, 2) is good
    model, rows = LightGCN((pairs, 3, 3), dim=4, layers=2), torch.tensor([0, 3])
    stays = chapter.penalty_stays_in_batch
    assert stays(model.table[rows].square().sum(), model.table, rows)
    assert not stays(model.propagate()[rows].square().sum(), model.table, rows)


def test_nodes_within_some_edges_are_counted_by_breadth_first(chapter):
    graph = BipartiteGraph(torch.tensor([[0, 0], [0, 1], [1, 1], [1, 2]]), 2, 3)
    assert chapter.within(graph.dense() > 0, 2, 4) == [1, 2, 3, 4, 5]  # a - 1 - b - 2 - c


def test_the_signal_of_the_hand_calculation_is_the_librarys(chapter):
    graph = BipartiteGraph(torch.tensor([[0, 0], [0, 1], [1, 1], [1, 2]]), 2, 3)
    start = torch.tensor([[1.0], [2], [0], [4], [2]])
    hop = graph.hop(start).flatten()
    assert_close(hop[:2], torch.tensor([2.0, 2 + 2 / 2**0.5]))
    one = torch.zeros(5, 1)
    one[4] = 1
    reached = [state[0].item() for state in graph.states(one, 3)]
    assert reached[:3] == [0, 0, 0] and abs(reached[3] - 1 / (4 * 2**0.5)) < 1e-6


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_the_graph_alone_is_the_square_of_the_propagation(chapter, layers):
    pairs = some_pairs(6, 8, 20)
    data = SimpleNamespace(train=pairs, num_users=6, num_items=8)
    P = chapter.spread_dense(chapter.adjacency(pairs, 6, 8), torch.eye(14), layers)
    assert_close(chapter.GraphAlone(data, layers).scores(torch.arange(6)), (P @ P)[:6, 6:] * (layers + 1) ** 2)


def test_the_chapters_hop_of_ngcf_is_the_librarys(chapter):
    library = NGCF((some_pairs(6, 8, 20), 6, 8), dim=4, layers=2, std=1.0).eval()
    states = [library.table]
    for first, second in zip(library.first, library.second, strict=True):
        states.append(chapter.ngcf_hop(library.graph.hop, states[-1], first.weight.T, second.weight.T))
    assert_close(library.propagate(), torch.cat(states, 1))


def test_a_sampled_hop_is_right_on_average(chapter):
    graph = BipartiteGraph(some_pairs(6, 8, 30), 6, 8).double()
    x, g = torch.randn(14, 3, dtype=torch.float64), torch.Generator().manual_seed(0)
    draws = torch.stack([chapter.sampled_hop(graph, 2, x, 4, g) for _ in range(4000)])
    error = (draws.mean(0) - graph.hop(x)[2]) / (draws.std(0) / 4000**0.5)
    assert error.abs().max() < 4.5


def test_the_checks_ask_for_what_the_theory_says(chapter):
    assert chapter.smallest_depth() == 3 and [chapter.smallest_depth(j) for j in (1, 3, 7)] == [1, 2, 4]
    assert chapter.factor() == 2 and chapter.factor(3, 1) == 9


@pytest.mark.parametrize(("difference", "claimed", "word"), [
    (0.05, 0.02, "agrees"), (0.05, -0.02, "disagrees"), (-0.05, -0.02, "agrees"), (0.0, 0.001, "agrees"),
    (0.0, 0.03, "disagrees"),
])  # fmt: skip
def test_what_is_said_of_a_claim_follows_from_the_verdict(chapter, difference, claimed, word):
    other = [0.30, 0.301, 0.302]
    verdict = compare_runs([v + difference for v in other], other, metric="recall@20")
    assert chapter.reading(verdict, claimed) == word
    unsure = compare_runs([0.2, 0.3, 0.4], other, metric="recall@20")
    assert chapter.reading(unsure, claimed).startswith("cannot be tested here: ≥ 0.")


def verdicts(record, pairs):
    def users(model):
        return np.array([r["recall_by_user"].split() for r in record["runs"] if r["model"] == model], float)

    return together([compare(users(a), users(b), metric="recall@20") for a, b in pairs])


def test_the_stored_sentences_are_those_of_the_results():
    _, text = read_back("lightgcn")
    rivals = ["popularity", "item_knn", "ease", "mf"]
    real = verdicts(read_json(RESULTS / "retrieval.json"), [("lightgcn", m) for m in rivals])
    for verdict in real[2:]:
        assert told(verdict) in text
    names = [("ngcf_n", "ngcf"), ("ngcf_f", "ngcf"), ("ngcf_fn", "ngcf"), ("lightgcn", "ngcf"), ("lightgcn", "ngcf_fn")]
    found = verdicts(read_json(RESULTS / "ngcf.json"), names)
    assert all(told(verdict, brief=True) in text for verdict in found[:4])
    assert told(found[3]) in text and told(found[4]) in text
    planted = read_json(RESULTS / "planted_graphs.json")["runs"]
    for kind in ("groups", "chains"):
        a, b = ([r["models"][m]["recall"] for r in planted if r["kind"] == kind] for m in ("lightgcn", "mf"))
        assert told(compare_runs(a, b, metric="recall@20", paired=True)) in text
