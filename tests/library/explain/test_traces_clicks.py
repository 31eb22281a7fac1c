"""Traces of PAL and Watch Next with the model inside, and of LightGCN on a pair."""

import math
import re
from dataclasses import replace
from functools import partial

import pytest
import tiny
import torch
from traced import checked, of_box

from recsys_lite.data.simulated.clicks import BIAS, DEVICE, POSITION, missing
from recsys_lite.explain.boxes import ARCHITECTURES
from recsys_lite.explain.traces import trace
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.models import DCNV2, DHEN, DLRM, FM, PAL, DeepFM, LightGCN, LogisticRegression, WatchNext
from recsys_lite.notebook import traces as show

FIELDS = (*tiny.FIELDS, POSITION, DEVICE)
INSIDE = [LogisticRegression, FM, partial(DeepFM, dropout=0.5), DCNV2, DLRM, DHEN]
WITH_PLACE = (
    Field("user", "categorical", Vocabulary(["ann"])),
    Field("position", "categorical", Vocabulary(["01", "02"])),
)
AT_TWO = Rows(torch.tensor([[1, 2]], dtype=torch.int32), torch.zeros(1, 0))


def rows(k):
    plain = tiny.rows(8)[k]
    return replace(plain, ids=torch.cat([plain.ids, torch.tensor([[k + 1, k % 2 + 1]], dtype=torch.int32)], 1))


@pytest.mark.parametrize("inner", INSIDE)
@pytest.mark.parametrize(("name", "kind"), [("pal", PAL), ("watch_next", WatchNext)])
def test_every_box_with_any_model_inside(name, kind, inner):
    for bias in (BIAS[:1], BIAS):
        fields = FIELDS if len(bias) == 2 else FIELDS[:-1]
        model = tiny.filled(kind(fields, inner(tiny.FIELDS), bias), std=0.3)
        for k in range(3):
            row = rows(k) if len(bias) == 2 else replace(rows(k), ids=rows(k).ids[:, :-1])
            for given in (row, missing(fields, row, bias)):
                made = trace(name, model.train(), given)  # dropout is off
                checked(name, model.eval(), given, made)


@torch.no_grad()
def by_hand(kind):
    """z = ln 3 for ann, the number of place 2 is 0: chances 3/4 and 1/2."""
    inner = LogisticRegression(WITH_PLACE[:1])
    inner.weights.table.weight[inner.weights.row("user", 1)] = math.log(3)
    model = kind(WITH_PLACE, inner, ("position",))
    model.tower.weight.copy_(torch.tensor([9.0, 2.0, 0.0]))
    return model


def test_pal_by_hand():
    made = trace("pal", by_hand(PAL), AT_TWO)
    assert of_box(made, 1)[0].numbers == r"\text{position: 02}"
    like = of_box(made, 2)[-1]
    assert like.numbers == r"\sigma(z) = \sigma(1.099) = \frac{1}{1 + e^{-1.099}} = 0.750"
    (seen,) = of_box(made, 3)
    assert seen.numbers.endswith("= 0.500") and seen.result.index.tolist() == ["01", "02"]
    assert seen.result["chance of being seen"].tolist() == pytest.approx([1 / (1 + math.exp(-2)), 0.5])
    product, logit = of_box(made, 4)
    assert product.numbers == r"0.750 \cdot 0.500 = 0.375"
    assert logit.numbers == r"0.333 + 1.000 + 0.333 = 1.667,\quad -\log 1.667 = -0.511"
    assert made[-1].numbers.endswith("= 0.375")


def test_pal_without_a_place_is_the_model_inside():
    made = trace("pal", by_hand(PAL), missing(WITH_PLACE, AT_TWO, ("position",)))
    assert of_box(made, 1)[0].numbers == r"\text{position not known}" and of_box(made, 3)[0].numbers == r"\theta = 1"
    (product,) = of_box(made, 4)
    assert product.numbers == r"0.750 \cdot 1.000 = 0.750"


def test_watch_next_by_hand():
    model = by_hand(WatchNext)
    model.tower.weight.data[2] = -0.5
    made = trace("watch_next", model, AT_TWO)
    assert of_box(made, 3)[0].numbers == "s = -0.500" and of_box(made, 2)[-1].title == "All parts together"
    assert of_box(made, 4)[0].numbers == (
        r"z = \underbrace{1.099}_{\text{main model}} + \underbrace{(-0.500)}_{\text{shallow tower}} = 0.599"
    )
    unknown = of_box(trace("watch_next", model, missing(WITH_PLACE, AT_TWO, ("position",))), 4)[0]
    assert unknown.numbers.endswith(r"\underbrace{0.000}_{\text{shallow tower}} = 1.099")


def test_a_product_that_is_none_is_refused():
    class Sum(PAL):
        """A known mistake: the numbers are added before the sigmoid, which is Watch Next."""

        def parts(self, rows, fine=False):
            return {**self.served.parts(rows, fine), "position": self.tower(rows)}

    with pytest.raises(ValueError, match="the numbers give"):
        trace("pal", by_hand(Sum), AT_TWO)


def test_what_cannot_be_traced():
    for name in ("pal", "watch_next", "lightgcn"):
        with pytest.raises(ValueError, match=f"'{name}' is a .*, got a FM"):
            trace(name, FM(tiny.FIELDS), tiny.rows(1))

    class Other(FM):
        pass

    with pytest.raises(ValueError, match="the model inside is a Other, which has no trace"):
        trace("pal", PAL(FIELDS, Other(tiny.FIELDS)), rows(0))


# --- LightGCN -------------------------------------------------------------------------------------------------------

PAIRS = torch.tensor([[0, 0], [0, 1], [1, 1], [2, 2], [3, 0], [3, 2], [3, 1]])  # user 4 and item 3 have no edge


def pair(user, item):
    return Rows(torch.tensor([[user, item]]), torch.zeros(1, 0))


@torch.no_grad()
@pytest.mark.parametrize("combine", ["mean", "last", "sum"])
@pytest.mark.parametrize("layers", [0, 1, 2, 3])
def test_lightgcn_has_every_box(layers, combine):
    torch.manual_seed(0)
    model = LightGCN((PAIRS, 5, 4), dim=6, layers=layers, combine=combine, std=1.0)
    for user, item in ((0, 1), (3, 3), (4, 0), (4, 3)):
        made = trace("lightgcn", model, pair(user, item))
        assert [s.box for s in made] == sorted(s.box for s in made)
        assert {s.box for s in made} == set(range(len(ARCHITECTURES["lightgcn"][0])))
        assert made[-1].result.iloc[0, 0] == pytest.approx(model.scores(torch.tensor([user]))[0, item].item(), abs=1e-5)
        hops = [s for s in made if s.title.startswith("Hop")]
        for step, state in zip(hops, model.layer_vectors()[1:], strict=True):
            torch.testing.assert_close(torch.tensor(step.result.to_numpy()).float(), state[[user, 5 + item]])
        for step in made:
            assert (
                step.numbers.count("{") == step.numbers.count("}")
                and max(map(show.width, show.lines(step.numbers))) <= 40
            )


@torch.no_grad()
def test_a_hop_by_hand():
    """User 0 has items 0 and 1 of degrees 2 and 3: x₀ / √(2·2) + x₁ / √(2·3)."""
    model = LightGCN((PAIRS, 5, 4), dim=1, layers=1)
    model.table.zero_()
    model.table[5], model.table[6], model.table[0] = 2.0, 6**0.5 / 2, 1.0
    made = trace("lightgcn", model, pair(0, 1), {"user": "Ann", "item": "Up"})
    (hop,) = of_box(made, 2)
    assert hop.numbers == (
        r"\underbrace{0.500 \cdot 2.000}_{\text{item 0}} + \underbrace{0.408 \cdot 1.225}_{\text{item 1}} = 1.500"
    )
    assert hop.result.index.tolist() == ["Ann", "Up"] and "2 neighbours" in hop.note
    assert of_box(made, 3)[0].title == "This model has 1 hop"
    assert of_box(made, 4)[0].numbers.endswith("= 1.250")  # (1 + 1.5) / 2
    assert re.search(r"= \d+\.\d{3}$", made[-1].numbers)


def test_pairs_that_are_not_in_the_graph():
    model = LightGCN((PAIRS, 5, 4), dim=2)
    with pytest.raises(ValueError, match="5 users and 4 items, got 5 and 0"):
        trace("lightgcn", model, pair(5, 0))
    with pytest.raises(ValueError, match="expected the numbers of one user and one item"):
        trace("lightgcn", model, Rows(torch.zeros(1, 3), torch.zeros(1, 0)))


@torch.no_grad()
def test_another_spread_is_refused():
    model = LightGCN((PAIRS, 5, 4), dim=2, std=1.0)
    model.graph.weight.mul_(0.5)  # the hop is no longer that of the degrees
    with pytest.raises(ValueError, match="the numbers give"):
        trace("lightgcn", model, pair(0, 1))
