"""The drawing of DHEN: every entry of every vector once, a box for each module, nothing outside."""

from xml.etree import ElementTree

import pandas as pd
import pytest
import tiny

from recsys_lite.models import DHEN
from recsys_lite.notebook.ensemble_row import ensemble_row
from recsys_lite.plots.diagrams import WIDTH
from recsys_lite.plots.ensemble_flow import ensemble_drawing

SVG = "{http://www.w3.org/2000/svg}"
BEFORE = pd.DataFrame([[1.0, -4], [0, 2], [0.25, 0]], ["user", "release_year", "hour"])
AFTER = pd.DataFrame([[1.0, -1]], ["dot 1"])
CHAIN = [("sum", "logit", "0.2"), ("output", "click", "55 %")]


def test_entries_names_and_boxes_are_drawn():
    svg = ensemble_drawing(
        [("X₀: 3 × 2", BEFORE), ("X₁: 1 × 2", AFTER)], [("layer 1", [("cross", "dot"), ("sum", "norm")])], CHAIN
    )
    root = ElementTree.fromstring(svg)
    said = [t.text for t in root.iter(SVG + "text")]
    assert {"X₀: 3 × 2", "user", "release year", "dot 1", "layer 1", "dot", "norm", "click"} <= set(said)
    cells = [r for r in root.iter(SVG + "rect") if r.get("height") == "12"]
    assert [c.get("fill-opacity") for c in cells] == ["0.50", "1.00", "0.00", "0.71", "0.25", "0.00", "1.00", "1.00"]
    assert cells[0].get("fill") != cells[1].get("fill")
    assert max(float(r.get("x")) + float(r.get("width")) for r in root.iter(SVG + "rect")) <= WIDTH
    assert min(float(t.get("font-size")) for t in root.iter(SVG + "text")) >= 12


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="one state more"):
        ensemble_drawing([("X", BEFORE)], [], CHAIN)
    with pytest.raises(ValueError, match="vectors, got 31"):
        ensemble_drawing([("X", BEFORE), ("Y", pd.DataFrame([[1.0]] * 31))], [("layer", [])], CHAIN)


@pytest.mark.parametrize(("layers", "join", "states"), [(1, "concat", 2), (3, "sum", 4), (5, "concat", 3)])
def test_a_row_of_a_model(layers, join, states):
    data = tiny.dataset(60)
    model = DHEN(data.fields, dim=4, modules=["dot", "cross"], layers=layers, out=2, join=join).eval()
    said = [t.text for t in ElementTree.fromstring(ensemble_row(model, data.test[:1])).iter(SVG + "text")]
    width = 4 if join == "concat" else 2
    assert sum(" × 4" in t for t in said) == states and f"X₁: vectors, {width} × 4" in said
    assert ("layers 2 to 5" in said) == (layers == 5)
    z = model(data.test[:1]).item()
    assert f"{z:.2f}".replace("-", "−") in said
    with pytest.raises(ValueError, match="one row"):
        ensemble_row(model, data.test[:2])
