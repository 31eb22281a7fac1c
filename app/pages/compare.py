"""Compare: several trained models on one real row that the reader can change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from recsys_lite.data import DataUnavailable
from recsys_lite.fields import Dataset

from ..core import controls
from ..core.address import MOST_MODELS, OPENING, State, choose, choose_row, edited, fitting, original
from ..core.cache import load_dataset, load_model, test_predictions, trained
from ..core.controls import hold, keep
from ..core.names import METRICS, PLANTED, ROWS, TASKS, brief, done, name
from ..core.own import OWN, cached, listed
from ..parts import notices, tables
from ..parts.compare_quality import show_models
from ..parts.compare_row import caveats, lead, show_row
from ..parts.editors import options
from ..parts.row_strip import strip

LONGEST = 400  # letters of one thing that is wrong with an address


def page() -> None:
    """The whole page, from top to bottom."""
    st.title("Compare")
    state, problems = read_address()
    lead(state)
    choosers(state)
    if len(state.models) < 2:
        st.info("Pick at least two models to compare." if state.models else "Pick two to four models above.")
    try:
        dataset = load_dataset(state.data, state.task)
    except (DataUnavailable, ValueError) as error:
        no_data(state, error)
        return
    models = usable_models(state)
    if not models:
        if state.models:
            st.error("No stored weights can be used for this data set. `make bench` trains the models and stores them.")
        return
    order = disagreement(state.data, state.task, tuple(models))
    if st.session_state.pop("compare.unread", False):
        problems += choose_row(state, st.session_state["compare.query"], dataset)
        st.session_state["compare.written"] = state.to_query()  # a run may be broken off before it writes the address
    if state.row is None:
        state.row = int(order[0])
    if problems:
        notices.address(problems)
    of_row(state, dataset, models, order)
    if state.data != OWN:  # there all is measured on the page of the training
        quality(state, models)
    caveats(state, dataset)


@st.fragment
def of_row(state: State, dataset: Dataset, models: dict[str, Any], order: np.ndarray) -> None:
    """The row, the answers, the maps and the parts: all that an edit changes, and no more."""
    assert state.row is not None
    strip(state, dataset, lambda: row_chooser(state, dataset, order, list(models)))
    first = original(dataset, state.row)
    show_row(state, dataset, models, first, edited(dataset, first, state.edits))
    write_address(state)


@st.fragment
def quality(state: State, models: dict[str, Any]) -> None:
    """The second shelf: stored results of the models."""
    show_models(state, models)
    write_address(state)


def read_address() -> tuple[State, list[str]]:
    """The session's state, read from the address when a reader went there: by a link, or by Back and Forward.

    A browser may send an address that is older than the state, when a widget was changed before the page's last address
    had come to it. So what a widget did since the address was written stands above the address.
    """
    query = controls.read_address()
    session = st.session_state
    state: State | None = session.get("compare.state")
    touched = state is not None and state.to_query() != session.get("compare.written")
    came = session.pop("page.came", False)  # from another page of the explorer, by its menu
    if state is None or (query != session.get("compare.address") and not touched and (query or not came)):
        known = [*TASKS, PLANTED, *listed()]
        state, problems = choose(query or OPENING, known, trained, list(METRICS))
        session["compare.state"], session["compare.query"], session["compare.unread"] = state, query or OPENING, True
        session["compare.problems"] = problems
        session["compare.address"], session["compare.written"] = query, state.to_query()
    elif session.get("compare.unread"):  # the data could not be read last time
        problems = session["compare.problems"]
    else:
        problems = []
    return state, list(problems)


def choosers(state: State) -> None:
    """Data set, task and models."""
    left, right, third = st.columns([4, 7, 3])
    rows = ROWS | listed()
    if (state.data, state.task) not in rows:
        rows[state.data, state.task] = "Your data (gone)"
    left.selectbox(
        "Data and question", list(rows), format_func=rows.__getitem__,
        key=hold("compare.task", (state.data, state.task)),
        on_change=_other_task, args=(state,),
    )  # fmt: skip
    known = trained(state.data, state.task)
    right.multiselect(
        "Models (two to four)", known, format_func=name, max_selections=MOST_MODELS, placeholder="pick models",
        key=hold("compare.models", state.models), on_change=_other_models, args=(state,),
    )  # fmt: skip
    pairs = {"": "none"} | {
        f"{a},{b}": f"{brief(a)} − {brief(b)}" for k, a in enumerate(state.models) for b in state.models[k + 1 :]
    }
    third.selectbox(
        "Difference", list(pairs), format_func=pairs.__getitem__, help="One more map: two models' effects, subtracted.",
        key=hold("compare.diff", state.diff), on_change=keep, args=(state, "diff", "compare.diff"),
    )  # fmt: skip


def _other_models(state: State) -> None:
    state.models = list(st.session_state["compare.models"])
    if not set(state.diff.split(",")) <= set(state.models):
        state.diff = ""


def _other_task(state: State) -> None:
    state.data, state.task = st.session_state["compare.task"]
    state.models = fitting(state.models, trained(state.data, state.task))
    state.row, state.diff = None, ""
    state.edits.clear()
    for key in ("compare.user", "compare.film", "compare.found"):
        st.session_state.pop(key, None)


def no_data(state: State, error: Exception) -> None:
    """Say what is missing and what to do; the other data set stays one click away."""
    notices.no_data(error)
    with st.expander("What was tried, and what to do", expanded=True):
        st.text(str(error))
    with st.container(horizontal=True):
        st.button("Try again")
        if state.data != "criteo-sample":
            st.button("Show Criteo instead", type="primary", on_click=_to_criteo, args=(state,))


def _to_criteo(state: State) -> None:
    st.session_state["compare.task"] = ("criteo-sample", "click")
    st.session_state.pop("compare.unread", None)
    _other_task(state)


def usable_models(state: State) -> dict[str, Any]:
    """The chosen models; one whose weights are damaged or of other data is named and left out."""
    models = {}
    for m in state.models:
        try:
            models[m] = load_model(state.data, state.task, m)
        except (ValueError, RuntimeError) as error:  # other fields, a damaged file, other sizes
            st.warning(f"The stored weights of {name(m)} cannot be used. {error}")
    return models


@cached(st.cache_data, show_spinner=False, max_entries=64)
def disagreement(data: str, task: str, models: tuple[str, ...]) -> np.ndarray:
    """Rows where the models differ most, see :func:`tables.disagreement`."""
    rows = load_dataset(data, task).test
    return tables.disagreement([test_predictions(data, task, m) for m in models], rows)


def row_chooser(state: State, dataset: Dataset, order: np.ndarray, models: list[str]) -> None:
    """By number, at random, by disagreement, or by user and film."""
    last = len(dataset.test) - 1
    place = np.flatnonzero(order == state.row)
    following = int(order[(int(place[0]) + 1) % len(order)]) if len(place) else int(order[0])
    with st.popover(f"**Row {state.row}**", key="compare.rows"):
        st.number_input(
            f"Row of the test part (0 to {last})", 0, last, step=1, key=hold("compare.row", state.row), width=220,
            on_change=lambda: _move(state, st.session_state["compare.row"]),
        )  # fmt: skip
        chance = int(np.random.default_rng(state.seed).integers(last + 1))
        st.button(
            "Random row", on_click=_move, args=(state, chance, state.seed + 1),
            help=f"The seed is part of the address; it is {state.seed} now.",
        )  # fmt: skip
        if dataset.name == "movielens-100k":
            st.markdown("**Find a row**")
            find_row(state, dataset)
        st.markdown("**Widest disagreements**")
        disagreements(state, dataset, order, models)
    st.button(
        "Next disagreement", on_click=_move, args=(state, following),
        help="Rows with a positive label, the widest gap between the models first.",
    )  # fmt: skip


def disagreements(state: State, dataset: Dataset, order: np.ndarray, models: list[str]) -> None:
    """The rows where the models differ most, to choose from."""
    rows = [int(r) for r in order[:20]]
    chances = {name(m): test_predictions(state.data, state.task, m)[rows] for m in models}
    table = pd.DataFrame({"row": rows, **chances})
    if dataset.name == "movielens-100k":
        films = options(state.data, state.task, "item")
        titles = [films.get(original(dataset, r)["item"], "not seen in training") for r in rows]
        table.insert(1, "film", titles)
    table["gap"] = np.ptp(np.stack(list(chances.values())), axis=0)
    st.dataframe(
        table, hide_index=True, key="compare.widest", selection_mode="single-row", height=300,
        on_select=lambda: _chosen(state, rows),
        column_config={c: st.column_config.NumberColumn(format="percent") for c in [*chances, "gap"]},
    )  # fmt: skip
    st.caption(f"Rows that were {done(state.task)}, the widest gap between the chances first. Tick one to see it.")


def _chosen(state: State, rows: list[int]) -> None:
    if picked := st.session_state["compare.widest"].selection.rows:
        _move(state, rows[picked[0]])


def find_row(state: State, dataset: Dataset) -> None:
    """Test rows of a user, a film, or both."""
    users, films = (options(state.data, state.task, n) for n in ("user", "item"))
    user = st.selectbox("User", list(users), index=None, placeholder="any user", key="compare.user")
    film = st.selectbox(
        "Film", list(films), index=None, format_func=films.get, placeholder="any film", key="compare.film"
    )
    if user is None and film is None:
        st.caption("Pick a user, a film, or both.")
        return
    found = tables.find_rows(dataset, user, film)
    if not found:
        st.caption("No such row in the test part.")
        return
    event = done(state.task)

    def words(row: int) -> str:
        record = original(dataset, row)
        done = event if dataset.test.label[row] == 1 else f"not {event}"  # type: ignore[index]
        return f"row {row}: user {record['user']}, {films.get(record['item'], 'a film not seen in training')}, {done}"

    row = st.selectbox(f"Rows ({len(found)})", found[:200], format_func=words, key="compare.found")
    st.button("Show this row", type="primary", on_click=_move, args=(state, row))


def _move(state: State, row: int, seed: int | None = None) -> None:
    state.row = row
    state.edits.clear()
    if seed is not None:
        state.seed = seed


def write_address(state: State) -> None:
    """Put the state into the address; the opening scene has the one without a query."""
    query = state.to_query()
    st.session_state["compare.written"] = query
    opened = choose(OPENING, [*TASKS, PLANTED], trained, list(METRICS))[0]
    opened.row = int(OPENING["row"])
    shown_ = {} if query == opened.to_query() else query
    st.session_state["compare.address"] = shown_
    controls.write_address(shown_)
