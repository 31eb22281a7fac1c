"""Figures, tables and tabs: what is stored for the book, what a live kernel gets, and what is refused."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io
import pytest

from recsys_lite import notebook
from recsys_lite.notebook import controls, figures, tables
from recsys_lite.plots import diagrams, palette

ALT = "A line that rises from one to three"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What is displayed, with outputs being stored."""
    bundles: list[dict] = []
    monkeypatch.setenv("RECSYS_LITE_STATIC", "1")
    monkeypatch.setattr(figures, "display_bundle", bundles.append)
    return bundles


def line(k: int = 2) -> go.Figure:
    x = np.arange(3)
    return go.Figure(go.Scatter(x=x, y=k * x / 3), layout={"title": f"k = {k}", "template": "plotly_dark"})


def stored_json(bundle: dict) -> dict:
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', bundle["text/html"], re.S)[1])


def test_show_stores_html_and_plotly(shown: list[dict]) -> None:
    notebook.show(line(), ALT, "Exact </script> & small.")
    (bundle,) = shown
    assert f'role="img" aria-label="{ALT}"' in bundle["text/html"] and "&lt;/script&gt;" in bundle["text/html"]
    figure = stored_json(bundle)
    assert figure["data"][0]["y"] == [0, 0.66667, 1.3333] and "template" not in figure["layout"]
    assert bundle["application/vnd.plotly.v1+json"]["data"] == figure["data"]
    assert "http" not in bundle["text/html"]


def test_figure_id_follows_content(shown: list[dict]) -> None:
    for k in (2, 2, 3):
        notebook.show(line(k), ALT)
    ids = [re.search(r'id="(figure-\w+)"', b["text/html"])[1] for b in shown]
    assert ids[0] == ids[1] != ids[2]


def test_text_in_a_figure_cannot_end_its_script(shown: list[dict]) -> None:
    notebook.show(go.Figure(layout={"title": "</script><b>"}), ALT)
    assert stored_json(shown[0])["layout"]["title"]["text"] == "</script><b>"


@pytest.mark.parametrize("alt", ["", "plot", "   short   "])
def test_alt_is_required(alt: str) -> None:
    for call in (
        lambda: notebook.show(line(), alt),
        lambda: notebook.show_svg("<svg/>", alt),
        lambda: notebook.explore(line, alt=alt, k=[1, 2]),
    ):
        with pytest.raises(ValueError, match="at least 15 characters"):
            call()


def test_arrays_of_any_kind_become_short_lists() -> None:
    packed = go.Figure(go.Heatmap(z=np.eye(2) / 3)).to_dict()
    assert figures.short(packed)["data"][0]["z"] == [[0.33333, 0], [0, 0.33333]]
    assert figures.short({"a": np.float32(0.1), "b": (1, True), "c": float("inf")}) == {
        "a": 0.1,
        "b": [1, True],
        "c": None,
    }
    assert figures.short(pd.Series([1.0, 2.5])) == [1, 2.5]


def test_explore_steps_through_the_first_control(shown: list[dict]) -> None:
    notebook.explore(line, alt=ALT, caption="Exact.", k=[1, 2, 4])
    figure = stored_json(shown[0])
    (slider,) = figure["layout"]["sliders"]
    assert slider["active"] == 1 and [s["label"] for s in slider["steps"]] == ["1", "2", "4"]
    assert [t["visible"] for t in figure["data"]] == [False, True, False]
    assert slider["steps"][2]["args"] == [{"visible": [False, False, True]}, {"title.text": "k = 4"}]
    assert 'role="group"' in shown[0]["text/html"]


def test_explore_names_what_the_book_cannot_move(shown: list[dict]) -> None:
    notebook.explore(lambda a=1, b=2: line(a + b), alt=ALT, a=[1, 2], b=[2, 3])
    assert "A live notebook has controls for b, too." in shown[0]["text/html"]


def test_explore_says_what_is_wrong(shown: list[dict]) -> None:
    with pytest.raises(ValueError, match="no controls"):
        notebook.explore(line, alt=ALT)
    with pytest.raises(ValueError, match="'k' has no values"):
        notebook.explore(line, alt=ALT, k=[])
    with pytest.raises(ValueError, match=r"starts at 2, expected one of \[1, 4\]"):
        notebook.explore(line, alt=ALT, k=[1, 4])


def test_live_kernel_gets_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.delenv("RECSYS_LITE_STATIC", raising=False)
    monkeypatch.setattr(controls, "_show_live", lambda figure, caption: drawn.append(figure.layout.title.text))

    def draw(k: int = 2, name: str = "a", on: bool = True) -> go.Figure:
        return go.Figure(layout={"title": f"{k} {name} {on}"})

    box = notebook.explore(draw, alt=ALT, k=[1, 2], name=["a", "b"], on=[False, True])
    kinds = [type(child).__name__ for child in box.children]
    assert kinds == ["SelectionSlider", "Dropdown", "Checkbox", "Output"]
    box.children[0].value = 1
    box.children[1].value = "b"
    assert drawn[0] == "2 a True" and drawn[-1] == "1 b True"


def test_live_kernel_shows_plotlys_own_figure_and_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.delenv("RECSYS_LITE_STATIC", raising=False)
    monkeypatch.setattr(plotly.io.renderers, "default", "plotly_mimetype")
    monkeypatch.setattr("IPython.display.display", lambda shown, **_: sent.append(shown))
    notebook.show(line(), ALT, "Exact & small.")
    box = notebook.explore(line, alt=ALT, k=[1, 2])
    figure, caption, drawn, controls = sent
    assert figure["application/vnd.plotly.v1+json"]["layout"]["title"]["text"] == "k = 2"
    assert caption == {"text/html": "<small>Exact &amp; small.</small>", "text/plain": "Exact & small."}
    assert drawn == figure and controls is box


def test_table_is_escaped_and_formatted() -> None:
    table = pd.DataFrame({"name": ["<b>", "y"], "value": [1.23456, np.nan], "n": [3, -4]})
    text = tables.table_html(table, "A & B", digits=2)
    assert "&lt;b&gt;" in text and "A &amp; B" in text and ">1.23<" in text and ">–<" in text and ">−4<" in text
    named = tables.table_html(table.set_index("name"))
    assert '<th class="text">name</th>' in named
    ElementTree.fromstring(text)


def test_tabs_keep_their_widget(shown: list[dict]) -> None:
    notebook.tabs({"one": "<b>1</b>", "two": "2"})
    assert "model_id" in shown[0]["application/vnd.jupyter.widget-view+json"]
    assert shown[0]["text/plain"] == "[tabs] one | two"
    with pytest.raises(ValueError, match="no pages"):
        notebook.tabs({})


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    def fail(name: str) -> None:
        raise ModuleNotFoundError(name)

    figure = line()
    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(ModuleNotFoundError, match=r"recsys-lite\[plots\]"):
        notebook.show(figure, ALT)


@pytest.mark.parametrize("name", diagrams.ARCHITECTURES)
def test_drawings_are_sound_and_readable(name: str) -> None:
    drawing = ElementTree.fromstring(diagrams.architecture(name))
    assert drawing.get("fill") == "currentColor" and drawing.get("viewBox").split()[2] == str(diagrams.WIDTH)
    sizes = [float(t.get("font-size")) for t in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert min(sizes) >= 12  # units are about pixels on a page 360 px wide
    boxes, arrows = diagrams.ARCHITECTURES[name]
    assert {k for arrow in arrows for k in arrow} == set(range(len(boxes)))
    assert all(0 <= b.x - b.width / 2 and b.x + b.width / 2 <= diagrams.WIDTH for b in boxes)


def test_map_lights_one_chapter(shown: list[dict]) -> None:
    for chapter in diagrams.CHAPTERS:
        svg, name = diagrams.book_map(chapter["slug"])
        assert name == chapter["short"] and svg.count('fill="#ffffff"') == 1
        right = [
            float(r.get("x")) + float(r.get("width")) for r in ElementTree.fromstring(svg) if r.tag.endswith("rect")
        ]
        assert max(right) <= diagrams.WIDTH
    notebook.here("overview")
    assert "you are at: Overview" in shown[0]["text/html"]
    with pytest.raises(ValueError, match="book_map: got 'nothing'"):
        diagrams.book_map("nothing")
    with pytest.raises(ValueError, match="architecture: got 'nothing'"):
        diagrams.architecture("nothing")


def test_every_model_has_its_colour() -> None:
    names = (
        "fm wide_deep deepfm ncf dcn autoint dlrm dcn_v2 dhen gdcn lightgcn two_towers pal watch_next split_network "
        "mlp gbdt popularity logistic_regression"
    ).split()
    assert set(names) <= set(palette.MODEL_COLOURS)
    assert all(re.fullmatch(r"#[0-9A-Fa-f]{6}", c) for c in [*palette.MODEL_COLOURS.values(), *palette.SERIES])
    assert {box.kind for boxes, _ in diagrams.ARCHITECTURES.values() for box in boxes} <= set(palette.BOX_COLOURS)
