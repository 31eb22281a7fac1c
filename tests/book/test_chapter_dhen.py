"""The chapter's own code: loops, vectors, modules and model agree with each other and with the library."""

import itertools
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from notebook_code import definitions
from torch.testing import assert_close

from bench.ranking.dhen import two_kinds
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.layers import EnsembleLayer
from recsys_lite.layers.ensemble import MODULES
from recsys_lite.models import DHEN
from recsys_lite.store import RESULTS, load_results, read_json

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import prose  # noqa: E402

chapter = definitions("book/dhen.ipynb")
KINDS = list(MODULES)
LOOPS = {name: f"{name}_loops" for name in ("mix", "dots", "cross", "attend", "convolve")}


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 3), (4, 5, 2)])
@pytest.mark.parametrize("name", LOOPS)
def test_loops_and_vectors_agree(name, shape):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64)
    fast, slow = getattr(chapter, name), getattr(chapter, LOOPS[name])
    weights = chapter.weights_of(fast, *shape[1:])
    order = (lambda f, v: f(*weights, v)) if name == "mix" else (lambda f, v: f(v, *weights))
    by_rows = [order(slow, list(row)) for row in x]
    expected = torch.stack([torch.stack(row) for row in by_rows]) if by_rows[0] else torch.zeros(shape[0], 0)
    assert_close(order(fast, x), expected.double())


@pytest.mark.parametrize("join", ["concat", "sum"])
@pytest.mark.parametrize("kinds", [[k] for k in KINDS] + [list(p) for p in itertools.combinations(KINDS, 2)] + [KINDS])
def test_the_model_with_copied_weights_is_the_librarys(kinds, join):
    torch.manual_seed(0)
    sizes = [4, 6, 3]
    fields = [Field("I0", "numeric"), Field("I1", "numeric")]
    fields += [Field(f"C{k}", "categorical", Vocabulary([f"v{i}" for i in range(n - 1)])) for k, n in enumerate(sizes)]
    library = DHEN(fields, dim=4, modules=kinds, layers=3, out=2, join=join).double()
    scratch = chapter.ScratchDHEN(sizes, 2, 4, kinds, layers=3, l=2, join=join).double()
    pairs = chapter.copied(library, scratch)
    ids = torch.stack([torch.randint(0, n, (9,)) for n in sizes], 1)
    rows = Rows(ids.int(), torch.randn(9, 2, dtype=torch.float64))
    assert_close(library(rows[:1]), scratch(ids[:1], rows.numeric[:1]))
    z, z_scratch = library(rows), scratch(ids, rows.numeric)
    assert_close(z, z_scratch)
    z.square().sum().backward()
    z_scratch.square().sum().backward()
    for theirs, own in pairs:
        assert_close(theirs.grad, own.grad)


def test_compressed_dots_are_the_librarys():
    library, scratch = MODULES["dot"](20, 4, 8).double(), chapter.Dot(20, 4, 8).double()
    scratch.load_state_dict({chapter.ours(name): value for name, value in library.state_dict().items()})
    x = torch.randn(3, 20, 8, dtype=torch.float64)
    assert scratch.C.shape == (16, 20)
    assert_close(library(x), scratch(x))


def test_sixty_two_signals_hold_by_one_rule_only():
    counts = {}
    for rule in ("one more input", "any two signals"):
        signals = chapter.words("AB", 2, rule)
        for naming in ("one kind a word", "any kind at each ×"):
            counts[rule, naming] = len(chapter.named(signals, KINDS, naming))
    assert [key for key, count in counts.items() if count == 62] == [("one more input", "one kind a word")]
    assert counts["any two signals", "one kind a word"] == 142 and counts["one more input", "any kind at each ×"] == 222
    assert max(map(len, chapter.words("AB", 3, "any two signals"))) == 8


@pytest.mark.parametrize("name", ["ScratchLayer", "NoNorm", "NoShortcut", "RowsLook"])
def test_each_mistake_fails_one_question(name):
    found = chapter.answers(getattr(chapter, name))
    wrong = {"ScratchLayer": [], "NoNorm": [0], "NoShortcut": [1], "RowsLook": [2]}[name]
    assert [k for k, right in enumerate(found) if not right] == wrong


def test_the_planted_data_are_those_of_the_bench():
    for seed, signal in ((0, True), (5, False)):
        ours, theirs = chapter.two_kinds(seed, signal=signal), two_kinds(seed, signal=signal)
        assert torch.equal(ours.train.ids, theirs.train.ids) and torch.equal(ours.test.label, theirs.test.label)
        assert torch.equal(ours.extras["parts"], theirs.extras["parts"])


@pytest.mark.parametrize("m", [3, 16, 30])
@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_counted(m, kind):
    layer = EnsembleLayer(m, 8, [kind], out=3).interactions[0]
    assert chapter.by_module(m, d=8, l=3)[kind] == sum(p.numel() for p in layer.parameters())


def test_the_degree_of_a_stack():
    assert [chapter.degree_of(layers, "cross") for layers in (1, 2, 3)] == [2, 4, 8]
    assert chapter.degree_of(3, "linear") == 1


def test_holding_a_module_at_its_mean_leaves_the_model_as_it_was():
    data = tiny.dataset(100)
    model = DHEN(data.fields, dim=8, modules=["dot", "cross"], std=0.5).eval()
    before = model(data.test)
    found = chapter.silenced(model, data.test)
    assert list(found) == ["whole model", "layer 1, dot", "layer 1, cross", "layer 2, dot", "layer 2, cross"]
    assert_close(found["whole model"], torch.sigmoid(before))
    assert all(not torch.equal(p, found["whole model"]) for name, p in found.items() if name != "whole model")
    assert_close(model(data.test), before)


def test_a_triple_can_be_set_by_hand():
    nothing = [0.0, 0, 0]
    first = chapter.by_hand([[0.0, 1, 0], nothing, nothing], [-1.0, 0, 0])
    second = chapter.by_hand([[0.0, 0, 1], nothing, nothing], [-1.0, 0, 0])
    x = torch.tensor([[[2.0], [3.0], [5.0]]])
    assert first(x).flatten().tolist() == [6.0, 3.0, 5.0]
    assert second(first(x)).flatten().tolist() == [30.0, 3.0, 5.0]


@pytest.mark.parametrize(
    ("word", "claimed", "difference", "said"),
    [
        ("better", -0.27, -0.02, "agrees"),
        ("worse", -0.27, 0.02, "disagrees"),
        ("equal within δ", -0.1, 0.0, "agrees"),
        ("equal within δ", -1.5, 0.0, "disagrees"),
        ("undecided", -1.5, 0.01, "cannot be tested here: ≥ 0.030"),
    ],
)
def test_every_word_has_a_reading(word, claimed, difference, said):
    assert chapter.reading(SimpleNamespace(word=word, difference=difference, delta=0.002), claimed, 0.03) == said


def test_the_sentences_are_those_of_the_stored_results():
    cells = nbformat.read(ROOT / "book" / "dhen.ipynb", as_version=4).cells
    said = " ".join(
        str(o["data"].get("text/markdown", "")) for c in cells for o in c.get("outputs", []) if "data" in o
    ).replace("\n", " ")
    area = np.mean([r["test"]["auc"] for r in load_results("movielens-100k", "click", "dhen")])
    assert f"AUC {area:.4f} and DLRM" in said
    runs = pd.DataFrame(read_json(RESULTS / "dhen.json")["runs"])
    single = runs[(runs["group"] == "modules") & (runs["model"] == "only linear")]["normalized_entropy"].mean()
    assert f"linear {single:.3f}" in said


def test_the_main_line_is_short_and_plain():
    found = prose.reading(nbformat.read(ROOT / "book" / "dhen.ipynb", as_version=4))
    assert found.minutes <= 27 and found.a_sentence < 13
