"""The row that all pages share: data, question, row and edits stay when a reader goes to another page."""

from __future__ import annotations

import streamlit as st

from recsys_lite.fields import Dataset

from .address import State, choose_row, fitting
from .cache import trained

# in the session: the state, and whether the address is one that the reader came by, see ``controls.follow``
STATE, NEW, WRITTEN = "compare.state", "address.new", "address.written"


def start(key: str) -> str | None:
    """What a control starts with where the address names nothing: what the reader chose on another page."""
    state: State | None = st.session_state.get(STATE)
    if state is None:
        return None
    chosen = {"data": f"{state.data}.{state.task}", "row": None if state.row is None else str(state.row)}
    return (chosen | {"model": state.models[0] if state.models else None}).get(key)


def at(dataset: Dataset, data: str, task: str, row: int) -> tuple[State, list[str]]:
    """The shared state at a row, and in words what an address held that is wrong.

    Its edits stay while the row does; an address that a reader came by brings its own.
    """
    session = st.session_state
    state: State | None = session.get(STATE)
    if state is None:
        state = session[STATE] = State(data, task, fitting([], trained(data, task)))
    if (state.data, state.task) != (data, task):
        state.models, state.diff = fitting(state.models, trained(data, task)), ""
    if (state.data, state.task, state.row) != (data, task, row):
        state.data, state.task, state.row = data, task, row
        state.edits.clear()
    query = st.query_params.to_dict()
    if not session.pop(NEW, WRITTEN not in session) or "row" not in query:
        return state, []
    asked = State(data, task)
    problems = choose_row(asked, query, dataset)
    if asked.row == row:
        state.edits = asked.edits
    return state, problems
