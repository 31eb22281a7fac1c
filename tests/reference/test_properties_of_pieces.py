"""What must hold of models that read fields by name, of layers, vocabularies, rows, graphs and metrics."""

import numpy as np
import pytest
import torch
from examples import randomise, some_fields, some_rows
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from structures import SIDES
from test_model_equations import CLICKS, FIELDS, few
from test_properties import columns_of, copied, same
from torch.testing import assert_close

from recsys_lite.data.item_sets import ItemSets
from recsys_lite.evaluation import auc, evaluate, grouped_auc, hit_rate, log_loss, ndcg, normalized_entropy, top_k
from recsys_lite.fields import HashedVocabulary, Rows, Vocabulary, choose_columns, concatenate, pad, swap
from recsys_lite.layers import CrossNet, CrossNetMix, CrossNetV2, EnsembleLayer, GatedCrossNet, InteractingLayer
from recsys_lite.layers.convolution import TextConvolution
from recsys_lite.layers.crosses import HashedCrosses
from recsys_lite.layers.ensemble import MODULES
from recsys_lite.layers.graph import BipartiteGraph
from recsys_lite.layers.recurrent import Recurrent, oldest_first
from recsys_lite.models import FM, PAL, NeuMF, SplitNetwork, TextCNN, TwoTowers, WatchNext

# --- models that read fields by name ----------------------------------------------------------------------------------

BY_NAME = {
    "NeuMF": (FIELDS, lambda f: NeuMF(f, dim=2, hidden=(3,), side=2)),
    "two towers": (FIELDS, lambda f: TwoTowers(f, **SIDES, dim=2, hidden=(3,), out=2)),
    "cosine": (FIELDS, lambda f: TwoTowers(f, **SIDES, dim=2, hidden=(3,), out=2, similarity="cosine")),
    "split network": (FIELDS, lambda f: SplitNetwork(f, (3,), **SIDES, dim=2, hidden=(3,), out=2)),
    "PAL": (CLICKS, lambda f: PAL(f, FM(FIELDS, dim=2))),
    "Watch Next": (CLICKS, lambda f: WatchNext(f, FM(FIELDS, dim=2))),
    "TextCNN": (FIELDS, lambda f: TextCNN(f, "history", dim=2, hidden=())),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_batches_of_any_size(name):
    fields, build = BY_NAME[name]
    model, rows = randomise(build(fields).double().eval()), few(fields)
    logits = model(rows)
    assert logits.shape == (8,) and logits.isfinite().all()
    for size in (0, 1, 3):
        some = rows[:size]
        same(model(some), logits[:size])
        for fine in (False, True):
            same(sum(model.parts(some, fine).values()), logits[:size])
    model(rows[:0]).sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("users, items", [(0, 3), (2, 0), (0, 0), (2, 3)])
def test_any_number_of_users_against_any_number_of_items(users, items):
    """A split network's scores of all pairs are those of each pair."""
    for product in (True, False):
        model = SplitNetwork(FIELDS, (3,), product, **SIDES, dim=2, hidden=(3,), out=2).double()
        u, v = torch.randn(users, 2).double(), torch.randn(items, 2).double()
        scores = model.score_all(u, v)
        pairs = model.score(u.repeat_interleave(items, 0), v.repeat(users, 1))
        assert scores.shape == (users, items)
        same(scores.flatten(), pairs)


@pytest.mark.parametrize("name", [n for n in BY_NAME if n != "TextCNN"])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_fields_that_are_read_by_name(name, seed):
    """The same parameters: where a field stands among the columns does not matter."""
    fields, build = BY_NAME[name]
    model, rows = randomise(build(fields).double().eval()), few(fields)
    order = [fields[k] for k in torch.randperm(len(fields), generator=torch.Generator().manual_seed(seed))]
    other = randomise(build(order).double().eval(), 9)
    other.load_state_dict(model.state_dict())
    copied(model, other)
    same(other(columns_of(fields, rows, order)), model(rows))


LAYERS = {
    **{type(c).__name__: (c, (4,)) for c in (CrossNet(4), CrossNetMix(4, rank=2), GatedCrossNet(4))},
    "CrossNetV2": (CrossNetV2(4), (4,)),
    "low rank": (CrossNetV2(4, rank=2), (4,)),
    "paper": (InteractingLayer(4, 3), (5, 4)),
    "code": (InteractingLayer(4, 3, variant="code"), (5, 4)),
    **{name: (kind(5, 2, 4), (5, 4)) for name, kind in MODULES.items()},
    "ensemble": (EnsembleLayer(5, 4, list(MODULES), 2), (5, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_take_any_batch(name):
    layer, shape = LAYERS[name]
    layer = layer.double().eval()
    x = torch.randn(6, *shape, dtype=torch.float64)
    out = layer(x)
    for size in (0, 1, 4):
        assert_close(layer(x[:size]), out[:size], rtol=1e-9, atol=1e-9)


@given(st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=4), st.integers(0, 2))
def test_histories_and_texts_of_any_length(histories, more):
    """Padding that is added changes nothing, and an empty history gives zeros."""
    bag = torch.full((len(histories), 4), -1)
    for row, values in enumerate(histories):
        bag[row, : len(values)] = torch.tensor(values, dtype=torch.int64)
    longer = torch.cat([bag, torch.full((len(bag), more), -1)], 1)
    table = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    turned, lengths = oldest_first(bag)
    assert lengths.tolist() == [len(values) for values in histories]
    assert [row[:n] for row, n in zip(turned.tolist(), lengths, strict=True)] == [v[::-1] for v in histories]
    torch.manual_seed(0)
    for cell in ("lstm", "gru"):
        net = Recurrent(3, 2, cell)
        read = lambda b, net=net: net(table[oldest_first(b)[0].clamp(min=0)], oldest_first(b)[1])  # noqa: E731
        assert_close(read(longer), read(bag))
        assert not read(bag)[lengths == 0].any()
    filters = TextConvolution(3, 2, (1, 3))
    found = filters(table[bag.clamp(min=0)], bag >= 0)
    assert_close(filters(table[longer.clamp(min=0)], longer >= 0), found)
    assert not found[lengths == 0].any()


# --- rows and vocabularies --------------------------------------------------------------------------------------------


@given(st.data())
def test_rows_come_apart_and_together(data):
    fields = data.draw(some_fields(numbers_alone=True))
    rows = data.draw(some_rows(fields, least=1))
    size = data.draw(st.integers(1, 5))
    parts = list(rows.batches(size))
    assert sum(map(len, parts)) == len(rows) and max(map(len, parts)) <= size
    whole = concatenate(parts)
    assert torch.equal(whole.ids, rows.ids) and torch.equal(whole.numeric, rows.numeric)
    assert all(torch.equal(whole.bags[name], bag) for name, bag in rows.bags.items())
    order = data.draw(st.permutations(fields))
    turned = choose_columns(fields, rows, [f.name for f in order])
    back = choose_columns(order, turned, [f.name for f in fields])
    assert torch.equal(back.ids, rows.ids) and torch.equal(back.numeric, rows.numeric)
    other = rows[torch.arange(len(rows)).flip(0)]
    taken = swap(fields, rows, [f.name for f in fields], other)
    assert torch.equal(taken.ids, other.ids) and torch.equal(taken.numeric, other.numeric)


@given(st.sets(st.integers(-5, 30), max_size=8), st.lists(st.integers(-5, 30), max_size=8))
def test_a_vocabulary_finds_what_it_has_in_every_type(known, asked):
    expected = [sorted(known).index(v) + 1 if v in known else 0 for v in asked]
    numbers = Vocabulary(np.array(sorted(known), dtype=np.int64))
    for kind in (np.int8, np.int32, np.int64, np.float32, np.float64, object):
        assert numbers.encode(np.array(asked, dtype=kind)).tolist() == expected
    assert numbers.encode([str(v) for v in asked]).tolist() == expected
    texts = Vocabulary([str(v) for v in known])
    order = sorted(map(str, known))
    expected = [order.index(str(v)) + 1 if v in known else 0 for v in asked]
    for raw in (asked, [str(v) for v in asked], [float(v) for v in asked], [f" {v}.0 " for v in asked]):
        assert texts.encode(raw).tolist() == expected
    assert [texts.decode(k + 1) for k in range(len(order))] == order


@given(st.integers(1, 5), st.lists(st.text("aé 1", max_size=3), min_size=1, max_size=8))
def test_hashed_rows_lie_within_the_table_and_never_at_the_reserved_one(buckets, values):
    rows = HashedVocabulary(buckets).encode(values)
    assert rows.min() >= 1 and rows.max() <= buckets
    assert HashedVocabulary(buckets).encode(values[::-1]).tolist() == rows.tolist()[::-1]


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=4), st.integers(1, 4))
def test_padded_lists(lists, length):
    assert pad(lists, length).tolist() == [(v + [-1] * length)[:length] for v in lists]


@given(st.data())
def test_crosses_stay_in_their_blocks(data):
    fields = [f for f in FIELDS if f.kind != "numeric"]
    buckets = data.draw(st.sampled_from([1, 5, 2**18]))
    crosses = [("user", "item"), ("genres", "history"), ("item", "genres", "user")]
    layer = HashedCrosses(fields, crosses, buckets)
    ends = [*layer.offsets[1:], len(layer.weight)]
    rows = few()
    for k in range(3):
        values, counts = layer.combinations(rows, k)
        bucket = layer.bucket(k, values)[counts]
        assert ((bucket >= layer.offsets[k]) & (bucket < ends[k])).all()
        if buckets == 2**18:  # a weight each
            seen = {tuple(v): b for v, b in zip(values[counts].tolist(), bucket.tolist(), strict=True)}
            assert len(set(seen.values())) == len(seen)
    assert layer(rows[:0]).shape == (0, 3)


# --- sets of items and graphs -----------------------------------------------------------------------------------------

EDGES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=12)


@given(EDGES, EDGES, st.permutations(range(4)))
def test_item_sets_are_pythons(pairs, others, users):
    ours, theirs = ({u: {i for v, i in some if v == u} for u in range(4)} for some in (pairs, others))
    sets, other = (ItemSets(torch.tensor(some), 4, 5) for some in (pairs, others))
    assert sets.count.tolist() == [len(ours[u]) for u in range(4)]
    asked = torch.tensor(users)
    mask = sets.mask(asked)
    assert [set(row.nonzero().flatten().tolist()) for row in mask] == [ours[u] for u in users]
    assert torch.equal(sets.contains(asked[:, None], torch.arange(5)), mask)
    rest = sets.without(other).mask()
    assert [set(row.nonzero().flatten().tolist()) for row in rest] == [ours[u] - theirs[u] for u in range(4)]


@given(EDGES)
def test_graphs_of_any_edges(pairs):
    """The matrix is symmetric, has no self loop, and its eigenvalues lie within [-1, 1]; hops are its products."""
    graph = BipartiteGraph(torch.tensor(pairs), 4, 5).double()
    dense = graph.dense()
    assert torch.equal(dense, dense.T) and not dense.diagonal().any() and graph.num_edges == len(set(pairs))
    assert torch.linalg.eigvalsh(dense).abs().max() <= 1 + 1e-12
    x = torch.randn(9, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    expected = 0.5 * x - dense @ x + 2 * dense @ dense @ x
    same(graph(x, [0.5, -1.0, 2.0]), expected)
    weight = torch.linspace(-1, 1, 18, dtype=torch.float64).view(9, 2)
    (slope,) = torch.autograd.grad((graph(x, [0.5, -1.0, 2.0]) * weight).sum(), x)
    (wanted,) = torch.autograd.grad((expected * weight).sum(), x)
    same(slope, wanted)


# --- metrics ----------------------------------------------------------------------------------------------------------

CLICKS_OF = st.lists(
    st.tuples(st.sampled_from([0, 1]), st.integers(1, 9), st.integers(0, 2)), min_size=2, max_size=12
).filter(lambda rows: len({y for y, *_ in rows}) == 2)


@given(CLICKS_OF, st.randoms(use_true_random=False))
def test_metrics_do_not_know_the_order_of_rows(rows, random):
    measured = evaluate(*map(np.array, zip(*[(y, p / 10, g) for y, p, g in rows], strict=True)))
    mixed = random.sample(rows, len(rows))
    again = evaluate(*map(np.array, zip(*[(y, p / 10, g) for y, p, g in mixed], strict=True)))
    assert measured.keys() == again.keys()
    for name, value in measured.items():
        assert_allclose(again[name], value, rtol=1e-12)


@given(CLICKS_OF)
def test_what_turns_an_auc_round(rows):
    y, p, _ = map(np.array, zip(*rows, strict=True))
    p = p / 10
    area = auc(y, p)
    assert 0 <= area <= 1
    assert_allclose([auc(y, -p), auc(1 - y, p), auc(1 - y, -p)], [1 - area, 1 - area, area], rtol=0, atol=1e-12)
    assert_allclose([auc(y, np.exp(9 * p)), auc(y, np.full(len(y), 0.3))], [area, 0.5], rtol=1e-12)
    assert_allclose(grouped_auc(y, p, np.zeros(len(y))), area, rtol=1e-12)
    assert_allclose(log_loss(y, p), log_loss(1 - y, 1 - p), rtol=1e-9)
    base = np.full(len(y), y.mean())
    assert_allclose(normalized_entropy(y, base), 1, rtol=1e-12)
    assert log_loss(y, base) <= log_loss(y, np.full(len(y), p.mean())) + 1e-12  # no constant does better


@given(st.integers(0, 12), st.integers(0, 12), st.integers(1, 12))
def test_hits_and_gains_grow_with_the_list(above, tied, k):
    a, t = torch.tensor([above]), torch.tensor([tied])
    hit, gain = hit_rate(a, t, k).item(), ndcg(a, t, k).item()
    assert 0 <= gain <= hit + 1e-6 <= 1 + 2e-6
    assert hit_rate(a, t, k + 1).item() >= hit and ndcg(a, t, k + 1).item() >= gain
    assert hit_rate(a + 1, t, k).item() <= hit and ndcg(a + 1, t, k).item() <= gain


@given(st.data())
def test_the_k_best(data):
    items, users = data.draw(st.integers(1, 6)), data.draw(st.integers(0, 3))
    scores = torch.randn(users, items, generator=torch.Generator().manual_seed(data.draw(st.integers(0, 9))))
    retriever = type("Fixed", (), {"scores": lambda self, some: scores[some]})()
    k = data.draw(st.integers(1, items))
    seen = torch.tensor(data.draw(st.lists(st.booleans(), min_size=items, max_size=items))).expand(users, items)
    if users and int((~seen[0]).sum()) < k:
        with pytest.raises(ValueError, match="has fewer than"):
            top_k(retriever, torch.arange(users), k, seen)
        return
    values, found = top_k(retriever, torch.arange(users), k, seen)
    for user in range(users):
        left = sorted((i for i in range(items) if not seen[user, i]), key=lambda i: -scores[user, i].item())
        assert found[user].tolist() == left[:k]
        assert torch.equal(values[user], scores[user, found[user]])


def test_rows_without_a_column_have_logits_for_all():
    rows = Rows(torch.zeros(3, 0, dtype=torch.int32), torch.ones(3, 1))
    assert FM([f for f in FIELDS if f.kind == "numeric"], dim=2)(rows).shape == (3,)
