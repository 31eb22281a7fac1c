"""The chapter's own code: loops, vectors and module agree with each other and with the library; its guards bite."""

import pytest
import torch
from notebook_code import definitions
from scipy import stats
from torch.testing import assert_close

from recsys_lite.data.leave_one_out import leave_one_out
from recsys_lite.evaluation import evaluate_ranking, hit_rate, ndcg, score_all
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.models import FM, NeuMF

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


@pytest.mark.parametrize("kind", ["product", "line", "control"])
def test_planted_tables_are_of_their_kind(kind):
    hidden = chapter.planted(kind, 0, FIELDS_150)
    cells = torch.cat([part.ids for part in (hidden.train, hidden.validation, hidden.test)])
    assert len(cells) == len(cells.unique(dim=0)) == 18_000
    assert 0.4 < hidden.train.label.mean() < 0.6 or kind == "line"
    assert (chapter.planted(kind, 0, FIELDS_150).train.label == hidden.train.label).all()
    assert (chapter.planted(kind, 1, FIELDS_150).train.label != hidden.train.label).any()


FIELDS_150 = (
    Field("user", "categorical", Vocabulary(range(150))),
    Field("item", "categorical", Vocabulary(range(120))),
)


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


def test_verdicts_need_an_interval_on_one_side_of_zero():
    assert [chapter.verdict(*x) for x in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1))] == [
        "better",
        "worse",
        "no difference",
    ]
