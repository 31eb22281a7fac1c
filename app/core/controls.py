"""Controls whose values stand in the address, shared by the pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from . import shared
from .address import whole
from .shared import NEW, STATE, WRITTEN

# in the session: what the controls were when the address was written, the page, whether it is another one than before,
# and what is wrong with the address
CHOSEN, PAGE, CAME, PROBLEMS = "address.controls", "address.page", "page.came", "address.problems"
PAGES = "app.pages"  # in the session: the pages by address, for those that lead to another one
TOUR = "tour"  # the one key of the address that no page owns


def read_address() -> dict[str, str]:
    """What the address says of the page; the tour's place in it belongs to no page."""
    return {k: v for k, v in st.query_params.to_dict().items() if k != TOUR}


def write_address(query: Mapping[str, str]) -> None:
    """Put what the reader chose into the address, beside the place in the tour."""
    st.session_state[WRITTEN], st.session_state[CHOSEN] = dict(query), _snapshot()
    wanted = {**query, **{k: v for k, v in st.query_params.to_dict().items() if k == TOUR}}
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


def follow(page: str) -> None:
    """Let the address count where a reader went to it: by a link, by Back and Forward, or from another page.

    A browser may send an address that is older than the controls, when one was changed before the page's last address
    had come to it: what a control did since the address was written stands above the address.
    """
    session = st.session_state
    came = session.get(PAGE) != page
    touched = session.get(CHOSEN) is not None and _snapshot() != session[CHOSEN]
    session[NEW] = came or (read_address() != session.get(WRITTEN) and not touched)
    session[PAGE], session[CAME], session[PROBLEMS] = page, came, []
    if session[NEW]:
        session[WRITTEN], session[CHOSEN] = read_address(), None  # a run may be broken off before it writes the address
        for key in [k for k in session if str(k).startswith("control.")]:
            del session[key]


def problems() -> list[str]:
    """What the controls of this run found wrong with the address, in words."""
    return list(dict.fromkeys(st.session_state.get(PROBLEMS, [])))


def _snapshot() -> tuple[dict[str, Any], dict[str, str]]:
    chosen = {str(k): v for k, v in st.session_state.items() if str(k).startswith("control.")}
    state = st.session_state.get(STATE)
    return chosen, {} if state is None else state.to_query()


def _wrong(key: str, asked: str | None, options: Sequence[Any]) -> None:
    """Note that the address asked for something that there is not."""
    if asked is not None and st.session_state.get(NEW, True):
        listed = ", ".join(str(o) for o in options[:12]) + ", …" * (len(options) > 12)
        st.session_state.setdefault(PROBLEMS, []).append(f"{key} “{asked}” is none of {listed}")


def _chosen(key: str, options: Sequence[Any], start: Any) -> str:
    """The place of a control in the session; it holds one of the options: as before, of the address, or ``start``.

    What the address does not name may have been chosen on another page.
    """
    place = f"control.{key}"
    if place not in st.session_state or st.session_state[place] not in options:
        asked, before = st.query_params.get(key), shared.start(key)
        named = {str(o): o for o in reversed(options)}
        if asked is not None and asked not in named:
            _wrong(key, asked, options)
        wanted = before if asked is None else asked
        st.session_state[place] = named.get(wanted, start) if wanted is not None else start
    return place


def pick(words: str, options: list[Any], key: str, format_func: Callable[[Any], str] = str, **more: Any) -> Any:
    """A select box whose value stands in the address under ``key``; an unknown one falls back to the first."""
    return st.selectbox(words, options, key=_chosen(key, options, options[0]), format_func=format_func, **more)


def slide(words: str, options: list[Any], start: Any, key: str, format_func: Callable[[Any], str] = str) -> Any:
    """A slider over some values; the one chosen stands in the address, an unknown one falls back to ``start``."""
    return st.select_slider(words, options, key=_chosen(key, options, start), format_func=format_func)


def number(words: str, key: str, count: int, first: int = 0) -> int:
    """A number input whose value, one of ``count`` from ``first`` on, stands in the address."""
    place, last = f"control.{key}", first + count - 1
    if not first <= st.session_state.get(place, -1) <= last:
        text = st.query_params.get(key, shared.start(key))
        asked = whole(text, first, last)
        if asked is None and key in st.query_params:
            _wrong(key, text, [f"the whole numbers from {first} to {last}"])
        st.session_state[place] = first if asked is None else asked
    return int(st.number_input(f"{words} ({first} to {last})", first, last, key=place))


def pick_some(
    words: str, options: list[Any], start: list[Any], key: str, most: int, format_func: Callable[[Any], str] = str
) -> list[Any]:
    """Several of some options; the address holds them with commas between; unknown ones are left out."""
    place = f"control.{key}"
    if place not in st.session_state:
        asked = [a for a in st.query_params.get(key, "").split(",") if a]
        for unknown in [a for a in asked if a not in map(str, options)]:
            _wrong(key, unknown, options)
        if len(set(asked)) > most:
            st.session_state.setdefault(PROBLEMS, []).append(f"{key} holds at most {most} values")
        st.session_state[place] = [o for o in options if str(o) in asked][:most] or start
    else:  # another control may have taken some away
        st.session_state[place] = [o for o in st.session_state[place] if o in options]
    return st.multiselect(words, options, key=place, format_func=format_func, max_selections=most)


def hold(key: str, value: Any) -> str:
    """Let the widget of a key show a value of the state; returns the key."""
    if st.session_state.get(key, ...) != value:
        st.session_state[key] = value
    return key


def keep(state: Any, attribute: str, key: str) -> None:
    """A widget's callback: put its value into the state."""
    if (value := st.session_state[key]) is not None:
        setattr(state, attribute, value)
