"""The drawing of one row in DCN: its numbers are the model's."""

import pytest
import tiny
import torch

from recsys_lite.models import DCN
from recsys_lite.notebook.scale_drawing import scale_drawing
from recsys_lite.plots.scale_flow import scale_flow


@pytest.mark.parametrize("hidden", [(8, 4), ()])
def test_the_multiples_of_a_row_are_those_of_its_cross_layers(hidden):
    model, row = tiny.filled(DCN(tiny.FIELDS, dim=4, cross_layers=2, hidden=hidden)), tiny.rows(1)
    drawing = scale_drawing(model, row)
    scales = model.cross.scales(model.input(row))[0][0].tolist()
    for value in scales:
        assert f"{value:+.2f}".replace("-", "−") in drawing
    assert f"= {1 + sum(scales):.2f}".replace("-", "−") in drawing
    assert f"{100 * torch.sigmoid(model(row)).item():.0f} %" in drawing and ("network" in drawing) == bool(hidden)


def test_more_than_three_layers_are_drawn_as_two_and_the_rest():
    model, row = tiny.filled(DCN(tiny.FIELDS, dim=4, cross_layers=5)), tiny.rows(1)
    drawing = scale_drawing(model, row)
    assert "layer 2" in drawing and "3 to 5" in drawing and "layer 3" not in drawing


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="13 fields and 1 layers"):
        scale_flow({str(k): 1.0 for k in range(13)}, {"layer 1": 1.0}, {"cross": 0.0, "bias": 0.0}, "")
    with pytest.raises(ValueError, match="1 fields and 0 layers"):
        scale_flow({"a": 1.0}, {}, {"cross": 0.0, "bias": 0.0}, "")
