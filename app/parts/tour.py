"""The guided tour: three stops in a minute, with questions to guess before the answer is shown.

The place in the tour stands in the address (``?tour=3``), so a stop can be sent to somebody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from ..core.address import OPENING, whole
from ..core.controls import TOUR
from ..core.names import link
from .copy_link import copy_link


@dataclass(frozen=True)
class Stop:
    """A stop: where it is, what to look at, and a question, if the page asks none itself, whose answer always holds."""

    page: str  # url_path
    title: str
    look: str
    question: str
    choices: tuple[str, ...]
    right: int
    answer: str
    chapter: str  # slug
    query: Mapping[str, str] = field(default_factory=dict)


STOPS = (
    Stop(
        "compare", "One row, four models",
        "First the two planted pairs. Then two maps of each model: what it does with this row, and its own numbers.",
        "Can a model use the right pair while its attention points at another?",
        ("Yes", "No, attention shows what it uses"), 0,
        "AutoInt does so on this row. A weight says how much is passed on, not what that does to the answer.",
        "autoint", OPENING,
    ),
    Stop(
        "compare", "Change one value",
        "Every value is a chip above the models. The weekday has been changed: below each chance stands what that did.",
        "Change the film, too. Will the weekday still move logistic regression's logit by the same amount?",
        ("Yes, the same for every film", "No, it depends on the film"), 0,
        "A sum adds the same weight for every film. In every other model here it depends on the film: that is a "
        "*feature cross*.",
        "overview",
        {"data": "movielens-100k", "task": "click", "models": "logistic_regression,fm,wide_deep,deepfm", "row": "30",
         "set.weekday": "Sun"},
    ),
    Stop(
        "game", "Your turn",
        "One pair is planted. Choose its map; five models have seen the same rows.",
        "", (), 0, "", "factorization_machines",
    ),
)  # fmt: skip


def place() -> int | None:
    """The stop in the address, from 1, or ``None`` outside the tour."""
    return whole(st.query_params.get(TOUR), 1, len(STOPS))


def go(pages: Mapping[str, Any], to: int | None) -> None:
    """To a stop; ``None`` leaves the tour and stays on the page."""
    if to is None:
        del st.query_params[TOUR]
        st.rerun()
    stop = STOPS[to - 1]
    for key in [k for k in st.session_state if str(k).startswith(("control.", "tour."))]:
        del st.session_state[key]  # the address of the stop is to count, not what was chosen before
    st.switch_page(pages[stop.page], query_params={**stop.query, TOUR: str(to)})


def show(pages: Mapping[str, Any], here: str) -> None:
    """The stop above the page, or the way into the tour.

    Args:
        pages: the pages by ``url_path``.
        here: the ``url_path`` of the page that is shown.
    """
    now = place()
    if now is None:
        with st.container(horizontal=True, horizontal_alignment="right", key="corner"):
            copy_link()
            if st.button("New here? Take the tour", type="tertiary", key="tour.start"):
                go(pages, 1)
        return
    stop = STOPS[now - 1]
    with st.container(border=True):
        st.markdown(f"**Tour, {now} of {len(STOPS)}: {stop.title}**")
        if stop.page != here:
            st.markdown("You have left the path of the tour.")
            if st.button("Back to the tour", key="tour.back"):
                go(pages, now)
            return
        st.markdown(stop.look)
        guess = None
        if stop.question:
            guess = st.radio(
                f"**Guess first:** {stop.question}", stop.choices, index=None, key=f"tour.guess.{now}", horizontal=True
            )
        if guess is not None:
            verdict = "Yes." if guess == stop.choices[stop.right] else f"Rather: *{stop.choices[stop.right]}*."
            st.markdown(f"{verdict} {stop.answer} {link(stop.chapter)}")
        with st.container(horizontal=True):
            if st.button("Back", disabled=now == 1, key="tour.previous"):
                go(pages, now - 1)
            if st.button("Next", type="primary", disabled=now == len(STOPS), key="tour.next"):
                go(pages, now + 1)
            if st.button("Leave the tour", type="tertiary", key="tour.leave"):
                go(pages, None)
            copy_link()
