"""Tables -> plotly figures. The book and the explorer draw with these same functions.

Magnitudes use a sequential scale, signed values a diverging one centred on 0, axes carry names.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from .palette import BAD, DIVERGING, GOOD, MODEL_COLOURS, NEUTRAL, SEQUENTIAL, SERIES


def empty(height: int = 360, **layout: Any) -> go.Figure:
    """An empty figure on a transparent ground, so that it fits light and dark pages."""
    return go.Figure(
        layout={
            "height": height,
            "margin": {"l": 10, "r": 10, "t": 40, "b": 10},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"size": 13},
            "legend": {"orientation": "h", "y": -0.2},
            "xaxis": {
                "automargin": True,
                "gridcolor": "rgba(128,128,128,0.25)",
                "zerolinecolor": "rgba(128,128,128,0.5)",
            },
            "yaxis": {
                "automargin": True,
                "gridcolor": "rgba(128,128,128,0.25)",
                "zerolinecolor": "rgba(128,128,128,0.5)",
            },
            **layout,
        }
    )


def titled(figure: go.Figure, finding: str, width: int = 46) -> go.Figure:
    """The figure with its finding as the title, in lines of at most ``width`` signs that fit a telephone.

    Example:
        >>> titled(empty(), "The three planted pairs are the three largest blocks", 30).layout.title.text
        'The three planted pairs are<br>the three largest blocks'
    """
    lines = textwrap.wrap(finding, width)
    top = 30 + 20 * len(lines)
    height = (figure.layout.height or 360) - (figure.layout.margin.t or 40) + top
    title = {"text": "<br>".join(lines), "font": {"size": 14}, "x": 0, "xanchor": "left"}
    title |= {
        "yref": "container",
        "y": 1,
        "yanchor": "top",
        "pad": {"t": 10 * len(lines)},
    }  # as book/_static/figures.js
    figure.update_layout(title=title, margin={"t": top}, height=height)
    return figure


def heatmap(
    table: pd.DataFrame, *, signed: bool = False, title: str = "", limit: float | None = None, unit: str = ""
) -> go.Figure:
    """A matrix as colours; numbers in the cells up to 8 × 8.

    Args:
        table: rows downwards, columns to the right, both named.
        signed: diverging scale centred on 0; otherwise sequential from 0.
        limit: end of the scale, to give two figures the same one. Default: the largest absolute value.
        unit: title of the colour bar.
    """
    values = table.to_numpy(float)
    top = limit if limit is not None else float(np.nanmax(np.abs(values))) or 1.0
    small = max(values.shape) <= 8
    figure = empty(height=max(300, 34 * len(table) + 140), title=title)
    figure.add_heatmap(
        z=values,
        x=[str(c) for c in table.columns],
        y=[str(i) for i in table.index],
        zmin=-top if signed else 0,
        zmax=top,
        colorscale=DIVERGING if signed else SEQUENTIAL,
        colorbar={"title": unit, "thickness": 12},
        texttemplate="%{z:.2f}" if small else None,
        hovertemplate="%{y} × %{x}: %{z:.4f}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed")
    return figure


def waterfall(parts: pd.Series, *, title: str = "", limits: tuple[float, float] | None = None) -> go.Figure:
    """The parts of one logit, each starting where the one before ended; the last bar is their sum.

    A part of ``nan`` is one that the model has not: its row stays empty, so that several models have the same rows.
    """
    names = [*map(str, parts.index), "logit"]
    values = [*map(float, parts), float(parts.sum())]
    figure = empty(height=max(260, 34 * len(names) + 90), title=title, showlegend=False)
    figure.add_waterfall(
        y=names,
        x=np.nan_to_num(values).tolist(),
        orientation="h",
        measure=["relative"] * len(parts) + ["total"],
        increasing={"marker": {"color": GOOD}},
        decreasing={"marker": {"color": BAD}},
        totals={"marker": {"color": NEUTRAL}},
        connector={"line": {"width": 1, "color": "rgba(128,128,128,0.6)"}},
        text=["none" if np.isnan(v) else f"{v:+.2f}".replace("-", "−") for v in values],
        texttemplate="%{text}",
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title="log-odds", range=limits)
    return figure


def _bars(up: Any, down: Any) -> dict[str, Any]:
    """Error bars of different lengths up and down."""
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down}


def colour(name: str, place: int = 0) -> str:
    """The colour of a model by its short name; another name gets one of the series by its place."""
    return MODEL_COLOURS.get(name, SERIES[place % len(SERIES)])


def lines(
    table: pd.DataFrame, x: str, y: str, *, by: str | None = None, low: str = "", high: str = "",
    title: str = "", log_x: bool = False, log_y: bool = False,
) -> go.Figure:  # fmt: skip
    """A line per value of ``by``, with a band from ``low`` to ``high`` where these columns are named."""
    figure = empty(title=title)
    groups = table.groupby(by, sort=False) if by else [("", table)]
    for place, (name, part) in enumerate(groups):
        tint = colour(str(name), place)
        if low and high:
            figure.add_scatter(
                x=[*part[x], *part[x][::-1]], y=[*part[high], *part[low][::-1]], fill="toself", fillcolor=tint,
                opacity=0.18, line={"width": 0}, hoverinfo="skip", showlegend=False, mode="lines",
            )  # fmt: skip
        figure.add_scatter(
            x=part[x], y=part[y], mode="lines+markers", name=str(name), line={"color": tint}, showlegend=bool(by)
        )
    figure.update_xaxes(title=x.replace("_", " "), type="log" if log_x else None)
    figure.update_yaxes(title=y.replace("_", " "), type="log" if log_y else None)
    return figure


def curves(curves_by_name: Mapping[str, Sequence[Mapping[str, float]]], metric: str = "log_loss") -> go.Figure:
    """Learning curves: a validation metric against the epoch, a line per name."""
    frames = [pd.DataFrame(curve).assign(run=name) for name, curve in curves_by_name.items()]
    figure = lines(pd.concat(frames), "epoch", metric, by="run")
    figure.update_yaxes(title="validation " + metric.replace("_", " "))
    return figure


def intervals(table: pd.DataFrame, *, title: str = "", axis: str = "") -> go.Figure:
    """A dot with a bar per line of a table with columns name, mean, low, high."""
    figure = empty(height=60 + 50 * max(len(table), 3), title=title, showlegend=False)
    for place, row in enumerate(table.itertuples()):
        figure.add_scatter(
            x=[row.mean], y=[row.name], mode="markers", marker={"size": 10, "color": colour(str(row.name), place)},
            error_x=_bars([row.high - row.mean], [row.mean - row.low]),
            hovertemplate=f"{row.name}: {row.mean:.4f} [{row.low:.4f}, {row.high:.4f}]<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title=axis)
    figure.update_yaxes(autorange="reversed")
    return figure


def calibration(tables: Mapping[str, pd.DataFrame]) -> go.Figure:
    """Observed click rate against mean prediction, per model, beside the diagonal of perfect calibration."""
    figure = empty()
    top = max(t[["predicted", "high"]].to_numpy().max() for t in tables.values())
    figure.add_scatter(x=[0, top], y=[0, top], mode="lines", line={"dash": "dot", "color": NEUTRAL}, name="perfect")
    for place, (name, t) in enumerate(tables.items()):
        figure.add_scatter(
            x=t["predicted"], y=t["observed"], mode="lines+markers", name=name, line={"color": colour(name, place)},
            error_y=_bars(t["high"] - t["observed"], t["observed"] - t["low"]),
        )  # fmt: skip
    figure.update_xaxes(title="mean prediction")
    figure.update_yaxes(title="observed rate")
    return figure
