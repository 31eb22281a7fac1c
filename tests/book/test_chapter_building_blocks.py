"""The chapter's own code: loops, vectors and modules agree with each other and with the library; its guards bite."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from notebook_code import definitions, read_back
from small import small
from tiny import filled
from torch.testing import assert_close

from recsys_lite.evaluation import compare_all, compare_runs
from recsys_lite.explain import item_map
from recsys_lite.layers import MLP
from recsys_lite.layers.causal import CausalAttention
from recsys_lite.layers.convolution import TextConvolution
from recsys_lite.layers.recurrent import Recurrent
from recsys_lite.models import NextItem
from recsys_lite.notebook import told
from recsys_lite.store import RESULTS, read_json

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))


chapter = definitions("book/building_blocks.ipynb")


@pytest.mark.parametrize("shape", [(1, 1, 1, 1, 1), (3, 5, 4, 2, 3), (4, 3, 2, 5, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_filters_agree_in_loops_in_vectors_and_in_the_library(shape, seed):
    torch.manual_seed(seed)
    B, L, d, C, k = shape
    x, lengths = torch.randn(B, L, d).double(), torch.randint(1, L + 1, (B,))
    present = torch.arange(L) < lengths[:, None]
    layer = filled(TextConvolution(d, C, (k,))).double()
    W, b = layer.convolutions[0].weight.transpose(1, 2), layer.convolutions[0].bias
    loops = [
        torch.stack([chapter.filter_loops(x[r, :n], W[f], b[f], k) for f in range(C)]) for r, n in enumerate(lengths)
    ]
    fast = chapter.filters_fast(x, present, W, b)
    assert_close(torch.stack(loops), fast)
    chapter.agree(fast, layer(x, present), list(layer.parameters()))


@pytest.mark.parametrize("shape", [(1, 2, 1, 1), (4, 5, 3, 6)])
@pytest.mark.parametrize("seed", range(3))
def test_the_lstm_agrees_in_loops_in_vectors_and_in_the_library(shape, seed):
    torch.manual_seed(seed)
    B, T, d, H = shape
    x, lengths = torch.randn(B, T, d), torch.randint(0, T + 1, (B,))
    own, library = chapter.ScratchLSTM(d, H), Recurrent(d, H)
    with torch.no_grad():
        own.b.normal_()
        library.net.weight_ih_l0.copy_(own.W), library.net.weight_hh_l0.copy_(own.U)
        library.net.bias_ih_l0.copy_(own.b / 3), library.net.bias_hh_l0.copy_(own.b * 2 / 3)
    assert_close(own(x, lengths), library(x, lengths), rtol=1e-4, atol=1e-6)
    for r, n in enumerate(lengths):
        assert_close(chapter.lstm_loops(x[r, :n], own.W, own.U, own.b), own(x, lengths)[r], rtol=1e-4, atol=1e-6)
    own(x, lengths).square().sum().backward(), library(x, lengths).square().sum().backward()
    assert_close(own.U.grad, library.net.weight_hh_l0.grad, rtol=1e-4, atol=1e-5)


def test_hidden_layers_agree_in_loops_as_a_module_and_in_the_library():
    torch.manual_seed(0)
    own, library, e = chapter.ScratchMLP(6, (5, 3)), MLP(6, (5, 3), outputs=1), torch.randn(4, 3, 2)
    values = [t.detach() for t in own.state_dict().values()]
    library.load_state_dict(dict(zip(library.state_dict(), values, strict=True)))
    layers = [(m.weight, m.bias) for m in own.layers]
    loops = torch.stack([chapter.mlp_loops(row, layers, own.last.weight[0], own.last.bias[0]) for row in e])
    assert_close(loops, own(e))
    assert_close(own(e), library(e.flatten(1)).squeeze(1))


def test_the_gru_of_the_exercise_is_pytorchs():
    torch.manual_seed(1)
    net, x = Recurrent(3, 4, "gru"), torch.randn(5, 7, 3)
    assert_close(chapter.gru_fast(x, *net.net.parameters()), net(x, torch.full((5,), 7)))


def test_the_guard_passes_right_code_and_catches_both_mistakes():
    torch.manual_seed(3)
    net, layer = Recurrent(4, 6), filled(TextConvolution(4, 6, (3,)))
    x, lengths = torch.randn(8, 5, 4), torch.tensor([1, 2, 3, 4, 5, 5, 2, 1])
    assert not chapter.padding_changes(net, x, lengths)
    assert not chapter.padding_changes(lambda x, n: layer(x, torch.arange(x.shape[1]) < n[:, None]), x, lengths)
    assert chapter.padding_changes(chapter.last_position(net), x, lengths)
    assert chapter.padding_changes(chapter.all_windows(layer), x, lengths)


@pytest.mark.parametrize("shape", [(1, 1, 2), (4, 5, 6)])
def test_attention_agrees_in_loops_in_vectors_and_in_the_library(shape):
    torch.manual_seed(4)
    B, T, d = shape
    x, n = torch.randn(B, T, d), torch.randint(0, T + 1, (B,))
    Q, K, V = torch.randn(3, d, d)
    found, weights = chapter.attend(x, Q, K, V)
    assert_close(torch.stack([chapter.attention_loops(row, Q, K, V) for row in x]), found, rtol=1e-4, atol=1e-5)
    assert_close(weights.sum(2), torch.ones(B, T))
    assert (weights.triu(1) == 0).all()
    ours, theirs = chapter.ScratchAttention(d, 8), CausalAttention(d, 8, blocks=1)
    chapter.copied(ours, theirs)
    assert_close(ours(x, n), theirs(x, n), rtol=1e-4, atol=1e-6)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())


def test_the_test_of_the_future_catches_a_missing_mask():
    torch.manual_seed(5)
    x, (Q, K, V) = torch.randn(2, 4, 3), torch.randn(3, 3, 3)
    assert not chapter.sees_later(lambda t: chapter.attend(t, Q, K, V)[0], x)
    assert chapter.sees_later(lambda t: ((t @ Q.T) @ (t @ K.T).mT).softmax(2) @ (t @ V.T), x)


def test_map_and_neighbours_are_the_librarys():
    torch.manual_seed(2)
    x = torch.randn(40, 6) * torch.arange(1, 7)
    places, kept = chapter.flat_map(x)
    theirs, shares = item_map.pca(x)
    assert_close(places, theirs)
    assert kept == pytest.approx(shares.sum().item())
    assert (chapter.neighbours(x, 5) == item_map.nearest(x, 5)).all()
    bag = torch.tensor([[0, 2, -1], [1, -1, -1], [-1, -1, -1]])
    assert chapter.genres_of(bag, 3).int().tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_taking_out_a_film_moves_a_mean_the_same_wherever_it_stood():
    torch.manual_seed(6)
    model = NextItem(small(), 4, "mean", std=1.0)
    with torch.no_grad():
        model.project.bias.zero_()
    mean = chapter.reach(model, torch.tensor([[3, 3, 3, 1]]))[0]
    assert mean[:3] == pytest.approx([float(mean[0])] * 3) and mean.sum() == pytest.approx(1)
    other = chapter.reach(NextItem(small(), 4, "lstm", std=1.0), torch.tensor([[1, 2, 3]]))[0]
    assert len(set(other.tolist())) == 3 and other.sum() == pytest.approx(1)


@pytest.mark.parametrize("F, d, L, k, C, n, H", [(3, 4, 9, 2, 5, 6, 7), (1, 1, 1, 1, 1, 1, 1)])
def test_counted_parameters_are_those_of_the_layers(F, d, L, k, C, n, H):
    blocks = [MLP(F * d, (64, 32), outputs=1, last_bias=False), TextConvolution(d, C, (k,)), Recurrent(H, H),
              CausalAttention(H, n, blocks=1)]  # fmt: skip
    expected = [sum(p.numel() for p in block.parameters()) for block in blocks]
    assert chapter.counted(F, d, L, k, C, n, H)["parameters"].tolist() == expected


def runs(a, b):
    return compare_runs(a, b, paired=True)


@pytest.mark.parametrize(("found", "claimed", "says"), [
    (runs([0.82, 0.83, 0.84], [0.80, 0.81, 0.82]), 0.5, "agrees"),
    (runs([0.80, 0.81, 0.82], [0.82, 0.83, 0.84]), 0.5, "disagrees"),
    (runs([0.8000, 0.8101, 0.8200], [0.8001, 0.8100, 0.8201]), 0.5, "disagrees"),
    (runs([0.82, 0.80, 0.84], [0.80, 0.81, 0.82]), 0.5, "cannot be tested here: ≥ 0.057"),
])  # fmt: skip
def test_what_is_said_of_a_claim_follows_from_the_verdict(found, claimed, says):
    assert chapter.reading(found, claimed).startswith(says)


@pytest.mark.parametrize(("word", "says"), [
    ("better", "is a gain"), ("worse", "is a loss"), ("equal within δ", "is negligible"), ("undecided", "stays open"),
])  # fmt: skip
def test_a_part_of_a_difference_is_said_by_its_word(word, says):
    assert chapter.part_of(SimpleNamespace(word=word)) == says


# What the reader sees


def test_sentences_hold_the_stored_results():
    _, said = read_back("building_blocks")
    stored = read_json(RESULTS / "next_item.json")
    names = ("mean", "lstm", "attention", "lstm shuffled", "attention shuffled")
    users = {m: [r["ndcg@20"] for r in stored["runs"] if (r["task"], r["model"]) == ("films", m)] for m in names}
    users = {m: np.array(v) for m, v in users.items() if v}
    pairs = [("lstm", "mean"), ("attention", "mean"), ("attention", "lstm"), ("lstm", "lstm shuffled"),
             ("attention", "attention shuffled")]  # fmt: skip
    pairs = [pair for pair in pairs if set(pair) <= set(users)]
    assert len(pairs) >= 3
    for v in compare_all(users, pairs=pairs, metric="ndcg@20").itertuples():
        assert told(v) in said, "run tools/execute.py book/building_blocks.ipynb again"
    assert "no difference" not in said
