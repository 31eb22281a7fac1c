"""Figures that only the explorer draws."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from .plots import colour, empty


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
                line={"color": colour(str(model), place), "width": 1.5}, marker={"size": 4},
                hovertemplate=f"seed {seed}, epoch %{{x}}: %{{y:.4f}}",
            )  # fmt: skip
    figure.update_xaxes(title="epoch")
    figure.update_yaxes(title=axis)
    return figure
