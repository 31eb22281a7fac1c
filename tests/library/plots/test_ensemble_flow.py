"""The drawing of DHEN: every entry of every vector once, a box for each module, nothing outside."""

from xml.etree import ElementTree

import pandas as pd
import pytest

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
