"""Figures that only the explorer draws."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from .figures import colour, empty

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MARKS = ("circle", "square", "diamond", "cross", "x", "triangle-up")


def apart(figure: go.Figure) -> None:
    """Give each line of a figure a mark and a dash of its own: some models' colours are close to each other."""
    lines = [t for t in figure.data if t.type == "scatter" and "markers" in (t.mode or "")]
    for place, trace in enumerate(lines):
        trace.update(
            marker={"symbol": MARKS[place % len(MARKS)], "size": 8}, line={"dash": DASHES[place % len(DASHES)]}
        )


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
