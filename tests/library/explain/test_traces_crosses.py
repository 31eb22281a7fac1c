"""Traces of DCN, DCN V2 and GDCN: they are the models', box by box, and the chapters' numbers by hand."""

import numpy as np
import pytest
import tiny
import torch
from traced import of_box, stored

from recsys_lite.explain.traces import steps, trace
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.layers import CrossNet
from recsys_lite.models import DCN, DCNV2, GDCN

CROSSES = ("dcn", "dcn_v2", "gdcn")
NUMBERS = (Field("a", "numeric"), Field("b", "numeric"))
TWO_ONE = Rows(torch.zeros(1, 0, dtype=torch.int32), torch.tensor([[2.0, 1.0]]))  # x₀ = (2, 1)


@torch.no_grad()
def put(model, **values):
    """Weights by hand."""
    for name, value in values.items():
        target = model.get_parameter(name.replace("__", "."))
        target.copy_(torch.as_tensor(value, dtype=torch.float32).view_as(target))
    return model


@torch.no_grad()
@pytest.mark.parametrize("name", CROSSES)
def test_layers_are_the_models_own(movielens, name):
    model, rows = stored(movielens, name), movielens.test[30]
    made = trace(name, model, rows)
    states = model.cross.states(model.input(rows))
    outs = [of_box(made, 1)[-1], *(s for s in of_box(made, 2) if s.title.endswith("what comes out"))]
    assert len(outs) == len(states) == model.cross.depth + 1
    for step, state in zip(outs, states, strict=True):
        torch.testing.assert_close(torch.tensor(step.result.to_numpy()).flatten(), state[0].double())
    for step, before, after in zip(outs[1:], states, states[1:], strict=False):
        k = int((after - before)[0].abs().argmax())
        assert step.numbers.endswith(f"= {after[0, k]:.3f}") and f"[{k % 16 + 1}]*" in step.note
    parts = model.parts(rows)
    if "cross" in parts:
        assert of_box(made, 2)[-1].result.to_numpy().sum() == pytest.approx(parts["cross"].item(), abs=1e-4)
    deep = parts["deep" if "deep" in parts else "stacked"].item()
    assert of_box(made, 3)[-1].result.to_numpy().sum() == pytest.approx(deep, abs=1e-4)
    assert of_box(made, 4)[0].result.loc["log-odds", "z"] == pytest.approx(model(rows).item(), abs=1e-5)


@torch.no_grad()
def test_gates_and_numbers_are_the_models_own(movielens, criteo):
    rows = criteo.test[30]
    model = stored(criteo, "gdcn")
    gates = [s.result.to_numpy() for s in trace("gdcn", model, rows) if s.title.endswith("a gate for each place")]
    for shown, gate in zip(gates, model.gates(rows), strict=True):
        torch.testing.assert_close(torch.tensor(shown[~np.isnan(shown)]), gate[0].double())
    model, rows = stored(movielens, "dcn"), movielens.test[30]
    shares = [
        s.result.to_numpy().sum() for s in trace("dcn", model, rows) if s.title.endswith("one number for the row")
    ]
    own = model.cross.scales(model.input(rows))[0][0]
    assert shares == pytest.approx(own.tolist(), abs=1e-5)


def test_numbers_stand_beside_the_vectors(criteo):
    made = trace("dcn", stored(criteo, "dcn"), criteo.test[30])
    assert [s.title for s in of_box(made, 0)] == ["The categories as numbers", "The numbers"]
    x0 = of_box(made, 1)[-1]
    assert r"x_{\text{dense}}] \in \mathbb{R}^{429}" in x0.formula and x0.result.notna().to_numpy().sum() == 429
    assert x0.result.loc["I2"].dropna().tolist() == of_box(made, 0)[1].result["I2"].tolist()


# --- the chapters' numbers by hand ----------------------------------------------------------------------------------


def by_hand():
    """The chapter's: x₁ = (4.5, 2), x₂ = (10.5, 6), h = ReLU(2 + 1) = 3, z = 0.1 + 2.1 - 1.8 + 0.3 = 0.7."""
    return put(
        DCN(NUMBERS, cross_layers=2, hidden=(1,)), cross__weight=[[1, -1], [2, -3]], cross__bias=[[0.5, 0], [0, 1]],
        mlp__0__weight=[1, 1], mlp__0__bias=[0], combine__weight=[0.2, -0.3, 0.1], combine__bias=[0.1],
    )  # fmt: skip


def test_dcn_by_hand():
    made = trace("dcn", by_hand(), TWO_ONE)
    assert [s.numbers for s in made[1:]] == [
        r"x_0 = (2.000,\ 1.000)",
        r"\underbrace{1.000 \cdot 2.000}_{\text{a}} + \underbrace{(-1.000) \cdot 1.000}_{\text{b}} = 1.000",
        r"2.000 \cdot 1.000 + 0.500 + 2.000 = 4.500",
        r"\underbrace{2.000 \cdot 4.500}_{\text{a}} + \underbrace{(-3.000) \cdot 2.000}_{\text{b}} = 3.000",
        r"2.000 \cdot 3.000 + 0.000 + 4.500 = 10.500",
        r"\underbrace{0.400}_{\text{a}} + \underbrace{(-0.300)}_{\text{b}} + "
        r"\underbrace{0.200}_{\text{cross layer 1}} + \underbrace{0.000}_{\text{cross layer 2}} = 0.300",
        r"\underbrace{1.000 \cdot 2.000}_{\text{a}} + \underbrace{1.000 \cdot 1.000}_{\text{b}} + 0.000 = 3.000,\quad "
        r"\mathrm{ReLU}(3.000) = 3.000",
        r"\underbrace{0.100 \cdot 3.000}_{\text{unit 1}} = 0.300",
        r"z = \underbrace{0.300}_{\text{cross layers}} + \underbrace{0.300}_{\text{network}} + "
        r"\underbrace{0.100}_{\text{bias}} = 0.700",
        r"\hat y = \sigma(0.700) = \frac{1}{1 + e^{-0.700}} = 0.668",
    ]


AB = (Field("A", "categorical", Vocabulary(["v"])), Field("B", "categorical", Vocabulary(["v"])))
AB_ROW = Rows(torch.ones(1, 2, dtype=torch.int32), torch.zeros(1, 0))


def v2(**options):
    """DCN V2 as in its chapter: x₀ = (2, 1 | 3) from two fields of two places and one; b = (0, 1, -1)."""
    model = DCNV2(AB, dim={"A": 2, "B": 1}, cross_layers=1, structure="cross", **options)
    with torch.no_grad():
        for table in model.input.embedding.tables:
            for f in table.fields:
                table.table.weight[table.row(f.name, 1)] = torch.tensor({"A": [2.0, 1.0], "B": [3.0]}[f.name])
    return put(model, cross__bias=[0, 1, -1], combine__weight=[0.1, 0.2, 0.1], combine__bias=[0])


def of_layer(name, model, rows=AB_ROW):
    made = trace(name, model, rows)
    return [s for s in of_box(made, 2) if s.title.startswith("Cross layer")]


def test_dcn_v2_by_hand():
    matrix, out = of_layer("dcn_v2", put(v2(), cross__weight=[[0, 1, 1], [1, 0, 2], [1, 0, 0]]))
    assert matrix.result.loc["A: v"].tolist() == [4, 9] and matrix.result.loc["B: v"].dropna().tolist() == [1]
    assert matrix.numbers == (  # the place with the largest product is A's second: (W x₀)₂ + b₂ = 2 + 6 + 1 = 9
        r"\underbrace{2.000 \cdot 3.000}_{\text{B}} + \underbrace{1.000 \cdot 2.000}_{\text{A [1]}} + "
        r"\underbrace{0.000 \cdot 1.000}_{\text{A [2]}} + 1.000 = 9.000"
    )
    assert out.numbers == r"1.000 \cdot 9.000 + 1.000 = 10.000"
    assert out.formula == r"x_{1} = x_0 \odot (W_{0} x_{0} + b_{0}) + x_{0}"
    assert out.result.loc["A: v"].tolist() == [10, 10] and out.result.loc["B: v"].dropna().tolist() == [6]


def test_low_rank_by_hand():
    model = put(v2(rank=1), cross__u=[1, 2, 1], cross__v=[1, 0, 1])
    small, back, out = of_layer("dcn_v2", model)
    assert small.result.to_numpy().tolist() == [[5]] and small.numbers.endswith("= 5.000")
    assert back.numbers == r"\underbrace{1.000 \cdot 5.000}_{\text{number 1}} + (-1.000) = 4.000"
    assert out.numbers == r"3.000 \cdot 4.000 + 3.000 = 15.000"
    assert out.result.loc["A: v"].tolist() == [12, 12]


def test_experts_by_hand():
    model = put(
        v2(rank=1, experts=2, activation="identity"), cross__u=[[1, 2, 1], [1, 2, 2]], cross__v=[[1, 0, 1], [0, 1, 0]],
        cross__c=[1, 1], cross__gate=[[0, 0, 0], [0, float(np.log(3)), 0]],
    )  # fmt: skip
    gates, expert, mixed, out = of_layer("dcn_v2", model)
    assert gates.result.to_numpy()[0] == pytest.approx([0.25, 0.75])
    assert gates.numbers == r"\frac{e^{1.099}}{e^{1.099} + 1.000} = \frac{3.000}{4.000} = 0.750"
    assert expert.title == "Cross layer 1: expert 2" and expert.result.loc["A: v"].tolist() == [1, 2]
    assert mixed.result.to_numpy().flatten()[:3] == pytest.approx([0.25 * 5 + 0.75, 0.25 * 10 + 1.5 + 1, 1.75])
    assert out.result.loc["A: v"].tolist() == [6, 6] and out.result.loc["B: v", "number 1"] == 8.25
    assert out.numbers == r"3.000 \cdot 1.750 + 3.000 = 8.250"


def test_gdcn_by_hand():
    model = put(
        GDCN(NUMBERS, cross_layers=1, structure="cross"), cross__weight=[[1, 2], [0, 3]], cross__bias=[1, -1],
        cross__gate_weight=[[1, -2], [0, float(np.log(3))]], combine__weight=[1, 1], combine__bias=[0],
    )  # fmt: skip
    matrix, gate, out = of_layer("gdcn", model, TWO_ONE)
    assert matrix.result.to_numpy().flatten().tolist() == [5, 2]
    assert gate.result.to_numpy().flatten() == pytest.approx([0.5, 0.75])
    assert gate.numbers.endswith(r"= 0.000,\quad \sigma(0.000) = \frac{1}{1 + e^{-0.000}} = 0.500")
    assert out.numbers == r"2.000 \cdot 5.000 \cdot 0.500 + 2.000 = 7.000"
    assert out.formula == r"c_{1} = c_0 \odot (W_{0} c_{0} + b_{0}) \odot \sigma(G_{0} c_{0}) + c_{0}"
    assert out.result.to_numpy().flatten() == pytest.approx([7, 2.5])


# --- what is said ---------------------------------------------------------------------------------------------------


def test_a_model_says_how_it_is_built():
    for options, formula, reads in (
        ({"structure": "stacked"}, r"z = w^\top h + b", "x_{2}"),
        ({"structure": "parallel"}, r"z = w^\top x_{2} + w_h^\top h + b", "x_0"),
    ):
        made = trace("dcn_v2", tiny.filled(DCNV2(tiny.FIELDS, **options)), tiny.rows(1))
        assert of_box(made, 4)[0].formula == formula
        assert of_box(made, 3)[0].formula == rf"h_{{1}} = \mathrm{{ReLU}}(W'_{{0}} {reads} + b'_{{0}})"
        assert ("on top" in of_box(made, 3)[0].note) == (options["structure"] == "stacked")
    made = trace("gdcn", tiny.filled(GDCN(tiny.FIELDS, structure="cross")), tiny.rows(1))
    (none,) = of_box(made, 3)
    assert none.title == "There is no network here" and not none.result.size
    assert of_box(made, 4)[0].formula == r"z = w^\top c_{3} + b"


def test_a_layer_that_does_something_else_is_refused():
    class Inside(CrossNet):
        """A known mistake: the bias inside of the product."""

        def added(self, layer, x0, x):
            return x0 * ((x @ self.weight[layer]).unsqueeze(1) + self.bias[layer])

    model = by_hand()
    wrong = Inside(2, layers=2)
    wrong.load_state_dict(model.cross.state_dict())
    model.cross = wrong
    with pytest.raises(ValueError, match="products_of: the numbers give"):
        trace("dcn", model, TWO_ONE)


@pytest.mark.parametrize("part", ["cross", "deep"])
def test_parts_that_are_not_the_models_are_refused(part):
    class Liar(DCN):
        def parts(self, rows, fine=False):
            told = super().parts(rows, fine)
            return told | ({part: told[part] + 0.1} if part in told else {})

    model = Liar(NUMBERS, cross_layers=2, hidden=(1,))
    model.load_state_dict(by_hand().state_dict())
    with pytest.raises(ValueError, match="the numbers give"):
        trace("dcn", model, TWO_ONE)


def test_a_wrong_number_is_refused():
    for refused in (
        lambda: steps.products_of([[2.0, 3.0], [1.0]], 6.0),
        lambda: steps.softmax_of([0.0, 0.0], 0, 0.6),
        lambda: steps.sigmoid_of(0.0, 0.6),
        lambda: steps.norm_of([1.0, -1.0], 0, 1.0, 0.5, 1.0, 0.0),
    ):
        with pytest.raises(ValueError, match="the numbers give"):
            refused()


def test_powers_stay_readable():
    huge = steps.softmax_of([100.0, 98.0], 1, 0.1192)
    assert huge == r"\frac{e^{98.000 - 100.000}}{e^{98.000 - 100.000} + 1.000} = \frac{0.135}{1.135} = 0.119"
    assert steps.softmax_of([-900.0], 0, 1.0).endswith("= 1.000")
