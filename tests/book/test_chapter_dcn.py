"""The chapter's own code: loops, vectors and module are the library's, polynomials are sympy's, guards catch bugs."""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sympy
import tiny
import torch
from notebook_code import definitions, read_back
from torch.testing import assert_close

from recsys_lite.evaluation import compare_runs, compare_stored, exact
from recsys_lite.explain import cross_strength
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.layers import CrossNet
from recsys_lite.models import DCN
from recsys_lite.notebook import told
from recsys_lite.store import RESULTS, load_results, read_json

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))


chapter = definitions("book/dcn.ipynb")


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 2, 4), (3, 8, 2)])
def test_loops_vectors_and_layer_agree(shape):
    torch.manual_seed(0)
    count, inputs, layers = shape
    x0, w, b = (torch.randn(s, dtype=torch.float64) for s in [(count, inputs), (layers, inputs), (layers, inputs)])
    slow = torch.stack([torch.stack(chapter.cross_loops(list(row), w, b)[-1]) for row in x0])
    assert_close(chapter.cross_fast(x0, w, b), slow)
    layer = CrossNet(inputs, layers).double()
    layer.load_state_dict({"weight": w, "bias": b})
    assert_close(layer(x0), slow)


@pytest.mark.parametrize(("sizes", "numbers", "layers"), [([5], 0, 1), ([4, 6, 3], 2, 3), ([3, 9], 5, 2)])
def test_the_module_with_copied_weights_is_the_librarys_model(sizes, numbers, layers):
    torch.manual_seed(0)
    fields = [Field(f"I{k}", "numeric") for k in range(numbers)]
    fields += [
        Field(f"C{k}", "categorical", Vocabulary([f"v{i}" for i in range(size - 1)])) for k, size in enumerate(sizes)
    ]
    library = DCN(fields, dim=4, cross_layers=layers, hidden=(6,))
    scratch = chapter.ScratchDCN(sizes, numbers, 4, layers, 6)
    names = {"input.embedding.table.weight": "table", "cross.weight": "w", "cross.bias": "b"}
    for part in ("weight", "bias"):
        names |= {f"mlp.0.{part}": f"deep.0.{part}", f"combine.{part}": f"combine.{part}"}
    theirs, ours = dict(library.named_parameters()), dict(scratch.named_parameters())
    assert set(theirs) == set(names) and set(ours) == set(names.values())
    with torch.no_grad():
        for a, b in names.items():
            ours[b].copy_(theirs[a].normal_(std=0.4))
    ids = torch.stack([torch.randint(0, size, (20,)) for size in sizes], 1)
    rows = Rows(ids.int(), torch.randn(20, numbers))
    z, z_scratch = library(rows), scratch(ids, rows.numeric)
    assert_close(z, z_scratch, rtol=1e-4, atol=1e-4)
    assert_close(library(rows[:1]), scratch(ids[:1], rows.numeric[:1]), rtol=1e-4, atol=1e-4)
    z.tanh().sum().backward()
    z_scratch.tanh().sum().backward()
    for a, b in names.items():
        assert_close(theirs[a].grad, ours[b].grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("inputs", "layers"), [(1, 4), (2, 3), (3, 2)])
def test_polynomials_are_sympys(inputs, layers):
    rng = np.random.default_rng(inputs)
    w, b = chapter.fractions(rng, layers, inputs), chapter.fractions(rng, layers, inputs)
    states = chapter.cross_loops(chapter.letters("x", inputs), w, b)
    symbols = sympy.symbols(f"x1:{inputs + 1}")
    exact = lambda table: [[sympy.Rational(c.numerator, c.denominator) for c in line] for line in table]  # noqa: E731
    for ours, theirs in zip(states[-1], chapter.cross_loops(list(symbols), exact(w), exact(b))[-1], strict=True):
        expected = {
            tuple(f"x{k + 1}" for k, power in enumerate(powers) for _ in range(power)): Fraction(int(c.p), int(c.q))
            for powers, c in sympy.Poly(theirs, *symbols).terms()
        }
        assert ours.terms == expected
        assert ours.degree() == layers + 1


def test_polynomials_cancel_to_nothing():
    x = chapter.polynomial("x1")
    assert (x * x + x * x * -1).terms == {} and (x * 0).terms == {} and (0 + x).terms == {("x1",): 1}


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_a_product_with_the_state_itself_doubles_the_degree(layers):
    rng = np.random.default_rng(layers)
    x = chapter.doubled(chapter.letters("x", 1), chapter.fractions(rng, layers, 1), chapter.fractions(rng, layers, 1))
    assert x[0].degree() == 2**layers


def test_the_guards_catch_each_mistake_and_pass_the_right_code():
    verdicts = {
        name: (chapter.is_right(f, 1), chapter.is_right(f, 3), chapter.is_lean(f))
        for name, f in vars(chapter).items()
        if name in ("cross_fast", "as_function", "bias_inside", "one_weight", "overwritten", "outer_product")
    }
    assert verdicts == {
        "cross_fast": (True, True, True),
        "as_function": (True, True, True),
        "bias_inside": (False, False, True),
        "one_weight": (True, False, True),
        "overwritten": (True, False, True),
        "outer_product": (True, True, False),
    }


@pytest.mark.parametrize("name", ["user", "genres"])
def test_rescaling_a_field_changes_the_map_and_nothing_else(name):
    torch.manual_seed(0)
    model, batch = DCN(tiny.FIELDS, dim=4), tiny.rows(12)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(std=0.3)
    other = chapter.rescaled(model, name, 0.25)
    assert_close(other(batch), model(batch), rtol=1e-4, atol=1e-4)
    before, after = cross_strength(model, 1), cross_strength(other, 1)
    assert_close(
        torch.tensor(after.loc[name].drop(name).to_numpy() / before.loc[name].drop(name).to_numpy()).mean(),
        torch.tensor(4.0),
    )
    rest = [n for n in before.index if n != name]
    assert np.allclose(after.loc[rest, rest], before.loc[rest, rest])


def test_the_map_totals_add_rows_and_columns_of_all_layers():
    torch.manual_seed(0)
    model = DCN(tiny.FIELDS, dim=4, cross_layers=2, hidden=())
    by_hand = sum(cross_strength(model, k).loc["user"].sum() + cross_strength(model, k)["user"].sum() for k in (0, 1))
    assert chapter.map_total(model)["user"] == pytest.approx(by_hand)


def loss(values, against):
    return compare_runs(values, against, metric="log_loss", paired=True)


@pytest.mark.parametrize(("found", "claimed", "says"), [
    (loss([0.43, 0.44, 0.45], [0.45, 0.46, 0.47]), -0.0045, "agrees"),
    (loss([0.43, 0.44, 0.45], [0.45, 0.46, 0.47]), 1.0, "disagrees"),
    (loss([0.4300, 0.4401, 0.4500], [0.4301, 0.4400, 0.4501]), -0.0008, "agrees: both at most 0.002"),
    (loss([0.4300, 0.4401, 0.4500], [0.4301, 0.4400, 0.4501]), -0.0045, "disagrees"),
    (loss([0.43, 0.46, 0.45], [0.45, 0.44, 0.47]), -0.0045, "cannot be tested here: ≥ 0."),
])  # fmt: skip
def test_what_is_said_of_a_claim_follows_from_the_verdict(found, claimed, says):
    assert chapter.reading(found, claimed).startswith(says)


# What the reader sees


def test_sentences_hold_the_stored_results():
    _, said = read_back("dcn")
    text = " ".join(said.split())
    assert "no difference" not in text
    if "noise of training seeds only" not in text:
        pytest.skip("users are drawn, too: the chapter compares predictions")
    rivals = ["wide_deep", "deepfm", "fm", "logistic_regression"]
    rivals += ["mlp"] if load_results("movielens-100k", "click", "mlp") else []
    for task in ("click", "like"):
        v = compare_stored("movielens-100k", task, "dcn", rivals).iloc[0]
        assert f"MovieLens, {task}: {told(v)}" in text, "run tools/execute.py book/dcn.ipynb again"
    sweep = pd.DataFrame(read_json(RESULTS / "planted_crosses.json")["movielens"])
    both, deep = (sweep[sweep["model"] == m].sort_values("seed")["auc"] for m in ("both, 3 cross layers", "deep only"))
    gap = compare_runs(deep.tolist(), both.tolist(), paired=True)
    assert f"{told(gap, brief=True).split(',')[0]} [" in text


def test_counts_of_the_converged_runs_are_shown_with_exact_intervals():
    notebook, _ = read_back("dcn")
    shown = str([c.outputs for c in notebook.cells if "found_table" in c.source])
    runs = pd.DataFrame(read_json(RESULTS / "converged_crosses.json")["runs"])
    for _, part in runs.groupby(["order", "model"]):
        k, n = int((part["auc"] > 0.85).sum()), len(part)
        assert f"{k} of {n} [{exact(k, n)[1]:.0%}, {exact(k, n)[2]:.0%}]" in shown
