"""What a reader takes away or sends: the share card, links that bring the same view back, pictures, pages, tables."""

import io
from urllib.parse import parse_qsl

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from explorer import on_page, query
from PIL import Image

from app.core import address, cache, names
from app.parts import downloads, share, stage
from recsys_lite import explain
from recsys_lite.plots import card as cards

PLANTED = ("planted", "pairs")


@pytest.fixture
def offered(monkeypatch):
    """What a page offers to take away: name of the file -> what makes it."""
    made, real = {}, st.download_button

    def noted(label, data=None, file_name=None, *args, **more):
        made[file_name] = data
        return real(label, data, file_name, *args, **more)

    monkeypatch.setattr(st, "download_button", noted)
    return made


def open_(page: str, asked: dict[str, str], offered: dict) -> object:
    offered.clear()
    return on_page(page, **asked)


def card_of(offered: dict) -> bytes:
    (key,) = [k for k in offered if k.startswith("recsys-lite-")]
    return offered[key]()


CASES = [
    {}, {"data": "movielens-100k", "task": "click", "models": "dcn_v2,fm", "row": "30", "set.gender": "F"},
    {"data": "criteo-sample", "task": "click", "models": "fm,dlrm", "row": "3", "set.I3": "7"},
]  # fmt: skip


@pytest.mark.parametrize("asked", CASES, ids=["planted", "movielens", "criteo"])
def test_the_card_holds_what_the_page_shows_and_its_address_brings_it_back(offered, monkeypatch, asked):
    given = {}

    def noted(*args):
        given.update(zip("tcsf", args[:4], strict=True))
        return cards.card(*args)

    monkeypatch.setattr(share, "card", noted)
    app = open_("compare", asked, offered)
    picture = Image.open(io.BytesIO(card_of(offered)))
    assert picture.size == (cards.WIDTH, cards.HEIGHT) and picture.format == "PNG"
    assert [c.name for c in given["c"]] == [m.label for m in app.metric]
    assert [c.number for c in given["c"]] == [m.value for m in app.metric]
    state = app.session_state["compare.state"]
    edits = cache.frozen(state.edits)
    for column, model in zip(given["c"][-len(state.models) :], state.models, strict=True):
        row = cache.edited_row(state.data, state.task, state.row, edits)
        fields = tuple(column.table.columns)
        effect = explain.row_effects(
            cache.load_model(state.data, state.task, model), row, stage.others(state.data, state.task), fields
        )
        pd.testing.assert_frame_equal(column.table, effect)
        assert ("points by the edits" in column.note) == bool(state.edits)
    assert given["s"].startswith("Strongest pair of this row") and f"row {state.row}" in given["t"]
    assert any("seed 0" in line for line in given["f"])
    back = dict(parse_qsl(given["f"][0].partition("?")[2]))
    assert back["row"] == str(state.row) and back["data"] == state.data
    again = open_("compare", back, offered)
    assert not again.warning and [m.value for m in again.metric] == [m.value for m in app.metric]
    assert again.session_state["compare.state"].to_query() == state.to_query()


def test_the_card_marks_the_planted_pairs_and_one_scale(offered, monkeypatch):
    given = []
    monkeypatch.setattr(share, "card", lambda *args: given.extend(args[1]) or b"")
    open_("compare", {}, offered)
    card_of(offered)
    truth, *models = given
    assert truth.name == "Truth" and not truth.marked
    assert all(list(c.marked) == [("A", "D"), ("C", "F")] for c in models) and len({c.limit for c in models}) == 1


def test_a_card_is_not_drawn_before_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(share, "card", None)  # a call would fail
    on_page("compare")


def test_words_of_a_card_are_no_formula_and_have_an_end():
    table = pd.DataFrame([[0.0, np.nan], [1.0, 0.0]], index=["$x$", "y"], columns=["$x$", "y"])
    column = cards.Column("$FM$", "70 %", "_{", table, 1.0, "log-odds $")
    made = cards.card("$a$" * 99, [column] * 6, "\\frac{1}{2} $" * 99, ["?" + "x" * 5000], {})
    assert Image.open(io.BytesIO(made)).size == (1200, 630)
    assert cards._lines("one two three four", 9, 2) == ["one two", "three…"]
    with pytest.raises(ValueError, match="one to six"):
        cards.card("", [], "", [], {})


def test_a_link_leaves_out_what_is_so_anyway():
    state = address.State(*PLANTED, ["fm", "dcn"], 3)
    assert address.link(state) == {"data": "planted", "task": "pairs", "models": "fm,dcn", "row": "3"}
    state.detail, state.edits = "fine", {"A": "A7"}
    assert address.link(state) | {"detail": "fine", "set.A": "A7"} == address.link(state)


PAGES = [
    ("compare", {}), ("compare", {"data": "movielens-100k", "row": "30", "about": "training"}),
    ("compare", {"data": "criteo-sample", "row": "3", "about": "calibration"}),
    ("compare", {"data": "movielens-100k", "row": "30", "about": "slices"}),
    ("steps", {"model": "fm", "row": "30"}), ("inside", {}),
    ("inside", {"data": "planted.pairs", "model": "dcn_v2", "view": "blocks"}), ("embeddings", {}),
    ("retrieval", {"person": "6"}), ("serving", {}), ("serving", {"view": "memory"}), ("serving", {"view": "budget"}),
    ("serving", {"view": "index"}), ("position", {}), ("position", {"view": "own"}), ("race", {}), ("leaderboard", {}),
]  # fmt: skip


@pytest.mark.slow("makes every file that every page offers")
@pytest.mark.parametrize(("page", "asked"), PAGES)
def test_every_figure_to_take_away_has_a_title_its_model_and_its_labels_and_is_small(offered, monkeypatch, page, asked):
    drawn = []
    svg = downloads.svg
    monkeypatch.setattr(downloads, "svg", lambda figure, title="": drawn.append((title, figure)) or svg(figure, title))
    app = open_(page, asked, offered)
    files = {name: make() for name, make in offered.items() if not name.startswith("recsys-lite-")}
    assert files
    for name, data in files.items():
        assert len(data) < 1_000_000, name
        kind = name.rpartition(".")[2]
        if kind == "png":
            assert Image.open(io.BytesIO(data)).width > 1000
        elif kind == "html":
            assert b"<script" not in data and b"<table" in data
        else:
            table = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)
            assert len(table) and not [c for c in table if c.startswith(downloads.FORMULA)]
    assert all(title for title, _ in drawn), [t for t, _ in drawn]
    known = {names.name(m) for m in query(app).get("models", query(app).get("model", "")).split(",") if m}
    for title, figure in drawn:
        text = f"{title} {' '.join(t.name or '' for t in figure.data)} {figure.to_json()}"
        if known:
            assert any(name in text for name in known), title
        first = figure.data[-1]
        for axis, values in ((figure.layout.xaxis, first.x), (figure.layout.yaxis, first.y)):
            number = values is not None and first.type == "scatter" and not isinstance(values[0], str)
            assert axis.title.text or not number or axis.showticklabels is False or axis.ticktext, title
