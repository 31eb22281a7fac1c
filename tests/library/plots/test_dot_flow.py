"""The drawings of DLRM: the numbers of the row, every dot once, every exchanged piece where the shuffle puts it."""

from xml.etree import ElementTree

import pandas as pd
import pytest

from recsys_lite.plots.diagrams import WIDTH
from recsys_lite.plots.dot_flow import dot_drawing, exchange_drawing

SVG = "{http://www.w3.org/2000/svg}"
BOXES = [("input", "2 counts", "log"), ("embedding", "z₀", "4 numbers")]


def words(svg):
    return [t.text for t in ElementTree.fromstring(svg).iter(SVG + "text")]


def test_every_pair_is_drawn_once_and_the_largest_is_framed_and_named():
    names = ["z₀", "C1", "C2"]
    dots = pd.DataFrame([[9.0, 1, -2], [1, 9, 0.5], [-2, 0.5, 9]], names, names)
    svg = dot_drawing(dots, BOXES, [("input", "2 ids", "")], [("output", "click", "19 %")])
    said = words(svg)
    assert "3 dot products" in said and "z₀ × C2: −2.00" in said and "click" in said
    cells = [r for r in ElementTree.fromstring(svg).iter(SVG + "rect") if r.get("width") == "62"]
    assert sorted(float(c.get("fill-opacity")) for c in cells) == [0.5, 0.71, 1.0]
    assert min(float(t.get("font-size")) for t in ElementTree.fromstring(svg).iter(SVG + "text")) >= 12


def test_each_process_ends_with_all_fields_of_its_rows():
    svg = exchange_drawing([3, 2], [2, 1])
    numbers = [int(w) for w in words(svg) if w.isdigit()]
    looked_up, held = numbers[:15], numbers[15:]
    assert held == [10, 20, 30, 40, 50, 11, 21, 31, 41, 51, 12, 22, 32, 42, 52]
    assert sorted(looked_up) == sorted(held) and looked_up[:3] == [10, 20, 30]
    assert {"looks up (3, 3, d)", "looks up (3, 2, d)", "holds (2, 5, d)", "holds (1, 5, d)"} <= set(words(svg))
    root = ElementTree.fromstring(svg)
    assert max(float(r.get("x")) + float(r.get("width")) for r in root.iter(SVG + "rect")) <= WIDTH


@pytest.mark.parametrize(("fields", "rows"), [([3], [2]), ([5, 1], [2, 2]), ([2, 2], [0, 2])])
def test_what_cannot_be_drawn_is_refused(fields, rows):
    with pytest.raises(ValueError, match="two processes"):
        exchange_drawing(fields, rows)
    with pytest.raises(ValueError, match="square"):
        dot_drawing(pd.DataFrame([[1.0]]), BOXES, [], [])
