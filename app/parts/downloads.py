"""The folded table behind a chart, with all that can be taken away."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from recsys_lite.plots.static import png, svg

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet runs when a cell begins with it
Figures = Sequence[go.Figure] | Callable[[], Sequence[go.Figure]]


def table_and_downloads(table: pd.DataFrame, figures: Figures, file: str, sentence: str, label: str, cell: str) -> None:
    """The table behind a chart, folded, with all that can be taken away.

    Args:
        table: what the chart shows, in numbers.
        figures: the charts, for the page to take away, or what makes them when they are asked for.
        file: name of the files, without ending; unique on a page.
        sentence: what one sees, for the page to take away.
        label: what the folded part is called.
        cell: Python that makes ``table`` in a notebook from the library alone; the tests run it and compare.
    """
    with st.expander(label):
        st.dataframe(table, hide_index=True, width="stretch")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.download_button(
                "Table as CSV", lambda: as_csv(table), f"{file}.csv", "text/csv", on_click="ignore", key=f"{file}.csv"
            )
            st.download_button(
                "Charts as HTML", lambda: as_page(table, figures, sentence, file), f"{file}.html", "text/html",
                on_click="ignore", key=f"{file}.html", help="One file with everything in it; opens without a network.",
            )  # fmt: skip
            if figures:
                st.download_button(
                    "Charts as PNG", lambda: as_picture(figures), f"{file}.png", "image/png", on_click="ignore",
                    key=f"{file}.png",
                )  # fmt: skip
        st.caption("The notebook cell that makes this table:")
        st.code(cell.strip(), language="python")


def as_csv(table: pd.DataFrame) -> bytes:
    """A table as CSV whose text no spreadsheet takes for a formula: an apostrophe before the sign makes it text.

    Example:
        >>> as_csv(pd.DataFrame({"x": ["=1+1", "a"], "y": [-1.5, 2.0]})).decode().split()
        ['x,y', "'=1+1,-1.5", 'a,2.0']
    """
    safe = lambda v: f"'{v}" if isinstance(v, str) and v.startswith(FORMULA) else v  # noqa: E731
    words = [c for c in table if table[c].dtype.kind not in "biuf"]
    out = table.assign(**{str(c): table[c].map(safe) for c in words}) if words else table
    return out.set_axis([safe(str(c)) for c in out.columns], axis=1).to_csv(index=False).encode()


def as_page(table: pd.DataFrame, figures: Figures, sentence: str, name: str = "recsys-lite") -> bytes:
    """Charts with their titles and table as one HTML page that needs nothing else, no script either."""
    made = figures() if callable(figures) else figures
    charts = [svg(f, title=titled(f)) for f in made]
    text = html.escape(sentence, quote=False).replace("**", "").replace("*", "")
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(name)}</title>'
    style = (
        "<style>body{font-family:sans-serif;max-width:60rem;margin:2rem auto}td,th{padding:.2rem .6rem}"
        "svg{max-width:100%;height:auto}</style>"
    )
    return "".join([head, style, f"<p>{text}</p>", *charts, table.to_html(index=False, border=0), "</html>"]).encode()


def as_picture(figures: Figures) -> bytes:
    """Charts with their titles below each other, as one PNG."""
    made = figures() if callable(figures) else figures
    return png(made, [titled(f) for f in made])


def titled(figure: go.Figure) -> str:
    """The title of a chart whose words stand beside it on the page, see :func:`.charts.chart`; its own else."""
    return str((figure.layout.meta or {}).get("title") or figure.layout.title.text or "")
