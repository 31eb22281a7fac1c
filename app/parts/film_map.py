"""The map of films: a mark per film, the chosen one with its title, its nearest with rings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from torch import Tensor

from recsys_lite import plots
from recsys_lite.plots.palette import BAD, BLUE, NEUTRAL, SEQUENTIAL

LABEL = {"color": "#FFFFFF", "size": 12}
TICKS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


def drawn(shown: pd.DataFrame, places: np.ndarray, colour: str, genre: str, i: int, near: Tensor) -> go.Figure:
    """The map.

    Args:
        shown: the films: raw, film, genres, release_year, popularity.
        places: (I, 2).
        colour: ``genre``, ``year`` or ``popularity``.
        genre: which one, for ``genre``.
        i: the chosen film.
        near: (k,) its nearest by the vectors, wherever the map puts them.
    """
    top = {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"}
    figure = plots.empty(height=440, legend=top)
    raw = shown["raw"].to_numpy()
    text = np.array([
        f"{f}<br>{', '.join(g)}<br>{p} ratings"
        for f, g, p in shown[["film", "genres", "popularity"]].itertuples(index=False)
    ])  # fmt: skip
    for label, keep, marker in groups(shown, colour, genre):
        figure.add_scatter(
            x=places[keep, 0], y=places[keep, 1], mode="markers", name=label, marker=marker, customdata=raw[keep, None],
            text=text[keep], hovertemplate="%{text}<extra></extra>", showlegend=bool(label),
        )  # fmt: skip
    figure.add_scatter(
        x=places[near.numpy(), 0], y=places[near.numpy(), 1], mode="markers", name=f"its {len(near)} nearest by cosine",
        hoverinfo="skip", marker={"size": 12, "symbol": "circle-open", "color": BAD, "line": {"width": 2.5}},
    )  # fmt: skip
    x, y = map(float, places[i])
    figure.add_scatter(
        x=[x], y=[y], mode="markers", showlegend=False, hoverinfo="skip",
        marker={"size": 14, "symbol": "star", "color": BAD, "line": {"width": 1, "color": "#FFFFFF"}},
    )  # fmt: skip
    title = shown["film"][i]
    left = x < (places[:, 0].min() + places[:, 0].max()) / 2
    figure.add_annotation(
        x=x, y=y, text=title if len(title) <= 26 else title[:25] + "…", showarrow=False, yshift=20, font=LABEL,
        xanchor="left" if left else "right", bgcolor="#A23B00", borderpad=2,
    )  # fmt: skip
    figure.update_xaxes(showticklabels=False, zeroline=False, showgrid=False)
    figure.update_yaxes(showticklabels=False, zeroline=False, showgrid=False, scaleanchor="x")  # distances as they are
    figure.update_layout(margin={"t": 30, "l": 8, "r": 8}, clickmode="event+select")
    return figure


def groups(shown: pd.DataFrame, colour: str, genre: str) -> list[tuple[str, np.ndarray, dict[str, Any]]]:
    """The marks in groups: what the legend says, which films (I,), how they look."""
    everything = np.ones(len(shown), bool)
    if colour == "genre":
        inside = np.array([genre in g for g in shown["genres"]])
        return [
            ("other films", ~inside, {"color": NEUTRAL, "opacity": 0.35, "size": 5}),
            (genre, inside, {"color": BLUE, "symbol": "diamond", "size": 7}),
        ]
    if colour == "year":
        value = pd.to_numeric(shown["release_year"], errors="coerce").to_numpy(float)
        low = float(np.nanquantile(value, 0.05))  # few films are older, and they would take up half of the scale
        return [("", everything, scale(value, low, f"year of release (left end: {low:.0f} or before)"))]
    count = shown["popularity"].to_numpy(float)
    ticks = [t for t in TICKS if count.min() <= t <= count.max()]
    marker = scale(np.log10(count), float(np.log10(count.min())), "ratings in training (log scale)")
    marker["colorbar"] |= {"tickvals": np.log10(ticks), "ticktext": [str(t) for t in ticks]}
    return [("", everything, marker)]


def scale(value: np.ndarray, low: float, title: str) -> dict[str, Any]:
    """Marks coloured by a number; below ``low`` all are alike."""
    bar = {
        "title": {"text": title, "side": "bottom"}, "orientation": "h", "y": -0.02, "yanchor": "top", "thickness": 10,
    }  # fmt: skip
    top = float(np.nanmax(value))
    return {
        "color": value, "cmin": low, "cmax": top, "colorscale": SEQUENTIAL, "colorbar": bar, "size": 6, "opacity": 0.75,
    }  # fmt: skip
