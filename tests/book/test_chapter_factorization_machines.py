"""The chapter's own code: steps, variants and views agree with each other, with plain double loops and the library."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from notebook_code import definitions, read_back
from tiny import FIELDS, rows
from torch.testing import assert_close

from recsys_lite import data
from recsys_lite.evaluation import auc, compare_runs, compare_stored
from recsys_lite.fields import Field, Vocabulary
from recsys_lite.models import FM
from recsys_lite.notebook import told

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))


chapter = definitions("book/factorization_machines.ipynb")
LETTERS = tuple(Field(n, "categorical", Vocabulary([f"{n}{k}" for k in range(10)])) for n in "ABCD")
# what stands in the chapter beside its definitions
chapter.learned.__globals__.update(PENALTIES=(0.0, 1e-3), STEPS=60, FIELDS=LETTERS)


@pytest.mark.parametrize("shape", [(1, 2, 1), (5, 9, 4), (3, 17, 8)])
@pytest.mark.parametrize("seed", range(3))
def test_loops_vectors_and_module_agree_in_value_and_gradient(shape, seed):
    torch.manual_seed(seed)
    count, n, d = shape
    x = torch.randn(count, n, dtype=torch.float64)
    parameters = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in [(), (n,), (n, d)]]
    loops = torch.stack([chapter.fm_loops(row, *parameters) for row in x])
    fast = chapter.fm_fast(x, *parameters)
    module = chapter.FactorizationMachine(n, d).double()
    module.load_state_dict(dict(zip(("w0", "w", "v"), (p.detach() for p in parameters), strict=True)))
    assert_close(loops, fast)
    assert_close(fast, module(x))
    expected = torch.autograd.grad(loops.sum(), parameters)
    assert_close(torch.autograd.grad(fast.sum(), parameters), expected)
    module(x).sum().backward()
    assert_close((module.w0.grad, module.w.grad, module.v.grad), expected)


def test_the_module_with_copied_weights_is_the_librarys_model():
    torch.manual_seed(0)
    library, batch = FM(FIELDS[:4], dim=3, std=0.4), rows(15)
    batch.bags = {"genres": torch.tensor([[1, 3, -1]]).repeat(15, 1)}  # x = 1/2 for two genres each
    index, value = library.embedding.active(batch)
    x = torch.zeros(15, library.embedding.table.num_embeddings).scatter_add_(1, index, value)
    scratch = chapter.FactorizationMachine(x.shape[1], 3)
    with torch.no_grad():
        scratch.v.copy_(library.embedding.table.weight)
        library.weights.table.weight.normal_()
        scratch.w.copy_(library.weights.table.weight[:, 0])
    assert_close(scratch(x), library(batch), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong", ["without_half", "without_square"])
def test_the_guard_catches_each_wrong_form(wrong):
    torch.manual_seed(1)
    arguments = [torch.randn(s, dtype=torch.float64) for s in [(4, 6), (), (6,), (6, 3)]]
    assert not torch.allclose(getattr(chapter, wrong)(*arguments), chapter.fm_fast(*arguments))


def test_the_quadratic_form_of_the_timing_is_the_same_number():
    from recsys_lite.layers import fm_interaction

    e = torch.randn(6, 11, 4)
    assert_close(chapter.all_pairs(e), fm_interaction(e), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [1, 3, 10])
def test_a_table_of_pair_effects_has_its_rank_and_says_nothing_of_one_value(rank):
    for seed in range(3):
        table = chapter.effects(rank, seed, 10)
        assert torch.linalg.matrix_rank(table, rtol=1e-4) == min(rank, 9)  # rows that sum to 0 take one
        assert_close(table.sum(0), torch.zeros(10), rtol=0, atol=1e-4)
        assert_close(table.sum(1), torch.zeros(10), rtol=0, atol=1e-4)
        assert table.std().item() == pytest.approx(2)


def test_clicks_are_drawn_with_their_chances():
    p = torch.tensor([[0.0, 1.0], [0.25, 0.5]])
    none, hit = chapter.clicks(p, 40_000, seed=0)
    assert none[0, 1] == hit[0, 0] == 0 and (none + hit).sum() == 40_000
    assert_close(hit / (none + hit), p, rtol=0, atol=0.02)


def test_the_expected_auc_is_what_many_drawn_rows_have():
    torch.manual_seed(0)
    p, z = torch.rand(6), torch.tensor([0.0, 1.0, 1.0, 2.0, 3.0, -1.0])  # one tie
    pick = torch.randint(6, (200_000,))
    label = (torch.rand(200_000) < p[pick]).float()
    assert chapter.expected_auc(z, p) == pytest.approx(auc(label, z[pick]), abs=0.005)


@pytest.mark.parametrize("d", [0, 2])
def test_the_small_training_keeps_the_best_step_of_validation(d):
    p = torch.sigmoid(chapter.effects(2, 0, 6))
    train, validation = (chapter.clicks(p, 600, s)[None] for s in (1, 2))
    kept, best, at = chapter.learned(train, validation, d, lr=0.1)
    assert_close(chapter.loss_of(kept, validation), best)
    assert best.min() < np.log(2) and (at < 60).all()


def test_the_loss_of_counts_is_that_of_rows():
    z, counts = torch.tensor([[0.5]]), torch.tensor([[[3.0]], [[1.0]]])
    by_row = torch.nn.functional.binary_cross_entropy_with_logits(torch.full((4,), 0.5), torch.tensor([0.0, 0, 0, 1]))
    assert_close(chapter.loss_of(z, counts), by_row)


def test_planted_rows_follow_their_table_and_the_control_a_coin():
    made, coin = chapter.planted(0), chapter.planted(0, signal=False)
    chance = torch.sigmoid(chapter.effects(3, 0, 10))
    cell = made.train.ids[:, 0].long() - 1, made.train.ids[:, 2].long() - 1
    assert auc(made.train.label, chance[cell]) > 0.75
    assert_close(made.extras["chance"], chance[made.test.ids[:, 0].long() - 1, made.test.ids[:, 2].long() - 1])
    assert (coin.extras["chance"] == 0.5).all()


def filled(build, *arguments, **options):
    torch.manual_seed(0)
    model = build(*arguments, **options)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(std=0.5)
    return model


def test_a_field_aware_fm_is_the_double_loop_over_fields():
    model, batch = filled(chapter.FieldAwareFM, FIELDS, 3), rows(7)
    e = model.embedding(batch).view(7, len(FIELDS), len(FIELDS), 3)
    count = range(len(FIELDS))
    slow = sum((e[:, f, g] * e[:, g, f]).sum(1) for f in count for g in count if f < g)
    linear = FM.parts(filled(FM, FIELDS, dim=3 * len(FIELDS)), batch)
    assert_close(model(batch), linear["bias"] + linear["linear"] + slow, rtol=1e-4, atol=1e-4)


def test_two_towers_give_the_scores_of_the_model():
    fields = [f for f in FIELDS if f.name in ("user", "item", "genres", "history", "hour")]
    assert {"item", "genres"} <= {f.name for f in fields}
    model, batch = filled(FM, FIELDS, dim=3), rows(9)
    queries, films, constant = chapter.two_towers(model, batch, batch)
    assert queries.shape == films.shape == (9, 4)
    assert_close((queries * films).sum(1) + constant, model(batch), rtol=1e-4, atol=1e-4)


def verdict(values, against):
    return compare_runs(values, against, paired=True)


@pytest.mark.parametrize(("found", "claimed", "says"), [
    (verdict([0.82, 0.83, 0.84], [0.80, 0.81, 0.82]), 0.0115, "agrees"),
    (verdict([0.82, 0.83, 0.84], [0.80, 0.81, 0.82]), -0.0171, "disagrees"),
    (verdict([0.8000, 0.8101, 0.8200], [0.8001, 0.8100, 0.8201]), 0.001, "agrees"),
    (verdict([0.8000, 0.8101, 0.8200], [0.8001, 0.8100, 0.8201]), 0.0315, "disagrees"),
    (verdict([0.82, 0.80, 0.84], [0.80, 0.81, 0.82]), 0.0136, "cannot be tested here: finds ≥ 0.057"),
    (verdict([0.82, 0.80, 0.84], [0.80, 0.81, 0.82]), 0.2, "disagrees: outside our interval"),
    (verdict([0.82, 0.80, 0.84], [0.80, 0.81, 0.82]), 1.0, "cannot be tested here"),
])  # fmt: skip
def test_what_is_said_of_a_claim_follows_from_the_verdict(found, claimed, says):
    assert chapter.reading(found, claimed).startswith(says)


# What the reader sees


def test_sentences_hold_the_stored_results():
    _, text = read_back("factorization_machines")
    dataset = data.load("movielens-100k")
    v = compare_stored("movielens-100k", "click", "fm", ["logistic_regression"], dataset=dataset).iloc[0]
    assert told(v) in text, "run tools/execute.py book/factorization_machines.ipynb again"
    assert "no difference" not in text


def test_the_sentence_counts_the_readings_of_its_table():
    notebook, _ = read_back("factorization_machines")
    [cell] = [c for c in notebook.cells if "show_table(paper" in c.source]
    table, said = cell.outputs[0].data["text/html"], cell.outputs[1].data["text/markdown"]
    heads = re.findall(r">(agrees|disagrees|cannot|not) ?[^<>]*</td></tr>", table)
    found = re.search(r"Of (\d+) claims, our results agree with (\d+) and disagree with (\d+)", " ".join(said.split()))
    assert [int(n) for n in found.groups()] == [len(heads), heads.count("agrees"), heads.count("disagrees")]


def test_the_primers_section_is_answered_line_by_line():
    answers = json.loads((ROOT / "book" / "primer" / "factorization_machines.json").read_text(encoding="utf-8"))
    covered = [n for a in answers for n in range(a["lines"][0], a["lines"][1] + 1)]
    assert covered == list(range(292, 341))
    notebook, _ = read_back("factorization_machines")
    headings = set(re.findall(r"^## (.+)$", "\n".join(c.source for c in notebook.cells), re.M))
    short = {h.split(":")[0] for h in headings}
    assert {a["where"] for a in answers} <= headings | short
    assert {a["answer"] for a in answers} <= {"explained", "measured", "corrected", "cited"}
