"""The chapter's own code: loops, vectors and module agree with the library; its guards bite; its planted case holds."""

import json
import math
import re
import sys
from types import SimpleNamespace

import pytest
import torch
from notebook_code import ROOT, definitions, read_back
from torch.nn.functional import cross_entropy, normalize
from torch.testing import assert_close

from recsys_lite.evaluation import compare_runs
from recsys_lite.evaluation.tuned_retrievers import mean_of
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.models.two_towers import TwoTowers
from recsys_lite.retrieval import ExactIndex
from recsys_lite.store import RESULTS, read_json
from recsys_lite.training import in_batch_softmax

sys.path.insert(0, str(ROOT / "tools"))

import primer

chapter = definitions("book/two_towers.ipynb")


def vectors(rows, width, seed=0):
    g = torch.Generator().manual_seed(seed)
    u, v = (normalize(torch.randn(rows, width, generator=g, dtype=torch.float64), dim=1) for _ in "uv")
    return u.requires_grad_(), v.requires_grad_(), torch.randint(3, (rows,), generator=g)


@pytest.mark.parametrize("rows,width", [(1, 1), (3, 2), (8, 5)])
@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_loops_vectors_and_library_agree_in_value_and_gradient(rows, width, temperature):
    u, v, items = vectors(rows, width)
    log_q = torch.tensor([0.5, 0.3, 0.2]).double().log()[items]
    values = [
        chapter.loss_loops(u, v, items, log_q, temperature), chapter.loss_fast(u, v, items, log_q, temperature),
        in_batch_softmax(u @ v.T, items, log_q, temperature),
    ]  # fmt: skip
    gradients = [torch.autograd.grad(value, (u, v), retain_graph=True) for value in values]
    for value, gradient in zip(values[1:], gradients[1:], strict=True):
        assert_close(value, values[0])
        assert_close(gradient, gradients[0])


def test_the_module_with_copied_weights_is_the_librarys_towers():
    film = Vocabulary(range(6))
    fields = (
        Field("user", "categorical", Vocabulary(range(4))), Field("history", "history", film, length=4),
        Field("item", "categorical", film), Field("genres", "multi_hot", Vocabulary(["a", "b"]), length=2),
    )  # fmt: skip
    names = ["user", "history"], ["item", "genres"]
    torch.manual_seed(0)
    library = TwoTowers(fields, *names, dim=3, hidden=(4,), out=5, similarity="cosine")
    with torch.no_grad():
        for p in library.parameters():
            p.normal_(std=0.5)
    scratch = chapter.ScratchTowers(5, 7, 3, 3, 4, 5)
    for own, tower, split in ((scratch.query, library.query_tower, 5), (scratch.candidate, library.candidate_tower, 7)):
        table, mlp = tower.embedding.table.weight, tower.mlp.state_dict()
        state = {f"{a}.{w}": mlp[f"{b}.{w}"] for a, b in (("first", 0), ("last", 2)) for w in ("weight", "bias")}
        own.load_state_dict({"value": table[:split], "bag": table[split:], **state})
    user, history, item, genre = chapter.some_rows(9)
    query = Rows(user[:, None].int(), torch.zeros(9, 0), {"history": history.int()})
    candidate = Rows(item[:, None].int(), torch.zeros(9, 0), {"genres": genre.int()})
    ours = scratch(user, history, item, genre)
    theirs = library.query(query), library.candidate(candidate)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b)
    for u, v in (ours, theirs):
        in_batch_softmax(u @ v.T, item, torch.zeros(9), 0.2).backward()
    grads = torch.cat([scratch.candidate.value.grad, scratch.candidate.bag.grad])
    assert grads.abs().sum() > 0
    assert_close(library.candidate_tower.embedding.table.weight.grad, grads)
    assert_close(library.query_tower.mlp[0].weight.grad, scratch.query.first.weight.grad)


def test_sorted_products_are_the_exact_index():
    g = torch.Generator().manual_seed(1)
    films, queries = torch.randn(40, 3, generator=g).double(), torch.randn(6, 3, generator=g).double()
    loops = [chapter.best_loops(u.tolist(), films.tolist(), 5) for u in queries]
    assert loops == ExactIndex(films).search(queries, 5)[1].tolist()


def test_each_guard_passes_right_code_and_catches_wrong_code():
    right = {"recovers": chapter.recovers, "no_pull": chapter.no_pull, "size": chapter.size}
    assert all(check(chapter.loss_fast) for check in right.values())

    def library(u, v, items, log_q, t):
        return in_batch_softmax(u @ v.T, items, log_q, t)

    assert all(check(library) for check in right.values())
    assert not chapter.recovers(chapter.added) and not chapter.recovers(chapter.corrected_first)
    assert not chapter.no_pull(chapter.hits_kept) and not chapter.size(chapter.summed)


@pytest.mark.parametrize("uniform", [False, True])
def test_planted_tables_are_softmaxes_and_the_control_is_equally_popular(uniform):
    p = chapter.planted(0, uniform)
    assert_close(p.sum(1), torch.ones(6))
    share = p.mean(0)
    assert (share.max() / share.min() < 1.001) == uniform
    assert (chapter.planted(0, uniform) == p).all() and (chapter.planted(1, uniform) != p).any()


def test_the_planted_softmax_is_recovered_only_with_the_correction():
    p = chapter.planted(3)
    ratio = p / p.mean(0)
    ratio = ratio / ratio.sum(1, keepdim=True)
    learned = {
        "all": chapter.learn(p, lambda s, y, q, rows: cross_entropy(rows, y), 3),
        "corrected": chapter.learn(p, lambda s, y, q, rows: in_batch_softmax(s, y, q, remove_hits=False), 3),
        "plain": chapter.learn(p, lambda s, y, q, rows: in_batch_softmax(s, y, remove_hits=False), 3),
    }
    away = {name: chapter.distance(p, scores) for name, scores in learned.items()}
    assert max(away["all"], away["corrected"]) < 0.02 < 0.2 < away["plain"]
    assert chapter.distance(ratio, learned["plain"]) < 0.02
    assert math.isclose(chapter.distance(p, p.log()), 0, abs_tol=1e-6)


def test_the_nearest_vectors_leave_out_the_film_itself():
    films = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [2.0, 0.1]])
    assert chapter.nearest(films, films[0], 0, 2) == [3, 1]
    assert chapter.nearest(films, films[0], None, 1) == [0]


def test_the_share_of_a_stream_is_one_over_the_gap_between_sightings():
    assert chapter.stream([0, 1, 0, 1, 0, 1], 2, rate=1.0).tolist() == [1 / 2, 1 / 2]
    assert chapter.stream([0, 0, 1, 0, 0], 2, rate=1.0).tolist() == [
        1.0,
        1 / 3,
    ]  # the last gaps: 1, and 3 from the start
    g = torch.Generator().manual_seed(0)
    share = torch.tensor([0.6, 0.3, 0.1])
    found = chapter.stream(torch.multinomial(share, 20_000, True, generator=g).tolist(), 3)
    assert_close(found, share, rtol=0.25, atol=0)


def test_uniform_negatives_push_films_that_nobody_takes_to_the_end():
    assert chapter.never_taken(0, 5) < 18 < 22 < chapter.never_taken(64, 5)


def verdict(a, b):
    return compare_runs(a, b, metric="ndcg@20", paired=True)


@pytest.mark.parametrize(("found", "claimed", "says"), [
    (verdict([0.32, 0.33, 0.34], [0.20, 0.21, 0.22]), 1.0, "agrees"),
    (verdict([0.32, 0.33, 0.34], [0.20, 0.21, 0.22]), -1.0, "disagrees"),
    (verdict([0.200, 0.211, 0.220], [0.201, 0.210, 0.221]), 1.0, "disagrees: no difference that matters"),
    (verdict([0.30, 0.10, 0.34], [0.20, 0.21, 0.22]), 1.0, "cannot be tested here: ≥ "),
])  # fmt: skip
def test_what_is_said_of_a_claim_follows_from_the_verdict(found, claimed, says):
    assert chapter.reading(found, claimed).startswith(says)


def test_a_new_film_has_no_id_and_the_features_that_it_is_given():
    words = Vocabulary(["toy", "story"])
    genres = Vocabulary(["a", "b"])
    side = (
        Field("item", "categorical", Vocabulary(range(3))), Field("genres", "multi_hot", genres, length=2),
        Field("release_year", "categorical", Vocabulary(["1997"])), Field("title", "multi_hot", words, length=3),
    )  # fmt: skip
    chapter.new_film.__globals__["movielens"] = SimpleNamespace(candidate_fields=side)
    row = chapter.new_film(["b"], "1997", ["toy"])
    assert row.ids.tolist() == [[0, 1]]
    assert row.bags["genres"].tolist() == [[2, -1]] and row.bags["title"].tolist() == [[1, -1, -1]]


# What the reader sees


def test_sentences_hold_the_stored_results():
    _, text = read_back("two_towers")
    record = read_json(RESULTS / "tuned_towers.json")
    for arm, how in (("cosine", "plain"), ("ease by age", "plain"), ("cosine, not corrected", "log q added")):
        said = f"{mean_of(record, arm, how):.3f}"
        assert said in text, "run tools/execute.py book/two_towers.ipynb again"
    assert "no difference." not in text and "nan" not in text


def test_the_primers_section_is_answered_under_headings_that_exist():
    entries = json.loads((ROOT / "book" / "primer" / "two_towers.json").read_text(encoding="utf-8"))
    answered = {line for e in entries for line in range(e["lines"][0], e["lines"][1] + 1)}
    assert {776, 777, 778, 780, *range(782, 799), 825, 844} <= answered
    assert {e["where"] for e in entries} <= set(primer.headings("two_towers"))
    assert not any(re.search(r"0\.\d", e["short"]) for e in entries)  # no typed results
