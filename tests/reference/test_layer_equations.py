"""Every layer against its equation in NumPy: what it computes to 1e-12, and its gradient."""

from functools import partial

import equations as eq
import numpy as np
import pytest
import torch
from agree import agree
from torch import nn

from recsys_lite.layers import (
    MLP,
    CrossNet,
    CrossNetMix,
    CrossNetV2,
    EnsembleLayer,
    GatedCrossNet,
    InteractingLayer,
    dot_interaction,
    fm_interaction,
)
from recsys_lite.layers.batch_norm import add_batch_norm, fold_batch_norm
from recsys_lite.layers.convolution import TextConvolution
from recsys_lite.layers.ensemble import MODULES
from recsys_lite.layers.graph import BipartiteGraph
from recsys_lite.layers.recurrent import Recurrent


def by_row(equation):
    """An equation of one row, for a batch."""
    return lambda p, x: np.array([equation(p, row) for row in x])


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


CROSSES = [
    (CrossNet(5, 3), eq.cross_dcn),
    (CrossNetV2(5, 3), eq.cross_v2),
    (CrossNetV2(5, 3, rank=2), eq.cross_low_rank),
    (CrossNetMix(5, 3, rank=2, experts=3), eq.cross_mixture),
    (CrossNetMix(5, 2, rank=3, experts=2, activation="relu"), partial(eq.cross_mixture, g=eq.relu)),
    (CrossNetMix(5, 2, rank=3, experts=1, activation="identity"), partial(eq.cross_mixture, g=lambda x: x)),
    (GatedCrossNet(5, 3), eq.cross_gated),
]


@pytest.mark.parametrize("layer, equation", CROSSES, ids=lambda x: type(x).__name__ if isinstance(x, nn.Module) else "")
def test_cross_layers(layer, equation):
    agree(layer, by_row(equation), random(4, 5))


@pytest.mark.parametrize("layer", [MLP(3, (4, 5)), MLP(3, (4,), outputs=2), MLP(3, (), 2), MLP(3, (4,), 1, 0.5, False)])
def test_mlp(layer):
    last_linear = isinstance(layer[-1], nn.Linear)
    agree(layer, by_row(lambda p, x: eq.mlp(p, x, last_linear)), random(4, 3))


def test_batch_norm_folded_into_the_layers_before_it():
    """Ioffe & Szegedy, ICML 2015, Algorithm 2: the running mean and variance, the latter unbiased."""
    net = add_batch_norm(MLP(3, (4,), outputs=2)).double()
    x = random(6, 3)
    net.train()(x)
    for p in net.parameters():
        p.data.copy_(random(*p.shape) + 0.1)
    net[1].momentum = None  # plain means over the batches that were seen
    net[1].reset_running_stats()
    net(x)
    a = x.numpy() @ net[0].weight.detach().numpy().T + net[0].bias.detach().numpy()
    normed = (a - a.mean(0)) / np.sqrt(a.var(0, ddof=1) + 1e-5)
    gamma, beta, w, b = (t.detach().numpy() for t in (net[1].weight, net[1].bias, net[3].weight, net[3].bias))
    expected = eq.relu(gamma * normed + beta) @ w.T + b
    folded = fold_batch_norm(net.eval())
    assert [type(m).__name__ for m in folded] == ["Linear", "ReLU", "Linear"]
    np.testing.assert_allclose(folded(x).detach().numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("variant", ["paper", "code"])
@pytest.mark.parametrize("heads, units", [(1, 4), (2, 3), (3, 1)])
def test_interacting_layer(variant, heads, units):
    layer = InteractingLayer(4, units, heads, variant)
    equation = by_row(lambda p, e: eq.interacting(p, e, heads, variant == "code"))
    agree(layer, equation, random(3, 5, 4))
    e = random(3, 5, 4)
    np.testing.assert_allclose(layer.attend(e)[0].detach().numpy(), layer(e).detach().numpy(), rtol=1e-12, atol=1e-12)


def test_sums_of_pairs():
    agree(Function(fm_interaction), by_row(lambda _, e: eq.pairs(list(e))), random(3, 5, 4))
    agree(Function(dot_interaction), by_row(lambda _, t: eq.dots(list(t))), random(3, 5, 4))


@pytest.mark.parametrize("name", MODULES)
def test_modules_of_an_ensemble(name):
    agree(MODULES[name](5, 3, 4), by_row(lambda p, x: eq.ensemble_module(p, x, name)), random(2, 5, 4))


def test_dots_of_compressed_vectors():
    module = MODULES["dot"](5, 2, 3, hidden=4, compress=2)
    agree(module, by_row(lambda p, x: eq.ensemble_module(p, x, "dot")), random(2, 5, 3))


@pytest.mark.parametrize("join", ["concat", "sum"])
@pytest.mark.parametrize("names, out", [(["dot", "linear"], 2), (list(MODULES), 2), (["cross", "cross"], 4)])
def test_ensemble(join, names, out):
    agree(EnsembleLayer(4, 3, names, out, join), by_row(lambda p, x: eq.ensemble(p, x, names)), random(2, 4, 3))


def test_text_convolution():
    layer = TextConvolution(3, channels=2, widths=(1, 3))
    present = torch.tensor([[1, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]).bool()

    def equation(p, x, there):
        return np.array([
            np.concatenate([
                eq.text_windows(p[f"convolutions.{k}.weight"], p[f"convolutions.{k}.bias"], list(row[mask]))
                for k in range(2)
            ])
            for row, mask in zip(x, there, strict=True)
        ])  # fmt: skip

    agree(layer, equation, random(3, 5, 3), present)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_recurrent(cell):
    def equation(p, x, lengths):
        return np.array([eq.recurrent(p, list(row[:n]), cell) for row, n in zip(x, lengths, strict=True)])

    agree(Recurrent(3, 4, cell), equation, random(3, 4, 3), torch.tensor([4, 2, 0]))


def test_spread_over_a_graph():
    """He et al., LightGCN, SIGIR 2020, eqs. 3, 7 and 8, with the matrices built."""
    pairs = torch.tensor([[0, 0], [0, 1], [1, 1], [2, 1], [0, 0]])  # user 3 and item 2 have no edge
    R = np.zeros((4, 3))
    R[pairs[:, 0], pairs[:, 1]] = 1
    A = np.block([[np.zeros((4, 4)), R], [R.T, np.zeros((3, 3))]])
    degree = A.sum(1)
    root = np.diag([1 / np.sqrt(d) if d else 0.0 for d in degree])
    hop = root @ A @ root
    weights = [0.5, -1.0, 0.0, 2.0]

    def equation(_, x):
        return sum(w * np.linalg.matrix_power(hop, k) @ x for k, w in enumerate(weights))

    graph = BipartiteGraph(pairs, 4, 3)
    agree(graph_of(graph, weights), equation, random(7, 2))
    np.testing.assert_allclose(graph.dense().numpy(), hop, rtol=1e-12)
    np.testing.assert_allclose(graph.hop(random(7, 2)).numpy(), hop @ random(7, 2).numpy(), rtol=1e-12)


def graph_of(graph, weights):
    """A graph with its weights, as a module of one input."""
    module = Function(lambda x: module.graph(x, weights))
    module.graph = graph
    return module


def test_a_graph_in_float64_loses_an_edge_in_float64():
    graph = BipartiteGraph(torch.tensor([[0, 0], [0, 1], [1, 1], [2, 1]]), 3, 2).double()
    rest = BipartiteGraph(torch.tensor([[0, 0], [1, 1], [2, 1]]), 3, 2).double()
    np.testing.assert_array_equal(graph.without(0, 1).dense().numpy(), rest.dense().numpy())
