"""The chapter's own code: loops, vectors, module, shuffle and variants agree with each other and with the library."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from notebook_code import definitions, read_back
from scipy.stats import spearmanr
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.testing import assert_close

from recsys_lite.evaluation import compare_runs, compare_stored
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.layers import dot_interaction
from recsys_lite.models import DLRM
from recsys_lite.notebook import told

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))


chapter = definitions("book/dlrm.ipynb")


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 3, 2), (2, 8, 5)])
def test_loops_vectors_and_layer_agree(shape):
    torch.manual_seed(0)
    B, C, d = shape
    z0, e = torch.randn(B, d, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    slow = torch.stack([torch.stack(chapter.interact_loops(a, b)) for a, b in zip(z0, e, strict=True)])
    assert slow.shape == (B, C + C * (C - 1) // 2)
    assert_close(chapter.interact(z0, e), slow)
    assert_close(dot_interaction(torch.cat([z0.unsqueeze(1), e], 1)), slow)


@pytest.mark.parametrize(("sizes", "numbers", "d"), [([5], 1, 2), ([4, 6, 3], 2, 4), ([3, 3, 3, 9, 2], 5, 3)])
def test_the_module_with_copied_weights_is_the_librarys_model(sizes, numbers, d):
    torch.manual_seed(0)
    fields = [Field(f"I{k}", "numeric") for k in range(numbers)]
    fields += [
        Field(f"C{k}", "categorical", Vocabulary([f"v{i}" for i in range(size - 1)])) for k, size in enumerate(sizes)
    ]
    library, scratch = DLRM(fields, dim=d, bottom=(8,), top=(8,)), chapter.ScratchDLRM(sizes, numbers, d)
    ours, theirs = dict(scratch.named_parameters()), dict(library.named_parameters())
    first = [library.embedding.row(f"C{k}") for k in range(len(sizes))]
    part = lambda name: (  # noqa: E731
        theirs[name] if name in theirs else theirs["embedding.table.weight"],
        slice(None) if name in theirs else slice(first[int(name.split(".")[1])], None),
    )
    with torch.no_grad():
        for name, p in ours.items():
            whole, rows = part(name)
            p.copy_(whole[rows][: len(p)])
    ids = torch.stack([torch.randint(0, size, (30,)) for size in sizes], 1)
    rows = Rows(ids.int(), torch.randn(30, numbers))
    z, z_scratch = library(rows), scratch(ids, rows.numeric)
    assert_close(z, z_scratch)
    assert_close(library(rows[:1]), scratch(ids[:1], rows.numeric[:1]))
    z.square().sum().backward()
    z_scratch.square().sum().backward()
    for name, p in ours.items():
        whole, place = part(name)
        assert_close(p.grad, whole.grad[place][: len(p)], rtol=1e-4, atol=1e-5)


def test_the_shuffle_deals_rows_out_and_keeps_every_field():
    owners = [torch.arange(6)[:, None] + 100 * torch.tensor(own) for own in ([1, 2], [3], [4, 5, 6])]
    got = chapter.shuffle([e.unsqueeze(2) for e in owners], [3, 1, 2])
    assert_close(torch.cat(got).squeeze(2), torch.cat(owners, 1))
    assert [len(part) for part in got] == [3, 1, 2]


@pytest.mark.parametrize("shares", [[4, 4], [5, 3], [8, 0]])
def test_shares_of_the_loss_have_the_gradients_of_the_whole_and_own_means_have_not(shares):
    torch.manual_seed(0)
    model = chapter.ScratchDLRM([5, 6, 7, 8, 9], 3, 4).double()
    ids, x, y = torch.randint(0, 5, (8, 5)), torch.randn(8, 3).double(), torch.randint(0, 2, (8,)).double()
    weights = list(model.parameters())
    whole = torch.autograd.grad(bce(model(ids, x), y), weights)
    assert_close(torch.autograd.grad(sum(chapter.in_shares(model, ids, x, y, shares)), weights), whole)
    if shares == [4, 4]:  # equal parts: own means make everything twice as large, copies are then averaged, tables not
        slip = torch.autograd.grad(sum(chapter.in_shares(model, ids, x, y, shares, own_mean=True)), weights)
        assert_close([g / 2 for g in slip], list(whole))


@pytest.mark.parametrize("drop", [(), ("price",)])
def test_the_variant_with_all_inputs_is_the_librarys_model(drop):
    data = tiny.dataset(50).drop(*drop)
    torch.manual_seed(0)
    library, variant = DLRM(data.fields), chapter.Variant(data.fields)
    variant.load_state_dict(library.state_dict())
    assert_close(variant(data.train), library(data.train))


def test_a_variant_does_not_read_what_it_lacks():
    data = tiny.dataset(50)
    without = chapter.Variant(data.fields, without=("user", "item"))
    k = without.pairs().index(("user", "item"))
    assert without.keep.sum() == len(without.pairs()) - 1
    before = without(data.train)
    without.top[0].weight.data[:, 16 + k] += 1.0
    assert_close(without(data.train), before)
    without.top[0].weight.data[:, 16 + k - 1] += 1.0
    assert not torch.allclose(without(data.train), before)
    assert chapter.Variant(data.fields, reads=("dots",)).top[0].in_features == 10
    assert chapter.Variant(data.fields, reads=("z0", "vectors")).top[0].in_features == 16 + 4 * 16


def test_raw_counts_are_the_counts_of_the_file(criteo):
    raw = chapter.raw_counts(criteo)
    assert_close(raw.train.numeric.mean(0), torch.zeros(13), atol=1e-4, rtol=0)
    assert_close(raw.train.numeric.std(0), torch.ones(13), atol=1e-4, rtol=0)
    assert torch.equal(raw.test.ids, criteo.test.ids)
    for k in range(13):  # the same order of rows, other distances
        a, b = criteo.train.numeric[:, k], raw.train.numeric[:, k]
        assert (b[a.argsort()].diff() >= -1e-4).all()


@pytest.mark.parametrize(("d", "bottom", "top"), [(16, (64, 32), (64, 32)), (4, (), (8,)), (8, (5,), ())])
def test_the_share_of_tables_counts_every_parameter(criteo, d, bottom, top):
    sizes = [f.size for f in criteo.fields if f.kind == "categorical"]
    counted = chapter.share_of_tables(sizes, d, list(bottom), list(top), 13)
    model = DLRM(criteo.fields, dim=d, bottom=bottom, top=top)
    assert counted[0] == model.embedding.table.weight.numel() and sum(counted) == model.parameter_count


def test_the_planted_pairs_are_in_the_labels():
    fields = (Field("I1", "numeric"), Field("I2", "numeric"))
    fields += tuple(Field(n, "categorical", Vocabulary([f"{n}{k}" for k in range(10)])) for n in "ABCD")
    rows, coin = chapter.planted(3, fields).train, chapter.planted(3, fields, signal=False).train
    spread = lambda r, a, b: torch.stack(  # noqa: E731
        [r.label[(r.ids[:, a] == i) & (r.ids[:, b] == j)].mean() for i in range(1, 11) for j in range(1, 11)]
    ).std()
    assert spread(rows, 0, 2) > 0.3 and spread(rows, 0, 3) < 0.12 and spread(coin, 0, 2) < 0.12
    assert torch.equal(chapter.planted(3, fields).test.label, chapter.planted(3, fields).test.label)


@pytest.mark.parametrize("case", [(10, 16, 0), (26, 16, 13), (4, 8, 2)])
def test_the_inputs_of_the_networks_are_counted(case):
    C, d, numbers = case
    fields = [Field(f"I{k}", "numeric") for k in range(numbers)]
    fields += [Field(f"C{k}", "categorical", Vocabulary(["v"])) for k in range(C)]
    every, dots = chapter.inputs(C, d, numbers)
    assert dots == DLRM(fields, dim=d).top[0].in_features and every == C * d + numbers


def test_the_fullest_process_by_hand():
    held = chapter.fullest([10, 4, 4], 8, 2)
    assert held == {"copies": 144, "whole tables": 80, "rows": 72, "columns": 72}
    assert chapter.fullest([10, 4, 4], 8, 100)["whole tables"] == 80 and chapter.fullest([10], 8, 100)["columns"] == 10


def test_what_travels_by_hand():
    whole, engine, ids = chapter.traffic(B=8, C=4, d=2, R=4)
    vector, number = 2 * 4 / 1e6, 8 / 1e6  # bytes in MB
    assert whole[1:] == pytest.approx((0, 6 * 1 * vector))  # its one field of the six rows of others
    assert engine[1:] == pytest.approx((3 * 2 * 4 * number, 6 * 4 * vector))  # partial sums of all fields of those rows
    assert ids[1:] == pytest.approx((0.75 * 2 * 4 * number, 0.75 * 2 * 4 * vector))


def test_rank_correlations_are_scipys_and_draws_are_the_same_each_time():
    x, y = np.random.default_rng(1).normal(size=(2, 30))
    assert chapter.rho(x, y) == pytest.approx(spearmanr(x, y).statistic)
    r, draws = chapter.correlations(x, x + y, draws=200)
    assert r == pytest.approx(spearmanr(x, x + y).statistic) and len(draws) == 200
    assert np.array_equal(draws, chapter.correlations(x, x + y, draws=200)[1])
    assert np.quantile(draws, 0.025) < r < np.quantile(draws, 0.975)


def verdict(values, against):
    return compare_runs(values, against, paired=True)


BETTER = verdict([0.82, 0.83, 0.84], [0.80, 0.81, 0.82])
WORSE = verdict([0.80, 0.81, 0.82], [0.82, 0.83, 0.84])
EQUAL = verdict([0.8000, 0.8101, 0.8200], [0.8001, 0.8100, 0.8201])
OPEN = verdict([0.82, 0.80, 0.84], [0.80, 0.81, 0.82])


@pytest.mark.parametrize(("found", "claimed", "says"), [
    (BETTER, 1.0, "agrees"), (BETTER, -0.0007, "disagrees"), (BETTER, None, "disagrees"),
    (WORSE, -0.0007, "agrees"), (WORSE, 1.0, "disagrees"), (WORSE, None, "agrees"),
    (EQUAL, -0.0007, "agrees"), (EQUAL, 1.0, "disagrees"), (EQUAL, None, "agrees"),
    *((OPEN, claimed, "cannot be tested here: ≥ 0.057") for claimed in (1.0, -0.0007, None)),
])  # fmt: skip
def test_what_is_said_of_a_claim_follows_from_the_verdict(found, claimed, says):
    assert chapter.reading(found, claimed).startswith(says)


# What the reader sees


def test_sentences_hold_the_stored_results():
    _, text = read_back("dlrm")
    rivals = ["dcn", "deepfm", "wide_deep", "fm", "logistic_regression"]
    for task in ("click", "like"):
        v = compare_stored("movielens-100k", task, "dlrm", rivals).iloc[0]
        assert f"MovieLens, {task}: {told(v)}" in text, "run tools/execute.py book/dlrm.ipynb again"
    assert "no difference" not in text


def test_every_claim_of_the_primer_has_its_place_in_the_chapter():
    notebook, _ = read_back("dlrm")
    claims = json.loads((ROOT / "book" / "primer" / "dlrm.json").read_text())
    headings = re.findall(r"^#{2,3} (.+)$", "\n".join(c.source for c in notebook.cells), re.MULTILINE)
    assert {c["where"] for c in claims} <= set(headings)
    assert {c["answer"] for c in claims} <= {"explained", "measured", "corrected", "cited"}
    covered = {n for c in claims for n in range(c["lines"][0], c["lines"][1] + 1)}
    text = [554, 556, 557, 558, 559, 561, 563, 565, 567, 569, 571, 572, 573, 574, 575, 577, 579, 580, 581, 582]
    assert set(text) <= covered
