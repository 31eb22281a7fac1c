"""The neural building blocks: what each reads, that padding and time cannot fool it, and that wrong input is named."""

import pytest
import torch
from small import small
from tiny import FIELDS, filled, rows
from torch import nn
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

import bench.ranking.building_blocks as bench
from recsys_lite.data import load
from recsys_lite.data.titles import LETTERS, cold_films, with_letters
from recsys_lite.evaluation import evaluate_retrieval
from recsys_lite.explain import item_map
from recsys_lite.fields import PADDING, Rows
from recsys_lite.layers.convolution import TextConvolution
from recsys_lite.layers.recurrent import Recurrent, oldest_first
from recsys_lite.models import FieldMLP, LogisticRegression, NextItem, TextCNN
from recsys_lite.models.blocks import shuffled_histories
from recsys_lite.training import fit_retrieval, next_item_step, seed_everything

MOVIELENS = load("movielens-100k")


def present(lengths: torch.Tensor, length: int) -> torch.Tensor:
    return torch.arange(length) < lengths[:, None]


@pytest.mark.parametrize("widths", [(1,), (3,), (2, 5)])
def test_filters_are_the_maximum_of_a_convolution_over_the_padded_text(widths):
    torch.manual_seed(0)
    layer, x = TextConvolution(4, 3, widths), torch.randn(6, 4, 4)
    lengths = torch.tensor([4, 3, 2, 1, 4, 1])
    out = layer(x, present(lengths, 4))
    assert out.shape == (6, 3 * len(widths)) == (6, layer.out_features)
    for r, n in enumerate(lengths):
        text = x[r : r + 1, :n].transpose(1, 2)
        each = [
            nn.functional.conv1d(text, c.weight, c.bias, padding=k - 1).relu().amax(2)
            for k, c in zip(widths, layer.convolutions, strict=True)
        ]
        assert_close(out[r], torch.cat(each, 1)[0])


def test_more_padding_changes_neither_filters_nor_states_whatever_it_holds():
    torch.manual_seed(1)
    x, lengths = torch.randn(5, 4, 3), torch.tensor([0, 1, 2, 4, 3])
    more = torch.cat([x, 9 * torch.randn(5, 6, 3)], 1)
    layer = TextConvolution(3, 8, (2, 3))
    assert_close(layer(x, present(lengths, 4)), layer(more, present(lengths, 10)))
    for cell in ("lstm", "gru"):
        net = Recurrent(3, 7, cell)
        assert_close(net(x, lengths), net(more, lengths))
        assert (net(x, lengths)[0] == 0).all() and (net(x, lengths)[1:] != 0).any(1).all()
    assert (layer(x, present(lengths, 4))[0] == 0).all()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_last_state_is_that_of_each_history_alone(cell):
    torch.manual_seed(2)
    net, x, lengths = Recurrent(3, 5, cell), torch.randn(4, 6, 3), torch.tensor([6, 1, 4, 2])
    one_by_one = torch.cat([net.net(x[r : r + 1, :n])[0][:, -1] for r, n in enumerate(lengths)])
    assert_close(net(x, lengths), one_by_one)


def test_histories_turn_oldest_first_also_with_holes():
    values, lengths = oldest_first(torch.tensor([[7, 5, 3], [-1, 4, -1], [-1, -1, -1], [1, -1, 2]]))
    assert values.tolist() == [[3, 5, 7], [4, -1, -1], [-1, -1, -1], [2, 1, -1]]
    assert lengths.tolist() == [3, 1, 0, 2]


def test_layers_say_what_does_not_fit():
    with pytest.raises(ValueError, match="widths=\\(\\)"):
        TextConvolution(4, 3, ())
    with pytest.raises(ValueError, match="channels=0"):
        TextConvolution(4, 0)
    with pytest.raises(ValueError, match=r"expected x \(B, L, 4\)"):
        TextConvolution(4)(torch.zeros(2, 3, 5), torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="got 'rnn'"):
        Recurrent(4, cell="rnn")
    with pytest.raises(ValueError, match="hidden=0"):
        Recurrent(4, 0)
    with pytest.raises(ValueError, match="within 0 and 3, got 1 to 4"):
        Recurrent(4)(torch.zeros(2, 3, 4), torch.tensor([1, 4]))
    with pytest.raises(ValueError, match=r"expected x \(B, T, 4\)"):
        Recurrent(4)(torch.zeros(2, 3, 5), torch.tensor([1, 1]))
    with pytest.raises(ValueError, match=r"expected \(B, L\)"):
        oldest_first(torch.zeros(3))


def test_parts_sum_to_the_logit_and_without_hidden_layers_fields_add_up():
    some = rows(40)
    for model in (FieldMLP(FIELDS, dim=4), FieldMLP(FIELDS, dim=4, hidden=()), TextCNN(FIELDS, "history", dim=4)):
        filled(model)
        for fine in (False, True):
            assert_close(sum(model.parts(some, fine).values()), model(some))
    linear = filled(FieldMLP(FIELDS, dim=4, hidden=()))
    assert set(linear.parts(some, fine=True)) == {"bias", *(f.name for f in FIELDS)}
    weight = linear.mlp[0].weight.view(len(FIELDS), 4)
    simple = LogisticRegression(FIELDS)  # the same function, said with one weight per feature
    with torch.no_grad():
        simple.bias.copy_(linear.bias)
        for k, f in enumerate(FIELDS):
            rows_of = slice(linear.embedding.row(f.name), linear.embedding.row(f.name) + f.size)
            place = simple.weights.row(f.name)
            simple.weights.table.weight[place : place + f.size, 0] = linear.embedding.table.weight[rows_of] @ weight[k]
    assert_close(simple(some), linear(some), rtol=1e-4, atol=1e-5)


def test_the_text_model_reads_order_and_the_bag_does_not():
    some = rows(60)
    some.bags["history"] = torch.tensor([[1, 2, 3, 4]], dtype=torch.int32).repeat(60, 1)
    turned = Rows(some.ids, some.numeric, {**some.bags, "history": some.bags["history"].flip(1)})
    cnn, bag = filled(TextCNN(FIELDS, "history", dim=4, width=2)), filled(FieldMLP(FIELDS, dim=4))
    assert_close(bag(some), bag(turned))
    assert not torch.allclose(cnn(some), cnn(turned), atol=1e-3)
    single = filled(TextCNN(FIELDS, "history", dim=4, width=1))
    assert_close(single(some), single(turned))
    with pytest.raises(ValueError, match="'user' is a categorical field"):
        TextCNN(FIELDS, "user")


def test_text_alone_is_enough():
    only = (FIELDS[4],)
    some = Rows(
        torch.zeros(3, 0, dtype=torch.int32), torch.zeros(3, 0), {"history": torch.tensor([[1, -1], [2, 3], [-1, -1]])}
    )
    assert TextCNN(only, "history", dim=4)(some).shape == (3,)


@pytest.mark.parametrize("reader", ["lstm", "gru", "mean"])
def test_next_item_scores_by_hand_and_only_a_mean_ignores_order(reader):
    data = small()
    model = filled(NextItem(data, 4, reader, hidden=3)).eval()
    users = torch.tensor([3, 0])
    history = data.queries["known"].bags["history"][users].long()
    x = model.items(history.flip(1))
    h = x.mean(1) if reader == "mean" else model.reader.net(x)[0][:, -1]
    rows_of = data.candidates.ids[:, 0].long()
    expected = model.project(h) @ model.items.weight[rows_of].T + model.bias[rows_of]
    assert_close(model.scores(users), expected)
    same = torch.allclose(model.scores_of(history), model.scores_of(history.flip(1)), atol=1e-5)
    assert same == (reader == "mean")
    data.queries["fresh"].bags["history"][:] = 1
    model.state = "fresh"
    assert_close(model.scores(users)[0], model.scores(users)[1])


def test_next_item_learns_and_its_step_is_the_softmax_over_all_items():
    data = small()
    seed_everything(0)
    model = NextItem(data, 8)
    batch, g = torch.arange(10), torch.Generator()
    loss = next_item_step(data)(model, batch, g)
    assert_close(
        loss, cross_entropy(model.scores_of(data.queries["train"].bags["history"][batch]), data.train[batch, 1])
    )
    before = evaluate_retrieval(model, data, "validation")["ndcg@20"]
    fit_retrieval(model, data, next_item_step(data), epochs=30, lr=0.03, batch_size=16, patience=30, progress=False)
    assert evaluate_retrieval(model, data, "validation")["ndcg@20"] > before


def test_next_item_says_what_does_not_fit():
    data = small()
    for wrong in ({"reader": "rnn"}, {"dim": 0}):
        with pytest.raises(ValueError, match="expected lstm, gru or mean and sizes"):
            NextItem(data, **wrong)


def test_shuffling_keeps_the_items_and_the_padding_last():
    data = small()
    data.queries["known"].bags["history"][0] = torch.tensor([4, 2, -1])
    mixed = shuffled_histories(data, 3)
    for state, some in data.queries.items():
        old, new = some.bags["history"], mixed.queries[state].bags["history"]
        assert (old.sort(1).values == new.sort(1).values).all()
        assert ((old == PADDING) == (new == PADDING)).all()
    assert (mixed.queries["train"].bags["history"] != data.queries["train"].bags["history"]).any()
    again = shuffled_histories(data, 3).queries["known"].bags["history"]
    assert (again == mixed.queries["known"].bags["history"]).all()


def test_letters_are_those_of_the_title():
    data = with_letters(MOVIELENS, length=12)
    field, film = data.field("letters"), data.field("item").vocabulary
    place = [f.name for f in data.fields if f.kind == "categorical"].index("item")
    for k in (0, 1000):
        raw = film.decode(int(data.test.ids[k, place]))
        title = data.extras["items"].loc[raw, "title"].lower()[:12]
        told = "".join(field.vocabulary.decode(int(v)) for v in data.test.bags["letters"][k] if v > 0)
        assert told == "".join(c for c in title if c in LETTERS)
    with pytest.raises(ValueError, match="has no titles"):
        with_letters(load("criteo-sample"))


def test_cold_films_stand_in_one_part_only_and_the_seed_decides_which():
    place = [f.name for f in MOVIELENS.fields if f.kind == "categorical"].index("item")
    films = []
    for seed in (0, 0, 1):
        data = cold_films(MOVIELENS, seed, rows=5000, held=4000)
        films.append([set(part.ids[:, place].tolist()) for part in (data.train, data.validation, data.test)])
        assert [len(p) for p in (data.train, data.validation, data.test)] == [5000, 4000, 4000]
        assert not films[-1][0] & films[-1][1] | films[-1][0] & films[-1][2] | films[-1][1] & films[-1][2]
    assert films[0] == films[1] != films[2]
    with pytest.raises(ValueError, match="leave some films"):
        cold_films(MOVIELENS, shares=(0.5, 0.5))


def test_map_and_neighbours_are_those_of_plain_algebra():
    torch.manual_seed(4)
    x = torch.randn(30, 5) * torch.tensor([5.0, 3, 1, 1, 1])
    places, shares = item_map.pca(x)
    covariance = torch.cov(x.double().T)
    values = torch.linalg.eigvalsh(covariance).flip(0)
    assert_close(shares, (values / values.sum())[:2])
    assert_close(places.var(0), values[:2])
    assert_close(item_map.pca(x)[0], places)
    cosine = torch.nn.functional.cosine_similarity(x[:, None], x, dim=2).fill_diagonal_(-2)
    assert (item_map.nearest(x, 3) == cosine.topk(3, 1).indices).all()
    sets = item_map.members(torch.tensor([[0, 1], [1, -1], [2, -1]]))
    assert item_map.common_share(torch.tensor([[1, 2], [0, 2], [0, 1]]), sets) == pytest.approx(2 / 6)
    with pytest.raises(ValueError, match="I above k"):
        item_map.nearest(x, 30)
    with pytest.raises(ValueError, match="at least 6"):
        item_map.pca(x, 6)
    with pytest.raises(ValueError, match="got shapes"):
        item_map.common_share(torch.zeros(2, 1).long(), sets)


def test_the_bench_asks_for_settings_first_then_for_seeds_with_the_best():
    record = {"tuning": [], "runs": []}
    jobs = bench.wanted(record)
    assert len(jobs) == 9 * len(bench.SETTINGS) + 1 and all(
        len(s) == len(bench.SETTINGS) for s in bench.SETTINGS_OF.values()
    )
    assert not any(name == "shuffled" for _, name, _ in jobs)
    for kind, name, job in jobs:
        if name == "lstm":
            score = {"ndcg@20": job["lr"] - job["weight_decay"]}
            record["tuning"].append({"experiment": kind, "model": name, **job, "validation": score})
    later = [
        (name, job) for _, name, job in bench.wanted(record) if job["seed"] in bench.SEEDS and name != "popularity"
    ]
    best = {"lr": 0.012, "weight_decay": 0.0}
    assert sorted({name for name, _ in later}) == ["lstm", "shuffled"] and len(later) == 10
    assert all(best.items() <= job.items() for _, job in later)


def test_controls_of_the_neighbour_test_know_no_genre():
    torch.manual_seed(0)
    data = bench.histories()
    model = NextItem(data, 8, "mean")
    found = bench.shares(model)
    assert found["films"] == int((data.degree() >= bench.KNOWN_FILM).sum())
    assert abs(found["untrained"] - found["any other"]) < 0.02 and abs(found["trained"] - found["any other"]) < 0.03
