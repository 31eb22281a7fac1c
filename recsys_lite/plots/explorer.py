"""Figures that only the explorer draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from .figures import colour, empty
from .palette import SERIES

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MARKS = ("circle", "square", "diamond", "cross", "x", "triangle-up")


def apart(figure: go.Figure) -> None:
    """Give each line of a figure a mark and a dash of its own: some models' colours are close to each other."""
    lines = [t for t in figure.data if t.type == "scatter" and "markers" in (t.mode or "")]
    for place, trace in enumerate(lines):
        trace.update(
            marker={"symbol": MARKS[place % len(MARKS)], "size": 8}, line={"dash": DASHES[place % len(DASHES)]}
        )


def distinct(figure: go.Figure) -> None:
    """Give a series another colour where its own is close to that of one before it: two blues cannot be told apart.

    Series are traces of one name; those that are filled, or whose marks have many colours, stay as they are.

    Example:
        >>> figure = go.Figure([go.Bar(y=[1], name=n, marker={"color": c}) for n, c in
        ...     [("FM", "#0072B2"), ("DHEN", "#3B6E8F"), ("DCN", "#D55E00")]])
        >>> distinct(figure)
        >>> [t.marker.color for t in figure.data]
        ['#0072B2', '#E69F00', '#D55E00']
    """
    series: dict[str, list[Any]] = {}
    for trace in figure.data:
        if trace.type in ("scatter", "bar") and trace.name and _tint(trace):
            series.setdefault(trace.name, []).append(trace)
    own = {name: _tint(traces[0]) for name, traces in series.items()}
    taken: list[str] = []
    for name, traces in series.items():
        later = [c for other, c in own.items() if other != name and other not in list(own)[: len(taken)]]
        free = (c for c in SERIES if not any(near(c, t) for t in [*taken, *later]))
        tint = own[name] if not any(near(own[name], t) for t in taken) else next(free, own[name])
        taken.append(tint)
        for trace in traces:
            for part in ["line", "marker"] if trace.type == "scatter" else ["marker"]:
                if isinstance(trace[part].color, str):
                    trace.update({part: {"color": tint}})


def _tint(trace: Any) -> str:
    """The one colour of a trace; nothing if it has many, or a filled area."""
    if trace.type == "scatter" and trace.fill:
        return ""
    found = [p.color for p in (getattr(trace, "line", None), trace.marker) if p is not None and p.color is not None]
    return found[0] if found and all(isinstance(c, str) and c.startswith("#") for c in found) else ""


def near(a: str, b: str) -> bool:
    """Whether two colours ``#rrggbb`` are too close for a legend: less than 28 apart in CIELAB.

    Example:
        >>> near("#0072B2", "#56B4E9"), near("#0072B2", "#E69F00"), near("#E69F00", "#D55E00")
        (True, False, False)
    """
    return float(np.linalg.norm(_lab(a) - _lab(b))) < 28


def _lab(colour_: str) -> np.ndarray:
    rgb = np.array([int(colour_[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    rgb = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = (np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in matrix @ rgb / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def seed_curves(table: pd.DataFrame, y: str, *, names: Mapping[str, str], axis: str, height: int = 320) -> go.Figure:
    """A thin line per seed, all seeds of a model in its colour; seeds stop where training stopped.

    Args:
        table: columns model, seed, epoch and ``y``.
        y: the column to draw.
        names: model -> name in words.
        axis: title of the vertical axis.
    """
    figure = empty(height=height, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
    for place, (model, of_model) in enumerate(table.groupby("model", sort=False)):
        for k, (seed, run) in enumerate(of_model.groupby("seed", sort=True)):
            figure.add_scatter(
                x=run["epoch"], y=run[y], mode="lines+markers", name=names.get(str(model), str(model)),
                legendgroup=str(model), showlegend=k == 0, opacity=0.75,
                line={"color": colour(str(model), place), "width": 1.5, "dash": DASHES[place % len(DASHES)]},
                marker={"size": 6, "symbol": MARKS[place % len(MARKS)]},
                hovertemplate=f"seed {seed}, epoch %{{x}}: %{{y:.4f}}",
            )  # fmt: skip
    figure.update_xaxes(title="epoch")
    figure.update_yaxes(title=axis)
    return figure


def grouped_intervals(
    table: pd.DataFrame, group: str, by: str, *, axis: str, of: Mapping[str, str] | None = None, height: int = 0
) -> go.Figure:
    """Dots with bars in groups from top to bottom, one of each model in a group; models differ in colour and mark.

    Args:
        table: columns ``group``, ``by``, auc, low, high.
        group, by: the columns of the group and of the model.
        axis: title of the horizontal axis.
        of: name of a model as shown -> short name, for its colour.
        height: in pixels; by default enough for all.
    """
    groups, models, short = list(dict.fromkeys(table[group])), list(dict.fromkeys(table[by])), of or {}
    figure = empty(
        height=height or 90 + len(groups) * (26 + 20 * len(models)),
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"}, margin={"t": 8},
    )  # fmt: skip
    for place, model in enumerate(models):
        mine = table[table[by] == model]
        shift = (place - (len(models) - 1) / 2) * 0.8 / len(models)
        figure.add_scatter(
            x=mine["auc"], y=[groups.index(g) + shift for g in mine[group]], mode="markers", name=model,
            marker={"size": 9, "symbol": MARKS[place % len(MARKS)], "color": colour(short.get(model, model), place)},
            error_x={"array": mine["high"] - mine["auc"], "arrayminus": mine["auc"] - mine["low"]},
            customdata=mine[group], hovertemplate=f"{model}, %{{customdata}}: %{{x:.4f}}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title=axis)
    figure.update_yaxes(tickvals=list(range(len(groups))), ticktext=groups, range=[len(groups) - 0.5, -0.5])
    return figure
