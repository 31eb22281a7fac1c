"""Stages that keep ever fewer items, rows for any user and film, and the rule of the screen."""

import numpy as np
import pytest
import tiny
import torch
from torch.testing import assert_close

from bench.retrieval import funnel as bench
from recsys_lite import data
from recsys_lite.data.interactions import interactions
from recsys_lite.evaluation import per_user
from recsys_lite.models import FM, SplitNetwork
from recsys_lite.models.neighbours import ItemSums
from recsys_lite.retrieval import (
    Funnel,
    Pairs,
    Stage,
    arrange,
    best,
    by_item_sums,
    by_model,
    by_retriever,
    by_split_network,
    by_turns,
    logits,
    moments,
    open_items,
    quality,
    variety,
)

CLICKS = data.load("movielens-100k")
PAIRS = Pairs(CLICKS)
FILM_COLUMN = [f.name for f in CLICKS.fields if f.kind == "categorical"].index("item")


def films_of(rows):
    """Numbers of the films in rows; only rows whose film has a row of its own."""
    number = {row: k for k, row in enumerate(PAIRS.films.ids[:, FILM_COLUMN].tolist()) if row}
    rows = rows[rows.ids[:, FILM_COLUMN] > 0]
    return rows, torch.tensor([number[r] for r in rows.ids[:, FILM_COLUMN].tolist()])


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_rows_of_the_data_set_are_made_again_exactly(part):
    rows, items = films_of(getattr(CLICKS, part)[:5000])
    made = PAIRS.rows(rows, items[:, None])
    assert len(made) > 4900 and torch.equal(made.ids, rows.ids) and torch.equal(made.numeric, rows.numeric)
    assert made.bags.keys() == rows.bags.keys() and all(torch.equal(made.bags[n], rows.bags[n]) for n in rows.bags)
    assert made.label is None


def test_every_film_has_columns_also_one_that_no_row_shows():
    films = interactions()
    assert len(PAIRS.films) == films.num_items == 1682
    raw = [CLICKS.field("item").vocabulary.decode(r) for r in PAIRS.films.ids[:, FILM_COLUMN].tolist()]
    known = [k for k, name in enumerate(raw) if name != "<unseen>"]
    assert len(known) > 1600 and all(raw[k] == str(films.items[k]) for k in known)
    assert ((PAIRS.films.bags["genres"] >= 0).any(1)).float().mean() > 0.99


def test_a_moment_is_the_users_first_row_and_goes_with_each_film():
    request = moments(CLICKS.test)
    assert request.group.tolist() == sorted(set(CLICKS.test.group.tolist())) and len(request) == 943
    first = (CLICKS.test.group == request.group[5]).nonzero()[0].item()
    assert torch.equal(request.bags["history"][5], CLICKS.test.bags["history"][first])
    rows = PAIRS.rows(request[:2], torch.tensor([[3, 4, 5], [6, 7, 8]]))
    assert rows.ids[:, 0].tolist() == [request.ids[0, 0]] * 3 + [request.ids[1, 0]] * 3
    assert rows.ids[:, FILM_COLUMN].tolist() == PAIRS.films.ids[3:9, FILM_COLUMN].tolist()


def test_pairs_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="got 2 moments and films for 1"):
        PAIRS.rows(CLICKS.test[:2], torch.zeros(1, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="no films in its extras"):
        Pairs(data.load("criteo-sample"))
    with pytest.raises(ValueError, match="belong to users"):
        moments(data.load("criteo-sample").test)


def test_best_keeps_the_highest_and_never_an_empty_place():
    scores, items = torch.tensor([[9.0, 1, 5, 7]]), torch.tensor([[-1, 4, 6, 2]])
    assert best(scores, items, 2).tolist() == [[2, 6]]
    assert best(scores, items, 9).tolist() == [[2, 6, 4, -1]]


def test_a_funnel_narrows_and_its_recall_never_rises():
    g = torch.Generator().manual_seed(0)
    tables = [torch.randn(6, 40, generator=g) for _ in range(3)]
    look = lambda t: lambda users, items: t[users].gather(1, items.clamp(min=0))  # noqa: E731
    funnel = Funnel(tuple(Stage(n, k, look(t)) for n, k, t in zip("abc", (20, 10, 5), tables, strict=True)))
    start = open_items(torch.rand(6, 40, generator=g) < 0.3)
    kept, wanted = funnel.run(torch.arange(6), start), torch.rand(6, 40, generator=g) < 0.2
    sets = [[set(row.tolist()) for row in items] for items in (start, *kept.values())]
    assert all(
        small <= large for a, b in zip(sets[1:], sets[:-1], strict=True) for small, large in zip(a, b, strict=True)
    )
    recalls = [quality(items, wanted)["recall"].mean() for items in kept.values()]
    assert recalls == sorted(recalls, reverse=True)
    last = kept["c"].clamp(min=0)
    assert (tables[2].gather(1, last).diff() <= 0).all()  # the last stage's order
    whole = Funnel((Stage("all", 40, look(tables[0])), Stage("c", 5, look(tables[2])))).run(torch.arange(6), start)
    assert torch.equal(whole["c"], best(look(tables[2])(torch.arange(6), start), start, 5))


def test_funnels_refuse_what_makes_no_sense():
    stage = Stage("a", 3, lambda users, items: items.float())
    for stages, words in [((), "names of their own"), ((stage, stage), "names of their own")]:
        with pytest.raises(ValueError, match=words):
            Funnel(stages)
    with pytest.raises(ValueError, match="cannot keep more"):
        Funnel((stage, Stage("b", 4, stage.scores)))
    with pytest.raises(ValueError, match="keep must be at least 1, got 0"):
        Stage("a", 0, stage.scores)
    with pytest.raises(ValueError, match="got 2 users and 1 lists"):
        Funnel((stage,)).run(torch.arange(2), torch.zeros(1, 4, dtype=torch.long))


@pytest.mark.slow("ranks every film for every user, twice")
def test_quality_is_that_of_full_ranking():
    films = interactions()
    torch.manual_seed(0)
    table = torch.randn(films.num_users, films.num_items)
    retriever = ItemSums(torch.eye(films.num_users), table)
    start = open_items(films.mask("train", "validation"))
    kept = best(by_retriever(retriever)(torch.arange(films.num_users), start), start, 20)
    expected = per_user(retriever, films, "test", 20)
    got = quality(kept, films.mask("test"))
    np.testing.assert_allclose(got["recall"], expected["recall"], atol=1e-9)
    np.testing.assert_allclose(got["ndcg"], expected["ndcg"], atol=1e-9)
    short = quality(torch.tensor([[1, -1]]), torch.tensor([[True, True]]), 10)  # an empty place is no hit
    assert short["recall"][0] == 0.5
    with pytest.raises(ValueError, match="nothing to be found"):
        quality(kept[:1], torch.zeros(1, films.num_items, dtype=torch.bool))


def test_scores_by_stages_agree_with_the_models():
    request, users = moments(CLICKS.test), torch.tensor([3, 8])
    items = torch.tensor([[5, 900, 17], [1681, 0, -1]])
    fm, split = (tiny.filled(m, 0.3).eval() for m in (FM(CLICKS.fields, dim=4), SplitNetwork(CLICKS.fields, dim=4)))
    rows = PAIRS.rows(request[users], items.clamp(min=0))
    with torch.no_grad():
        assert_close(by_model(fm, PAIRS, request)(users, items).flatten(), fm(rows))
        assert_close(by_split_network(split, PAIRS, request)(users, items).flatten(), split(rows), rtol=1e-4, atol=1e-4)
    assert_close(logits(fm, rows, batch=4), logits(fm, rows))
    sums = ItemSums(
        (torch.rand(9, 1682) < 0.1) * torch.rand(9, 1682), torch.randn(1682, 1682)
    )  # weights, not only ones
    assert_close(by_item_sums(sums)(users, items), by_retriever(sums)(users, items), rtol=1e-4, atol=1e-4)


def test_sources_take_turns():
    a, b = ({0: [0, 1, 2, 3], 1: [3, 0, 2, 1]}[k] for k in range(2))  # their orders

    def as_scores(order):
        return lambda users, items: -torch.tensor([[float(order.index(i)) for i in row] for row in items.tolist()])

    items = torch.arange(4)[None]
    merged = best(by_turns(as_scores(a), as_scores(b))(torch.tensor([0]), items), items, 4)
    assert merged.tolist() == [[0, 3, 1, 2]]  # a's first, b's first, a's second (b's second is a's first), …
    with pytest.raises(ValueError, match="no sources"):
        by_turns()


def test_the_rule_of_the_screen():
    groups = [frozenset(g) for g in ("a", "a", "ab", "b", "c", "")]
    assert arrange(range(6), groups, 4, 1) == [0, 3, 4, 5]
    assert arrange([0, 1, 2], groups, 3, 1) == [0, 1, 2]  # nothing fits: the best that is left
    assert arrange([4, -1, -1], groups, 3, 1) == [4]
    assert arrange(range(6), groups, 6, 9) == [0, 1, 2, 3, 4, 5]  # a rule that never binds
    assert variety([0, 1], groups) == (1, 0.0) and variety([0, 4], groups) == (2, 1.0)
    assert variety([0, 2], groups) == (2, 0.5)
    with pytest.raises(ValueError, match="at least 1, got 0 and 1"):
        arrange([1], groups, 0, 1)


@pytest.mark.slow("draws negatives for every user")
def test_drawn_negatives_spare_only_what_is_known():
    films = interactions()
    taken, part = films.mask("train"), CLICKS.train[:6000]
    clicks = int(part.label.sum())
    lists = torch.arange(200).expand(films.num_users, -1)
    for some in (None, lists):
        rows = bench.redrawn(part, taken, 0, some)
        assert len(rows) == 3 * clicks and rows.label.sum() == clicks
        again, items = films_of(rows[rows.label == 0])
        user = torch.from_numpy(np.searchsorted(films.users, again.group.numpy()))
        assert not taken[user, items].any()
        assert films.mask("test")[user, items].any()  # test films are drawn like others
        assert ((items < 200).float().mean() > 0.3) == (some is not None)
    spared, items = films_of(CLICKS.train[CLICKS.train.label == 0])
    user = torch.from_numpy(np.searchsorted(films.users, spared.group.numpy()))
    assert not films.mask("test")[user, items].any()  # the leaderboard's rule never draws one


def test_jobs_of_the_benchmark():
    record = {"tuning": [], "runs": [], "timings": []}
    assert {j[1] for j in bench.missing(record)} == {"ease"} and len(bench.missing(record)) == len(bench.L2)
    record["tuning"] = [{"kind": "ease", "l2": v, "seed": 0, "bound": -abs(v - 500)} for v in bench.L2]
    assert [j[:4] for j in bench.missing(record)] == [
        ("tuning", k, bench.TUNING_SEED, 500.0) for k in ("open", "retrieved")
    ]
    cell = lambda n, w: {"design": "retrieval, medium, heavy", "widths": w, "ndcg": n}  # noqa: E731
    for kind, best_ndcg in (("open", 0.1), ("retrieved", 0.2)):
        cells = [cell(best_ndcg, [200, 50]), cell(0.05, [50, 20]), {"design": "heavy", "widths": [], "ndcg": 9.0}]
        record["tuning"].append({"kind": kind, "seed": bench.TUNING_SEED, "designs": cells})
    assert bench.choose(record["tuning"]) == (500.0, [200, 50], "retrieved")
    jobs = bench.missing(record)
    assert [j[:3] for j in jobs[:6]] == [("runs", "retrieved", s) for s in range(5)] + [("timings", "one request", 0)]
    assert all(j[4] == ([200, 50] if j[1] == "retrieved" else []) for j in jobs) and len(jobs) == 5 + 10 + 1
    record["runs"] = [{"kind": j[1], "seed": j[2]} for j in jobs if j[0] == "runs"]
    assert [j[0] for j in bench.missing(record)] == ["timings"]
