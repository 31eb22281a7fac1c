"""The chapter's own code: loops, vectors and modules agree with each other and with the library."""

import json
import re
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from notebook_code import definitions, read_back
from tiny import FIELDS, rows
from torch import nn
from torch.testing import assert_close

from recsys_lite.evaluation import auc, compare_runs
from recsys_lite.fields import Field, Vocabulary
from recsys_lite.layers import InteractingLayer
from recsys_lite.models import AutoInt

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))


chapter = definitions("book/autoint.ipynb")


@pytest.mark.parametrize("shape", [(1, 1, 2, 1, 1), (3, 4, 5, 2, 3), (2, 6, 4, 3, 1)])
def test_loops_and_vectors_agree_in_value_weights_and_gradient(shape):
    torch.manual_seed(0)
    B, F, d, H, u = shape
    e = torch.randn(B, F, d, dtype=torch.float64)
    layer = chapter.ScratchInteracting(d, u, H).double()
    leaves = list(layer.parameters())
    slow = [torch.stack(p) for p in zip(*(chapter.interacting_loops(row, *leaves) for row in e), strict=True)]
    fast = layer(e)
    assert_close(list(fast), slow)
    one, two = (torch.autograd.grad(sum((o**2).sum() for o in out), leaves) for out in (fast, slow))
    assert_close(one, two)


@pytest.mark.parametrize(("d", "u", "H"), [(16, 32, 2), (5, 3, 1), (4, 1, 4)])
def test_the_layer_with_copied_weights_is_the_librarys(d, u, H):
    torch.manual_seed(d)
    library = InteractingLayer(d, units=u, heads=H)
    e = torch.randn(6, 9, d)
    assert_close(chapter.ScratchInteracting(d, u, H).copy(library)(e), library.attend(e))


def test_the_authors_variant_is_the_librarys_option():
    torch.manual_seed(0)
    library = InteractingLayer(6, units=4, heads=2, variant="code")
    for name in ("query", "key", "value", "residual"):
        nn.init.normal_(getattr(library, name).bias)
    e = torch.randn(6, 9, 6)
    assert_close(chapter.interacting_code(e, library), library(e), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_the_model_with_copied_weights_is_the_librarys(seed):
    torch.manual_seed(seed)
    library = AutoInt(FIELDS, dim=6, units=3, heads=2, layers=3, std=0.5)
    scratch, batch = chapter.as_scratch(library), rows(20, seed)
    z, maps = scratch(batch)
    assert_close(z, library(batch), rtol=1e-4, atol=1e-5)
    assert_close(maps, library.attention(batch))
    z.sum().backward()
    library(batch).sum().backward()
    ours, theirs = scratch.embedding.table.weight.grad, library.embedding.table.weight.grad
    assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_replacing_the_weights_by_themselves_changes_nothing_and_by_others_does():
    torch.manual_seed(0)
    library, batch = AutoInt(FIELDS, dim=6, units=3, std=1.0), rows(300)
    own = auc(batch.label, library(batch).detach())
    assert chapter.replaced(library, batch, lambda m: m) == pytest.approx(own, abs=1e-3)
    z = chapter.as_scratch(library)(batch, [chapter.over_rows(m) for m in library.attention(batch)])[0]
    assert (z - library(batch)).abs().max() > 1e-3


def test_right_code_has_all_properties_and_each_slip_lacks_one():
    assert chapter.broken(chapter.stack) == []
    lacks = {
        "softmax over the wrong axis": "weights sum to 1",
        "scale": "numbers by hand",
        "projection after heads": "no Q: the plain mean",
        "identity residual": "no V: ReLU(W e) each layer",
        "residual once": "no V: ReLU(W e) each layer",
        "LayerNorm before ReLU": "no V: ReLU(W e) each layer",
        "position": "fields may be exchanged",
    }
    for slip, name in lacks.items():
        for seed in range(3):
            assert name in chapter.broken(lambda e, layers, slip=slip: chapter.stack(e, layers, slip), seed)


def test_the_librarys_layers_have_all_properties():
    def forward(e, layers):
        maps = []
        for q, k, v, r in layers:
            layer = InteractingLayer(e.shape[-1], units=q.shape[1], heads=q.shape[0])
            with torch.no_grad():
                for name, w in zip(("query", "key", "value", "residual"), (q, k, v, r), strict=True):
                    getattr(layer, name).weight.copy_(w.flatten(0, -2))
            e, weights = layer.attend(e)
            maps.append(weights)
        return e, maps

    assert chapter.broken(forward) == []


@pytest.mark.parametrize(("layers", "heads", "units", "dim"), [(1, 1, 4, 16), (3, 2, 32, 16), (2, 3, 5, 7)])
def test_the_parameter_formula_counts_the_librarys(layers, heads, units, dim):
    model = AutoInt(FIELDS, dim=dim, layers=layers, heads=heads, units=units)
    features = model.embedding.table.num_embeddings
    assert model.parameter_count == chapter.parameters(features, len(FIELDS), dim, layers, heads, units)


def test_no_planted_field_alone_says_anything():
    sizes = {n: 2 if n == "S" else 10 for n in "ABCDS"}
    fields = tuple(Field(n, "categorical", Vocabulary([f"{n}{k}" for k in range(s)])) for n, s in sizes.items())
    for kind in ("pair", "switch", "coin"):
        data = chapter.planted(fields, 0, kind)
        label, ids = data.train.label, data.train.ids
        alone = [label[ids[:, k] == v].mean() - label.mean() for k in range(5) for v in ids[:, k].unique()]
        assert torch.stack(alone).abs().max() < 0.25
    pairs = {kind: planted_signs(chapter.planted(fields, 0, kind).train) for kind in ("pair", "coin")}
    assert pairs["pair"] > 0.3 > 0.1 > pairs["coin"]


def planted_signs(rows):
    """Mean distance from one half of the click rate of each combination of A and C."""
    cell = rows.ids[:, 0].long() * 11 + rows.ids[:, 2].long()
    return torch.stack([(rows.label[cell == c].mean() - 0.5).abs() for c in cell.unique()]).mean()


def test_the_planted_labels_cannot_be_scored_better_than_by_the_truth():
    for kind, low in (("pair", 0.85), ("switch", 0.85), ("coin", 0.5)):
        best = chapter.planted(chapter_fields(), 0, kind).extras["best"]
        assert low <= best < 0.95


def chapter_fields():
    sizes = {n: 2 if n == "S" else 10 for n in "ABCDS"}
    return tuple(Field(n, "categorical", Vocabulary([f"{n}{k}" for k in range(s)])) for n, s in sizes.items())


def test_pairs_are_ordered_by_the_mean_of_both_directions():
    table = pd.DataFrame([[9, 0.2, 0.3], [0.4, 9, 0.0], [0.1, 0.2, 9]], list("xyz"), list("xyz"))
    found = chapter.by_attention(table)
    assert list(found.index) == [("x", "y"), ("x", "z"), ("y", "z")]
    assert found.tolist() == pytest.approx([0.3, 0.2, 0.1])


def test_a_run_is_ordered_by_its_map_whatever_the_order_of_a_pair():
    table = [[0.1, 0.9], [0.9, 0.1]]
    run = {"fields": ["x", "y"], "attention": [[table]], "pairs": [{"a": "y", "b": "x", "strength": 2, "log_loss": 3}]}
    found = chapter.orders(run)
    assert found.loc[("y", "x"), ["strength", "effect", "attention"]].tolist() == [2, 3, 0.9]


def verdict(values, against, metric="auc"):
    return compare_runs(values, against, metric=metric, paired=True)


@pytest.mark.parametrize(("found", "claimed", "says"), [
    (verdict([0.82, 0.83, 0.84], [0.80, 0.81, 0.82]), "better", "agrees"),
    (verdict([0.82, 0.83, 0.84], [0.80, 0.81, 0.82]), "worse", "disagrees: better"),
    (verdict([0.82, 0.83, 0.84], [0.80, 0.81, 0.82], "log_loss"), "worse", "agrees"),
    (verdict([0.8000, 0.8101, 0.8200], [0.8001, 0.8100, 0.8201]), "better", "disagrees: equal within 0.002"),
    (verdict([0.82, 0.80, 0.84], [0.80, 0.81, 0.82]), "better", "cannot be tested here: ≥ 0.057"),
])  # fmt: skip
def test_what_is_said_of_a_claim_follows_from_the_verdict(found, claimed, says):
    assert chapter.reading(found, claimed).startswith(says)


@pytest.mark.parametrize(("k", "n", "says"), [(5, 5, "agrees"), (4, 5, "agrees"), (2, 5, "cannot"), (0, 5, "cannot"),
                                              (0, 20, "disagrees")])  # fmt: skip
def test_a_pair_of_the_papers_map_is_found_only_more_often_than_by_chance(k, n, says):
    assert chapter.found_pair(k, n).startswith(says)


# What the reader sees


def test_sentences_hold_the_stored_results():
    """Run tools/execute.py book/autoint.ipynb again if this fails."""
    from recsys_lite.notebook import told
    from recsys_lite.store import RESULTS, load_results, read_json

    text = read_back("autoint")[1]
    kept = [r["test"]["auc"] for r in load_results("movielens-100k", "click", "autoint")]
    assert f"AutoInt has AUC {np.mean(kept):.4f}" in " ".join(text.split())
    if not load_results("movielens-100k", "click", "cross_net"):  # until then the crosses are those of the sweep
        swept = [r["auc"] for r in read_json(RESULTS / "dcn_v2.json")["movielens"] if r["model"] == "dcn, cross only"]
        assert told(compare_runs(kept, swept)) in text
    assert "no difference" not in text


def test_the_primers_section_is_answered_line_by_line():
    entries = json.loads((ROOT / "book" / "primer" / "autoint.json").read_text(encoding="utf-8"))
    text = "\n".join(c.source for c in read_back("autoint")[0].cells if c.cell_type == "markdown")
    headings = [*re.findall(r"^#+ +(.+)$", text, re.MULTILINE), *re.findall(r"<summary>(.*?)</summary>", text)]
    assert {e["where"] for e in entries} <= {h.split(":")[0] for h in headings} | set(headings)
    empty = {517, 527, 529, 531, 533, 538, 540, 543, 545, 548, 550, 553}
    answered = set(chain.from_iterable(range(e["lines"][0], e["lines"][1] + 1) for e in entries))
    assert set(range(518, 554)) - empty <= answered
