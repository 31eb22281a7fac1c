"""No two series of a legend have colours that cannot be told apart, whichever models stand beside each other."""

from itertools import combinations

import plotly.graph_objects as go
import pytest

from recsys_lite.plots import explorer
from recsys_lite.plots.palette import MODEL_COLOURS, SERIES
from recsys_lite.plots.static import png, svg


def drawn(models):
    figure = go.Figure()
    for m in models:
        figure.add_scatter(x=[1], y=[1], name=m, line={"color": MODEL_COLOURS[m]})
    return figure


def tints(figure):
    return [t.line.color for t in figure.data]


def test_any_four_models_get_four_colours():
    for models in list(combinations(MODEL_COLOURS, 4))[::12]:
        taken = [MODEL_COLOURS[m] for m in models]
        if not any(explorer.near(a, b) for a, b in combinations(taken, 2)):
            continue
        figure = drawn(models)
        explorer.distinct(figure)
        assert not any(explorer.near(a, b) for a, b in combinations(tints(figure), 2)), models
        assert tints(figure)[0] == taken[0]  # the first keeps its own


def test_colours_that_are_apart_stay_and_the_parts_of_a_series_stay_together():
    figure = drawn(["fm", "dcn", "deepfm"])
    before = tints(figure)
    explorer.distinct(figure)
    assert tints(figure) == before
    figure = go.Figure()
    for name, colour in (("a", "#0072B2"), ("b", "#3B6E8F"), ("b", "#3B6E8F")):
        figure.add_scatter(
            x=[1], y=[1], name=name, mode="lines+markers", line={"color": colour}, marker={"color": colour}
        )
    figure.add_scatter(x=[1], y=[1], name="c", fill="toself", fillcolor="#0072B2")
    explorer.distinct(figure)
    a, b, again, c = figure.data
    assert b.line.color == b.marker.color == again.line.color == SERIES[1] and a.line.color == "#0072B2"
    assert c.fillcolor == "#0072B2" and c.line.color is None


def test_open_marks_with_opacities_of_their_own_can_be_taken_away():
    marker = {"symbol": ["square", "square-open", "square-open"], "opacity": [1.0, 0.4, 0.6], "color": "#0072B2"}
    figure = go.Figure(go.Scatter(x=[1, 2, 3], y=["a", "a", "a"], mode="markers", marker=marker))
    assert "Marks" in svg(figure, "Marks") and png([figure], ["Marks"])[1:4] == b"PNG"


def test_a_picture_needs_figures_and_as_many_titles():
    with pytest.raises(ValueError, match="a title for each"):
        png([], [])
    with pytest.raises(ValueError, match="a title for each"):
        png([go.Figure()], ["a", "b"])
