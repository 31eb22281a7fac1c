"""The drawing of a list: all chances are on it, bars are as long as they, the new order ignores the position."""

import re

import pandas as pd
import pytest

from recsys_lite.plots.product_flow import product_drawing

LIST = pd.DataFrame({"film": ["A film with a very long title", "B"], "seen": [1.0, 0.5], "click if seen": [0.3, 0.4]})
LIST["click"] = LIST["seen"] * LIST["click if seen"]


def test_chances_and_both_orders_are_written():
    shown = re.findall(r"<text[^>]*>([^<]*)</text>", product_drawing(LIST))
    assert {"1.00", "0.30", "0.50", "0.40", "0.20", "A film with a v…", "B"} <= set(shown)
    first, second = shown.index("A film with a v…"), shown.index("B")
    assert shown[first - 1] == "1" and shown[first + 1] == "2"  # first in the old list, second without the position
    assert shown[second - 1] == "2" and shown[second + 1] == "1"


def test_bars_are_as_long_as_their_chance():
    found = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', product_drawing(LIST))
    seen = [float(width) for x, width in found if x == "130"]
    assert seen == [54.0, 27.0]


@pytest.mark.parametrize("table", [LIST[:0], pd.concat([LIST] * 7), LIST.drop(columns="seen"), LIST.assign(click=0.9)])
def test_what_cannot_be_drawn_is_refused(table):
    with pytest.raises(ValueError, match="product_drawing"):
        product_drawing(table)
