"""The chapter's own code: heads in three forms against the library, FM as towers, guards, planted data."""

import pytest
import tiny
import torch
from notebook_code import definitions, read_back
from torch.testing import assert_close

from recsys_lite.evaluation import auc, compare_runs, compare_stored
from recsys_lite.fields import choose_columns, swap
from recsys_lite.models import FM, SplitNetwork, TwoTowers
from recsys_lite.store import RESULTS, read_json

chapter = definitions("book/split_network.ipynb")
SIDES = {"query": ("user", "history"), "candidate": ("item", "genres"), "out": 6, "hidden": (8,), "dim": 4}


def library_head(model):
    linear = [layer for layer in model.head if isinstance(layer, torch.nn.Linear)]
    return [(layer.weight, layer.bias) for layer in linear]


@pytest.mark.parametrize("widths", [(), (1,), (5,), (4, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_loops_pairs_and_folded_form_agree_in_value_and_gradient(widths, seed):
    u, v, layers = chapter.random_head(3, 4, widths, seed)
    everything = [u, v, *(p for layer in layers for p in layer)]
    slow = torch.stack([torch.stack([chapter.head_loops(a, b, layers) for b in v]) for a in u])
    fast = chapter.head_fast(u.repeat_interleave(3, 0), v.repeat(3, 1), layers).view(3, 3)
    folded = torch.stack([chapter.head_folded(a, v, layers) for a in u])
    expected = torch.autograd.grad(slow.sin().sum(), everything)
    for form in (fast, folded):
        assert_close(form, slow)
        assert_close(torch.autograd.grad(form.sin().sum(), everything, retain_graph=True), expected)


@pytest.mark.parametrize("head", [(), (5,), (7, 3)])
def test_the_chapters_head_on_the_librarys_vectors_is_the_librarys_model(head):
    model, rows = tiny.filled(SplitNetwork(tiny.FIELDS, **SIDES, head=head)).eval(), tiny.rows(20)
    u = model.query(choose_columns(tiny.FIELDS, rows, SIDES["query"]))
    v = model.candidate(choose_columns(tiny.FIELDS, rows, SIDES["candidate"]))
    assert_close(chapter.head_fast(u, v, library_head(model)), model(rows), rtol=1e-4, atol=1e-4)
    assert_close(chapter.head_folded(u[3], v, library_head(model)), model.score_all(u, v)[3], rtol=1e-4, atol=1e-4)


def test_the_module_with_copied_weights_is_the_librarys_model():
    library = tiny.filled(
        SplitNetwork(tiny.FIELDS, head=(5,), query=["user"], candidate=["item"], dim=4, hidden=(6,), out=3)
    )
    scratch = chapter.ScratchSplit([9], [7], 4, 6, 3, 5)
    theirs = [p for p in library.parameters() if p.requires_grad]
    by_shape = {n: p for n, p in library.named_parameters() if p.requires_grad}
    names = {f"tables.{k}": f"towers.{s}_tower.embedding.table.weight" for k, s in enumerate(("query", "candidate"))}
    for p in ("weight", "bias"):
        for k, side in enumerate(("query", "candidate")):
            names |= {f"towers.{k}.{n}.{p}": f"towers.{side}_tower.mlp.{n}.{p}" for n in (0, 2)}
        names |= {f"head.{k}.{p}": f"head.{2 * k}.{p}" for k in (0, 1)}
    assert set(names) == set(dict(scratch.named_parameters())) and len(names) == len(theirs)
    scratch.load_state_dict({ours: by_shape[other].detach() for ours, other in names.items()})
    rows = tiny.rows(30)
    z = scratch(rows.ids[:, :1].long(), rows.ids[:, 1:].long())
    assert_close(z, library(rows), rtol=1e-4, atol=1e-4)
    z.sin().sum().backward()
    library(rows).sin().sum().backward()
    for name, p in scratch.named_parameters():
        assert_close(p.grad, by_shape[names[name]].grad, rtol=1e-3, atol=1e-4)


def test_a_dot_head_has_the_towers_gradients():
    towers, rows = tiny.filled(TwoTowers(tiny.FIELDS, **SIDES)), tiny.rows(40)
    split = SplitNetwork.from_towers(towers, (4,))
    ours = chapter.tower_gradients(split, split.towers, rows)
    theirs = chapter.tower_gradients(towers, towers, rows)
    assert len(ours) == len(list(towers.parameters())) - 1
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("query", [("user", "history"), ("user", "price", "genres")])
def test_fm_is_a_product_of_sides_that_do_not_know_each_other(query):
    model, rows = tiny.filled(FM(tiny.FIELDS, dim=4)), tiny.rows(30)
    U, V, of_request, of_film = chapter.fm_sides(model, rows, query)
    assert_close((U * V).sum(1) + of_request + of_film, model(rows), rtol=1e-4, atol=1e-4)
    other = tiny.rows(30, seed=5)
    swapped = chapter.fm_sides(model, swap(tiny.FIELDS, rows, query, other), query)
    assert_close(swapped[1], V)
    assert_close(swapped[3], of_film)
    assert not torch.allclose(swapped[0], U)


def test_the_three_questions_pass_the_right_server_and_catch_each_mistake():
    assert chapter.answers(chapter.right) == (True, True, True)
    assert chapter.answers(chapter.user_kept) == (True, False, False)  # a second user is needed
    assert chapter.answers(chapter.kept_after_relu) == (False, False, False)
    assert chapter.answers(chapter.wrong_side) == (False, False, True)


def test_one_reason_is_the_larger_product():
    p = torch.randn(100, 2)
    assert_close(chapter.one_reason(p), p.max(1).values)


@pytest.mark.parametrize("kind", ["largest", "sum"])
def test_planted_rows_follow_their_truth(kind):
    x, y, chance = chapter.planted(kind, 4)
    products = x[:, :4] * x[:, 4:]
    score = products.max(1).values if kind == "largest" else products.sum(1)
    assert auc(y, score) == pytest.approx(auc(y, chance)) and auc(y, chance) > 0.85
    assert 0.4 < y.mean() < 0.6 and x.shape == (9000, 8)


def test_models_side_by_side_do_not_know_each_other_and_meet_as_they_say():
    torch.manual_seed(0)
    x = torch.randn(3, 7, 8)
    for head, product in ((), True), ((5,), True), ((5,), False):
        model = chapter.SideBySide(3, (6, 4), head, product)
        z = model(x)
        changed = x.clone()
        changed[1] += 1
        assert_close(model(changed)[[0, 2]], z[[0, 2]])
        assert not torch.allclose(model(changed)[1], z[1])
        u, v = (
            torch.relu(part @ first[0][2] + first[1][2]) @ last[0][2] + last[1][2]
            for (first, last), part in zip(model.sides, x[2].split(4, 1), strict=True)
        )
        if not head:
            assert_close(z[2], (u * v).sum(1) + model.bias[2])
            continue
        (W, b), (w, c) = model.head
        inside = torch.relu(torch.cat([u, v, u * v] if product else [u, v], 1) @ W[2] + b[2])
        assert_close(z[2], (inside @ w[2] + c[2])[:, 0])


def test_training_keeps_the_best_epoch_of_every_run():
    drawn = [chapter.planted("sum", s) for s in range(2)]
    x, y, chance = (torch.stack(part) for part in zip(*drawn, strict=True))
    lowest, at, logits = chapter.trained(lambda runs: chapter.SideBySide(runs, (4,)), x, y, lr=0.03)
    for s in range(2):
        assert at[s] >= 1 and lowest[s] < 0.6
        assert auc(y[s, 7500:], logits[s]) > auc(y[s, 7500:], chance[s, 7500:]) - 0.02


def paired(*differences):
    return compare_runs([0.8 + d for d in differences], [0.8] * len(differences), paired=True)


@pytest.mark.parametrize(("found", "sign", "says"), [
    (paired(0.02, 0.021, 0.019), 1, "agrees"), (paired(0.02, 0.021, 0.019), 0, "agrees"),
    (paired(0.02, 0.021, 0.019), -1, "disagrees"), (paired(-0.02, -0.021, -0.019), 0, "disagrees"),
    (paired(1e-4, -1e-4, 0), 0, "agrees"), (paired(0.1, -0.08, 0), 1, "cannot be tested here: ≥ 0."),
])  # fmt: skip
def test_what_is_said_of_a_claim_follows_from_the_verdict(found, sign, says):
    assert chapter.reading(found, sign).startswith(says)


def test_first_rows_of_values():
    assert chapter.first_of_each(torch.tensor([5, 5, 2, 5, 7])).tolist() == [0, 2, 4]


# What the reader sees


def test_sentences_hold_the_stored_results():
    _, text = read_back("split_network")
    v = compare_stored("movielens-100k", "click", "split_network", ["two_towers"]).iloc[0]
    assert f"{v['mean']:.4f}, two towers {v['other']:.4f}" in " ".join(text.split()), (
        "run tools/execute.py book/split_network.ipynb again"
    )
    cost = next(c for c in read_json(RESULTS / "split_network.json")["cost"] if c["candidates"] == 10_000)["times"]
    assert f"takes {cost['split_network']:.1f} times" in " ".join(text.split())
    assert "no difference" not in text
