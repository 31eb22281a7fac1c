"""The graph of interactions: its matrix, its hops, and the gradient that needs no transposed matrix."""

import pytest
import torch
from torch.testing import assert_close

from recsys_lite.layers.graph import BipartiteGraph

SHAPES = [(1, 1, 1), (3, 5, 7), (6, 4, 15), (40, 30, 200)]


def random_graph(users, items, edges, seed=0):
    g = torch.Generator().manual_seed(seed)
    cells = torch.randperm(users * items, generator=g)[:edges]
    return BipartiteGraph(torch.stack([cells // items, cells % items], 1), users, items)


def by_loops(graph, x):
    """A hop as the formula reads."""
    out = torch.zeros_like(x)
    for node in range(graph.num_nodes):
        for other in graph.neighbours(node).tolist():
            out[node] += x[other] / (len(graph.neighbours(node)) * len(graph.neighbours(other))) ** 0.5
    return out


def test_a_graph_on_paper():
    graph = BipartiteGraph(torch.tensor([[0, 0], [0, 1], [1, 1]]), 2, 3)
    r = 0.5**0.5
    expected = torch.zeros(5, 5)
    expected[0, 2] = r  # user 0 has two items, item 0 one user
    expected[0, 3] = 0.5
    expected[1, 3] = r
    assert_close(graph.dense(), expected + expected.T)
    assert graph.degree.tolist() == [2, 1, 1, 2, 0] and graph.num_edges == 3
    assert graph.neighbours(3).tolist() == [0, 1]
    assert {b.dtype for b in (graph.start, graph.neighbour)} == {torch.int32}


@pytest.mark.parametrize(("users", "items", "edges"), SHAPES)
def test_sparse_hops_are_dense_products_and_loops(users, items, edges):
    graph = random_graph(users, items, edges)
    x, dense = torch.randn(users + items, 3, dtype=torch.float64), graph.dense().double()
    assert_close(graph.hop(x), dense @ x)
    assert_close(graph.hop(x), by_loops(graph, x), rtol=1e-5, atol=1e-6)
    assert_close(graph(x, [0.2, 0, 0.5, -1]), 0.2 * x + 0.5 * dense @ dense @ x - dense @ dense @ dense @ x)


@pytest.mark.parametrize(("users", "items", "edges"), SHAPES)
def test_the_matrix_is_symmetric_with_a_zero_diagonal_and_eigenvalues_within_one(users, items, edges):
    graph = random_graph(users, items, edges)
    dense = graph.dense()
    assert (dense == dense.T).all() and (dense.diagonal() == 0).all()
    values = torch.linalg.eigvalsh(dense.double())
    assert values.abs().max() == pytest.approx(1, abs=1e-6)
    root = graph.degree.double().sqrt()
    assert_close(dense.double() @ root, root, rtol=1e-5, atol=1e-6)  # the vector that never changes


@pytest.mark.parametrize("weights", [[1.0], [0.25] * 4, [0, 0, 1.0], [0.5, 0, -2.0]])
def test_the_gradient_is_that_of_dense_autograd(weights):
    graph = random_graph(6, 9, 20)
    x = torch.randn(15, 4, dtype=torch.float64, requires_grad=True)
    dense, state, expected = graph.dense().double(), x, weights[0] * x
    for w in weights[1:]:
        state = dense @ state
        expected = expected + w * state
    grad = torch.randn_like(x)
    assert_close(torch.autograd.grad(graph(x, weights), x, grad), torch.autograd.grad(expected, x, grad))
    assert torch.autograd.gradcheck(lambda v: graph(v, weights), x)
    assert torch.autograd.gradgradcheck(lambda v: graph(v, weights).square(), x)


def test_the_whole_spread_is_one_node_that_keeps_nothing():
    graph = random_graph(6, 9, 20)
    x = torch.randn(15, 4, requires_grad=True)
    node = graph(x, [0.25] * 4).grad_fn
    assert type(node).__name__ == "_SpreadBackward" and node.saved_tensors == ()
    assert [type(n).__name__ for n, _ in node.next_functions if n is not None] == ["AccumulateGrad"]


def test_a_node_without_edges_is_zero_and_not_infinite():
    graph = BipartiteGraph(torch.tensor([[0, 1]]), 3, 4)
    x = torch.ones(7, 2)
    assert graph.hop(x).sum(1).tolist() == [2, 0, 0, 0, 2, 0, 0]
    assert graph.dense().isfinite().all()
    assert_close(graph(x, [0.25] * 4)[1], torch.full((2,), 0.25))


def test_a_pair_that_comes_twice_is_one_edge():
    pairs = torch.tensor([[0, 0], [1, 0], [0, 0]])
    twice, once = BipartiteGraph(pairs, 2, 1), BipartiteGraph(pairs[:2], 2, 1)
    assert twice.num_edges == 2
    assert (twice.dense() == once.dense()).all()


def test_without_an_edge_is_the_graph_built_without_it():
    pairs = torch.tensor([[0, 0], [0, 1], [1, 1], [2, 0], [2, 2]])
    graph = BipartiteGraph(pairs, 3, 3)
    before = graph.dense().clone()
    for k, (user, item) in enumerate(pairs.tolist()):
        kept = torch.arange(5) != k
        less = graph.without(user, item)
        assert_close(less.dense(), BipartiteGraph(pairs[kept], 3, 3).dense())
        assert less.num_edges == 4
    assert (graph.dense() == before).all() and graph.num_edges == 5
    assert (BipartiteGraph(pairs[:1], 1, 1).without(0, 0).hop(torch.ones(2, 1)) == 0).all()
    with pytest.raises(ValueError, match="user 1 and item 0 have no edge"):
        graph.without(1, 0)


def test_the_matrix_is_in_no_state_dict_and_follows_the_precision_of_its_input():
    graph = random_graph(3, 5, 7)
    assert graph.state_dict() == {}
    for dtype in (torch.float32, torch.float64):
        assert graph(torch.randn(8, 2, dtype=dtype), [0.5, 0.5]).dtype == dtype


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"expected pairs of shape \(E, 2\)"):
        BipartiteGraph(torch.zeros(3, dtype=torch.long), 2, 2)
    with pytest.raises(ValueError, match="expected 0 to below 2, 3"):
        BipartiteGraph(torch.tensor([[0, 3]]), 2, 3)
    with pytest.raises(ValueError, match="expected 0 to below 2, 3"):
        BipartiteGraph(torch.tensor([[-1, 0]]), 2, 3)
    graph = random_graph(3, 5, 7)
    with pytest.raises(ValueError, match=r"expected \(8, d\), got \(7, 2\)"):
        graph(torch.randn(7, 2), [0, 1])
    with pytest.raises(ValueError, match="a weight for each hop"):
        graph(torch.randn(8, 2), [])
