"""Figures of training speed show the numbers of their tables."""

import pandas as pd
import pytest

from recsys_lite.plots.speed import growth, speed_ratios

LINES = [
    ("fm", "ours", "adam", 80.0, 1.0, 1.0, 1.0),
    ("fm", "ours", "lazy_adam", 60.0, 0.75, 0.7, 0.8),
    ("fm", "recbole", "adam", 200.0, 2.5, 2.0, 3.5),
    ("dcn", "recbole", "adam", 300.0, 1.5, 1.4, 1.6),
]
TABLE = pd.DataFrame(LINES, columns=["model", "system", "optimizer", "ms", "ratio", "low", "high"])


def test_a_dot_for_each_system_with_its_quartiles():
    figure = speed_ratios(TABLE)
    dots = {trace.name: trace for trace in figure.data}
    assert set(dots) == {"ours, lazy adam", "RecBole"}  # ours with its default is the line at 1
    peer = dots["RecBole"]
    assert (list(peer.x), list(peer.y)) == ([2.5, 1.5], ["fm", "dcn"])
    assert list(peer.error_x.array) == pytest.approx([1.0, 0.1])
    assert list(peer.error_x.arrayminus) == pytest.approx([0.5, 0.1])
    assert figure.layout.xaxis.type == "log" and figure.layout.shapes[0].x0 == 1


def test_growth_has_a_line_for_each_optimiser():
    lines = [("vocabulary", o, n, m) for o in ("adam", "lazy_adam") for n, m in ((10, 1.0), (100, 2.0))]
    figure = growth(pd.DataFrame(lines, columns=["axis", "optimizer", "size", "microseconds"]))
    assert [t.name for t in figure.data] == ["adam", "lazy adam"] and list(figure.data[0].y) == [1.0, 2.0]
    assert figure.layout.xaxis.title.text == "vocabulary"


def test_tables_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match="no lines"):
        speed_ratios(TABLE[:0])
    with pytest.raises(ValueError, match="one axis"):
        growth(pd.DataFrame({"axis": ["rows", "dim"], "optimizer": "adam", "size": 1, "microseconds": 1.0}))
