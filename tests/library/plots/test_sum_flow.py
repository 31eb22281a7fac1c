"""The drawing of a sum of fields: every part is on it, bars point to their side, long values are cut."""

import re

import pandas as pd
import pytest

from recsys_lite.plots.sum_flow import sum_drawing

FIELDS = pd.DataFrame(
    {"value": ["7", "A film with a very long title"], "size": [944, 1683], "part": [0.5, -1.0]},
    index=["user", "release_year"],
)


def test_parts_sum_logit_and_chance_are_written():
    text = sum_drawing(FIELDS, bias=-0.1, chance=0.354)
    shown = re.findall(r"<text[^>]*>([^<]*)</text>", text)
    assert {"user", "release year", "944", "1,683", "+0.50", "−1.00", "−0.10", "z = −0.60", "click: 35 %"} <= set(shown)
    assert "A film with a…" in shown and text.startswith("<svg")


def test_bars_point_to_their_side_and_the_longest_is_the_largest_part():
    text = sum_drawing(FIELDS, bias=-0.1, chance=0.354)
    found = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="13"', text)
    bars = [tuple(map(float, bar)) for bar in found]
    (up, half), (down, whole), _ = bars
    assert up > down and whole == 2 * half and down + whole == pytest.approx(up)


@pytest.mark.parametrize("fields", [FIELDS[:0], pd.concat([FIELDS] * 8), FIELDS.drop(columns="size")])
def test_what_cannot_be_drawn_is_refused(fields):
    with pytest.raises(ValueError, match="sum_drawing"):
        sum_drawing(fields, bias=0.0, chance=0.5)
