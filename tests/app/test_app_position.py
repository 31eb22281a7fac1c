"""The page on position bias with a curve that the reader draws, without a browser."""

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from explorer import checked, hints, on_page, query, run_cells, seen

from app.core import cache, run
from app.parts import position_own, position_words
from recsys_lite.lab import own_curve
from recsys_lite.plots.palette import MODEL_COLOURS

DEFAULT = {"view": "own", "curve": "100,50,33,25,20,17,14,12,11,10", "order": "popular", "people": "300", "seed": "0"}
CLIFF = "100,100,100,10,10,10,10,10,10,10"


def press(app):
    (button,) = [b for b in app.button if b.label == "Simulate and train"]
    return checked(button.click().run())


def trained(app):
    return [e for e in app.expander if e.label == "Table of curves and quality, downloads"]


def test_the_stored_view_comes_first_and_leads_to_the_other():
    app = on_page("position")
    assert query(app) == {"log": "popular", "metric": "ndcg@10"} and not app.slider
    app = checked(app.selectbox(key="control.view").set_value("own").run())
    assert query(app) == DEFAULT and len(app.slider) == 10
    app = checked(app.selectbox(key="control.view").set_value("stored").run())
    assert query(app) == {"log": "popular", "metric": "ndcg@10"}


def test_before_the_button_the_page_shows_what_the_curve_implies(monkeypatch):
    monkeypatch.setattr(run, "Worker", lambda *_, **__: pytest.fail("trained on load"))
    app = on_page("position", view="own")
    assert query(app) == DEFAULT and not app.error and not trained(app)
    curve = [p / 100 for p in (100, 50, 33, 25, 20, 17, 14, 12, 11, 10)]
    (text,) = seen(app)
    assert "place 1 would get 34% of the clicks and place 10 would get 3%" in text  # 1 / 2.92 and 0.1 / 2.92
    looks = own_curve.looked_at(own_curve.log_of(curve))
    best, worst = looks.iloc[4], looks.iloc[0]
    assert f"films with {best['group']} ratings are looked at {best['relative']:.2f} times as often" in text
    assert f"{worst['group']} ratings {worst['relative']:.2f} times. A model without the place takes this" in text
    assert run_cells(app) == 2


def test_each_order_says_what_a_naive_model_takes_from_it():
    app = on_page("position", view="own", order="random")
    assert "nearly alike" in seen(app)[0] and "takes this for taste" not in seen(app)[0]
    app = checked(app.selectbox(key="control.order").set_value("expert").run())
    assert query(app)["order"] == "expert"
    assert "films to which the person gives 5 stars are looked at" in seen(app)[0]


def test_presets_and_sliders_set_one_curve():
    app = on_page("position", view="own")
    box = app.selectbox(key="position.preset")
    assert box.value == "1/k"
    for name, curve in position_own.PRESETS.items():
        app = checked(app.selectbox(key="position.preset").set_value(name).run())
        assert query(app)["curve"] == ",".join(map(str, curve)) and [s.value for s in app.slider] == list(curve)
    assert query(app)["curve"] == CLIFF
    app = checked(app.slider(key="control.curve.3").set_value(40).run())
    assert query(app)["curve"] == CLIFF.replace("100,100,100", "100,100,40")
    assert app.selectbox(key="position.preset").value == position_own.OWN
    app = checked(app.slider(key="control.curve.3").set_value(100).run())
    assert app.selectbox(key="position.preset").value == "A cliff after place 3"
    app = checked(app.selectbox(key="position.preset").set_value(position_own.OWN).run())  # changes nothing
    assert query(app)["curve"] == CLIFF and app.selectbox(key="position.preset").value == "A cliff after place 3"


def test_presets_are_the_stated_formulas():
    for name, power in (("1/k", 1), ("1/k²", 2), ("Every place", 0)):
        exact = 100 / np.arange(1, 11) ** power
        assert np.abs(np.array(position_own.PRESETS[name]) - exact).max() <= 0.5
    assert all(1 <= p <= 100 for preset in position_own.PRESETS.values() for p in preset)


def test_an_address_brings_everything_back():
    asked = {"view": "own", "curve": "90,80,70,60,50,40,30,20,10,1", "order": "random", "people": "100", "seed": "7"}
    app = on_page("position", **asked)
    assert query(app) == asked
    assert [s.value for s in app.slider] == [90, 80, 70, 60, 50, 40, 30, 20, 10, 1]
    assert app.number_input(key="control.seed").value == 7
    app = checked(app.number_input(key="control.seed").set_value(8).run())
    assert query(app) == asked | {"seed": "8"}


@pytest.mark.parametrize(
    "asked",
    [
        {"curve": "100,50", "order": "best", "people": "50", "seed": "100"},
        {"curve": "0,50,33,25,20,17,14,12,11,10", "seed": "-1"},
        {"curve": "101,50,33,25,20,17,14,12,11,10", "people": ""},
        {"curve": "100,50,33,25,20,17,14,12,11,x"},
        {"curve": "100,50,33,25,20,17,14,12,11,²"},
        {"curve": ""},
    ],
)
def test_a_strange_address_falls_back(asked):
    assert query(on_page("position", view="own", **asked)) == DEFAULT


def test_a_strange_view_falls_back_to_the_stored_runs():
    assert query(on_page("position", view="drawn")) == {"log": "popular", "metric": "ndcg@10"}


@pytest.mark.slow("simulates a log and trains three models")
def test_training_is_the_librarys_and_stays_marked_with_its_settings():
    app = press(on_page("position", view="own", curve=CLIFF, order="random", people="100", seed="3"))
    curve = [1.0] * 3 + [0.1] * 7
    table = own_curve.train_on(own_curve.log_of(curve, "random", 3, 100), "random", 3)
    pd.testing.assert_frame_equal(trained(app)[0].dataframe[0].value.reset_index(drop=True), table, rtol=1e-4)
    by = table.set_index("model")
    _, curves, quality = seen(app)
    assert (
        f"At place 10 the truth is 0.10 of place 1; Naive: no place 1.00, PAL {by.loc['pal', 'place 10']:.2f}" in curves
    )
    assert f"PAL {by.loc['pal', 'ndcg@10']:.3f} [{by.loc['pal', 'ndcg low']:.3f}, " in quality
    assert position_words.gain_words(position_own.gains_of(table)) in quality
    made = "curve 100, 100, 100, 10, 10, 10, 10, 10, 10, 10 %, random order, 100 people, seed 3"
    assert f"Trained for: {made}." in [c.value for c in app.caption] and not app.info
    caveat = next(told for told in hints(app) if "one seed and a small sample" in told.replace("*", ""))
    seeds = len({run["seed"] for run in cache.record("position")["runs"]})
    assert "intervals over 100 people" in caveat and f"stored runs have {seeds} seeds" in caveat
    assert run_cells(app) == 3

    app = checked(app.slider(key="control.curve.2").set_value(60).run())
    (info,) = app.info
    assert "of other settings" in info.value and made in info.value
    assert seen(app)[1:] == [curves, quality]  # the results stay those of their settings
    assert "curve = [p / 100 for p in [100, 100, 100, 10" in trained(app)[0].code[0].value
    app = checked(app.slider(key="control.curve.2").set_value(100).run())
    assert not app.info and not app.error


def test_one_training_at_a_time_and_the_turn_is_given_back(monkeypatch):
    calls = []

    class Refused:
        def __init__(self, *_, **__):
            calls.append(run.lock().locked())

        def run(self, *_):
            raise ValueError("train_on: nobody clicks")

    monkeypatch.setattr(run, "Worker", Refused)
    app = on_page("position", view="own", people="100")
    with run.lock():
        app = press(app)
    assert "Another training is running" in app.warning[0].value and not calls
    app = press(app)
    assert calls == [True] and not app.warning and not run.lock().locked()
    said = app.error[0].value.replace("\\", "")
    assert "Nothing was trained.** train_on: nobody clicks" in said and not trained(app)


def test_progress_tells_model_and_epoch(monkeypatch):
    told = []

    class Bar:
        def progress(self, share, text):
            told.append((share, text))

        def empty(self):
            told.append("gone")

    class Trained:
        def __init__(self, *_, **__):
            pass

        def run(self, tell, waiting):
            for step in (("naive", 10), ("watch_next", 5)):
                tell(step)
            waiting()  # the same is told again, so that Streamlit can stop the run
            return pd.DataFrame()

    state = {}
    monkeypatch.setattr(position_own.st, "progress", lambda *_: Bar())
    monkeypatch.setattr(position_own.st, "session_state", state)
    monkeypatch.setattr(run, "Worker", Trained)
    now = {"curve": (100,) * 10, "order": "popular", "people": 100, "seed": 0}
    position_own.train(now)
    assert told == [
        (pytest.approx(1 / 3), "Naive: epoch 10, at most 10"),
        *[(pytest.approx(5 / 6), "Watch Next: epoch 5, at most 10")] * 2, "gone",
    ]  # fmt: skip
    assert state[position_own.LAST][0] == now


def test_data_that_cannot_be_read_are_named(monkeypatch):
    def unavailable(*_):
        raise ValueError("no such folder\nmore")

    st.cache_data.clear()
    monkeypatch.setattr(own_curve, "log_of", unavailable)
    app = on_page("position", view="own")
    assert app.error[0].value == "**The clicks cannot be simulated.** no such folder" and not app.button
    st.cache_data.clear()


def test_gains_and_curves_of_a_table_and_their_charts():
    table = pd.DataFrame({
        "model": ["truth", "naive", "pal"], "ndcg@10": [np.nan, 0.8, 0.9], "gain": [np.nan, np.nan, 0.1],
        "low": [np.nan, np.nan, 0.05], "high": [np.nan, np.nan, 0.15], "place 1": [1.0, 1, 1], "place 2": [0.5, 1, 0.4],
    })  # fmt: skip
    gains, curves = position_own.gains_of(table), position_own.curves_of(table)
    assert gains.to_dict("records") == [{"name": "PAL", "mean": 0.1, "low": 0.05, "high": 0.15}]
    assert curves[curves["place"] == 2]["relative to place 1"].tolist() == [0.5, 1, 0.4]
    (mark,) = position_words.gains_drawn(gains, "NDCG@10").data
    line = next(t for t in position_words.drawn(curves).data if t.name == "PAL")
    assert mark.marker.color == line.line.color == MODEL_COLOURS["pal"] and list(line.y) == [1, 0.4]


def test_charts_of_what_a_curve_implies():
    share = own_curve.shares([1, 0.5] + [0.0625] * 8)
    bars, line = position_words.shares_drawn(share).data
    assert list(bars.y)[:2] == [0.5, 0.25] and list(line.y)[:2] == [1, 0.5]
    table = pd.DataFrame({
        "by": ["ratings of the film"] * 2 + ["the person's rating"], "group": ["1 to 9", "10 to 99", "1 star"],
        "relative": [0.5, 1.5, 1.0],
    })  # fmt: skip
    films, stars = position_words.looks_drawn(table).data
    assert list(films.x) == [-0.5, 0.5] and films.base == 1 and list(films.y) == ["1 to 9 ratings", "10 to 99 ratings"]
    assert list(stars.x) == [0] and list(stars.y) == ["1 star"]
    words = position_words.implied_words(share, table, "popular")
    assert "10 to 99 ratings are looked at 1.50 times as often as the mean, films with 1 to 9 ratings 0.50" in words
