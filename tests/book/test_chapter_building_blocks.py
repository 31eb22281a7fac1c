"""The chapter's own code: loops, vectors and modules agree with each other and with the library; its guards bite."""

import pytest
import torch
from notebook_code import definitions
from small import small
from tiny import filled
from torch.testing import assert_close

from recsys_lite.explain import item_map
from recsys_lite.fields import Field, Vocabulary
from recsys_lite.layers import MLP
from recsys_lite.layers.convolution import TextConvolution
from recsys_lite.layers.recurrent import Recurrent
from recsys_lite.models import FieldMLP, NextItem, TextCNN

chapter = definitions("book/building_blocks.ipynb")
PLANTED = (
    Field("user", "categorical", Vocabulary(range(6))),
    Field("film", "categorical", Vocabulary(range(6))),
    Field("letters", "history", Vocabulary(list("abcdefgh")), length=8),
)


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
    assert chapter.padding_changes(chapter.last_place(net), x, lengths)
    assert chapter.padding_changes(chapter.all_windows(layer), x, lengths)


def test_planted_labels_follow_their_rule_and_the_control_none():
    for task, share in (("together", 0.5), ("next to", 0.25), ("before", 0.5), ("random", 0.5)):
        data = chapter.planted(task, 0, PLANTED)
        strings, y = data.train.bags["letters"], data.train.label
        assert (strings.sort(1).values == torch.arange(1, 9)).all()  # the same letters in every row
        a, b = strings.eq(1).int().argmax(1), strings.eq(2).int().argmax(1)
        rule = {"next to": (a - b).abs() == 1, "before": a < b, "together": data.train.ids.sum(1) % 2 == 0}
        assert abs(y.mean() - share) < 0.05
        assert all((y.bool() == r).all() == (name == task) for name, r in rule.items())


def test_models_of_the_table_are_what_their_names_say():
    kinds = {"no hidden layer": FieldMLP, "hidden layer": FieldMLP, "filters, k = 2": TextCNN, "LSTM": chapter.Reader}
    some = chapter.planted("before", 0, PLANTED).test
    for name, kind in kinds.items():
        model = chapter.build(name, PLANTED)
        assert isinstance(model, kind) and model(some).shape == (len(some),)
    assert len(chapter.build("no hidden layer", PLANTED).mlp) == 1


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


def test_the_map_opens_at_the_genre_given_and_colours_its_films():
    sets, near = torch.tensor([[True, False], [False, True], [True, True]]), torch.tensor([[1, 2], [0, 2], [0, 1]])
    draw = chapter.genre_map("a", torch.rand(3, 2), near, ["x", "y", "z"], sets, {"a": 0, "b": 1}, torch.ones(3) > 0)
    assert [len(trace.x) for trace in draw().data] == [1, 2] and draw().layout.title.text == "a"
    assert [len(trace.x) for trace in draw("b").data] == [1, 2] and "near: y; z" in draw().data[1].text[0]
    few = chapter.genre_map(
        "a", torch.rand(3, 2), near, ["x", "y", "z"], sets, {"a": 0}, torch.tensor([True, True, False])
    )
    assert [len(trace.x) for trace in few().data] == [1, 1] and few().data[0].text is None


def test_taking_out_a_film_moves_a_mean_the_same_wherever_it_stood():
    model = NextItem(small(), 4, "mean", std=1.0)
    with torch.no_grad():
        model.project.bias.zero_()
        moved = chapter.reach(model, torch.tensor([[3, 3, 3]]))
        other = chapter.reach(NextItem(small(), 4, "lstm", std=1.0), torch.tensor([[1, 2, 3]]))
    assert moved == pytest.approx([0, 0, 0], abs=1e-6) and len(set(other)) == 3


def test_counted_parameters_are_those_of_the_layers():
    for sizes in (
        {"F": 3, "d": 4, "L": 9, "k": 2, "C": 5, "n": 6, "H": 7},
        {"F": 1, "d": 1, "L": 1, "k": 1, "C": 1, "n": 1, "H": 1},
    ):
        F, d, k, C, H = (sizes[name] for name in "FdkCH")
        blocks = [MLP(F * d, (64, 32), outputs=1, last_bias=False), TextConvolution(d, C, (k,)), Recurrent(d, H)]
        expected = [sum(p.numel() for p in block.parameters()) for block in blocks]
        assert chapter.counted(**sizes)["parameters"].tolist() == expected


def test_verdicts_need_an_interval_on_one_side_of_zero():
    told = [chapter.verdict(*x) for x in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1))]
    assert told == ["better", "worse", "no difference shown"]
