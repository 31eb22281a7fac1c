"""The drawing of a row in a cross network: its numbers are the model's, and what cannot be read is refused."""

from xml.etree import ElementTree

import pandas as pd
import pytest
import torch
from tiny import FIELDS
from tiny import rows as tiny_rows
from torch.testing import assert_close

from recsys_lite.explain.crosses import field_lengths
from recsys_lite.models import DCN, DCNV2, GDCN
from recsys_lite.notebook import row_drawing
from recsys_lite.plots.cross_flow import cross_drawing, strongest
from recsys_lite.plots.diagrams import WIDTH

ROW = tiny_rows(5)[2]


def drawn(svg):
    return [t.text for t in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("build", [
    lambda: DCN(FIELDS, dim=4), lambda: GDCN(FIELDS, dim=4), lambda: DCNV2(FIELDS, dim=4, rank=2, experts=2),
    *(lambda s=s: DCNV2(FIELDS, dim=4, structure=s, cross_layers=4) for s in ("stacked", "parallel", "cross")),
])  # fmt: skip
def test_every_cross_network_is_drawn_with_its_own_numbers(build):
    torch.manual_seed(0)
    model = build()
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(std=0.3)
    svg, (a, b) = row_drawing(model, ROW)
    words, lengths = drawn(svg), field_lengths(model, ROW)
    blocks = model.block_norms(0)
    assert_close(blocks[list(lengths.index).index(a), list(lengths.index).index(b)],
                 (blocks - 1e9 * torch.eye(len(blocks))).max())  # fmt: skip
    assert {f"{v:.2f}" for v in lengths.to_numpy().ravel()} <= set(words)
    assert f"{torch.sigmoid(model(ROW)).item():.0%}".replace("%", " %") in words
    assert svg.count('stroke="currentColor" stroke-width="2"') == 1
    root = ElementTree.fromstring(svg)
    ends = [float(r.get("x")) + float(r.get("width")) for r in root if r.tag.endswith("rect")]
    assert max(ends) <= WIDTH and min(float(t.get("font-size")) for t in root if t.tag.endswith("text")) >= 12


def test_lengths_by_hand():
    model = DCNV2(FIELDS, dim=2, cross_layers=1, structure="cross")
    name = FIELDS[0].name
    with torch.no_grad():
        model.cross.weight.zero_(), model.cross.bias.fill_(2.0)
    line = field_lengths(model, ROW).loc[name]
    length = model.input(ROW)[0, model.input.blocks[name]].norm().item()
    assert line.to_dict() == pytest.approx({"x₀": length, "adds": 2 * length, "x₁": 3 * length})


def test_the_diagonal_is_never_framed_and_what_does_not_fit_is_named():
    names = [f"f{k}" for k in range(3)]
    blocks = pd.DataFrame([[9.0, 1, 2], [3, 9, 1], [0, 1, 9]], names, names)
    lengths = pd.DataFrame(1.0, names, ["x₀", "adds", "x₁"])
    assert strongest(blocks) == ("f1", "f0") and cross_drawing(blocks, lengths, [("sum", "logit", "0")])
    with pytest.raises(ValueError, match="do not fit"):
        cross_drawing(blocks, lengths[["x₀"]], [])
    many = [f"f{k}" for k in range(13)]
    with pytest.raises(ValueError, match="13 fields, at most 12"):
        cross_drawing(pd.DataFrame(1.0, many, many), pd.DataFrame(1.0, many, list("abc")), [])
    with pytest.raises(ValueError, match="got 5 rows"):
        field_lengths(DCN(FIELDS), tiny_rows(5))
    with pytest.raises(ValueError, match="layer 3 of"):
        field_lengths(DCN(FIELDS, cross_layers=3), ROW, 3)
