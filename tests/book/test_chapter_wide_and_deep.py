"""The chapter's own code agrees with the library; its planted data is what it says; its sentences hold the results."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch
from notebook_code import definitions, read_back
from torch.testing import assert_close

from recsys_lite.evaluation import compare_runs, compare_stored
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.models import WideDeep
from recsys_lite.notebook import told
from recsys_lite.training import FTRL

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))


chapter = definitions("book/wide_and_deep.ipynb")


@pytest.mark.parametrize("shape", [(1, 1, 1), (6, 4, 2), (3, 1, 7)])
def test_crosses_by_loops_and_by_vectors_agree(shape):
    torch.manual_seed(0)
    count, left_length, right_length = shape
    left, right = torch.randint(-1, 6, (count, left_length)), torch.randint(-1, 9, (count, right_length))
    weights = torch.randn(6 * 9)
    book = {(a, b): weights[a * 9 + b].item() for a in range(6) for b in range(9)}
    known = [[[v for v in row if v >= 0] for row in side.tolist()] for side in (left, right)]
    slow = torch.tensor([chapter.crosses_loops(a, b, book) for a, b in zip(*known, strict=True)])
    assert_close(chapter.crosses_fast(left, right, 9, weights), slow, rtol=1e-4, atol=1e-5)


def test_a_large_cross_is_hashed_into_its_buckets():
    a, b = torch.cartesian_prod(torch.arange(300), torch.arange(300)).T
    hashed = chapter.bucket(a, b, 300, 1000)
    assert hashed.min() >= 0 and hashed.max() < 1000 and len(hashed.unique()) > 950


@pytest.mark.parametrize("seed", range(3))
def test_the_module_with_copied_weights_is_the_librarys_model(seed):
    torch.manual_seed(seed)
    fields = [Field(n, "categorical", Vocabulary([f"{n}{k}" for k in range(s - 1)])) for n, s in (("a", 5), ("b", 6))]
    library, scratch = WideDeep(fields, [("a", "b")], dim=3, hidden=(4,)), chapter.ScratchWideDeep((5, 6), 3, 4)
    theirs = ["bias", "weights.table.weight", "crosses.weight", "embedding.table.weight"]
    theirs += [f"mlp.{k}.{part}" for k in (0, 2) for part in ("weight", "bias")]
    ours = ["bias", "linear", "cross", "table"] + [f"network.{k}.{part}" for k in (0, 2) for part in ("weight", "bias")]
    a, b = dict(library.named_parameters()), dict(scratch.named_parameters())
    with torch.no_grad():
        for t, o in zip(theirs, ours, strict=True):
            a[t].normal_()
            b[o].copy_(a[t].reshape(b[o].shape))
    ids = torch.stack([torch.randint(1, 5, (30,)), torch.randint(1, 6, (30,))], 1)
    z, z_scratch = library(Rows(ids.int(), torch.zeros(30, 0))), scratch(ids)
    assert_close(z, z_scratch, rtol=1e-4, atol=1e-4)
    z.sum().backward()
    z_scratch.sum().backward()
    for t, o in zip(theirs, ours, strict=True):
        assert_close(a[t].grad.flatten(), b[o].grad.flatten(), rtol=1e-4, atol=1e-4)


def test_ftrl_from_scratch_is_the_librarys():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(40, dtype=torch.float64))
    optimizer = FTRL([weight], lr=0.2, beta=0.7, l1=0.3)
    w, s, q = (torch.zeros(40, dtype=torch.float64) for _ in range(3))
    for _ in range(25):
        weight.grad = torch.randn(40, dtype=torch.float64) * (torch.rand(40) < 0.3)
        optimizer.step()
        w, s, q = chapter.ftrl_step(w, weight.grad, s, q, 0.2, 0.7, 0.3)
        assert_close(weight.data, w)
    assert 0 < (w == 0).sum() < 40


def test_the_guard_tells_a_real_wide_part_from_a_linear_term():
    fields = [Field(n, "categorical", Vocabulary(["0", "1"])) for n in "ab"]
    assert not chapter.is_really_wide(WideDeep(fields, [], use_deep=False))
    assert chapter.is_really_wide(WideDeep(fields, [("a", "b")], use_deep=False))


@pytest.mark.parametrize("l1", [0.0, 0.3])
def test_the_lazy_ftrl_is_the_librarys_for_every_shape(l1):
    torch.manual_seed(0)
    shapes = [(), (7,), (5, 3)]
    ours, theirs = ([torch.nn.Parameter(torch.zeros(s, dtype=torch.float64)) for s in shapes] for _ in range(2))
    lazy, full = (kind(ps, lr=0.2, beta=0.7, l1=l1) for kind, ps in ((chapter.LazyFTRL, ours), (FTRL, theirs)))
    for _ in range(12):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = b.grad = torch.randn(a.shape, dtype=torch.float64) * (torch.rand(a.shape) < 0.4)
        lazy.step()
        full.step()
        for a, b in zip(ours, theirs, strict=True):
            assert_close(a.data, b.data)


def test_without_penalty_a_step_of_ftrl_is_gradient_descent_with_the_new_rate():
    w, g, q = torch.tensor([0.4]), torch.tensor([1.5]), torch.tensor([2.0])
    s = -w * (1.0 + q.sqrt()) / 0.5  # the sum that belongs to w
    new, _, q_new = chapter.ftrl_step(w, g, s, q, 0.5, 1.0, 0.0)
    assert_close(new, w - 0.5 / (1.0 + q_new.sqrt()) * g)


def test_the_planted_table_is_a_rule_with_exceptions_and_hides_new_combinations_from_training():
    dataset, z, odd, new = chapter.planted(3, exceptions=0.25)
    a, b = dataset.train.ids.long().T
    assert not new[a, b].any() and new[tuple(dataset.test.ids.long().T)].float().mean() == pytest.approx(0.2, abs=0.05)
    first, second = dataset.extras["sign"]
    assert_close(z, 2 * first[:, None] * second * torch.where(odd, -1.0, 1.0))
    assert odd.float().mean() == pytest.approx(0.25, abs=0.05)
    clicked = dataset.train.label[z[a, b] > 0].mean().item()
    assert clicked == pytest.approx(torch.sigmoid(torch.tensor(2.0)).item(), abs=0.02)
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [12_000, 3_000, 6_000]


def test_the_product_of_three_has_no_information_in_two_of_its_fields():
    dataset, z = chapter.product_of_three(0)
    assert set(z.tolist()) == {-2.0, 2.0} and len(z) == len(dataset.test)
    ids = dataset.test.ids.long()
    for c in (0, 1, 2):
        for value in (1, 2):
            assert z[ids[:, c] == value].mean().abs() < 0.9  # a single value says little, whatever the two others are


def test_the_best_approximation_of_exceptions_keeps_d_of_forty():
    table = torch.eye(40)
    assert [round(chapter.kept(table, d), 4) for d in (1, 8, 40)] == [0.025, 0.2, 1.0]


def verdict(values, against):
    return compare_runs(values, against, paired=True)


@pytest.mark.parametrize(("found", "claimed", "size", "says"), [
    (verdict([0.82, 0.83, 0.84], [0.80, 0.81, 0.82]), "better", 0.006, "agrees"),
    (verdict([0.82, 0.83, 0.84], [0.80, 0.81, 0.82]), "worse", 0.004, "disagrees"),
    (verdict([0.8000, 0.8101, 0.8200], [0.8001, 0.8100, 0.8201]), "better", 0.002, "agrees"),
    (verdict([0.8000, 0.8101, 0.8200], [0.8001, 0.8100, 0.8201]), "better", 0.006, "disagrees"),
    (verdict([0.82, 0.80, 0.84], [0.80, 0.81, 0.82]), "better", 0.006, "cannot be tested here: ≥ 0.057"),
])  # fmt: skip
def test_what_is_said_of_a_claim_follows_from_the_verdict(found, claimed, size, says):
    assert chapter.reading(found, claimed, size).startswith(says)


# What the reader sees


def test_sentences_hold_the_stored_results():
    _, text = read_back("wide_and_deep")
    for task in ("click", "like"):
        rivals = ["fm", "logistic_regression", "deepfm"]
        v = compare_stored("movielens-100k", task, "wide_deep", rivals).iloc[0]
        if "noise of training seeds only" in text:  # as long as no predictions are stored
            assert f"On MovieLens, {task}: {told(v)}" in text, "run tools/execute.py book/wide_and_deep.ipynb again"
        assert f"On MovieLens, {task}: " in text
    assert "no difference" not in text


def test_the_primers_section_is_answered_at_headings_that_exist():
    notebook, _ = read_back("wide_and_deep")
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    headings = set(re.findall(r"^#+ +(.+)$", text, re.MULTILINE)) | set(re.findall(r"<summary>(.*?)</summary>", text))
    said = json.loads((ROOT / "book" / "primer" / "wide_and_deep.json").read_text(encoding="utf-8"))
    assert [e["where"] for e in said if e["where"] not in headings] == []
    covered = {n for e in said for n in range(e["lines"][0], e["lines"][1] + 1)}
    assert covered >= set(range(114, 291))
