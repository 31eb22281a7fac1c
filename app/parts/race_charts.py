"""The charts of the page that trains live."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from recsys_lite import plots
from recsys_lite.plots.explorer import MARKS
from recsys_lite.plots.palette import NEUTRAL

from ..core.names import name

LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom"}
AXES = {"auc": "AUC (higher is better)", "log loss": "log loss (lower is better)"}


def curves(table: pd.DataFrame, metric: str, bound: float, epochs: int) -> go.Figure:
    """A model's validation metric solid, that of its training rows dashed, the truth's dotted.

    Args:
        table: of :meth:`recsys_lite.lab.race.Race.table`.
        metric: ``auc`` or ``log loss``.
        bound: the truth's on the validation rows.
        epochs: of the whole race, so that the axis stands still.
    """
    figure = plots.empty(height=320, legend=LEGEND, margin={"t": 8, "r": 52})
    for place, (model, own) in enumerate(table.groupby("model", sort=False)):
        tint = plots.colour(str(model), place)
        for part, dash in (("train", "dash"), ("validation", "solid")):
            figure.add_scatter(
                x=own["epoch"], y=own[f"{part} {metric}"], mode="lines+markers" if dash == "solid" else "lines",
                name=name(str(model)), legendgroup=str(model), showlegend=dash == "solid",
                line={"color": tint, "dash": dash, "width": 2 if dash == "solid" else 1.5},
                marker={"size": 6, "symbol": MARKS[place]},
                hovertemplate=f"{name(str(model))}, {part}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
            )  # fmt: skip
    marks = {"truth": (bound, "dot")} | ({"chance": (0.5, "solid")} if metric == "auc" else {})
    for text, (height, dash) in marks.items():
        line = {"dash": dash, "color": NEUTRAL, "width": 2 if text == "truth" else 1}
        figure.add_hline(y=height, line=line)
        figure.add_annotation(  # beside the lines, where none strikes it through
            text=text, x=1, xref="paper", xanchor="left", y=height, showarrow=False, xshift=4
        )
    figure.update_xaxes(title="epoch", range=[0.5, epochs + 0.5])
    figure.update_yaxes(title=AXES[metric], rangemode="tozero")
    if metric == "auc":
        lowest = table[["train auc", "validation auc"]].min().min()
        figure.update_yaxes(range=[min(0.42, lowest) - 0.02, 1.02])
    return figure


def found(pairs: pd.DataFrame) -> go.Figure:
    """The strength of every pair in each model, side by side; the planted pair in bold."""
    figure = plots.empty(height=340, legend=LEGEND, margin={"t": 8}, barmode="group")
    for place, (model, own) in enumerate(pairs.groupby("model", sort=False)):
        labels = [
            f"<b>{p.a} × {p.b}</b>" if p.planted else f"{p.a} × {p.b}" for p in own.itertuples(index=False)
        ]  # fmt: skip
        figure.add_bar(
            x=labels, y=own["strength"], name=name(str(model)), marker={"color": plots.colour(str(model), place)},
            hovertemplate=f"{name(str(model))}, %{{x}}: %{{y:.3f}}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(tickangle=-90)
    figure.update_yaxes(title="strength, log-odds", rangemode="tozero")
    return figure


def blocks(table: pd.DataFrame) -> go.Figure:
    """The share of label 1 less ½ by the values of two fields, see :func:`recsys_lite.lab.race.shares`."""
    figure = plots.heatmap(table - 0.5, signed=True, limit=0.5, unit="share of 1,<br>less ½")
    figure.update_layout(height=340, margin={"t": 8})
    figure.update_xaxes(title=f"value of {table.columns.name}, by sign")
    figure.update_yaxes(title=f"value of {table.index.name}, by sign")
    return figure
