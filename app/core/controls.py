"""Controls whose values stand in the address, shared by the pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from .address import whole

TOUR = "tour"  # the one key of the address that no page owns


def read_address() -> dict[str, str]:
    """What the address says of the page; the tour's place in it belongs to no page."""
    return {k: v for k, v in st.query_params.to_dict().items() if k != TOUR}


def write_address(query: Mapping[str, str]) -> None:
    """Put what the reader chose into the address, beside the place in the tour."""
    wanted = {**query, **{k: v for k, v in st.query_params.to_dict().items() if k == TOUR}}
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


def _chosen(key: str, options: Sequence[Any], start: Any) -> str:
    """The place of a control in the session; it holds one of the options: as before, of the address, or ``start``."""
    place = f"control.{key}"
    if place not in st.session_state or st.session_state[place] not in options:
        asked = st.query_params.get(key)
        st.session_state[place] = next((o for o in options if str(o) == asked), start)
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
        asked = whole(st.query_params.get(key), first, last)
        st.session_state[place] = first if asked is None else asked
    return int(st.number_input(f"{words} ({first} to {last})", first, last, key=place))


def pick_some(
    words: str, options: list[Any], start: list[Any], key: str, most: int, format_func: Callable[[Any], str] = str
) -> list[Any]:
    """Several of some options; the address holds them with commas between; unknown ones are left out."""
    place = f"control.{key}"
    if place not in st.session_state:
        asked = st.query_params.get(key, "").split(",")
        st.session_state[place] = [o for o in options if str(o) in asked][:most] or start
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
