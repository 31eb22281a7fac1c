"""A chart as every page shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from recsys_lite.plots.explorer import distinct


def chart(
    figure: go.Figure, alt: str, key: str, on_select: Callable[[], None] | None = None, title: str = ""
) -> None:  # fmt: skip
    """A figure over the full width, with a text for those who do not see it.

    Pictures of it, with title and all labels, are among the downloads: the browser's own would lack the title.

    Args:
        figure: what is shown.
        alt: the text.
        key: of the widget, once on a page.
        on_select: called when marks are clicked; ``st.session_state[key]`` then holds them.
        title: for those who take the figure away from the words around it. Default: the first sentence of ``alt``.
    """
    if not figure.layout.title.text:
        figure.update_layout(meta={"title": (title or alt.split(". ")[0].rstrip(".")).replace("*", "")})
    if any(t.type == "heatmap" for t in figure.data):  # lines would strike through the labels of empty cells
        figure.update_xaxes(showgrid=False, zeroline=False)
        figure.update_yaxes(showgrid=False, zeroline=False)
    distinct(figure)
    config = {
        "displaylogo": False,
        "modeBarButtonsToRemove": ["toImage", "select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
    }
    more: dict[str, Any] = {"on_select": on_select, "selection_mode": "points"} if on_select else {}
    st.plotly_chart(figure, width="stretch", key=key, alt=alt, config=config, **more)
