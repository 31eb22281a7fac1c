"""Notices that several pages give in the same way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ..core.names import plain

LONGEST = 400  # letters of one thing that is wrong with an address


def no_data(error: Exception) -> None:
    """Say that a data set cannot be had, and the first line of why."""
    st.error(f"**This data set cannot be shown.** {plain(str(error).splitlines()[0])}")


def address(problems: Sequence[str], place: DeltaGenerator | None = None) -> None:
    """Say what an address held that the page does not know."""
    listed = "".join(f"\n- {plain(problem[:LONGEST])}" for problem in problems)
    told = f"The address held something this page does not know; the rest was used.\n{listed}"
    (st if place is None else place).warning(told)


def told(sentence: str, most: int = 50) -> None:
    """What one sees: as many whole sentences as ``most`` words hold, at least one, and the rest folded."""
    first, rest = split(sentence, most)
    st.markdown(f"**What you see.** {first}")
    if rest:
        with st.expander("More"):
            st.markdown(rest)


def split(text: str, most: int) -> tuple[str, str]:
    """The first whole sentences of a text that have at most so many words together, at least one, and the rest.

    Example:
        >>> split("One two. Three 0.5 four. Five.", 5)
        ('One two. Three 0.5 four.', 'Five.')
    """
    sentences, first = re.split(r"(?<=[.!?:])\s+(?=[A-Z*])", text), 0
    count = 0
    for sentence in sentences:
        count += len(sentence.split())
        if first and count > most:
            break
        first += 1
    return " ".join(sentences[:first]), " ".join(sentences[first:])


def hover(label: str, told: str) -> None:
    """A few words, and the rest for whoever points at the mark behind them, or goes there with the keyboard."""
    st.caption(label, help=told)


def caveats(points: Sequence[str], notes: Iterable[str] = ()) -> None:
    """What the numbers of a page do not say, folded: a list, and notes below it."""
    with st.expander("What these numbers do not say"):
        st.markdown("\n".join(f"- {p}" for p in points))
        for note in notes:
            st.caption(note)
