"""Two towers: as a model of pairs and as a retriever, with vectors that are kept and vectors made anew."""

import pytest
import torch
from small import SIDES, small
from tiny import FIELDS, filled, rows
from torch.nn.functional import cross_entropy, normalize
from torch.testing import assert_close

import bench.retrieval.two_towers as bench
from recsys_lite.data.interactions import interactions
from recsys_lite.evaluation import evaluate_retrieval, top_k
from recsys_lite.fields import Rows, choose_columns
from recsys_lite.models import TowerRetriever
from recsys_lite.models.two_towers import Tower, TwoTowers
from recsys_lite.training import fit_retrieval, in_batch_softmax, in_batch_step, seed_everything

QUERY, CANDIDATE = ("user", "history"), ("item", "price", "genres")


def towers(**settings):
    return filled(
        TwoTowers(SIDES[0] + SIDES[1], ["user", "history"], ["item", "kind"], dim=4, hidden=(6,), out=5, **settings)
    )


@pytest.mark.parametrize("similarity,temperature", [("dot", 1.0), ("dot", 0.5), ("cosine", 0.1)])
def test_the_logit_is_the_bias_and_the_product_of_what_the_towers_say(similarity, temperature):
    model = filled(TwoTowers(FIELDS, QUERY, CANDIDATE, similarity=similarity, temperature=temperature)).double()
    some = rows(40)
    u = model.query_tower(choose_columns(FIELDS, some, QUERY))
    v = model.candidate_tower(choose_columns(FIELDS, some, CANDIDATE))
    if similarity == "cosine":
        u, v = normalize(u, dim=1), normalize(v, dim=1)
    assert_close(model(some), model.bias + (u * v).sum(1) / temperature)
    for fine in (False, True):
        assert_close(sum(model.parts(some, fine=fine).values()), model(some))
    assert len(model.parts(some, fine=True)) == 1 + 32


def test_a_side_reads_its_own_fields_only():
    model, some = filled(TwoTowers(FIELDS, QUERY, CANDIDATE)), rows(30)
    other = rows(30, seed=9)
    mixed = Rows(torch.stack([some.ids[:, 0], other.ids[:, 1]], 1), other.numeric,
                 {"genres": other.bags["genres"], "history": some.bags["history"]})  # fmt: skip
    side = lambda r, names: choose_columns(FIELDS, r, names)  # noqa: E731
    assert_close(model.query(side(some, QUERY)), model.query(side(mixed, QUERY)))
    assert_close(model.candidate(side(other, CANDIDATE)), model.candidate(side(mixed, CANDIDATE)))
    assert {id(p) for p in model.query_tower.parameters()}.isdisjoint(id(p) for p in model.candidate_tower.parameters())
    assert model.query_tower.embedding.fields[1].table == "history"  # not the items' rows of the other tower


def test_the_order_of_the_names_is_the_order_of_the_columns():
    a, b = TwoTowers(FIELDS, QUERY, ("price", "genres", "item")), TwoTowers(FIELDS, QUERY, CANDIDATE)
    assert [f.name for f in a.candidate_tower.embedding.fields] == ["price", "genres", "item"]
    assert a.parameter_count == b.parameter_count == sum(p.numel() for p in b.parameters())


def test_config_rebuilds_the_model():
    model = filled(
        TwoTowers(FIELDS, QUERY, CANDIDATE, dim=4, hidden=(8, 6), out=3, similarity="cosine", temperature=0.2)
    )
    again = TwoTowers(FIELDS, **model.config)
    again.load_state_dict(model.state_dict())
    assert_close(again(rows(9)), model(rows(9)))


def test_kept_scores_equal_those_made_anew():
    data = small()
    for settings in ({}, {"similarity": "cosine", "temperature": 0.1}):
        model = towers(**settings)
        retriever = TowerRetriever(model, data).eval()
        first = retriever.scores(torch.arange(12))
        kept = retriever.vectors()
        assert retriever.vectors() is kept  # nothing is computed twice
        pairs = torch.cartesian_prod(torch.arange(12), torch.arange(10))
        u, v = model.query(data.queries["known"][pairs[:, 0]]), model.candidate(data.candidates[pairs[:, 1]])
        assert_close(first, ((u * v).sum(1) / model.temperature).view(12, 10))
        assert_close(retriever.scores_of(data.queries["known"][3:5]), first[3:5])


def test_kept_vectors_go_when_training_goes_on():
    data, model = small(), towers()
    retriever = TowerRetriever(model, data).eval()
    old = retriever.scores(torch.arange(12))
    retriever.train()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3)
    new = retriever.eval().scores(torch.arange(12))
    assert not torch.allclose(old, new)
    assert_close(new, TowerRetriever(model, data).eval().scores(torch.arange(12)))


def test_fitting_judges_the_weights_of_each_epoch_and_ends_with_the_best():
    data = small()
    seed_everything(0)
    model = TwoTowers(
        SIDES[0] + SIDES[1], ["user", "history"], ["item", "kind"], dim=8, similarity="cosine", temperature=0.2
    )
    retriever = TowerRetriever(model, data)
    result = fit_retrieval(model, data, in_batch_step(model, data), epochs=15, batch_size=16, lr=0.02, patience=15,
                           evaluator=retriever, progress=False)  # fmt: skip
    assert len({c["ndcg@20"] for c in result.curve}) > 3  # vectors that were kept for ever would give one value
    fresh = TowerRetriever(model, data)
    assert evaluate_retrieval(fresh, data, "validation") == result.validation
    assert evaluate_retrieval(fresh, data, "test") == result.test
    assert result.curve[-1]["train_loss"] < result.curve[0]["train_loss"]


@pytest.mark.parametrize(
    "options", [{}, {"correct": 0.0}, {"correct": -1.0}, {"remove_hits": False}, {"exact_positive": True}]
)
def test_the_step_is_the_loss_of_the_batchs_vectors(options):
    data, model, batch = small(), towers(temperature=0.5), torch.arange(0, 40, 3)
    items = data.train[batch, 1]
    log_q = (data.degree() / len(data.train)).log() * options.get("correct", 1.0)
    scores = model.query(data.queries["train"][batch]) @ model.candidate(data.candidates[items]).T
    rest = {k: v for k, v in options.items() if k != "correct"}
    expected = in_batch_softmax(scores, items, log_q[items] if options.get("correct", 1.0) else None, 0.5, **rest)
    got = in_batch_step(model, data, **options)(model, batch, torch.Generator())
    assert_close(got, expected)


def test_the_step_over_all_items_is_the_softmax_over_all_candidates():
    data, model, batch = small(), towers(), torch.arange(10)
    scores = model.query(data.queries["train"][batch]) @ model.candidate(data.candidates).T
    expected = cross_entropy(scores, data.train[batch, 1])
    assert_close(in_batch_step(model, data, all_items=True)(model, batch, torch.Generator()), expected)


def test_hidden_numbers_train_the_row_of_unseen_items_and_leave_the_data_alone():
    data, batch = small(), torch.arange(48)
    before = data.candidates.ids.clone()
    for share, moves in ((0.0, False), (0.5, True)):
        model = towers()
        in_batch_step(model, data, hide_item=share)(model, batch, torch.Generator().manual_seed(0)).backward()
        grad = model.candidate_tower.embedding.table.weight.grad[model.candidate_tower.embedding.row("item")]
        assert bool(grad.abs().sum() > 0) == moves
    assert (data.candidates.ids == before).all()
    with pytest.raises(ValueError, match="cannot hide"):
        in_batch_step(TwoTowers(SIDES[0] + SIDES[1], ["user"], ["kind"]), data, hide_item=0.1)
    with pytest.raises(ValueError, match="cannot hide"):
        in_batch_step(towers(), data, hide_item=1.5)


def test_a_new_item_is_served_from_its_features():
    data, model = small(), towers()
    new = Rows(torch.tensor([[0, 2]], dtype=torch.int32), torch.zeros(1, 0))  # unknown number, kind b
    retriever = TowerRetriever(model, data, candidates=new).eval()
    scores = retriever.scores(torch.arange(12))
    assert scores.shape == (12, 1) and scores.isfinite().all() and scores.std() > 0
    other = TowerRetriever(
        model, data, candidates=Rows(torch.tensor([[0, 3]], dtype=torch.int32), torch.zeros(1, 0))
    ).eval()
    assert not torch.allclose(scores, other.scores(torch.arange(12)))


def test_bad_settings_are_refused():
    for settings, message in (
        ({"query": ()}, "fields of its own"), ({"query": ("user", "item")}, "fields of its own"),
        ({"similarity": "euclid"}, "'dot' or 'cosine', got 'euclid'"), ({"temperature": 0.0}, "above 0, got 0.0"),
        ({"query": ("nobody",)}, "unknown field 'nobody'"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            TwoTowers(FIELDS, **({"query": QUERY, "candidate": CANDIDATE} | settings))
    with pytest.raises(ValueError, match="no fields"):
        Tower(())


@pytest.fixture(scope="module")
def movielens():
    return interactions()


@pytest.mark.slow("ranks every film for every user")
def test_the_real_data_fit_the_towers_and_the_lists_hold_no_seen_film(movielens):
    sides = movielens.query_fields, movielens.candidate_fields
    model = TwoTowers(sides[0] + sides[1], *([f.name for f in side] for side in sides))
    retriever = TowerRetriever(model, movielens)
    users, seen = torch.arange(5), movielens.mask("train")[:5]
    items = top_k(retriever, users, 10, seen)[1]
    assert not seen.gather(1, items).any()


def test_the_benchmark_judges_new_films_apart(movielens, monkeypatch):
    monkeypatch.setattr(bench, "load", lambda: movielens)
    data, new = bench.without_films(0)
    assert new.sum() == (movielens.degree() > 0).sum() // 10
    assert not new[data.train[:, 1]].any() and not new[data.validation[:, 1]].any() and new[data.test[:, 1]].any()
    assert (data.candidates.ids[new, 0] == 0).all()
    chance = bench.judge(bench.Constant(data), data, new)
    assert chance["new among new"] == pytest.approx(20 / new.sum().item(), rel=0.1)  # nobody has one in training
    assert chance["new among all"] < 0.02

    class Knows:
        def scores(self, users):
            return data.mask("test")[users].float()

    told = bench.judge(Knows(), data, new)
    assert told["new among new"] > 0.95 and told["others among all"] > 0.8
    content = bench.Content(data, movielens).scores(torch.arange(4))
    assert content.shape == (4, movielens.num_items) and (content >= 0).all() and content.max() <= 1 + 1e-5


def test_the_benchmark_trains_each_variant(monkeypatch):
    monkeypatch.setattr(bench, "FIXED", {"epochs": 1, "batch_size": 64, "progress": False})
    data = small()
    for name, variant in (bench.VARIANTS | bench.NEW).items():
        result, retriever = bench.train(data, bench.SPACE[0], 0, variant=variant)
        assert set(result.test) >= {"recall@20", "ndcg@20"} and result.validation, name
        assert retriever.scores(torch.arange(2)).shape == (2, 10)
    assert len(bench.SPACE) == 6
