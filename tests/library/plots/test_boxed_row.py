"""Boxes with numbers of one row: every text is there, and what does not fit is named."""

import pytest

from recsys_lite.explain.boxes import Box
from recsys_lite.plots.boxed_row import boxed_row

ROW = [Box("input", "row", "10 fields", 170, 26), Box("sum", "+", "", 170, 96, 34, 34)]


def test_every_label_is_drawn_and_the_drawing_is_as_high_as_its_boxes():
    text = boxed_row(ROW, [(0, 1)])
    assert "10 fields" in text and text.count("<circle") == 1 and 'viewBox="0 0 340 117"' in text


def test_labels_are_escaped():
    assert "A &amp; B" in boxed_row([Box("mlp", "A & B", "", 170, 26)], [])


@pytest.mark.parametrize(
    ("boxes", "arrows", "says"), [([Box("tree", "x", "", 9, 9)], [], "tree"), (ROW, [(0, 2)], "leaves")]
)
def test_what_does_not_fit_is_named(boxes, arrows, says):
    with pytest.raises(ValueError, match=says):
        boxed_row(boxes, arrows)
