"""The guided tour: every stop opens a page that takes its address, and the way through it."""

import importlib

import pytest
from explorer import checked, on_page, query
from notebook_code import written
from streamlit.testing.v1 import AppTest

from app.parts import tour


@pytest.mark.parametrize("place", range(1, len(tour.STOPS) + 1))
def test_every_stop_opens_what_it_says(place):
    stop = tour.STOPS[place - 1]
    app = on_page(stop.page, tour=str(place), **stop.query)
    assert not app.warning and not app.error
    shown = query(app)
    if stop.page == "compare":  # the opening scene has an address without a query
        shown |= app.session_state["compare.state"].to_query()
    assert {**stop.query, "tour": str(place)}.items() <= shown.items()
    assert stop.chapter in [c["slug"] for c in written()]
    assert not stop.question or 0 <= stop.right < len(stop.choices)
    assert hasattr(importlib.import_module(f"app.pages.{stop.page}"), "page")


def test_the_tour_is_three_stops_in_a_minute():
    assert len(tour.STOPS) == 3
    words = [w for s in tour.STOPS for w in " ".join([s.title, s.look, s.question, *s.choices, s.answer]).split()]
    assert len(words) <= 200  # that many are read in a minute


def banner(place: str, here: str) -> AppTest:
    def script(here: str) -> None:
        from app.parts import tour

        tour.show({}, here)

    app = AppTest.from_function(script, args=(here,))
    app.query_params["tour"] = place
    return checked(app.run())


def test_the_answer_comes_after_the_guess():
    stop = tour.STOPS[0]
    app = banner("1", stop.page)
    assert not any(stop.answer in m.value for m in app.markdown)
    wrong = next(c for c in stop.choices if c != stop.choices[stop.right])
    checked(app.radio[0].set_value(wrong).run())
    assert any(stop.answer in m.value and "Rather" in m.value for m in app.markdown)
    checked(app.radio[0].set_value(stop.choices[stop.right]).run())
    assert any(m.value.startswith("Yes. ") and stop.answer in m.value for m in app.markdown)


def test_the_tour_ends_where_it_should():
    assert app_buttons(banner("1", tour.STOPS[0].page))["Back"] is True
    last = len(tour.STOPS)
    assert app_buttons(banner(str(last), tour.STOPS[-1].page))["Next"] is True
    assert list(app_buttons(banner("3", "leaderboard"))) == ["Back to the tour"]
    assert list(app_buttons(banner("99", "compare"))) == ["New here? Take the tour"]  # no such stop
    left = banner("2", "compare")
    next(b for b in left.button if b.label == "Leave the tour").click()
    assert "tour" not in query(checked(left.run()))


def app_buttons(app: AppTest) -> dict[str, bool]:
    """Button -> whether it is off."""
    return {b.label: b.disabled for b in app.button}
