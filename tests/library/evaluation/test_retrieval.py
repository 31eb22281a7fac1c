"""Interactions, metrics of full ranking, lists, closed-form retrievers and the training of retrievers."""

import math

import numpy as np
import pytest
import torch
from small import of_pairs as small
from torch import nn

from recsys_lite import data as data_module
from recsys_lite.data.interactions import Interactions, interactions, load_lightgcn_files
from recsys_lite.evaluation import earlier, evaluate_retrieval, per_user, top_k
from recsys_lite.models import EASE, ItemKNN, Popularity
from recsys_lite.models.neighbours import ItemSums, ages, history_weights, interaction_matrix
from recsys_lite.training import fit_retrieval, seed_everything


class Fixed:
    def __init__(self, table):
        self.table = torch.tensor(table, dtype=torch.float32)

    def scores(self, users):
        return self.table[users]


@pytest.fixture(scope="module")
def films() -> Interactions:
    return interactions()


# --- metrics ---------------------------------------------------------------------------------------------------------


def test_recall_and_ndcg_by_hand():
    data = small([[0, 0], [1, 4]], [[0, 1], [1, 3]], [[0, 2], [0, 4], [1, 0]])
    scorer = Fixed([[9, 8, 3, 2, 1], [5, 4, 3, 2, 1]])
    # user 0: items 0 and 1 are known; 2 stands at place 0, 3 at 1, 4 at 2. user 1: item 0 at place 0
    table = per_user(scorer, data, "test", k=2)
    assert table["recall"].tolist() == [0.5, 1.0]
    ideal = 1 + 1 / math.log2(3)
    assert np.allclose(table["ndcg"], [1 / ideal, 1.0])
    assert evaluate_retrieval(scorer, data, "test", k=2)["recall@2"] == 0.75
    # on validation the test items are rivals: user 0 seeks 1 among 1, 2, 3, 4
    assert per_user(scorer, data, "validation", k=1)["recall"].tolist() == [1.0, 0.0]


def test_known_items_never_count_and_equal_scores_are_shared_out():
    data = small([[0, 0], [1, 4]], [[0, 1], [1, 3]], [[0, 2], [1, 0]])
    same = Fixed([[0] * 5] * 2)
    assert np.allclose(per_user(same, data, "test", k=1)["recall"], 1 / 3)  # three items are left
    assert np.allclose(per_user(same, data, "test", k=3)["recall"], 1)
    train_first = Fixed([[9, 0, 1, 0, 0], [0, 0, 0, 0, 9]])
    assert per_user(train_first, data, "test", k=1)["recall"].tolist() == [1.0, pytest.approx(1 / 3)]


@pytest.mark.slow("ranks every film for every user")
def test_a_constant_scorer_gains_nothing_on_films(films):
    class Constant:
        def scores(self, users):
            return torch.zeros(len(users), films.num_items)

    free = (~films.mask("train", "validation")).sum(1)
    assert evaluate_retrieval(Constant(), films)["recall@20"] == pytest.approx((20 / free).mean().item(), rel=1e-5)


def test_a_user_without_items_in_the_part_is_left_out():
    data = small([[0, 0], [1, 4]], [[0, 1]], [[1, 0]])
    assert per_user(Fixed([[1, 2, 3, 4, 5]] * 2), data, "validation")["user"].tolist() == [0]


@pytest.mark.parametrize(
    ("table", "message"),
    [([[1, 2], [1, 2]], r"expected \(2, 5\), got \(2, 2\)"), ([[math.nan] * 5] * 2, "NaN")],
)
def test_bad_scores_are_named(table, message):
    data = small([[0, 0], [1, 4]], [[0, 1], [1, 3]], [[0, 2], [1, 0]])
    with pytest.raises(ValueError, match=message):
        per_user(Fixed(table), data)
    with pytest.raises(ValueError, match="unknown part 'train'"):
        earlier("train")


def test_top_k_leaves_seen_items_out():
    scorer = Fixed([[9, 8, 3, 2, 1], [5, 4, 3, 2, 1]])
    seen = torch.tensor([[True, True, False, False, False], [False] * 5])
    scores, items = top_k(scorer, torch.tensor([0, 1]), 2, seen)
    assert items.tolist() == [[2, 3], [0, 1]] and scores.tolist() == [[3, 2], [5, 4]]
    with pytest.raises(ValueError, match="user number 0 has fewer than 4 items left"):
        top_k(scorer, torch.tensor([0, 1]), 4, seen)
    with pytest.raises(ValueError, match="6 of 5 items"):
        top_k(scorer, torch.tensor([0]), 6)


# --- closed forms ----------------------------------------------------------------------------------------------------


def test_popularity_counts_training_only():
    data = small([[0, 0], [1, 0], [1, 4]], [[0, 1], [1, 3]], [[0, 2], [1, 1]])
    assert Popularity(data).scores(torch.tensor([0, 1])).tolist() == [[2, 0, 0, 0, 1]] * 2


def test_item_knn_by_hand():
    data = small([[0, 0], [0, 1], [1, 0], [1, 2]], [[0, 3], [1, 3]], [[0, 4], [1, 4]])
    knn = ItemKNN(data, neighbours=5, shrink=0)
    half = 1 / math.sqrt(2)  # n_01 = 1, n_0 = 2, n_1 = 1
    expected = torch.tensor([[0, half, half, 0, 0], [half, 0, 0, 0, 0], [half, 0, 0, 0, 0], [0] * 5, [0] * 5])
    torch.testing.assert_close(knn.weights, expected)
    assert (ItemKNN(data, neighbours=1, shrink=0).weights > 0).sum(0).max() == 1
    shrunk = ItemKNN(data, 5, shrink=1).weights[0, 1]
    torch.testing.assert_close(shrunk, torch.tensor(1 / (math.sqrt(2) + 1)))
    with pytest.raises(ValueError, match="neighbours >= 1"):
        ItemKNN(data, 0)


def test_ease_is_the_minimum_of_its_ridge_regression():
    g = torch.Generator().manual_seed(0)
    x = (torch.rand(30, 6, generator=g) < 0.4).long().nonzero()
    data = small(x.tolist(), [[0, 0]], [[0, 1]], users=30, items=6)
    ease, X = EASE(data, l2=3.0), interaction_matrix(data)
    for i in range(6):  # each column by itself: regress item i on the others
        others = [j for j in range(6) if j != i]
        A = X[:, others]
        b = torch.linalg.solve(A.T @ A + 3 * torch.eye(5), A.T @ X[:, i])
        torch.testing.assert_close(ease.weights[others, i], b, rtol=1e-4, atol=1e-5)
        assert ease.weights[i, i] == 0
    torch.testing.assert_close(ease.scores(torch.tensor([3])), X[[3]] @ ease.weights)
    with pytest.raises(ValueError, match="l2 must be above 0"):
        EASE(data, 0)


def test_ages_count_the_later_interactions_of_the_same_user():
    users = torch.tensor([3, 1, 3, 1, 3, 0])
    assert ages(users).tolist() == [2, 1, 1, 0, 0, 0]
    g = torch.Generator().manual_seed(0)
    many = torch.randint(5, (200,), generator=g)
    slow = [int((many[k + 1 :] == u).sum()) for k, u in enumerate(many)]
    assert ages(many).tolist() == slow


def test_the_weights_of_a_history_fall_with_age_and_a_fresh_one_begins_with_validation():
    data = small([[0, 0], [0, 3], [1, 4], [0, 1]], [[0, 2], [1, 0]], [[0, 4], [1, 1]])
    fall = math.exp(-1 / 2)
    expected = torch.tensor([[fall**2, 1, 0, fall, 0], [0, 0, 0, 0, 1]])
    torch.testing.assert_close(history_weights(data, 2.0), expected)
    fresh = torch.tensor([[fall**3, fall, 1, fall**2, 0], [1, 0, 0, 0, fall]])
    torch.testing.assert_close(history_weights(data, 2.0, "fresh"), fresh)
    assert torch.equal(history_weights(data), interaction_matrix(data))
    assert torch.equal(history_weights(data, None, "fresh"), interaction_matrix(data, "train", "validation"))
    torch.testing.assert_close(history_weights(data, 1e9), interaction_matrix(data))  # a long memory has no order
    for wrong in ((0.0, "known"), (2.0, "late")):
        with pytest.raises(ValueError, match="recency must be None or above 0"):
            history_weights(data, *wrong)


@pytest.mark.parametrize("kind", [EASE, ItemKNN])
def test_closed_forms_with_recency_weigh_the_history_and_keep_their_table(kind):
    data = small([[0, 0], [0, 3], [1, 4], [0, 1], [1, 0]], [[0, 2], [1, 2]], [[0, 4], [1, 1]])
    plain, by_age = kind(data), kind(data, recency=3.0, state="fresh")
    assert isinstance(by_age, ItemSums) and torch.equal(plain.weights, by_age.weights) and by_age.recency == 3.0
    users = torch.tensor([1, 0])
    expected = history_weights(data, 3.0, "fresh")[users] @ plain.weights
    torch.testing.assert_close(by_age.scores(users), expected)


# --- data ------------------------------------------------------------------------------------------------------------


def test_films_are_split_as_in_the_ranking_chapters(films):
    like = data_module.load("movielens-100k", task="like")
    for part in ("train", "validation", "test"):
        pairs, rows = getattr(films, part), getattr(like, part)
        assert len(pairs) == len(rows)
        assert torch.equal(pairs[:, 0].int() + 1, rows.group)
    assert films.num_items == 1682 and films.num_users == 943
    assert not (films.mask("train") & films.mask("test")).any()
    item = like.train.ids[:, 1]  # vocabulary row of the film
    assert torch.equal(films.candidates.ids[films.train[:, 1], 0], item)


def test_a_query_knows_nothing_of_its_own_film_or_later(films):
    row_of = films.candidates.ids[:, 0]
    own = row_of[films.train[:, 1]][:, None]
    assert not (films.queries["train"].bags["history"] == own).any()
    known, fresh = (films.queries[s].bags["history"] for s in ("known", "fresh"))
    for user in (0, 500, 942):
        train = films.train[films.train[:, 0] == user, 1]
        assert known[user].tolist() == row_of[train.flip(0)[:10]].tolist()
        both = torch.cat([train, films.validation[films.validation[:, 0] == user, 1]])
        expected = row_of[both.flip(0)[:10]]
        assert fresh[user].tolist() == expected.tolist()


def test_films_that_training_never_showed_are_candidates(films):
    cold = films.degree() == 0
    assert cold.sum() > 0
    assert (films.candidates.ids[cold, 0] == 0).all() and (films.candidates.ids[~cold, 0] > 0).all()


def test_without_items_forgets_them_everywhere(films):
    gone = torch.tensor([0, 49])
    less = films.without_items(gone)
    assert less.degree()[gone].tolist() == [0, 0]
    rows = films.candidates.ids[gone, 0]
    assert (less.candidates.ids[gone, 0] == 0).all()
    for state in ("train", "known", "fresh"):
        assert not torch.isin(less.queries[state].bags["history"], rows).any()
    assert len(less.queries["train"]) == len(less.train) == len(films.train) - films.degree()[gone].sum()
    assert torch.equal(less.test, films.test)


def test_interactions_check_themselves(films):
    data = small([[0, 0], [1, 4]], [[0, 1]], [[1, 0]])
    from dataclasses import replace

    with pytest.raises(ValueError, match="numbers reach beyond 2 × 5"):
        replace(data, test=torch.tensor([[0, 5]]))
    with pytest.raises(ValueError, match=r"expected \(N, 2\)"):
        replace(data, test=torch.tensor([1]))
    with pytest.raises(ValueError, match="1 candidate rows for 5 items"):
        replace(data, candidates=data.candidates[:1])
    with pytest.raises(ValueError, match="expected query rows"):
        replace(data, queries={})


def test_lightgcn_files(tmp_path):
    (tmp_path / "train.txt").write_text("0 0 1 2 3 4 5 6 7 8 9 10\n1 3\n2 4 5\n")
    (tmp_path / "test.txt").write_text("0 11\n1 0\n2\n")
    data = load_lightgcn_files(tmp_path, seed=1)
    assert (data.num_users, data.num_items) == (3, 12)
    held = torch.bincount(data.validation[:, 0], minlength=3).tolist()
    assert held == [1, 0, 1]  # one in ten; never a user's only item
    both = torch.cat([data.train, data.validation]).tolist()
    assert sorted(map(tuple, both)) == [(0, i) for i in range(11)] + [(1, 3), (2, 4), (2, 5)]
    assert data.test.tolist() == [[0, 11], [1, 0]]
    assert torch.equal(load_lightgcn_files(tmp_path, seed=1).train, data.train)
    assert data.queries["known"].ids.squeeze(1).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("0 x\n", "0 1\n", "train.txt, line 1: got 'x'"),
        ("0 1 1\n", "0 2\n", "train.txt, line 1: item 1 stands twice for user 0"),
        ("0 1\n0 1\n", "0 2\n", "user 0 has item 1 in two lines"),
        ("0 1\n", "0 1\n", "user 0 has item 1 in train.txt, too"),
        ("0 1\n", "0 -2\n", "test.txt, line 1: got '-2'"),
        ("0\n", "0 1\n", "train.txt holds no interaction"),
        (None, "0 1\n", "train.txt does not exist"),
    ],
)
def test_damaged_lightgcn_files_are_named(tmp_path, train, test, message):
    for name, text in (("train.txt", train), ("test.txt", test)):
        if text is not None:
            (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_lightgcn_files(tmp_path)


# --- training --------------------------------------------------------------------------------------------------------


class Factors(nn.Module):
    def __init__(self, users, items):
        super().__init__()
        self.p, self.q = nn.Parameter(torch.randn(users, 4) * 0.1), nn.Parameter(torch.randn(items, 4) * 0.1)

    def scores(self, users):
        return self.p[users] @ self.q.T


def blocks() -> Interactions:
    """Two groups of people, each with its own half of 20 items."""
    g = torch.Generator().manual_seed(0)
    pairs = [(u, int(i) + 10 * (u % 2)) for u in range(40) for i in torch.randperm(10, generator=g)[:7]]
    parts = [[p for k, p in enumerate(pairs) if k % 7 in which] for which in (range(5), (5,), (6,))]
    return small(*parts, users=40, items=20)


def softmax_step(data):
    def step(model, batch, generator):
        users, items = data.train[batch].T
        return nn.functional.cross_entropy(model.p[users] @ model.q.T, items)

    return step


def test_fit_retrieval_learns_stops_and_resumes(tmp_path):
    data = blocks()
    options = {"lr": 0.05, "batch_size": 64, "progress": False, "monitor": "ndcg@20"}

    def run(epochs, checkpoint=None):
        seed_everything(0)
        model = Factors(40, 20)
        return model, fit_retrieval(model, data, softmax_step(data), epochs=epochs, checkpoint=checkpoint, **options)

    model, result = run(8)
    assert evaluate_retrieval(model, data, k=5)["recall@5"] > 0.9  # five items of one's own half are left
    assert result.task == "retrieval" and set(result.test) == {"recall@20", "ndcg@20"}
    run(3, tmp_path / "half")
    resumed, again = run(8, tmp_path / "half")
    torch.testing.assert_close(resumed.p, model.p)
    assert [e["train_loss"] for e in again.curve] == [e["train_loss"] for e in result.curve]


def test_fit_retrieval_refuses_bad_settings_and_losses():
    data = blocks()
    with pytest.raises(ValueError, match="lr above 0"):
        fit_retrieval(Factors(40, 20), data, softmax_step(data), lr=0)
    with pytest.raises(ValueError, match="unknown metric 'auc'"):
        fit_retrieval(Factors(40, 20), data, softmax_step(data), monitor="auc", progress=False)
    with pytest.raises(ValueError, match="the loss is nan in epoch 1"):
        fit_retrieval(Factors(40, 20), data, lambda m, b, g: m.p.sum() * math.nan, progress=False)
