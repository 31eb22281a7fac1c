"""The chapter's own code: loops, vectorised form and module agree with each other and with the library."""

import pytest
import torch
from notebook_code import definitions
from tiny import FIELDS, rows
from torch.testing import assert_close

from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.models import FM, DeepFM, WideDeep

chapter = definitions("book/deepfm.ipynb")


def single_valued(*sizes):
    """Fields of single values, with their reserved rows counted in the sizes."""
    return [
        Field(f"f{k}", "categorical", Vocabulary([f"{v}" for v in range(size - 1)])) for k, size in enumerate(sizes)
    ]


def drawn(kind, **settings):
    torch.manual_seed(4)
    model = kind(FIELDS, **({"dim": 3, "hidden": (5, 4)} | settings))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.5)
    return model


@pytest.mark.parametrize(("count", "fields", "dim", "widths"), [(1, 2, 1, [1]), (5, 3, 4, [6]), (2, 6, 2, [7, 3, 2])])
def test_loops_vectorised_form_and_module_agree(count, fields, dim, widths):
    torch.manual_seed(0)
    module = chapter.ScratchDeepFM([5] * fields, dim, widths).double()
    for p in module.parameters():
        torch.nn.init.normal_(p, std=0.6)
    ids = torch.randint(0, 5, (count, fields))
    hidden = [(layer.weight, layer.bias) for layer in module.layers]
    shared = (module.w0, module.w, module.v, hidden, module.u)
    moved = ids + module.offsets
    slow = torch.stack([chapter.deepfm_loops(row, *shared) for row in moved.tolist()])
    assert_close(chapter.deepfm_fast(moved, *shared), slow)
    assert_close(module(ids), slow)
    parameters = list(module.parameters())
    fast = torch.autograd.grad(module(ids).sum(), parameters)
    assert_close(fast, torch.autograd.grad(slow.sum(), parameters))


@pytest.mark.parametrize("seed", range(3))
def test_the_module_with_copied_weights_is_the_librarys_model(seed):
    torch.manual_seed(seed)
    sizes = [6, 4, 9]
    library = DeepFM(single_valued(*sizes), dim=3, hidden=(5, 2))
    scratch = chapter.ScratchDeepFM(sizes, 3, [5, 2])
    theirs = ["bias", "weights.table.weight", "embedding.table.weight", "mlp.4.weight"]
    theirs += [f"mlp.{k}.{part}" for k in (0, 2) for part in ("weight", "bias")]
    ours = ["w0", "w", "v", "u"] + [f"layers.{k}.{part}" for k in (0, 1) for part in ("weight", "bias")]
    a, b = dict(library.named_parameters()), dict(scratch.named_parameters())
    assert set(a) == set(theirs) and set(b) == set(ours)
    with torch.no_grad():
        for t, o in zip(theirs, ours, strict=True):
            a[t].normal_()
            b[o].copy_(a[t].reshape(b[o].shape))
    ids = torch.stack([torch.randint(0, s, (40,)) for s in sizes], 1)
    z, z_scratch = library(Rows(ids.int(), torch.zeros(40, 0))), scratch(ids)
    assert_close(z, z_scratch, rtol=1e-4, atol=1e-4)
    z.sum().backward()
    z_scratch.sum().backward()
    for t, o in zip(theirs, ours, strict=True):
        assert_close(a[t].grad.flatten(), b[o].grad.flatten(), rtol=1e-4, atol=1e-3)


def test_each_mistake_fails_its_own_question_and_the_library_none():
    questions = (chapter.shares_its_vectors, chapter.gives_a_logit, chapter.has_one_bias)
    wanted = {
        DeepFM: [True, True, True],
        chapter.SeparateTables: [False, True, True],
        chapter.SecondSigmoid: [True, False, True],
        chapter.TwoBiases: [True, True, False],
    }
    for kind, answers in wanted.items():
        model = drawn(kind)
        assert [question(model, rows(30)) for question in questions] == answers, kind.__name__


def test_questions_leave_the_model_as_it_was():
    model = drawn(DeepFM)
    before = model(rows(8)).detach()
    assert chapter.gives_a_logit(model, rows(8))
    assert_close(model(rows(8)), before, rtol=1e-5, atol=1e-5)


def test_separate_tables_are_a_second_table_and_nothing_else():
    one, two = drawn(DeepFM), drawn(chapter.SeparateTables)
    assert two.parameter_count - one.parameter_count == one.embedding.table.weight.numel()
    with torch.no_grad():
        state = one.state_dict()
        two.load_state_dict({**state, "second.table.weight": state["embedding.table.weight"]})
        assert_close(two(rows(20)), one(rows(20)))


def test_the_third_difference_is_zero_for_fm_and_not_for_deepfm():
    batch, other = rows(40, 1), rows(40, 2)
    names = ("user", "genres", "history")
    fm = FM(FIELDS, dim=3, std=1.0)
    with torch.no_grad():
        assert chapter.third(fm, batch, other, names).abs().max() < 1e-4
        assert chapter.third(drawn(DeepFM), batch, other, names).abs().max() > 0.01


def test_the_planted_terms_are_the_logit_and_the_third_order_term_is_hidden_from_pairs():
    fields = single_valued(41, 41, 5, 5, 5)
    dataset, terms = chapter.planted(3000, 0, fields)
    assert len(dataset.train) == 3000 and len(dataset.test) == len(terms) == 4000
    assert 0.9 < terms[:, 0].std() < 1.1 and set(terms[:, 1].tolist()) == {-1.0, 1.0}
    ids = dataset.test.ids.long()
    for a in range(2, 5):
        for b in range(a):  # a third-order product of balanced signs has mean zero within each cell of a pair
            cell = ids[:, a] * 41 + ids[:, b]
            total, seen = torch.zeros(41 * 41), torch.bincount(cell, minlength=41 * 41)
            total.index_add_(0, cell, terms[:, 1])
            large = seen > 20
            assert (total[large] / seen[large].sqrt()).abs().max() < 4.5  # in standard errors
    label, z = dataset.test.label, 1.5 * terms.sum(1)
    rate = torch.sigmoid(z)
    assert abs((label - rate).mean()) < 4 * ((rate * (1 - rate)).mean() / len(z)).sqrt()
    coin, _ = chapter.planted(3000, 0, fields, signal=False)
    assert abs(coin.test.label.mean() - 0.5) < 4 * 0.5 / len(z) ** 0.5


def test_slopes_recover_the_coefficients_of_a_sum():
    terms = torch.randn(500, 2)
    assert chapter.slopes(0.3 + 1.5 * terms[:, 0] - 0.5 * terms[:, 1], terms) == pytest.approx([1.5, -0.5], abs=1e-4)


def test_reached_names_the_parameters_of_each_part():
    table = chapter.reached(drawn(DeepFM), rows(20))
    assert list(table.index[(table["pairs"] > 0)]) == ["embedding.table.weight"]
    assert table.loc["bias"].tolist() == [20.0, 0.0, 0.0, 0.0]
    network = WideDeep(FIELDS, dim=3, hidden=(5, 4), use_wide=False)
    assert list(chapter.reached(network, rows(20)).columns) == ["bias", "deep"]


def test_verdicts_need_intervals_that_do_not_touch():
    low, middle, high = (chapter.pd.Series({"low": a, "high": a + 1.0}) for a in (0.0, 0.5, 2.0))
    assert chapter.verdict(high, low) == "better" and chapter.verdict(low, high) == "worse"
    assert chapter.verdict(low, middle) == chapter.verdict(middle, low) == "no difference"


@pytest.mark.parametrize("pieces", [4, 9, 30])
def test_a_square_of_relus_has_the_error_of_the_formula(pieces):
    x = torch.linspace(-2, 2, 8001, dtype=torch.float64)
    error = (chapter.square_by_relu(x, pieces) - x**2).abs().max().item()
    assert error == pytest.approx((4 / pieces) ** 2 / 4, rel=1e-2)
