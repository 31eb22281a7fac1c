"""The chapter's own code: loops, vectorised form and module agree with each other and with the library."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from notebook_code import definitions, read_back
from tiny import FIELDS, rows
from torch.testing import assert_close

from recsys_lite import data
from recsys_lite.evaluation import compare_runs, compare_stored
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.models import FM, DeepFM, WideDeep
from recsys_lite.notebook import told

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))


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


@pytest.mark.parametrize("form", ["signs", "dot products"])
def test_the_planted_terms_are_the_logit_and_the_third_order_term_is_hidden_from_pairs(form):
    fields = single_valued(41, 41, 5, 5, 5)
    dataset, terms = chapter.planted(form, 3000, 0, fields)
    assert len(dataset.train) == 3000 and len(dataset.test) == len(terms) == 4000
    assert 0.9 < terms[:, 0].std() < 1.1 and set(terms[:, 1].tolist()) == {-1.0, 1.0}
    assert (set(terms[:, 0].tolist()) == {-1.0, 1.0}) == (form == "signs")
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
    coin, _ = chapter.planted(form, 3000, 0, fields, signal=False)
    assert abs(coin.test.label.mean() - 0.5) < 4 * 0.5 / len(z) ** 0.5


def test_the_pair_term_of_dot_products_has_rank_three():
    dataset, terms = chapter.planted("dot products", 10, 3, single_valued(11, 11, 5, 5, 5))
    ids, table = dataset.test.ids.long() - 1, torch.full((10, 10), torch.nan)
    table[ids[:, 0], ids[:, 1]] = terms[:, 0]
    values = torch.linalg.svdvals(table)  # 4,000 rows hold all of the 100 pairs
    assert values[2] > 0.01 and values[3] < 1e-4


def test_the_network_alone_is_the_deep_part_and_the_bias():
    one = drawn(DeepFM)
    alone = drawn(chapter.NetworkOnly)
    alone.load_state_dict(one.state_dict())
    with torch.no_grad():
        parts = one.parts(rows(20))
        assert_close(alone(rows(20)), parts["bias"] + parts["deep"])


def test_slopes_recover_the_coefficients_of_a_sum():
    terms = torch.randn(500, 2)
    assert chapter.slopes(0.3 + 1.5 * terms[:, 0] - 0.5 * terms[:, 1], terms) == pytest.approx([1.5, -0.5], abs=1e-4)


def test_reached_names_the_parameters_of_each_part():
    table = chapter.reached(drawn(DeepFM), rows(20))
    assert list(table.index[(table["pairs"] > 0)]) == ["embedding.table.weight"]
    assert table.loc["bias"].tolist() == [20.0, 0.0, 0.0, 0.0]
    network = WideDeep(FIELDS, dim=3, hidden=(5, 4), use_wide=False)
    assert list(chapter.reached(network, rows(20)).columns) == ["bias", "deep"]


def verdict(values, against):
    return compare_runs(values, against, paired=True)


BETTER = verdict([0.82, 0.83, 0.84], [0.80, 0.81, 0.82])
EQUAL = verdict([0.8000, 0.8101, 0.8200], [0.8001, 0.8100, 0.8201])
OPEN = verdict([0.82, 0.80, 0.84], [0.80, 0.81, 0.82])


@pytest.mark.parametrize(
    ("signs", "dots", "says"),
    [
        (OPEN, BETTER, "helps for dot products of length 3"),
        (EQUAL, BETTER, "helps for dot products of length 3"),
        (BETTER, BETTER, "helps in both forms"),
        (OPEN, OPEN, "not shown for dot products"),
        (BETTER, EQUAL, "not shown for dot products"),
    ],
)
def test_what_survives_follows_from_both_verdicts(signs, dots, says):
    assert says in chapter.survives(signs, dots)


@pytest.mark.parametrize(
    ("found", "claimed", "says"),
    [
        (BETTER, 0.0037, "agrees"), (BETTER, -0.0012, "disagrees"), (BETTER, 0.0, "disagrees"),
        (EQUAL, 0.001, "agrees"), (EQUAL, 0.0037, "disagrees"), (OPEN, 0.0037, "cannot be tested here: ≥ 0.057"),
        (OPEN, 0.06, "not confirmed here: ≥ 0.057"), (OPEN, -0.06, "not confirmed here: ≥ 0.057"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_claim_follows_from_the_verdict(found, claimed, says):
    assert chapter.reading(found, claimed).startswith(says)


def test_a_rank_correlation_and_its_interval_by_hand():
    x, y = range(20), [*range(10), *reversed(range(10, 20))]
    r, low, high = chapter.rank_correlation(x, y)
    assert r == pytest.approx(1 - 6 * 330 / (20 * 399))  # Spearman's formula: the last ten are reversed, 330 = Σ d²
    assert low == pytest.approx(np.tanh(np.arctanh(r) - 1.96 * ((1 + r**2 / 2) / 17) ** 0.5)) and low < r < high


@pytest.mark.parametrize(("sizes", "dim", "hidden"), [([6, 4, 9], 3, [5, 2]), ([3, 3], 4, [7])])
def test_counted_parameters_are_those_of_the_models(sizes, dim, hidden):
    fields, n = single_valued(*sizes), sum(sizes)
    one, two, share = chapter.parameter_row(n, n, dim, len(sizes), hidden)
    assert one == DeepFM(fields, dim=dim, hidden=hidden).parameter_count
    assert two == chapter.SeparateTables(fields, dim=dim, hidden=hidden).parameter_count
    assert share == pytest.approx(n * dim / one)


@pytest.mark.parametrize("pieces", [4, 9, 30])
def test_a_square_of_relus_has_the_error_of_the_formula(pieces):
    x = torch.linspace(-2, 2, 8001, dtype=torch.float64)
    error = (chapter.square_by_relu(x, pieces) - x**2).abs().max().item()
    assert error == pytest.approx((4 / pieces) ** 2 / 4, rel=1e-2)


# What the reader sees


def test_sentences_hold_the_stored_results():
    _, text = read_back("deepfm")
    dataset = data.load("movielens-100k")
    against = compare_stored(
        "movielens-100k", "click", "deepfm", ["fm", "wide_deep", "logistic_regression"], dataset=dataset
    )
    for verdict_of in against.iloc[:2].itertuples():
        assert told(verdict_of) in " ".join(text.split()), "run tools/execute.py book/deepfm.ipynb again"
    assert f"DeepFM has AUC {against['mean'].iloc[0]:.4f}" in text and "no difference" not in text


def test_the_papers_table_gives_its_percentages():
    """Guo et al., section 3.2.2: 0.37 % and 0.42 % over the second best, 0.48 % and 0.61 % over Wide & Deep."""
    notebook, _ = read_back("deepfm")
    names = {"pd": pd}
    exec(next(c.source for c in notebook.cells if c.source.startswith("PAPER = ")), names)
    table = names["PAPER"]
    lead = (table.loc["DeepFM"] / table - 1).mul(100).abs().round(2)
    assert table["Company AUC"].nlargest(2).index[1] == table["Company log loss"].nsmallest(2).index[1] == "FNN"
    assert lead.loc["FNN", ["Company AUC", "Company log loss"]].tolist() == [0.37, 0.42]
    assert lead.loc["LR & DNN", ["Company AUC", "Company log loss"]].tolist() == [0.48, 0.61]
    assert lead.loc["PNN*", ["Criteo AUC", "Criteo log loss"]].tolist() == [0.25, 0.29]


def test_every_line_of_the_primers_section_has_its_answer_in_a_section_of_the_chapter():
    notebook, _ = read_back("deepfm")
    entries = json.loads((ROOT / "book" / "primer" / "deepfm.json").read_text(encoding="utf-8"))
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    headings = {h.strip() for h in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    covered = {line for e in entries for line in range(e["lines"][0], e["lines"][1] + 1)}
    empty = {342, 344, 346, 348, 350, 352, 354, 356, 357, 359, 361, 363}
    assert set(range(341, 371)) - empty <= covered <= set(range(341, 372))
    for entry in entries:
        assert set(entry) == {"lines", "claim", "answer", "where", "short"} and entry["claim"] and entry["short"]
        assert entry["answer"] in {"explained", "measured", "corrected", "cited"} and entry["where"] in headings
