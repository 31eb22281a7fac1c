"""The guided tour: stops on the pages, each with a question to guess before its answer is shown.

The place in the tour stands in the address (``?tour=3``), so a stop can be sent to somebody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from ..core.address import whole
from ..core.controls import TOUR
from ..core.names import link
from .copy_link import copy_link


@dataclass(frozen=True)
class Stop:
    """A stop: where it is, what to look at, and a question whose answer holds whatever the numbers are."""

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
        "A row is one person, one film, one moment. Each model turns it into a chance of a click. The bars are what a "
        "model's answer is made of: they add up to its *logit*, and the logit bent into 0 to 1 is the chance.",
        "Logistic regression and a factorization machine see the same values. What can only the second know?",
        ("How popular the film is", "That this person and this film go together", "How old the person is"), 1,
        "Logistic regression has one weight per value: it can know who clicks often and what is clicked often. Only a "
        "model of *pairs* can know that two values go together.",
        "factorization_machines", {"data": "movielens-100k", "task": "click", "detail": "coarse"},
    ),
    Stop(
        "compare", "Change one value",
        "Every value of the row is a chip above the models, and can be changed there. Here the weekday has been: the "
        "change of each model stands under its chance. *Only what the edits changed* shows which parts moved.",
        "Change the film instead. Will the weekday still move logistic regression's logit by the same amount?",
        ("Yes, the same for every film", "No, it depends on the film"), 0,
        "A sum of weights has no place for *depends on*. For every other model here the same edit can do different "
        "things on different rows: that is what a *feature cross* is.",
        "overview",
        {"data": "movielens-100k", "task": "click", "models": "logistic_regression,fm,wide_deep,deepfm", "row": "30",
         "set.weekday": "Sun"},
    ),
    Stop(
        "steps", "Every number on the way",
        "The same row, one model, step by step: its formula, the formula with this row's numbers, and the "
        "tensor. Every "
        "box of the drawing can be opened.",
        "The vectors of a person and of a film have a negative dot product. What does that do to the logit?",
        ("It lowers it", "It raises it", "Nothing, only sizes count"), 0,
        "The dot product is added to the logit as it is, with its sign: vectors that point away from each other "
        "say that the two do not go together.",
        "factorization_machines", {"data": "movielens-100k.click", "model": "fm", "row": "30"},
    ),
    Stop(
        "inside", "What a model looks at",
        "Attention says which fields look at which. The other views ask the same question in other ways: by "
        "weights, by "
        "swapping values, by what the loss loses.",
        "A pair of fields has the largest attention weight. Is it the pair that matters most?",
        ("Yes", "Not for sure"), 1,
        "A weight says how much is passed on, not what it does to the answer. Choose *Interaction found by "
        "swapping* or "
        "*What a pair is worth* and compare.",
        "autoint", {"model": "autoint", "view": "attention"},
    ),
    Stop(
        "embeddings", "Where films lie",
        "Each film is a vector that was learnt from clicks. Here the vectors are laid flat.",
        "LightGCN was never told what kind of film each is. Can films of one kind still lie together in it?",
        ("Yes, people's choices tell", "No, it never saw that"), 0,
        "Films that the same people choose get similar vectors, and people choose by kind. How far that goes is "
        "measured in the sentence above the maps; chance is given beside it.",
        "building_blocks",
    ),
    Stop(
        "retrieval", "From all films to a few",
        "No system can ask a large model about every item. First a cheap one fetches candidates. A filled mark "
        "is a film "
        "that the person did rate later.",
        "Which of these gives everybody the same list, but for what they have seen?",
        ("Popularity", "EASE", "LightGCN", "Two towers"), 0,
        "Popularity is the baseline that every retriever has to beat, and a hard one for people who rate what "
        "all rate.",
        "two_towers",
    ),
    Stop(
        "position", "A click needs a look",
        "What stands first is looked at most. Here the clicks are simulated, so how often each place is looked at is "
        "known, and what models learn of it can be judged.",
        "A film at place 1 gets ten times the clicks of one at place 10. How much better is it?",
        ("Ten times", "A little", "The clicks alone cannot tell"), 2,
        "A click is a look *and* a choice. Models of position take the look out; how well, and when that does "
        "harm, the "
        "logs on this page tell.",
        "position_bias",
    ),
    Stop(
        "leaderboard", "Which one is best?",
        "All models with the same data, the same tuning effort, the same seeds. An interval is what five seeds "
        "leave open.",
        "Two intervals overlap widely. Which of the two models would you say is better?",
        ("The one with the higher mean", "Neither, from these runs"), 1,
        "When seeds alone can turn the order around, cost, simplicity and what you can explain decide. The book's "
        "comparison goes on from here.",
        "comparison",
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
        guess = st.radio(f"**Guess first:** {stop.question}", stop.choices, index=None, key=f"tour.guess.{now}")
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
