"""The chapter on LightGCN: its own definitions against the library's, and the guards against wrong code."""

import pytest
import torch
from notebook_code import definitions
from torch.testing import assert_close

from recsys_lite.layers.graph import BipartiteGraph
from recsys_lite.models import LightGCN
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
