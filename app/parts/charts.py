"""A chart as every page shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import streamlit as st

IMAGES = ["png", "svg"]  # what a chart can be saved as


def chart(figure: go.Figure, alt: str, key: str, on_select: Callable[[], None] | None = None) -> None:
    """A figure over the full width, with a text for those who do not see it; its camera saves PNG or SVG.

    ``on_select`` is called when marks are clicked; ``st.session_state[key]`` then holds them.
    """
    if not figure.layout.title.text:  # for those who take the figure away from the words around it
        figure.update_layout(meta={"title": alt.split(". ")[0].rstrip(".").replace("*", "")})
    if any(t.type == "heatmap" for t in figure.data):  # lines would strike through the labels of empty cells
        figure.update_xaxes(showgrid=False, zeroline=False)
        figure.update_yaxes(showgrid=False, zeroline=False)
    config = {
        "displaylogo": False,
        "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
        "toImageButtonOptions": {"format": st.session_state.get("images", IMAGES[0]), "filename": key, "scale": 2},
    }
    more: dict[str, Any] = {"on_select": on_select, "selection_mode": "points"} if on_select else {}
    st.plotly_chart(figure, width="stretch", key=key, alt=alt, config=config, **more)
