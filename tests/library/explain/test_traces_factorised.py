"""Traces of the factorised models and of the towers: they are the models', box by box and number by number."""

import operator

import pandas as pd
import pytest
import tiny
import torch
from traced import PAIR, TWO, checked, of_box, stored

from recsys_lite import data
from recsys_lite.explain.boxes import ARCHITECTURES
from recsys_lite.explain.traces import TRACES, steps, trace
from recsys_lite.models import DLRM, FM, MODELS, DeepFM, LogisticRegression, NeuMF, SplitNetwork, TwoTowers, WideDeep
from recsys_lite.notebook import traces as show


@torch.no_grad()
def test_fm_steps_are_the_models_own_tensors(movielens):
    model, rows = stored(movielens, "fm"), movielens.test[30]
    made = trace("fm", model, rows)
    parts, fine = model.parts(rows), model.parts(rows, fine=True)
    x = made[0].result["xᵢ"]
    assert x["user: 1"] == 1 and x["genres: Drama"] == 0.5 and x.filter(like="history").sum() == pytest.approx(1)
    assert made[1].result.to_numpy().sum() == pytest.approx(parts["linear"].item(), abs=1e-5)
    vectors = made[2].result
    whole = torch.tensor(vectors.to_numpy(), dtype=torch.float32)
    pairs = 0.5 * ((whole.sum(0) ** 2) - (whole**2).sum(0)).sum()
    assert pairs.item() == pytest.approx(parts["pairs"].item(), abs=1e-4)
    table = of_box(made, 3)[1].result
    film = "item: Angels and Insects (1995)"
    assert (
        table.loc["user: 1", film] == table.loc[film, "user: 1"] == pytest.approx(fine["user × item"].item(), abs=1e-6)
    )
    one = of_box(made, 3)[0].result
    assert (one.iloc[0] * one.iloc[1]).sum() == pytest.approx(table.loc[one.index[0], one.index[1]], abs=1e-5)
    off = table.where(~pd.DataFrame(torch.eye(len(table)).bool().numpy(), table.index, table.columns), 0)
    assert abs(table.loc[one.index[0], one.index[1]]) == pytest.approx(off.abs().max(axis=None))
    assert made[5].result.loc["log-odds", "z"] == pytest.approx(model(rows).item(), abs=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("name", ["wide_deep", "deepfm", "ncf", "dlrm", "split_network"])
def test_hidden_layers_are_the_networks(movielens, name):
    model, rows = stored(movielens, name), movielens.test[30]
    network = {"dlrm": "top", "split_network": "head"}.get(name, "mlp")
    given = []
    layer = getattr(model, network)
    hook = layer.register_forward_pre_hook(lambda m, args: given.append(args[0]))
    model(rows)
    hook.remove()
    box = next(k for k, b in reversed(list(enumerate(ARCHITECTURES[name][0]))) if b.kind == "mlp")
    hidden = [s for s in of_box(trace(name, model, rows), box) if "ayer" in s.title]
    h, at = given[0], 0
    for module in layer:
        h = module(h)
        if isinstance(module, torch.nn.ReLU):
            torch.testing.assert_close(torch.tensor(hidden[at].result.to_numpy()), h.double())
            k = int(h[0].argmax())
            assert f"unit {k + 1}," in hidden[at].note and hidden[at].numbers.endswith(f"= {h[0, k]:.3f}")
            at += 1
    assert at == len(hidden)


@torch.no_grad()
def test_crosses_are_the_ones_that_hold(movielens):
    model, rows = stored(movielens, "wide_deep"), movielens.test[30]
    made = trace("wide_deep", model, rows)
    conditions, weights = made[1].result, of_box(made, 3)[1].result
    assert "M AND Drama" in conditions.index and (conditions == 1).all(axis=None)
    counted = sum(int(model.crosses.combinations(rows, k)[1].sum()) for k in range(len(model.crosses.crosses)))
    assert len(conditions) == len(weights) == counted
    assert weights.to_numpy().sum() == pytest.approx(model.parts(rows)["crosses"].item(), abs=1e-5)


@torch.no_grad()
def test_dots_and_towers_are_the_models_own(movielens):
    rows = movielens.test[30]
    model = stored(movielens, "dlrm")
    dots = of_box(trace("dlrm", model, rows), 4)[1].result
    _, own = model.interact(rows)
    assert dots.notna().to_numpy().sum() == own.shape[1] == 55
    assert dots.iloc[0, 0] == pytest.approx(own[0, 0].item()) and dots.iloc[-1, -1] == pytest.approx(own[0, -1].item())
    model = stored(movielens, "two_towers")
    made = trace("two_towers", model, rows)
    u, v = (of_box(made, box)[-1].result.to_numpy()[0] for box in (4, 5))
    assert u @ v / model.temperature == pytest.approx(model.parts(rows)["dot"].item(), abs=1e-4)
    assert of_box(made, 6)[0].result.to_numpy().sum() == pytest.approx(model.parts(rows)["dot"].item(), abs=1e-4)
    model = stored(movielens, "split_network")
    read = of_box(trace("split_network", model, rows), 6)[0].result
    assert (read.loc["u"] * read.loc["v"] - read.loc["u ⊙ v"]).abs().max() < 1e-6


@torch.no_grad()
def hand_made():
    """w₀ = 0.1, w = 0.5 and -0.2, v = (1, 2) and (0.5, -1): z = 0.1 + 0.3 + (0.5 - 2) = -1.1."""
    model = FM(TWO, dim=2)
    model.bias.fill_(0.1)
    for name, w, v in (("user", 0.5, [1.0, 2.0]), ("item", -0.2, [0.5, -1.0])):
        model.weights.table.weight[model.weights.row(name, 1)] = w
        model.embedding.table.weight[model.embedding.row(name, 1)] = torch.tensor(v)
    return model


def test_fm_by_hand():
    made = trace("fm", hand_made(), PAIR)
    user, film = r"\text{user: ann}", r"\text{item:  Up and On}"
    assert [s.numbers for s in made] == [
        rf"x_{{{user}}} = 1.000,\quad x_{{{film}}} = 1.000",
        rf"\underbrace{{0.500 \cdot 1.000}}_{{{user}}} + \underbrace{{(-0.200) \cdot 1.000}}_{{{film}}} = 0.300",
        r"1.000 \cdot (1.000,\ 2.000) = (1.000,\ 2.000)",
        r"\underbrace{2.000 \cdot (-1.000)}_{\text{number 2}} + "
        r"\underbrace{1.000 \cdot 0.500}_{\text{number 1}} = -1.500",
        r"\underbrace{(-1.500)}_{\text{user × item}} = -1.500",
        r"z = \underbrace{(-1.500)}_{\text{pairs}} + \underbrace{0.300}_{\text{weights}} + "
        r"\underbrace{0.100}_{\text{bias}} = -1.100",
        r"\hat y = \sigma(-1.100) = \frac{1}{1 + e^{1.100}} = 0.250",
    ]
    assert made[4].result.to_numpy().tolist() == [[0.0, -1.5], [-1.5, 0.0]]


def test_logistic_regression_by_hand():
    model = LogisticRegression(TWO)
    with torch.no_grad():
        model.bias.fill_(-0.5)
        model.weights.table.weight[model.weights.row("user", 1)] = 0.5
    made = trace("logistic_regression", model, PAIR)
    assert made[2].numbers == r"z = \underbrace{(-0.500)}_{\text{bias}} + \underbrace{0.500}_{\text{weights}} = 0.000"
    assert made[3].numbers == r"\hat y = \sigma(0.000) = \frac{1}{1 + e^{-0.000}} = 0.500"


@torch.no_grad()
def test_a_network_by_hand():
    model = DeepFM(TWO, dim=1, hidden=(2,))
    model.embedding.table.weight.fill_(1.0)
    for row, w in ((0, [0.5, 0.25]), (1, [-1.0, -1.0])):
        model.mlp[0].weight[row] = torch.tensor(w)
    model.mlp[0].bias.copy_(torch.tensor([0.25, 0.0]))
    model.mlp[2].weight.copy_(torch.tensor([[2.0, 5.0]]))
    one, last = of_box(trace("deepfm", model, PAIR), 3)
    assert one.numbers == (
        r"\underbrace{0.500 \cdot 1.000}_{\text{user: ann [1]}} + "
        r"\underbrace{0.250 \cdot 1.000}_{\text{item:  Up and On [1]}} "
        r"+ 0.250 = 1.000,\quad \mathrm{ReLU}(1.000) = 1.000"
    )  # fmt: skip
    assert one.result.to_numpy().tolist() == [[1.0, 0.0]] and "1 of 2" in one.note
    assert last.numbers.endswith("= 2.000") and last.result.iloc[0, 0] == 2


@pytest.mark.parametrize("part", ["linear", "pairs"])
def test_a_model_that_does_not_say_the_truth_is_refused(part):
    class Liar(FM):
        def parts(self, rows, fine=False):
            told = super().parts(rows, fine)
            return told | ({part: told[part] + 0.1} if part in told else {})

    model = Liar(TWO, dim=2)
    model.load_state_dict(hand_made().state_dict())
    with pytest.raises(ValueError, match="the numbers give"):
        trace("fm", model, PAIR)


def test_a_wrong_number_is_refused():
    for refused in (
        lambda: steps.product_of([2.0, 3.0], 5.0),
        lambda: steps.weighted_of([1.0], [1.0], 1.5),
        lambda: steps.weighted_of([1.0], [1.0], 1.0, bias=0.5),
        lambda: steps.largest_of([1.0, 2.0], 2.0, ["a", "b"]),
        lambda: steps.relu_of(-1.0, -1.0),
    ):
        with pytest.raises(ValueError, match="the numbers give"):
            refused()


def test_words_name_the_values():
    made = trace("fm", hand_made(), PAIR, {"user": "Ann, 34"})
    assert made[0].result.index.tolist() == ["user: Ann, 34", "item: _Up & On"]


def test_what_cannot_be_traced():
    with pytest.raises(ValueError, match=r"unknown model 'lr'; there are logistic_regression, fm"):
        trace("lr", hand_made(), PAIR)
    with pytest.raises(ValueError, match="got 2 rows, expected one"):
        trace("fm", hand_made(), PAIR[[0, 0]])
    with pytest.raises(ValueError, match="'deepfm' is a DeepFM, got a FM"):
        trace("deepfm", hand_made(), PAIR)
    for name, model in (("wide_deep", WideDeep(TWO, use_deep=False)), ("ncf", NeuMF(TWO, use_gmf=False))):
        with pytest.raises(ValueError, match="one part only"):
            trace(name, model, PAIR)
    assert set(TRACES) == {*MODELS, "lightgcn", "pal", "watch_next"}


def test_variants_of_the_models():
    sides = {"query": ["user"], "candidate": ["item"]}
    for name, model in (
        ("two_towers", TwoTowers(TWO, **sides, similarity="cosine", temperature=0.1, hidden=())),
        ("split_network", SplitNetwork(TWO, head=(), product=False, **sides)),
        ("ncf", NeuMF(TWO, hidden=(4,), output_bias=True)),
        ("wide_deep", WideDeep(TWO)),
        ("dlrm", DLRM(TWO, top=())),
        ("deepfm", DeepFM(TWO, dropout=0.5).train()),
    ):
        tiny.filled(model)
        was = model.training
        made = trace(name, model, PAIR)
        assert model.training == was and not any(m._forward_hooks for m in model.modules())
        checked(name, model.eval(), PAIR, made)
    towers = TwoTowers(TWO, **sides, similarity="cosine")
    u = of_box(trace("two_towers", tiny.filled(towers), PAIR), 4)[-1]
    assert u.title == "Divided by its length" and (u.result.to_numpy() ** 2).sum() == pytest.approx(1, abs=1e-5)


# --- in a notebook --------------------------------------------------------------------------------------------------


def test_a_formula_with_lines_of_its_own_stays():
    own = (
        r"\begin{aligned} a &= b + c + d + e + f + g + h + i \\ &= j + k + l + m + n + o + p + q + r + s \end{aligned}"
    )
    assert show.in_lines(own) == own and show.in_lines("a + b") == "a + b"


def test_steps_in_a_notebook(monkeypatch):
    shown = []
    monkeypatch.setattr(show, "display_bundle", shown.append)
    show.show_steps(trace("fm", hand_made(), PAIR))
    heads, formulas = shown[::2], shown[1::2]
    assert len(heads) == len(formulas) == 7
    assert heads[0]["text/html"].startswith("<p><strong>1. The row as numbers.</strong> 2 features")
    assert all(f["text/latex"].startswith("$$ ") and f["text/latex"].endswith(" $$") for f in formulas)
    assert r"\sigma(-1.100)" in formulas[-1]["text/latex"] and "*" not in heads[3]["text/html"]


def test_a_chapter_shows_the_row_of_the_explorer(monkeypatch):
    """`show_row` and the page Step through make the same steps from the same weights."""
    from app.pages.steps import traced

    shown = []
    monkeypatch.setattr(show, "show_steps", shown.extend)
    dataset = data.load("criteo-sample", task="click")
    show.show_row("fm", dataset, row=5)
    what = operator.attrgetter("box", "title", "formula", "numbers")
    assert list(map(what, shown)) == list(map(what, traced("criteo-sample", "click", "fm", 5)))
    with pytest.raises(ValueError, match="rows 0 to"):
        show.show_row("fm", dataset, row=len(dataset.test))
