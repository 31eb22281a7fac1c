"""The row as a strip of chips above everything: each opens the editor of a field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from recsys_lite.fields import Dataset, Field

from ..core.address import State, as_text, original, shown
from ..core.names import plain
from .editors import editor, editors, label, words_of

MOST_CHIPS = 20  # fields that a strip shows; more go into one chip
LONGEST = 18  # letters of a value on a chip


def strip(state: State, dataset: Dataset, more: Callable[[], None] | None = None) -> None:
    """The row of the state as chips; ``more`` adds what chooses another row.

    A changed field is marked, and can be taken back alone or with all others.
    """
    before = shown(dataset, original(dataset, state.row or 0))
    now = {**before, **state.edits}
    with st.container(horizontal=True, key="row-strip", vertical_alignment="center"):
        if more is not None:
            more()
        if len(dataset.fields) <= MOST_CHIPS:
            for f in dataset.fields:
                words = words_of(state.data, f)
                with st.popover(chip(f, words, now[f.name], f.name in state.edits), key=f"chip.{f.name}"):
                    editor(state, dataset, f, now[f.name], before[f.name])
        else:
            with st.popover(f"Change a value ({len(dataset.fields)} fields)", key="chip.all"):
                editors(state, dataset, now, before)
            for f in dataset.fields:
                if f.name in state.edits:
                    st.badge(f"{plain(f.name)} {value(f, now[f.name])}, was {value(f, before[f.name])}")
        st.button(
            "Reset the row", on_click=state.edits.clear, disabled=not state.edits, type="tertiary", key="strip.reset"
        )


def chip(f: Field, words: str, now: Any, edited: bool) -> str:
    """The words on a chip: the field, its value, and a mark if it was changed."""
    return f"{'✎ ' if edited else ''}**{plain(words.split(' (')[0])}** {value(f, now)}"


def value(f: Field, now: Any) -> str:
    """A value in few letters."""
    if now is None:
        return "missing"
    if f.kind == "numeric":
        return as_text(now).replace("-", "−")
    if isinstance(now, list):
        if not now:
            return "none"
        return short(label(f, now[0])) + (f" +{len(now) - 1}" if len(now) > 1 else "")
    return short(label(f, now))


def short(words: str) -> str:
    """Words that fit on a chip, shown as they are."""
    return plain(words if len(words) <= LONGEST else words[: LONGEST - 1] + "…")
