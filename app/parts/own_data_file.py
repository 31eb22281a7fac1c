"""The reader's file: uploaded, read, kept while other pages are visited; nothing of it leaves the session."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from recsys_lite.data import table
from recsys_lite.data.table_text import SEPARATORS, SHOWN

from ..core.names import plain
from . import notices

LIMITS = table.Limits(megabytes=20, rows=100_000, columns=40)
TYPES = ["csv", "tsv", "txt", "gz"]
# in the state of the session only, and so still there after a visit to another page
READ, MADE, TRAINED = "own_data.read", "own_data.made", "own_data.trained"
UPLOAD, FILE = "own_data.upload", "own_data.file"


@dataclass
class File:
    """What the reader has uploaded."""

    key: str
    name: str
    data: bytes


@dataclass
class Source:
    """A table of text: the example, or the reader's file."""

    key: str
    file: str  # its name; nothing for the example
    separator: str
    frame: pd.DataFrame
    guess: dict[str, str]
    columns: pd.DataFrame  # what the form of kinds shows
    times: list[str]  # columns, those that hold points in time first


def choose_source() -> Source | None:
    """The reader's file if there is one that can be read, else the example; says what is wrong with a file."""
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        st.file_uploader(
            f"Your CSV file (UTF-8; at most {LIMITS})", TYPES, max_upload_size=int(LIMITS.megabytes),
            key=UPLOAD, on_change=take_file,
        )  # fmt: skip
    file: File | None = st.session_state.get(FILE)
    separator = ""
    with right:
        if file is None:
            st.download_button(
                "Download the example",
                table.example,
                "cafe.csv",
                "text/csv",
                on_click="ignore",
                icon=":material/download:",
            )
        else:
            words = {"": "recognised"} | SEPARATORS
            separator = st.selectbox("Separator", list(words), format_func=words.__getitem__, key="own_data.separator")
    if file is not None and st.session_state.get(UPLOAD) is None:  # the box forgets it on another page
        st.caption(f"Still here: {plain(file.name)}, from before you visited another page.")
        st.button("Take it away", on_click=st.session_state.pop, args=(FILE,))
    notices.hover(
        "Your file stays in this session",
        "A file goes into the memory of your session on the machine that runs this explorer. It is not written to "
        "disk, not sent on, not in the address, and gone when you take it away or your session ends.",
    )
    key = f"{file.key}.{separator}" if file is not None else ""
    kept = st.session_state.get(READ)
    if kept is None or kept[0] != key:
        for place in (MADE, TRAINED):  # of another file
            st.session_state.pop(place, None)
        data = table.example() if file is None else file.data
        kept = st.session_state[READ] = (key, read(key, file.name if file is not None else "", data, separator))
    if isinstance(kept[1], table.TableError):
        complain(kept[1], "This file cannot be read yet.")
        return None
    return kept[1]


def take_file() -> None:
    """The uploader's callback: keep the file, or let it go when it was taken away."""
    file = st.session_state[UPLOAD]
    if file is None:
        st.session_state.pop(FILE, None)
    else:
        st.session_state[FILE] = File(file.file_id, file.name, file.getvalue())


def read(key: str, file: str, data: bytes, separator: str) -> Source | table.TableError:
    """A file with what the page tells of its columns, or what is wrong with it."""
    try:
        frame = table.read(data, separator, LIMITS)
    except table.TableError as error:
        return error
    guess = table.guess(frame)
    told = []
    for column in frame:
        values = [v for v in frame[column].unique() if v]
        empty = int((frame[column] == "").sum())
        told.append((column, guess[column], len(values), empty, ", ".join(values[:3])))
    columns = pd.DataFrame(told, columns=["column", "kind", "values", "empty", "for example"])
    times = sorted(frame, key=lambda c: bool(table.moments(frame[c]).isna().any()))
    return Source(key, file, separator, frame, guess, columns, times)


def complain(error: table.TableError, headline: str) -> None:
    """All that is wrong, the first ten things in words."""
    rest = [f for f in error.findings[SHOWN:] if not f.what.endswith("of this kind")]  # those say how many cells
    lines = [f"- {plain(str(f))}" for f in error.findings if f not in rest]
    if rest:
        lines.append(f"- … and {len(rest):,} more")
    st.error("\n".join([f"**{headline}** The header is line 1.", "", *lines]))
