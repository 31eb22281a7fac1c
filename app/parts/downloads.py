"""The folded table behind a chart, with all that can be taken away."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ..core.controls import hold
from .charts import IMAGES


def table_and_downloads(
    table: pd.DataFrame, figures: Sequence[go.Figure], file: str, sentence: str, label: str, cell: str
) -> None:
    """The table behind a chart, folded, with all that can be taken away.

    Args:
        table: what the chart shows, in numbers.
        figures: the charts, for the page to take away.
        file: name of the files, without ending; unique on a page.
        sentence: what one sees, for the page to take away.
        label: what the folded part is called.
        cell: Python that makes ``table`` in a notebook from the library alone; the tests run it and compare.
    """
    with st.expander(label):
        st.dataframe(table, hide_index=True, width="stretch")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            csv = table.to_csv(index=False).encode()
            st.download_button("Table as CSV", csv, f"{file}.csv", "text/csv", on_click="ignore", key=f"{file}.csv")
            st.download_button(
                "Charts as HTML", lambda: as_page(table, figures, sentence), f"{file}.html", "text/html",
                on_click="ignore", key=f"{file}.html", help="One file with everything in it; opens without a network.",
            )  # fmt: skip
            place = f"{file}.images"
            st.segmented_control(
                "The camera above a chart saves", IMAGES, format_func=str.upper, required=True,
                key=hold(place, st.session_state.get("images", IMAGES[0])), on_change=_save_as, args=(place,),
            )  # fmt: skip
        st.caption("The notebook cell that makes this table:")
        st.code(cell.strip(), language="python")


def _save_as(place: str) -> None:
    st.session_state["images"] = st.session_state[place]


def as_page(table: pd.DataFrame, figures: Sequence[go.Figure], sentence: str) -> bytes:
    """Charts and table as one HTML page that needs nothing else."""
    charts = [f.to_html(full_html=False, include_plotlyjs=not i) for i, f in enumerate(figures)]
    text = sentence.replace("&", "&amp;").replace("<", "&lt;").replace("**", "").replace("*", "")
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>recsys-lite</title>'
    style = "<style>body{font-family:sans-serif;max-width:60rem;margin:2rem auto}td,th{padding:.2rem .6rem}</style>"
    return "".join([head, style, f"<p>{text}</p>", *charts, table.to_html(index=False, border=0), "</html>"]).encode()
