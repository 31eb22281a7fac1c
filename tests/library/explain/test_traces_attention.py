"""Traces of AutoInt and DHEN: they are the models', box by box and number by number."""

import math
import re

import pytest
import tiny
import torch
from traced import PAIR, TWO, checked, of_box, stored

from recsys_lite.explain.boxes import ARCHITECTURES
from recsys_lite.explain.traces import trace
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.layers import InteractingLayer
from recsys_lite.layers.ensemble import MODULES
from recsys_lite.models import DHEN, DLRM, AutoInt

ATTENTION = ("autoint", "dhen")
MANY = tuple(Field(f"f{k}", "categorical", Vocabulary(["v"])) for k in range(18))
MANY_ROW = Rows(torch.ones(1, 18, dtype=torch.int32), torch.zeros(1, 0))
ONE, ONE_ROW = MANY[:1], Rows(torch.ones(1, 1, dtype=torch.int32), torch.zeros(1, 0))
THREE = tuple(Field(n, "categorical", Vocabulary(["v"])) for n in ("gender", "genre", "year"))
THREE_ROW = Rows(torch.ones(1, 3, dtype=torch.int32), torch.zeros(1, 0))


@torch.no_grad()
def with_vectors(model, vectors):
    """A model whose fields have these vectors for their first value."""
    for f, v in zip(model.fields, vectors, strict=True):
        model.embedding.table.weight[model.embedding.row(f.name, 1)] = torch.tensor(v)
    return model


# --- AutoInt --------------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("variant", ["paper", "code"])
def test_maps_and_vectors_are_the_models_own(movielens, variant):
    rows = movielens.test[30]
    model = stored(movielens, "autoint")
    if variant == "code":
        model = tiny.filled(AutoInt(movielens.fields, units=8, variant="code"), std=0.3)
    made = trace("autoint", model, rows)
    maps = [s for s in made if s.title.endswith("who looks at whom")]
    ends = [s for s in made if s.title.endswith("norm" if variant == "code" else "heads and residual")]
    e = model.embedding(rows)
    assert len(maps) == len(ends) == 3
    for shown, end, layer in zip(maps, ends, model.layers, strict=True):
        e, alpha = layer.attend(e)
        head = int(re.search(r"Head (\d)", shown.note)[1]) - 1
        torch.testing.assert_close(torch.tensor(shown.result.to_numpy()), alpha[0, head].double())
        torch.testing.assert_close(torch.tensor(end.result.to_numpy()), e[0].double(), rtol=1e-4, atol=1e-5)
        off = alpha[0] * (1 - torch.eye(10))  # what is shown is the largest weight on another field
        assert shown.numbers.endswith(f"= {off.max():.3f}")
    fields = of_box(made, 4)[0].result.sum(axis=1)
    fine = model.parts(rows, fine=True)
    assert fields.tolist() == pytest.approx([fine[f.name].item() for f in model.fields], abs=1e-4)
    assert of_box(made, 4)[1].result.loc["log-odds", "z"] == pytest.approx(model(rows).item(), abs=1e-5)


def by_hand(layer=InteractingLayer):
    """The chapter's: W_K = W_V = I, W_Q = ln 2 · I, W_Res = -I; gender's new vector is (0, 0.6)."""
    model = AutoInt(THREE, dim=2, layers=1, heads=1, units=2)
    model.layers[0] = layer(2, units=2, heads=1)
    eye = torch.eye(2)
    with torch.no_grad():
        for part, factor in (("query", math.log(2)), ("key", 1), ("value", 1), ("residual", -1)):
            getattr(model.layers[0], part).weight.copy_(factor * eye)
        model.combine.weight.copy_(torch.tensor([[0.0, 0.5, 0.0, 0.0, 0.0, 0.0]]))
        model.combine.bias.fill_(0.1)
    return with_vectors(model, [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def test_autoint_by_hand():
    made = trace("autoint", by_hand(), THREE_ROW)
    score, weight, heard, out = (s for s in made if s.title.startswith("Layer 1"))
    names = ["gender: v", "genre: v", "year: v"]
    assert weight.result.index.tolist() == weight.result.columns.tolist() == names
    assert score.result.loc["gender: v"].tolist() == pytest.approx([math.log(2), 0, math.log(2)])
    assert weight.result.loc["gender: v"].tolist() == pytest.approx([0.4, 0.2, 0.4])
    assert weight.numbers == r"\frac{e^{0.693}}{e^{0.693} + 3.000} = \frac{2.000}{5.000} = 0.400"
    assert score.numbers.endswith("= 0.693") and "gender: v* (line) with *year: v* (column)" in score.note
    assert heard.result.loc["gender: v"].tolist() == pytest.approx([0.8, 0.6])
    assert out.result.loc["gender: v"].tolist() == pytest.approx([0, 0.6], abs=1e-6)
    assert out.numbers.endswith(
        r"\underbrace{0.600}_{\text{heads}} + \underbrace{0.000}_{\text{residual}} = 0.600,\quad "
        r"\mathrm{ReLU}(0.600) = 0.600"
    )
    assert made[-2].numbers.startswith(r"z = \underbrace{0.300}_{\text{gender: v}} + \underbrace{0.100}_{\text{bias}}")
    assert made[-2].numbers.endswith("= 0.400") and out.formula.startswith(r"e^{(1)}_m = \mathrm{ReLU}\big([\tilde e")


def test_a_scale_that_is_not_the_papers_is_refused():
    class Scaled(InteractingLayer):
        """A known mistake: the scale of transformers, which the paper does not have."""

        def attend(self, e):
            q, k, v = self.query(e) / 2**0.5, self.key(e), self.value(e)
            alpha = (q @ k.transpose(1, 2)).softmax(-1)
            return torch.relu(alpha @ v + self.residual(e)), alpha.unsqueeze(1)

    with pytest.raises(ValueError, match=r"softmax_of: the numbers give 0\.4000, not"):
        trace("autoint", by_hand(Scaled), THREE_ROW)


def test_a_residual_that_is_left_out_is_refused():
    class Without(InteractingLayer):
        def _join(self, heads, residual):
            return super()._join(heads, torch.zeros_like(residual))

    with pytest.raises(ValueError, match="the numbers give"):
        trace("autoint", by_hand(Without), THREE_ROW)


def test_a_network_beside_attention_has_its_steps():
    model = tiny.filled(AutoInt(tiny.FIELDS, hidden=(8,)), std=0.3)
    made = of_box(trace("autoint", model, tiny.rows(1)), 4)
    assert made[0].title.startswith("The network beside it, layer 1") and made[-1].formula.endswith(r"+ w_h^\top h")
    deep = model.parts(tiny.rows(1))["deep"].item()
    assert made[1].result.iloc[0, 0] == made[-1].result["network"].item() == pytest.approx(deep, abs=1e-5)


# --- DHEN -----------------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("join", ["concat", "sum"])
def test_modules_and_layers_are_the_models_own(movielens, join):
    rows = movielens.test[30]
    model = tiny.filled(DHEN(movielens.fields, dim=6, modules=list(MODULES), join=join), std=0.2).eval()
    made = trace("dhen", model, rows)
    x = model.start(rows)
    for n, layer in enumerate(model.layers, 1):
        for k, (name, module) in enumerate(zip(layer.names, layer.interactions, strict=True), 1):
            last = [s for s in made if s.title.startswith(f"Layer {n}, module {k} ({name})")][-1]
            torch.testing.assert_close(torch.tensor(last.result.to_numpy()).float(), module(x)[0], atol=1e-5, rtol=1e-4)
            assert last.box == (4 if n == 2 else 2 if name in ("dot", "cross") else 3)
        x = layer(x)
        (out,) = [s for s in made if s.title == f"Layer {n}: norm"]
        torch.testing.assert_close(torch.tensor(out.result.to_numpy()).float(), x[0], atol=1e-5, rtol=1e-4)
    assert of_box(made, 5)[1].result.loc["log-odds", "z"] == pytest.approx(model(rows).item(), abs=1e-5)
    maps = [s.result for s in made if s.title.endswith("who looks at whom")]
    for shown, own in zip(maps, model.attention(rows), strict=True):
        torch.testing.assert_close(torch.tensor(shown.to_numpy()).float(), own[0, 0], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def dhen_by_hand(join="concat"):
    """The chapter's X, and W = (1, -1) of the linear module. What it makes is (1, 1, -1, -1)."""
    model = DHEN(TWO, dim=4, modules=["linear"], layers=1, out=1, join=join)
    layer = model.layers[0]
    layer.interactions[0].project.weight.copy_(torch.tensor([[1.0, -1.0]]))
    layer.interactions[0].project.bias.zero_()
    layer.shortcut.weight.copy_(torch.tensor([[1.0, 0.0]]))
    model.combine.weight.copy_(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
    model.combine.bias.zero_()
    return with_vectors(model, [[1.0, 2.0, 0.0, 1.0], [0.0, 1.0, 1.0, 2.0]])


def test_dhen_by_hand():
    made = trace("dhen", dhen_by_hand(), PAIR)
    (none,), (linear,) = of_box(made, 2), of_box(made, 3)
    assert none.title == "No dot or cross module here" and not none.result.size and "linear" in none.note
    assert linear.result.to_numpy().tolist() == [[1, 1, -1, -1]]
    short, both, norm = of_box(made, 4)
    assert short.result.to_numpy().tolist() == [[1, 2, 0, 1]] and "2 vectors came in and 1 go out" in short.note
    assert both.result.to_numpy().tolist() == [[2, 3, -1, 0]]  # mean 1, variance (1 + 4 + 4 + 1) / 4 = 2.5
    assert both.numbers == r"\underbrace{1.000}_{\text{modules}} + \underbrace{2.000}_{\text{shortcut}} = 3.000"
    assert norm.numbers == r"\frac{3.000 - 1.000}{1.581} \cdot 1.000 + 0.000 = 1.265"
    assert of_box(made, 5)[1].numbers.endswith("= 0.632")


def test_dhen_sums_modules_with_their_weights():
    weighted, *_ = of_box(trace("dhen", dhen_by_hand("sum"), PAIR), 4)
    assert weighted.formula == r"\sum_i \omega_i u_i" and weighted.result.to_numpy().tolist() == [[1, 1, -1, -1]]


def test_a_norm_left_out_is_refused():
    model = dhen_by_hand()
    model.layers[0].norm.forward = lambda x: x
    with pytest.raises(ValueError, match="norm_of: the numbers give"):
        trace("dhen", model, PAIR)


def test_many_vectors_are_compressed_before_pairs_are_taken():
    model = tiny.filled(DHEN(MANY, dim=4, modules=["dot"]), std=0.3)
    steps = of_box(trace("dhen", model, MANY_ROW), 2)
    assert steps[0].title.endswith("18 vectors compressed to 16") and steps[2].result.notna().to_numpy().sum() == 120
    checked("dhen", model, MANY_ROW, trace("dhen", model, MANY_ROW))


def test_numbers_become_one_vector(criteo):
    made = trace("dhen", stored(criteo, "dhen"), criteo.test[30])
    assert [s.title for s in of_box(made, 0)] == ["The categories as numbers", "The numbers"]
    z0 = of_box(made, 1)[-1]
    assert z0.note.startswith("This is z₀") and z0.result.shape == (1, 16)
    x = stored(criteo, "dhen").start(criteo.test[30])[0, 0]
    assert z0.result.to_numpy()[0] == pytest.approx(x.detach().numpy(), abs=1e-5)


# --- what is shown --------------------------------------------------------------------------------------------------


def test_dlrm_says_that_there_are_no_numbers(movielens, criteo):
    rows = movielens.test[30]
    (first,) = of_box(trace("dlrm", stored(movielens, "dlrm"), rows), 0)
    assert first.title == "There are no numbers in these data" and not first.result.size
    assert "None of the 10 fields" in first.note and ARCHITECTURES["dlrm"][0][0].label == "numbers"
    assert of_box(trace("dlrm", tiny.filled(DLRM(tiny.FIELDS)), tiny.rows(1)), 0)[0].title == "The numbers"
