"""Drawings of a caller's own boxes: the grammar of the architectures, and early errors."""

import re

import pytest

from recsys_lite.explain.boxes import ARCHITECTURES, Box
from recsys_lite.plots.diagrams import architecture
from recsys_lite.plots.own_boxes import boxes_drawing


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_it_draws_an_architecture_as_the_architecture_is_drawn(name: str) -> None:
    assert boxes_drawing(*ARCHITECTURES[name]) == architecture(name)


def test_texts_are_escaped_and_every_box_and_arrow_is_there() -> None:
    svg = boxes_drawing([Box("input", "a < b", "x & y", 170, 26), Box("sum", "+", "", 170, 100, 34, 34)], [(0, 1)])
    assert "a &lt; b" in svg and "x &amp; y" in svg
    assert len(re.findall("<rect|<circle", svg)) == 2 and svg.count("fill-opacity") == 3


def test_the_drawing_is_as_high_as_its_boxes() -> None:
    text = boxes_drawing([Box("input", "row", "10 fields", 170, 26), Box("sum", "+", "", 170, 96, 34, 34)], [(0, 1)])
    assert "10 fields" in text and text.count("<circle") == 1 and 'viewBox="0 0 340 117"' in text


@pytest.mark.parametrize(
    ("boxes", "arrows", "message"),
    [
        ([], [], "got none"),
        ([Box("cloud", "a", "", 170, 26)], [], "unknown kinds"),
        ([Box("input", "a", "", 20, 26)], [], "beyond the width"),
        ([Box("input", "a", "", 170, 26)], [(0, 1)], "lead to no box"),
    ],
)
def test_a_wrong_drawing_is_an_early_error(boxes: list[Box], arrows: list[tuple[int, int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        boxes_drawing(boxes, arrows)
