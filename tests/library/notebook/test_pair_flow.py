"""The drawing of a row in an FM: its numbers are the model's, and what cannot be read is refused."""

from xml.etree import ElementTree

import pandas as pd
import pytest
import torch
from tiny import FIELDS
from tiny import rows as tiny_rows

from recsys_lite.models import FM
from recsys_lite.notebook import fm_drawing
from recsys_lite.plots.diagrams import WIDTH
from recsys_lite.plots.pair_flow import pair_drawing

ROW = tiny_rows(5)[2]


def drawn(svg):
    return [t.text for t in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = FM(FIELDS, dim=4)
    with torch.no_grad():
        for p in made.parameters():
            p.normal_(std=0.5)
    return made


@torch.no_grad()
def test_the_numbers_are_the_models_and_the_largest_pair_is_framed(model):
    svg, (a, b, term) = fm_drawing(model, ROW)
    fine = {k: float(v) for k, v in model.parts(ROW, fine=True).items()}
    pairs = {k: v for k, v in fine.items() if " × " in k and len(set(k.split(" × "))) == 2}
    largest = max(pairs, key=lambda k: abs(pairs[k]))
    assert f"{a} × {b}" == largest.replace("_", " ") and term == pytest.approx(pairs[largest])
    words = set(drawn(svg))
    sums = model.parts(ROW)
    numbers = [*sums.values(), model(ROW), *(fine[f.name] for f in FIELDS)]
    assert {f"{float(v):+.2f}".replace("-", "−") for v in numbers} <= words
    assert f"{torch.sigmoid(model(ROW)).item():.0%}".replace("%", " %") in words
    assert f"{len(FIELDS)} fields, 4 entries each" in words
    assert svg.count('stroke="currentColor" stroke-width="2"') == 1


def test_everything_fits_and_can_be_read(model):
    root = ElementTree.fromstring(fm_drawing(model, ROW)[0])
    ends = [float(r.get("x")) + float(r.get("width")) for r in root if r.tag.endswith("rect")]
    assert max(ends) <= WIDTH
    assert min(float(t.get("font-size")) for t in root if t.tag.endswith("text")) >= 12


def test_a_pair_that_raises_the_logit_has_another_colour_than_one_that_lowers_it():
    names = list("ab")
    weights = pd.Series([0.0, 0.0], names)
    up, down = (pair_drawing(pd.DataFrame([[0.0, v], [v, 0.0]], names, names), weights, []) for v in (1.0, -1.0))
    assert up != down and up.count("<rect") == down.count("<rect") == 1


def test_what_does_not_fit_is_named(model):
    with pytest.raises(ValueError, match="one row, got 2"):
        fm_drawing(model, tiny_rows(2))
    names = [f"f{k}" for k in range(13)]
    wide = pd.DataFrame(0.0, names, names)
    with pytest.raises(ValueError, match="13 fields"):
        pair_drawing(wide, pd.Series(0.0, names), [])
    with pytest.raises(ValueError, match="do not fit"):
        pair_drawing(wide.iloc[:2, :2], pd.Series(0.0, names[1:3]), [])
