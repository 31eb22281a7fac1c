"""A gated layer in one row, and which hidden units fire: by hand, against the model's own states, and drawn."""

from xml.etree import ElementTree

import pandas as pd
import pytest
import tiny
import torch

from recsys_lite.explain.gates import alive, gated_lengths
from recsys_lite.models import DCNV2, GDCN
from recsys_lite.plots.gate_flow import gate_drawing

ROW = tiny.rows(5)[2]


@pytest.mark.parametrize("layer", [0, 1])
def test_a_gated_layer_in_one_row(layer):
    model = tiny.filled(GDCN(tiny.FIELDS, dim=4, cross_layers=2))
    table = gated_lengths(model, ROW, layer)
    with torch.no_grad():
        states = model.cross.states(model.input(ROW))
        place, gate = model.input.blocks["item"], model.gates(ROW)[layer]
        added = (states[layer + 1] - states[layer])[0, place]
    assert table.loc["item", "gate"] == pytest.approx(gate[0, place].mean().item())
    assert table.loc["item", "added"] == pytest.approx(added.norm().item(), rel=1e-4)
    assert table.loc["item", "product"] == pytest.approx((added / gate[0, place]).norm().item(), rel=1e-4)
    assert table.loc["item", "after"] == pytest.approx(states[layer + 1][0, place].norm().item(), rel=1e-4)
    with pytest.raises(ValueError, match="expected one"):
        gated_lengths(model, tiny.rows(2))
    with pytest.raises(ValueError, match="layer 2 of 2"):
        gated_lengths(model, ROW, 2)


@pytest.mark.parametrize("structure", ["parallel", "stacked"])
def test_units_that_never_fire_are_counted(structure):
    model = tiny.filled(GDCN(tiny.FIELDS, dim=4, hidden=(8, 4), structure=structure))
    last = [m for m in model.mlp if isinstance(m, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([-1.0, -1.0, 0.0, 2.0]))  # only the last one is above 0
    found = alive(model, tiny.rows(20))
    assert (found.units, found.firing, found.rows) == (4, 1, 1.0)
    with torch.no_grad():
        last.bias[3] = -1.0
    assert alive(model, tiny.rows(20)).rows == 0


def test_some_rows_fire_and_crosses_alone_have_no_network():
    model, rows = tiny.filled(DCNV2(tiny.FIELDS, dim=4, hidden=(3,), structure="parallel"), std=1.0), tiny.rows(50)
    with torch.no_grad():
        h = model.mlp(model.input(rows))
    found = alive(model, rows)
    assert found.rows == pytest.approx((h > 0).any(1).float().mean().item())
    assert alive(GDCN(tiny.FIELDS, dim=4, structure="cross"), rows) is None


def test_the_drawing_shows_every_number_and_refuses_other_tables():
    table = gated_lengths(tiny.filled(GDCN(tiny.FIELDS, dim=4)), ROW)
    svg = gate_drawing(table, [("sum", "logit", "0.1"), ("output", "click", "52 %")])
    words = {t.text for t in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert {f"{v:.2f}" for v in table.to_numpy().ravel()} <= words and {"click", "52 %", "item"} <= words
    many = pd.DataFrame(0.5, [str(k) for k in range(13)], table.columns)
    with pytest.raises(ValueError, match="13 fields"):
        gate_drawing(many, [])
    with pytest.raises(ValueError, match="columns"):
        gate_drawing(table[["gate"]], [])
