"""The stage without a browser: the opening scene, maps in one order and unit, what persists, and the address."""

import json
import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import torch
from explorer import checked, on_page, query, run_cells, words_outside_folds
from streamlit.testing.v1 import AppTest

from app.core import address, cache
from app.pages import PAGES
from app.parts import downloads, stage, tables, waterfalls
from recsys_lite import explain, plots
from recsys_lite.data.simulated.planted import planted_pairs, planted_probability
from recsys_lite.plots.static import svg

PLANTED = ("planted", "pairs")
FOUR = ["fm", "dcn_v2", "autoint", "dhen"]


def data_of(app: AppTest, name: str) -> dict:
    """What a component of the page was given."""
    found = [e for e in _all(app.main) if getattr(getattr(e, "proto", None), "component_name", "") == name]
    assert len(found) == 1, f"{len(found)} of {name}"
    return json.loads(found[0].proto.json)


def _all(block):
    for child in getattr(block, "children", {}).values():
        yield child
        yield from _all(child)


def maps_of(app: AppTest) -> dict:
    return data_of(app, "recsys_lite_grid")


@pytest.fixture(scope="module")
def opening():
    return on_page("compare")


def test_the_opening_scene_has_the_truth_and_four_models_on_one_scale(opening):
    assert query(opening) == {} and not opening.warning  # the address stays bare
    assert [m.label for m in opening.metric] == ["Truth", "FM", "DCN V2", "AutoInt", "DHEN"]
    shown = maps_of(opening)
    assert [c["name"] for c in shown["columns"]] == ["Truth", "FM", "DCN V2", "AutoInt", "DHEN"]
    bands = [c["bands"][0] for c in shown["columns"]]
    assert all(b["names"] == b["lines"] == list("ABCDEF") for b in bands)
    assert len({b["limit"] for b in bands[1:]}) == 1 and {b["unit"] for b in bands[1:]} == {"log-odds"}
    assert shown["truth"] == [["A", "D"], ["C", "F"]]
    assert "4 of 4 models put a planted pair first" in shown["told"]
    assert "AutoInt: C × F" in shown["told"] and "own map: A × E" in shown["told"]
    assert any("Find the pairs" in m.value for m in opening.markdown)


def test_the_maps_are_the_librarys(opening):
    dataset = cache.load_dataset(*PLANTED)
    others = stage.others(*PLANTED)
    for model, column in zip(FOUR, maps_of(opening)["columns"][1:], strict=True):
        itself = cache.load_model(*PLANTED, model)
        expected = explain.row_effects(itself, dataset.test[30], others)
        assert np.allclose(column["bands"][0]["cells"], expected, atol=1e-4)
        maps, missing = explain.row_maps(itself, dataset.test[30])
        own = column["bands"][1]
        drawn = [own, *own["more"]]
        assert [d["title"] for d in drawn] == [m.name for m in maps] and own["why"] == missing
        for d, m in zip(drawn, maps, strict=True):
            cells = np.array(d["cells"], float)
            assert np.allclose(cells, m.table.loc[d["lines"], d["names"]], atol=1e-4, equal_nan=True)
    truth = np.array(maps_of(opening)["columns"][0]["bands"][0]["cells"])
    assert np.array_equal(truth, planted_pairs(dataset))


def test_the_chances_are_the_models_and_the_truths(opening):
    dataset = cache.load_dataset(*PLANTED)
    expected = [planted_probability(dataset, dataset.test[30]).item()]
    expected += [torch.sigmoid(cache.load_model(*PLANTED, m)(dataset.test[30])).item() for m in FOUR]
    assert [m.value for m in opening.metric] == [tables.percent(p) for p in expected]


def test_a_difference_is_one_more_map():
    app = on_page("compare", data="planted", task="pairs", models="fm,autoint", row="3", diff="fm,autoint")
    first, second, third = maps_of(app)["columns"][1:]
    assert third["name"] == "FM − AutoInt" and "rank correlation" in third["bands"][1]["why"][0]
    a, b, c = (np.array(x["bands"][0]["cells"]) for x in (first, second, third))
    assert np.allclose(a - b, c, atol=2e-4)
    app = checked(app.multiselect(key="compare.models").set_value(["fm", "dcn"]).run())
    assert "diff" not in query(app) and len(maps_of(app)["columns"]) == 3
    wrong = on_page("compare", data="planted", task="pairs", models="fm,dcn", diff="fm,gdcn")
    assert "gdcn" in wrong.warning[0].value


def test_wide_data_show_the_fields_that_move_the_models_most(criteo):
    app = on_page("compare", data="criteo-sample", models="fm,dlrm", row="3")
    names = maps_of(app)["columns"][0]["bands"][0]["names"]
    assert len(names) == stage.MOST_FIELDS and names == [f.name for f in criteo.fields if f.name in names]
    sizes = [stage.alone("criteo-sample", "click", m, 3, ()).abs() for m in ("fm", "dlrm")]
    largest = pd.concat(sizes, axis=1).max(axis=1)
    assert largest[names].min() >= largest.drop(names).max()
    assert any("12 of 39 fields" in c.value for c in app.caption)


@pytest.mark.parametrize("model", ["wide_deep", "ncf", "two_towers", "split_network", "gdcn", "dlrm"])
def test_every_model_stands_on_the_stage(model):
    app = on_page("compare", data="movielens-100k", models=f"logistic_regression,{model}", row="30")
    lr, other = maps_of(app)["columns"]
    assert lr["bands"][1]["title"] == "no map of its own" and "one weight for each value" in lr["bands"][1]["why"][0]
    assert np.abs(np.array(lr["bands"][0]["cells"]) * (1 - np.eye(10))).max() < 1e-4
    assert other["bands"][1]["cells"]


# --- what persists ---------------------------------------------------------------------------------------------------


def walk(*pages: str, **first: str) -> AppTest:
    """A session that goes from page to page, as ``app.main`` runs them; the last one is shown."""

    def script(_: str) -> None:
        import importlib

        import streamlit as st

        from app.core import controls

        page = st.session_state["test.page"]
        controls.follow(page)
        importlib.import_module(f"app.pages.{page}").page()
        st.session_state["test.problems"] = controls.problems()

    app = AppTest.from_function(script, args=("",), default_timeout=120)
    for key, value in first.items():
        app.query_params[key.replace("__", ".")] = value
    for k, page in enumerate(pages):
        if k:
            app.query_params.clear()
        app.session_state["test.page"] = page
        app = checked(app.run())
    return app


def test_row_and_edits_stay_from_page_to_page():
    there = {"data": "movielens-100k", "task": "click", "models": "dcn_v2,fm", "row": "30", "set__gender": "F"}
    app = walk("compare", "steps", **there)
    asked = {"data": "movielens-100k.click", "model": "dcn_v2", "row": "30", "set.gender": "F"}
    assert query(app) | asked == query(app)
    chance = next(m.value for m in app.markdown if "a chance of" in m.value)
    dataset = cache.load_dataset("movielens-100k", "click")
    record = dataset.decode(dataset.test, 30) | {"gender": "F"}
    z = cache.load_model("movielens-100k", "click", "dcn_v2")(dataset.encode(record))
    assert tables.percent(torch.sigmoid(z).item()) in chance
    app = checked(app.button(key="strip.reset").click().run())
    assert "set.gender" not in query(app)
    back = walk("compare", "steps", "compare", **there)
    assert query(back) | {"row": "30", "models": "dcn_v2,fm", "set.gender": "F"} == query(back)


def test_an_edit_on_the_page_of_steps_is_an_edit_everywhere():
    app = walk("steps", data="planted.pairs", model="fm", row="5")
    app = checked(next(w for w in app.selectbox if w.key == "edit.planted.pairs.A").set_value("A7").run())
    assert query(app)["set.A"] == "A7"
    app.query_params.clear()
    app.session_state["test.page"] = "compare"
    app = checked(app.run())
    assert query(app) | {"data": "planted", "row": "5", "set.A": "A7"} == query(app)


def test_inside_shows_the_edited_row():
    asked = {"data": "planted.pairs", "model": "fm", "view": "pairs", "rows": "one", "row": "5", "set.A": "A7"}
    app = on_page("inside", **asked)
    assert query(app) == asked
    dataset = cache.load_dataset(*PLANTED)
    record = dataset.decode(dataset.test, 5) | {"A": "A7"}
    table = explain.pair_strength(cache.load_model(*PLANTED, "fm"), dataset.encode(record), signed=True)
    a, b, value = explain.strongest(table)
    assert any(f"**{a} × {b}** ({value:.4g} log-odds)" in m.value for m in app.markdown)
    assert run_cells(app) == 2


def test_back_brings_the_state_of_the_address_and_a_late_address_changes_nothing():
    first = {"data": "planted", "task": "pairs", "models": "fm,dcn", "row": "3"}
    app = on_page("compare", **first)
    before = query(app)
    app = checked(app.number_input(key="compare.row").set_value(4).run())
    after = query(app)
    assert before["row"] == "3" and after["row"] == "4"
    for k, v in before.items():
        app.query_params[k] = v
    app = checked(app.run())  # Back: another address, and no widget was touched
    assert query(app) == before and app.number_input(key="compare.row").value == 3
    for k, v in after.items():
        app.query_params[k] = v
    app = checked(app.number_input(key="compare.row").set_value(9).run())  # a widget, sent with another address
    assert query(app)["row"] == "9"


def test_back_works_on_pages_of_controls():
    app = walk("steps", model="fm", row="3")
    app = checked(app.number_input(key="control.row").set_value(4).run())
    assert query(app)["row"] == "4"
    app.query_params["row"] = "3"
    app = checked(app.run())
    assert query(app)["row"] == "3" and app.number_input(key="control.row").value == 3


@pytest.mark.parametrize(
    ("page", "asked", "named"),
    [
        ("steps", {"model": "gpt"}, "gpt"), ("inside", {"view": "xray"}, "xray"), ("steps", {"row": "-1"}, "-1"),
        ("retrieval", {"models": "ease,gpt"}, "gpt"), ("leaderboard", {"metric": "luck"}, "luck"),
        ("race", {"seed": "9" * 5000}, "999"),
    ],
)  # fmt: skip
def test_no_address_is_corrected_in_silence(page, asked, named):
    app = walk(page, **asked)
    assert any(named in p for p in app.session_state["test.problems"])
    app = checked(app.run())
    assert not app.session_state["test.problems"]  # said once


@pytest.mark.parametrize("text", ["1e308", "-1e16", "inf", "nan"])
def test_numbers_that_no_row_has_are_refused(text):
    app = on_page("compare", **{"data": "criteo-sample", "row": "1", "set.I1": text})
    assert "I1" in app.warning[0].value and "set.I1" not in query(app)
    app = on_page("compare", **{"data": "criteo-sample", "row": "1", "set.I1": "1e15"})
    assert not app.warning and query(app)["set.I1"] == "1000000000000000"


# --- parts -----------------------------------------------------------------------------------------------------------


def test_the_parts_have_the_same_rows_and_end_at_the_logit():
    app = on_page("compare", data="movielens-100k", models="fm,wide_deep,autoint", row="30", detail="fine")
    shown = data_of(app, "recsys_lite_parts")
    assert shown["lines"][-1] == "logit" and len(shown["lines"]) == tables.MOST_PARTS + 2
    for model, column in zip(("fm", "wide_deep", "autoint"), shown["columns"], strict=True):
        itself = cache.load_model("movielens-100k", "click", model)
        z = itself(cache.load_dataset("movielens-100k", "click").test[30]).item()
        *parts, total = column["cells"]
        assert total["value"] == pytest.approx(z, abs=1e-3)
        at = 0.0
        for part in parts:
            if part["value"] is not None:
                assert part["from"] == pytest.approx(at, abs=2e-3)
                at += part["value"]
        assert at == pytest.approx(z, abs=2e-3)


def test_after_an_edit_only_its_changes_are_shown_unless_asked_otherwise():
    asked = {"data": "movielens-100k", "models": "fm,dcn", "row": "30", "set.gender": "F"}
    app = on_page("compare", **asked)
    shown = data_of(app, "recsys_lite_parts")
    assert shown["lines"][-1] == "change" and "bias" not in shown["lines"]
    app = checked(app.toggle(key="compare.change").set_value(False).run())
    assert data_of(app, "recsys_lite_parts")["lines"][-1] == "logit" and query(app)["change"] == "0"
    again = on_page("compare", **asked, change="0")
    assert data_of(again, "recsys_lite_parts")["lines"][-1] == "logit"


def test_aligned_by_hand():
    one = tables.Score("a", pd.DataFrame(), pd.DataFrame())
    two = tables.Score("b", pd.DataFrame(), pd.DataFrame())
    one.coarse = pd.DataFrame([[1.0, 2.0, 3.0], [1.0, 5.0, 6.0]], ["original", "now"], ["bias", "pairs", "logit"])
    two.coarse = pd.DataFrame([[0.5, 1.0, 1.5], [0.5, 4.0, 4.5]], ["original", "now"], ["deep", "linear", "logit"])
    a, b = tables.aligned([one, two], "coarse", change=False)
    assert list(a.index) == list(b.index) == ["bias", "linear", "pairs", "deep"]
    assert a.fillna(-9).tolist() == [1, -9, 5, -9] and b.fillna(-9).tolist() == [-9, 4, -9, 0.5]
    a, b = tables.aligned([one, two], "coarse", change=True)
    assert list(a.index) == ["linear", "pairs"] and a["pairs"] == 3 and b["linear"] == 3
    made = waterfalls.payload([a, b], ["fm", "dcn"], change=True)
    assert made["columns"][0]["cells"] == [
        {"value": None, "from": 0.0}, {"value": 3.0, "from": 0.0}, {"value": 3.0, "from": 0.0},
    ]  # fmt: skip


# --- what is taken away ----------------------------------------------------------------------------------------------


def test_a_chart_to_take_away_is_small_and_says_what_it_is():
    parts = pd.Series({"bias": 1.0, "a long name of a part": -2.0, "other": float("nan")})
    page = downloads.as_page(pd.DataFrame({"x": [1]}), lambda: [plots.waterfall(parts, title="DCN V2")], "s").decode()
    assert len(page) < 1_000_000 and "<script" not in page
    assert "DCN V2" in page and "a long name of a part" in page and "log-odds" in page
    figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4], name="one", error_y={"array": [1, 1]}), {"xaxis_title": "epoch"})
    assert "epoch" in svg(figure, "Curves") and "one" in svg(go.Figure([*figure.data, *figure.data]))
    with pytest.raises(ValueError, match="pie"):
        svg(go.Figure(go.Pie(values=[1])))


def test_a_cell_of_a_csv_is_no_formula():
    table = pd.DataFrame({"film": ["=HYPERLINK(1)", "@x", "+1", "-1", "a=b"], "=n": [-1.5, 0, 1, 2, 3]})
    lines = downloads.as_csv(table).decode().splitlines()
    assert lines == ["film,'=n", "'=HYPERLINK(1),-1.5", "'@x,0.0", "'+1,1.0", "'-1,2.0", "a=b,3.0"]
    assert table["film"].iloc[0] == "=HYPERLINK(1)"  # the table itself stays


# --- words -----------------------------------------------------------------------------------------------------------

VIEWS = [
    ("compare", {}), ("compare", {"data": "movielens-100k", "row": "30", "set.gender": "F"}), ("steps", {}),
    ("inside", {}), ("inside", {"data": "planted.pairs", "model": "dcn_v2"}), ("embeddings", {}), ("retrieval", {}),
    ("serving", {}), ("position", {}), ("position", {"view": "own"}), ("race", {}), ("own_data", {}),
    ("game", {}), ("leaderboard", {}), ("compare", {"data": "criteo-sample", "row": "3", "about": "slices"}),
    ("steps", {"data": "movielens-100k.films", "row": "7"}), ("steps", {"model": "dhen", "row": "30"}),
    ("serving", {"view": "memory"}), ("serving", {"view": "budget"}), ("serving", {"view": "index"}),
]  # fmt: skip


def test_every_page_is_counted():
    assert {page for page, _ in VIEWS} == {path for section in PAGES.values() for path in section}


@pytest.mark.slow("opens every page")
@pytest.mark.parametrize(("page", "asked"), VIEWS)
def test_a_page_says_it_in_150_words(page, asked):
    words = words_outside_folds(on_page(page, **asked))
    assert len(words) <= 150, " ".join(words)


def test_sections_say_what_one_does():
    assert list(PAGES) == ["", "Look inside", "Recommend", "Play", "Train", "Results"]
    assert PAGES[""]["compare"][1] == "Compare"
    assert list(PAGES["Results"]) == ["leaderboard", "position", "serving"]  # the second shelf, last


def test_the_opening_row_is_one_where_attention_points_elsewhere():
    """What the question of the opening scene says holds: all four use the planted pairs, and their own maps differ."""
    dataset = cache.load_dataset(*PLANTED)
    row, known = dataset.test[int(address.OPENING["row"])], {frozenset("AD"), frozenset("CF")}
    points = {}
    for m in FOUR:
        itself = cache.load_model(*PLANTED, m)
        effect = explain.row_effects(itself, row, stage.others(*PLANTED))
        assert frozenset(explain.strongest(effect)[:2]) in known
        first = explain.row_maps(itself, row)[0][0]
        points[m] = frozenset(explain.strongest(first.table, first.kind)[:2])
    assert {m for m in FOUR if points[m] in known} == {"fm", "dcn_v2"}


def test_the_component_loads_nothing_from_elsewhere():
    for path in (stage.FOLDER / n for n in ("grid.js", "grid.css", "parts.js", "parts.css")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"https?://|@import|url\(|innerHTML|eval\(", text), path.name
