"""Leave one out: the split, the published files, fair ties, negatives, and training by ranking."""

import itertools
import math

import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from recsys_lite.data.leave_one_out import LeaveOneOut, leave_one_out, load_ncf_files
from recsys_lite.data.movielens_files import read_raw
from recsys_lite.evaluation import evaluate_ranking, hit_rate, ndcg, place, places, score_all
from recsys_lite.evaluation import ranking as ranking
from recsys_lite.models import FM, NeuMF, Popularity
from recsys_lite.training import draw_negatives, epoch_rows, fit_ranking, seed_everything


@pytest.fixture(scope="module")
def movielens():
    return leave_one_out()


def small(users: int = 40, items: int = 130, seed: int = 0) -> LeaveOneOut:
    """Users of two kinds, even and odd, who like items of their kind; 99 negatives of any kind."""
    g = torch.Generator().manual_seed(seed)
    liked = [2 * torch.randperm(items // 2, generator=g)[:12] + u % 2 for u in range(users)]
    pairs = torch.cat([torch.stack([torch.full((10,), u), row[:10]], 1) for u, row in enumerate(liked)])
    chance = torch.rand(users, items, generator=g)
    for u, row in enumerate(liked):
        chance[u, row] = -1
    validation, test = torch.stack([row[10] for row in liked]), torch.stack([row[11] for row in liked])
    numbers = torch.arange(max(users, items)).numpy()
    return LeaveOneOut("small", pairs, validation, test, chance.topk(99, 1).indices, numbers[:users], numbers[:items])


class Scorer(torch.nn.Module):
    """Scores from a table (U, I), or the same for all pairs."""

    def __init__(self, table):
        super().__init__()
        self.table = table

    def forward(self, rows):
        user, item = rows.ids.long().T - 1
        return self.table[user, item] if self.table.dim() else self.table.expand(len(rows))


# --- metrics


def by_all_orders(above, tied, k):
    """Average over every order of the tied block, the target among it: the definition."""
    hits, gains = [], []
    for order in itertools.permutations(range(tied + 1)):  # 0 is the target
        position = above + order.index(0)
        hits.append(position < k)
        gains.append(1 / math.log2(position + 2) if position < k else 0.0)
    return sum(hits) / len(hits), sum(gains) / len(gains)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_ties_are_the_average_over_all_orders(k):
    for above, tied in itertools.product([0, 1, 2, 3, 9, 10, 11], range(6)):
        a, t = torch.tensor([above]), torch.tensor([tied])
        expected = by_all_orders(above, tied, k)
        assert (hit_rate(a, t, k).item(), ndcg(a, t, k).item()) == pytest.approx(expected, abs=1e-6)


def test_ties_by_hand():
    """Nine above and one tied: place 10 or 11, so half a hit and half of 1/log2(11)."""
    assert hit_rate(torch.tensor([9]), torch.tensor([1])).item() == 0.5
    assert ndcg(torch.tensor([9]), torch.tensor([1])).item() == pytest.approx(0.5 / math.log2(11))


def test_place_counts_rivals_only():
    scores = torch.tensor([[5.0, 2.0, 2.0, 1.0, 9.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    rival = torch.tensor([[True, True, True, True, False], [True, False, True, True, False]])
    above, tied = place(scores, torch.tensor([2.0, 0.0]), rival)
    assert above.tolist() == [1, 0] and tied.tolist() == [2, 3]


def test_a_score_that_is_nan_is_no_hit_but_an_error():
    with pytest.raises(ValueError, match="NaN"):
        evaluate_ranking(Scorer(torch.tensor(float("nan"))), small())


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_constant_scorer_hits_ten_of_a_hundred(movielens, part):
    found = evaluate_ranking(Scorer(torch.tensor(0.7)), movielens, part)
    assert found["hr@10 (99 neg)"] == pytest.approx(0.1, abs=1e-6)
    rivals = movielens.num_items - torch.bincount(movielens.train[:, 0]) - int(part == "test")
    assert found["hr@10"] == pytest.approx((10 / rivals).mean().item(), abs=1e-6)


def test_a_perfect_scorer_always_hits_and_the_worst_never(movielens):
    table = torch.zeros(movielens.num_users, movielens.num_items)
    table[torch.arange(movielens.num_users), movielens.test] = 1
    assert set(evaluate_ranking(Scorer(table), movielens).values()) == {1.0}
    assert set(evaluate_ranking(Scorer(-table), movielens).values()) == {0.0}


def test_items_known_by_then_are_no_rivals_and_later_ones_are():
    data = small()
    table = torch.zeros(40, 130)
    everybody = torch.arange(40)
    table[data.train[:, 0], data.train[:, 1]] = 3  # what training showed stands on top, but does not count
    table[everybody, data.test] = 2
    table[everybody, data.validation] = 1
    assert places(Scorer(table), data, "validation")[""][0].tolist() == [1] * 40  # the test item is above
    table[everybody, data.validation] = 3
    assert places(Scorer(table), data, "test")[""][0].tolist() == [0] * 40
    with pytest.raises(ValueError, match="unknown part 'train'"):
        places(Scorer(table), data, "train")


def test_a_held_out_item_among_its_own_negatives_is_no_rival():
    data = small()
    data.negatives[:, 0] = data.test
    above, tied = places(Scorer(torch.tensor(0.0)), data)[" (99 neg)"]
    assert above.tolist() == [0] * 40 and tied.tolist() == [98] * 40


def test_sampled_places_follow_the_hypergeometric_law_of_full_places(movielens):
    """The link between both kinds of metric: m of n rivals are drawn, each as likely as another."""
    table = torch.rand(movielens.num_users, movielens.num_items, generator=torch.Generator().manual_seed(3))
    found = places(Scorer(table), movielens)
    above = found[""][0].numpy()
    rivals = movielens.num_items - torch.bincount(movielens.train[:, 0]).numpy() - 2
    expected = stats.hypergeom.cdf(9, rivals, above, 99)
    hits = hit_rate(*found[" (99 neg)"]).numpy()
    assert hits.mean() == pytest.approx(expected.mean(), abs=4 * (expected * (1 - expected)).mean() ** 0.5 / 943**0.5)


def test_popularity_counts_training_only_and_is_the_same_for_all(movielens):
    scores = score_all(Popularity(movielens), movielens, torch.arange(3))
    assert (scores[0] == scores[2]).all() and scores[0].sum() == len(movielens.train)
    star_wars = list(movielens.items).index(50)
    assert scores[0, star_wars] == (movielens.train[:, 1] == star_wars).sum()


# --- data


def test_each_users_last_two_films_are_held_out(movielens):
    raw = read_raw().ratings
    for user in (1, 405, 943):
        own = raw[raw["user"] == str(user)].assign(film=lambda t: t["item"].astype(int))
        films = own.sort_values(["timestamp", "film"])["film"].tolist()
        k = list(movielens.users).index(user)
        mine = movielens.train[movielens.train[:, 0] == k, 1]
        assert movielens.items[mine].tolist() == films[:-2]
        assert movielens.items[[movielens.validation[k], movielens.test[k]]].tolist() == films[-2:]
    assert len(movielens.train) == 100_000 - 2 * 943


@pytest.mark.slow("draws negatives for every user")
def test_evaluation_negatives_were_never_rated_at_any_time_and_are_different(movielens):
    seen = movielens.mask("train", "validation", "test")
    assert seen.sum() == 100_000
    assert not seen[torch.arange(943)[:, None], movielens.negatives].any()
    assert all(len(set(row)) == 99 for row in movielens.negatives.tolist())
    assert (leave_one_out().negatives == movielens.negatives).all()
    assert (leave_one_out(seed=1).negatives != movielens.negatives).any()
    with pytest.raises(ValueError, match="user 405: fewer than 950 items to draw from"):
        leave_one_out(negatives=950)


def test_fields_number_users_and_films_as_the_tensors_do(movielens):
    user, item = movielens.fields()
    assert (
        item.vocabulary.label(int(movielens.rows(torch.tensor([0]), torch.tensor([49])).ids[0, 1]))
        == "Star Wars (1977)"
    )
    assert user.size == 944 and item.size == 1683
    assert user.vocabulary.decode(943) == "943"


PUBLISHED = {
    "train.rating": "0\t3\t5\t30\n0\t1\t4\t10\n1\t2\t3\t7\n1\t0\t3\t7\n0\t4\t1\t20\n",
    "test.rating": "0\t2\t4\t99\n1\t5\t4\t99\n",
    "test.negative": "(0,2)\t0\t5\t6\n(1,5)\t5\t3\t4\n",
}


def write(folder, changes=()):
    for kind, text in (PUBLISHED | dict(changes)).items():
        (folder / f"tiny.{kind}").write_text(text)
    return folder


def test_published_files_come_back(tmp_path):
    data = load_ncf_files(write(tmp_path), "tiny")
    assert data.train.tolist() == [[0, 1], [0, 4], [1, 2]]  # by time, ties by place in the file
    assert data.validation.tolist() == [3, 0] and data.test.tolist() == [2, 5]
    assert data.negatives.tolist() == [[0, 5, 6], [5, 3, 4]]
    assert (data.num_users, data.num_items) == (2, 7)
    found = places(Scorer(torch.tensor(0.0)), data)
    assert found[" (3 neg)"][1].tolist() == [3, 2]  # user 1's own test item among the negatives does not count
    model = FM(data.fields(), dim=2)
    assert score_all(model, data, torch.arange(2)).shape == (2, 7)


def test_test_lines_in_another_order_are_put_in_the_order_of_users(tmp_path):
    turned = {"test.rating": "1\t5\t4\n0\t2\t4\n", "test.negative": "(1,5)\t6\t3\t4\n(0,2)\t0\t5\t6\n"}
    data = load_ncf_files(write(tmp_path, turned), "tiny")
    assert data.test.tolist() == [2, 5] and data.negatives.tolist() == [[0, 5, 6], [6, 3, 4]]


def test_files_without_times_keep_their_order(tmp_path):
    train = "".join("\t".join(line.split("\t")[:3]) + "\n" for line in PUBLISHED["train.rating"].splitlines())
    assert load_ncf_files(write(tmp_path, {"train.rating": train}), "tiny").validation.tolist() == [4, 0]


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("train.rating", "", "tiny.train.rating is empty"),
        ("train.rating", "0\t1\n", "tiny.train.rating, line 1: got 2 columns, expected user, item, rating"),
        ("train.rating", "0\t1\t5\t3\n0\tx\t5\t3\n", "tiny.train.rating, line 2: item is 'x', expected a whole number"),
        ("train.rating", "-1\t1\t5\t3\n", "tiny.train.rating, line 1: user is '-1'"),
        ("train.rating", "0\t1\t5\t3.5\n", "tiny.train.rating, line 1: timestamp is '3.5'"),
        ("train.rating", "0\t1\t5\t1\n0\t3\t5\t2\n1\t0\t5\t1\n", "user number 1 has 1 interactions, expected"),
        ("train.rating", "0\t1\t5\t1\n0\t2\t5\t2\n1\t0\t5\t1\n", "train.rating, line 2: this is the user's test item"),
        ("test.rating", "0\t2\t4\t99\n0\t5\t4\t99\n", r"tiny.test.negative, line 2: starts with '\(1,5\)'"),
        ("test.negative", "(0,2)\t0\t5\t6\n", "tiny.test.negative: got 1 lines, expected 2"),
        ("test.negative", "(0,2)\t0\n(1,5)\t3\n(1,5)\t3\n", "negative, line 3: the test file has only 2 lines"),
        ("test.negative", "(0,2)\t0\t5\t6\n(1,5)\t3\t4\n", "tiny.test.negative, line 2: got 2 negatives, expected 3"),
        ("test.negative", "(0,2)\t0\tx\t6\n(1,5)\t3\t4\t6\n", "tiny.test.negative, line 1: a negative is 'x'"),
        ("test.negative", "(0,2)\n(1,5)\n", "line 1: got 0 negatives, expected at least 1"),
    ],
)  # fmt: skip
def test_damaged_files_are_named_with_their_line(tmp_path, kind, text, message):
    with pytest.raises(ValueError, match=message):
        load_ncf_files(write(tmp_path, {kind: text}), "tiny")


def test_a_user_without_a_test_line_and_a_missing_file_are_named(tmp_path):
    changes = {"test.rating": "1\t5\t4\n", "test.negative": "(1,5)\t6\t3\t4\n"}
    with pytest.raises(ValueError, match=r"tiny.test.rating: user 0 has 0 lines, expected 1"):
        load_ncf_files(write(tmp_path, changes), "tiny")
    (tmp_path / "tiny.test.negative").unlink()
    with pytest.raises(ValueError, match=r"tiny.test.negative does not exist"):
        load_ncf_files(tmp_path, "tiny")


# --- negatives of training


def test_held_out_and_training_items_are_never_drawn(movielens):
    forbidden = movielens.mask("train", "validation", "test")
    for epoch in (1, 2):
        rows = epoch_rows(movielens, forbidden, 4, 0, epoch)
        negative = rows.ids[rows.label == 0].long() - 1
        assert len(negative) == 4 * len(movielens.train) and not forbidden[negative[:, 0], negative[:, 1]].any()
        positive = rows.ids[rows.label == 1].long() - 1
        assert (positive == movielens.train).all()


def test_without_sparing_the_test_item_is_drawn_sometimes(movielens):
    """The check above can fail: with the authors' rule, held-out items do become negatives."""
    rows = epoch_rows(movielens, movielens.mask("train"), 4, 0, 1)
    negative = rows.ids[rows.label == 0].long() - 1
    assert (movielens.test[negative[:, 0]] == negative[:, 1]).sum() > 20


@pytest.mark.parametrize("spared", [True, False])
def test_sparing_held_out_items_tells_which_they_are(movielens, spared):
    """A scorer that only counts how often a pair was drawn, and prefers those that never were, knows nothing."""
    forbidden = movielens.mask("train", "validation", "test") if spared else movielens.mask("train")
    drawn = torch.zeros(movielens.num_users, movielens.num_items)
    for epoch in range(1, 11):
        rows = epoch_rows(movielens, forbidden, 4, 0, epoch)
        user, item = (rows.ids[rows.label == 0].long() - 1).T
        drawn.index_put_((user, item), torch.ones(len(user)), accumulate=True)
    hits, chance = (evaluate_ranking(Scorer(t), movielens)["hr@10"] for t in (-drawn, torch.tensor(0.0)))
    assert hits > 0.1 if spared else hits < 3 * chance


def test_negatives_differ_between_epochs_and_seeds_and_are_equal_for_equal_ones():
    data = small()
    draw = lambda seed, epoch: epoch_rows(data, data.mask("train"), 4, seed, epoch).ids  # noqa: E731
    assert (draw(0, 1) == draw(0, 1)).all()
    assert (draw(0, 1) != draw(0, 2)).any() and (draw(0, 1) != draw(1, 1)).any()


def test_negatives_are_uniform_over_what_is_allowed():
    forbidden = torch.zeros(1, 10, dtype=torch.bool)
    forbidden[0, [2, 3, 7]] = True
    drawn = draw_negatives(forbidden, torch.zeros(7000, dtype=torch.int64), 4, torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn.flatten(), minlength=10)
    assert counts[[2, 3, 7]].sum() == 0
    assert stats.chisquare(counts[~forbidden[0]].numpy()).pvalue > 1e-3
    with pytest.raises(ValueError, match="user number 0 has no item left"):
        draw_negatives(~torch.zeros(1, 3, dtype=torch.bool), torch.tensor([0]), 1, torch.Generator())


# --- training

QUICK = {"epochs": 4, "batch_size": 128, "lr": 0.02, "progress": False, "patience": 9}


def fresh(data):
    seed_everything(1)
    return FM(data.fields(), dim=4, std=0.1)


def test_the_test_items_are_looked_at_at_the_end_unless_they_must_not():
    data, quick = small(), {**QUICK, "epochs": 1}
    assert fit_ranking(fresh(data), data, **quick).test
    assert not fit_ranking(fresh(data), data, **quick, evaluate_test=False).test


def test_training_finds_the_kind_of_a_user_that_popularity_cannot_know():
    data = small(users=200)
    found = fit_ranking(fresh(data), data, **(QUICK | {"epochs": 15})).test
    by_count = evaluate_ranking(Popularity(data), data)
    assert found["hr@10 (99 neg)"] > 0.17 > 0.13 > by_count["hr@10 (99 neg)"]  # knowing the kind: 10 of 50


def test_the_same_seed_gives_the_same_run_and_redrawing_matters():
    data = small()
    a, b, c = (fit_ranking(fresh(data), data, seed=0, redraw=r, **QUICK) for r in (True, True, False))
    assert a.curve == b.curve and a.curve[0] == c.curve[0] and a.curve[1] != c.curve[1]
    assert a.settings["negatives"] == 4 and a.task == "leave-one-out"


def test_the_test_item_changes_nothing_but_the_test_metrics():
    data, other = small(), small()
    other.test.copy_(other.negatives[:, 0])
    a, b = (fit_ranking(fresh(d), d, spare_held_out=False, **QUICK) for d in (data, other))
    assert a.curve == b.curve and a.validation == b.validation and a.test != b.test


def test_a_start_that_is_best_is_kept_untouched():
    data = small()
    table = torch.zeros(40, 130)
    table[torch.arange(40), data.validation] = 30
    model = Scorer(torch.nn.Parameter(table))  # knows the validation items; training can only spoil it
    result = fit_ranking(model, data, **(QUICK | {"lr": 50.0, "spare_held_out": False, "patience": 2}))
    assert result.best_epoch == 0 and len(result.curve) == 2 and result.validation["hr@10"] == 1
    assert_close(model.table.data, table, rtol=0, atol=0)


def test_a_resumed_run_equals_an_unbroken_one(tmp_path):
    data = small()
    whole = fit_ranking(fresh(data), data, **QUICK)
    fit_ranking(fresh(data), data, **(QUICK | {"epochs": 2}), checkpoint=tmp_path / "run")
    assert fit_ranking(fresh(data), data, **QUICK, checkpoint=tmp_path / "run").curve == whole.curve


def test_an_optimiser_of_ones_own_is_used():
    data = small()
    result = fit_ranking(fresh(data), data, optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=1e-12), **QUICK)
    assert result.settings["optimizer"] == "custom"
    first, last = result.curve[0], result.curve[-1]
    assert first["ndcg@10"] == last["ndcg@10"]  # such steps change nothing


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"negatives": 0}, "negatives=0"),
        ({"lr": 0}, "lr=0"),
        ({"monitor": "auc"}, "unknown metric 'auc'"),
        ({"lr": 1e30}, "loss is"),
    ],
)
def test_fit_ranking_names_what_is_wrong(change, message):
    data = small()
    with pytest.raises(ValueError, match=message):
        fit_ranking(fresh(data), data, **(QUICK | change))


def test_scoring_leaves_the_mode_alone():
    data = small()
    model = NeuMF(data.fields()).train()
    evaluate_ranking(model, data)
    assert model.training and ranking.K == 10
