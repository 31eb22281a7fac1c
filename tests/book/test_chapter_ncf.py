"""The chapter's own code: loops, vectors and module agree with each other and with the library; its guards bite."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from notebook_code import definitions, read_back
from scipy import stats
from torch.testing import assert_close

from recsys_lite.data.leave_one_out import leave_one_out
from recsys_lite.evaluation import compare_all, compare_runs, evaluate_ranking, hit_rate, ndcg, score_all
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.models import FM, NeuMF
from recsys_lite.notebook import told
from recsys_lite.store import RESULTS, read_json

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))


chapter = definitions("book/ncf.ipynb")
FIELDS = (Field("user", "categorical", Vocabulary(range(5))), Field("item", "categorical", Vocabulary(range(6))))
PAIRS = torch.cartesian_prod(torch.arange(1, 6), torch.arange(1, 7))
ROWS = Rows(PAIRS.int(), torch.zeros(30, 0))


def spread(model):
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(std=0.7)
    return model


@pytest.mark.parametrize("shape", [(1, 1, (1,)), (3, 5, (6, 2)), (4, 8, (8, 4, 4))])
@pytest.mark.parametrize("seed", range(3))
def test_loops_vectors_and_module_agree_in_value_and_gradient(shape, seed):
    torch.manual_seed(seed)
    dim, side, hidden = shape
    module = spread(chapter.ScratchNeuMF(4, 7, dim, side, hidden)).double()
    user, item = torch.randint(4, (6,)), torch.randint(7, (6,))
    vectors = [module.P[user], module.Q[item], module.P2[user], module.Q2[item]]
    layers = [(layer.weight, layer.bias) for layer in module.tower]
    loops = torch.stack([chapter.neumf_loops(*row, layers, module.h) for row in zip(*vectors, strict=True)])
    assert_close(loops, chapter.neumf_fast(*vectors, layers, module.h))
    assert_close(loops, module(user, item))
    own = list(module.parameters())
    expected = torch.autograd.grad(loops.sum(), own)
    assert_close(torch.autograd.grad(module(user, item).sum(), own), expected)


def test_the_module_with_copied_weights_is_the_librarys_model():
    torch.manual_seed(0)
    library = spread(NeuMF(FIELDS, dim=3, hidden=(6, 3), side=4))
    scratch = chapter.ScratchNeuMF(6, 7, 3, 4, (6, 3))
    state = {"P": library.gmf.table.weight[:6], "Q": library.gmf.table.weight[6:], "h": library.h}
    state |= {"P2": library.sides.table.weight[:6], "Q2": library.sides.table.weight[6:]}
    state |= {f"tower.{k}.{w}": library.mlp.state_dict()[f"{2 * k}.{w}"] for k in (0, 1) for w in ("weight", "bias")}
    scratch.load_state_dict(state)
    z, z_scratch = library(ROWS), scratch(*PAIRS.T)
    assert_close(z, z_scratch)
    z.square().sum().backward()
    z_scratch.square().sum().backward()
    assert_close(library.gmf.table.weight.grad, torch.cat([scratch.P.grad, scratch.Q.grad]), rtol=1e-4, atol=1e-4)
    assert_close(library.sides.table.weight.grad, torch.cat([scratch.P2.grad, scratch.Q2.grad]), rtol=1e-4, atol=1e-4)
    assert_close(library.h.grad, scratch.h.grad, rtol=1e-4, atol=1e-4)


def test_drawing_by_loops_spares_ones_own_items_and_is_uniform():
    g = torch.Generator().manual_seed(1)
    drawn = torch.tensor(chapter.negatives_loops([{0, 1}, {4}], [0] * 1500 + [1] * 1500, 2, 6, g))
    counts = torch.stack([torch.bincount(drawn[k : k + 1500].flatten(), minlength=6) for k in (0, 1500)])
    assert counts[0, :2].sum() == 0 and counts[1, 4] == 0
    assert min(stats.chisquare(c[c > 0].numpy()).pvalue for c in counts) > 1e-3


def test_fair_ties_are_the_mean_over_all_orders():
    for above in range(12):
        for tied in range(5):
            a, t = torch.tensor([above]), torch.tensor([tied])
            expected = chapter.by_all_orders(above, tied, 10)
            assert (hit_rate(a, t).item(), ndcg(a, t).item()) == pytest.approx(expected, abs=1e-6)
    constant = torch.tensor([0]), torch.tensor([99])
    assert chapter.optimistic_hit(*constant) == 1 and hit_rate(*constant).item() == pytest.approx(0.1)


def test_each_guard_passes_right_code_and_catches_wrong_code():
    torch.manual_seed(2)
    right = spread(NeuMF(FIELDS, dim=4, hidden=(6, 4), side=4))
    assert not chapter.shares_vectors(right, ROWS) and chapter.h_is_learned(right, ROWS)
    right.sides = right.gmf
    assert chapter.shares_vectors(right, ROWS)
    right.h.requires_grad_(False)
    assert not chapter.h_is_learned(right, ROWS)
    p, q, network, h = (
        torch.randn(9, 4),
        torch.randn(9, 4),
        torch.rand(9, 3),
        torch.cat([torch.ones(4), torch.randn(3)]),
    )
    joined = torch.cat([p * q, network], 1)
    assert not chapter.cuts_products(joined @ h, p, q, network, h)
    assert chapter.cuts_products(joined.relu() @ h, p, q, network, h)


def test_the_best_approximation_keeps_what_its_rank_allows():
    low = torch.randn(20, 3) @ torch.randn(3, 30)
    assert chapter.kept(low, [1, 2, 3])[2] == pytest.approx(1, abs=1e-5) and chapter.kept(low, [2])[0] < 0.999
    assert chapter.kept(torch.eye(10), [4])[0] == pytest.approx(0.4)


@pytest.mark.parametrize("kind", ["product", "line"])
def test_planted_tables_are_of_their_kind(kind):
    cells, label, chance = chapter.planted(kind, 0)
    assert len(cells) == len(cells.unique(dim=0)) == 18_000
    z = torch.logit(chance.double()).new_zeros(150, 120)
    z[cells[:, 0], cells[:, 1]] = torch.logit(chance.double().clamp(1e-7, 1 - 1e-7))
    if kind == "product":
        assert torch.linalg.matrix_rank(z.clamp(-9, 9), atol=1.0) < 20
    else:
        assert z.max() < 4.001
    bins = chance > 0.5
    assert label[bins].mean() > 0.7 > 0.3 > label[~bins].mean()
    assert (chapter.planted(kind, 0)[1] == label).all() and (chapter.planted(kind, 1)[1] != label).any()


def test_the_papers_four_users_fit_into_three_dimensions_and_not_into_an_arc():
    def circle(*degrees):
        return torch.tensor([[[np.cos(t), np.sin(t)] for t in np.deg2rad(degrees)]])

    assert not chapter.in_order(circle(0.0, 30.0, 50.0, -20.0)).any()  # users 1, 2, 3 in order, 4 beside 1
    assert chapter.in_order(circle(0.0, 100.0, 190.0, -60.0)).all()  # round the back, with angles above 90


def test_several_models_side_by_side_are_trained_as_by_torchs_adam():
    def score(w, x):
        return (x @ w[0]).squeeze(2)

    def loss(a, b):
        return (a - b) ** 2

    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 40, 3, generator=g), torch.randn(2, 40, generator=g)
    start = torch.randn(2, 3, 1, generator=g)
    parts = [(x, y)] * 3
    best, at, said = chapter.train_many([start.clone()], score, loss, parts, [0.1, 0.01], 100, 0, 8)
    for k, rate in enumerate((0.1, 0.01)):
        w, order = start[k].clone().requires_grad_(), torch.Generator().manual_seed(0)
        adam, seen = torch.optim.Adam([w], lr=rate), []
        for step in range(1, 101):
            pick = torch.randint(40, (8,), generator=order)
            adam.zero_grad()
            loss((x[k, pick] @ w).squeeze(1), y[k, pick]).mean().backward()
            adam.step()
            if step % 50 == 0:
                seen.append(loss((x[k] @ w).squeeze(1), y[k]).mean().item())
        assert best[k].item() == pytest.approx(min(seen), rel=1e-4)
        assert at[k] == 50 * (1 + int(np.argmin(seen)))
        assert loss(said[k], y[k]).mean().item() == pytest.approx(min(seen), rel=1e-4)


def test_towers_and_tables_side_by_side_are_those_of_one_model():
    g = torch.Generator().manual_seed(0)
    w = chapter.tower_of([4, 5, 1], 3, g)
    x = torch.randn(3, 7, 4, generator=g)
    for k in range(3):
        one = torch.relu(x[k] @ w[0][k] + w[1][k]) @ w[2][k] + w[3][k]
        assert_close(chapter.through(w, x)[k], one.squeeze(1))
    table, ids = torch.randn(3, 6, 2, generator=g), torch.randint(6, (3, 9), generator=g)
    assert_close(chapter.look_up(table, ids)[2], table[2, ids[2]])


def test_the_counter_knows_the_held_out_items_only_if_they_were_spared():
    loo = leave_one_out()
    hits = [
        evaluate_ranking(chapter.Counter(loo, loo.mask(*parts), epochs=6), loo)["hr@10"]
        for parts in (("train",), ("train", "validation", "test"))
    ]
    assert hits[0] < 0.015 < 0.1 < hits[1]


def test_parts_of_a_model_sum_to_its_scores():
    loo, users = leave_one_out(), torch.arange(2)
    model = spread(NeuMF(loo.fields()))
    parts = sum(score_all(chapter.Part(model, name), loo, users) for name in ("gmf", "mlp"))
    assert_close(parts, score_all(model, loo, users), rtol=1e-4, atol=1e-4)


def test_counted_parameters_are_those_of_the_models():
    fields, counted = leave_one_out().fields(), chapter.counted(8).set_index("model")["parameters"]
    tower = {"dim": 8, "hidden": (32, 16, 8), "side": 16}
    built = {
        "MF": FM(fields, dim=8), "GMF": NeuMF(fields, dim=8, hidden=()),
        "MLP-3": NeuMF(fields, use_gmf=False, **tower), "NeuMF": NeuMF(fields, **tower),
    }  # fmt: skip
    assert {name: model.parameter_count for name, model in built.items()} == counted.to_dict()


def verdict(a, b):
    return compare_runs(a, b, metric="hr@10", paired=True)


@pytest.mark.parametrize(("found", "size", "says"), [
    (verdict([0.52, 0.53, 0.54], [0.50, 0.51, 0.52]), 0.034, "agrees"),
    (verdict([0.50, 0.51, 0.52], [0.52, 0.53, 0.54]), 0.034, "disagrees"),
    (verdict([0.50, 0.51, 0.52], [0.52, 0.53, 0.54]), None, "disagrees"),
    (verdict([0.500, 0.511, 0.520], [0.501, 0.510, 0.521]), 0.034, "disagrees"),
    (verdict([0.500, 0.511, 0.520], [0.501, 0.510, 0.521]), 0.005, "agrees"),
    (verdict([0.52, 0.50, 0.54], [0.50, 0.51, 0.52]), 0.02, "cannot be tested here: ≥ 0.0"),
    (verdict([0.52, 0.50, 0.54], [0.50, 0.51, 0.52]), None, "cannot be tested here: ≥ 0.0"),
    (verdict([0.52, 0.50, 0.54], [0.50, 0.51, 0.52]), 0.3, "disagrees: not by as much"),
])  # fmt: skip
def test_what_is_said_of_a_claim_follows_from_the_verdict(found, size, says):
    assert chapter.reading(found, size).startswith(says)


# What the reader sees


def test_sentences_hold_the_stored_results():
    _, said = read_back("ncf")
    text = " ".join(said.split())
    record = read_json(RESULTS / "ncf.json")
    names = ["mf", "gmf", *(f"mlp_{k}" for k in range(5)), "neumf", "neumf_pretrained"]
    hits = {m: np.array([np.array(r.split(), int) < 10 for r in record["ranks"][m].values()], float) for m in names}
    for v in compare_all(hits, against="mf", metric="hr@10").itertuples():
        if v.model in ("neumf", "mlp_3"):
            assert told(v) in text, "run tools/execute.py book/ncf.ipynb again"
    assert f"{hits['neumf'].mean():.1%}" in text and "no difference" not in text
    notebook, _ = read_back("ncf")
    (table,) = [o["data"]["text/plain"] for c in notebook.cells for o in c.get("outputs", [])
                if "claim, number, data" in o.get("data", {}).get("text/plain", "")]  # fmt: skip
    agrees, disagrees = (len(re.findall(rf"\b{word}\b", table)) for word in ("agrees", "disagrees"))
    assert f"we agree in {agrees} and disagree in {disagrees};" in text


def test_every_line_of_the_primers_section_is_answered_under_a_heading_that_exists():
    notebook, _ = read_back("ncf")
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    entries = json.loads((ROOT / "book" / "primer" / "ncf.json").read_text(encoding="utf-8"))
    lines = {k for e in entries for k in range(e["lines"][0], e["lines"][1] + 1)}
    assert {374, 375, 377, 379, 380, 382, 384, 385, 389, 390, 391} <= lines
    for e in entries:
        assert f"## {e['where']}" in text or f"<summary>{e['where']}</summary>" in text, e["where"]
