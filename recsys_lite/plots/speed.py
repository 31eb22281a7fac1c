"""Figures of training speed: times as ratios with their spread, growth with size."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from .figures import empty
from .palette import NEUTRAL, SERIES

#: systems in words
SYSTEMS = {
    "minimum": "hand-written minimum", "deepctr_torch": "DeepCTR-Torch", "fuxictr": "FuxiCTR",
    "torch_rechub": "torch-rechub", "recbole": "RecBole", "ours": "ours",
}  # fmt: skip


def speed_ratios(table: pd.DataFrame, *, title: str = "", axis: str = "time relative to ours") -> go.Figure:
    """Ratios with their quartiles: a row for each model, a dot for each system; the dotted line at 1 is ours.

    Args:
        table: of :func:`recsys_lite.explain.speed.ratios`.
        axis: title of the axis of ratios, which is logarithmic.

    Raises:
        ValueError: for a table without lines.
    """
    if table.empty:
        raise ValueError("speed_ratios: the table has no lines")
    models = list(dict.fromkeys(table["model"]))
    figure = empty(height=130 + 46 * len(models), title=title)
    shown = table.assign(name=[_name(s, o) for s, o in zip(table["system"], table["optimizer"], strict=True)])
    shown = shown[shown["name"] != "ours"]
    for place, (name, part) in enumerate(shown.groupby("name", sort=False)):
        figure.add_scatter(
            x=part["ratio"], y=part["model"], mode="markers", name=str(name),
            marker={"size": 10, "color": SERIES[place % len(SERIES)]},
            error_x={
                "type": "data", "symmetric": False, "array": part["high"] - part["ratio"],
                "arrayminus": part["ratio"] - part["low"],
            },
            customdata=part[["ms", "low", "high"]],
            hovertemplate="%{y}: %{x:.2f} [%{customdata[1]:.2f}, %{customdata[2]:.2f}], %{customdata[0]:.1f} ms"
            f"<extra>{name}</extra>",
        )  # fmt: skip
    figure.add_vline(x=1, line={"dash": "dot", "color": NEUTRAL})
    figure.update_xaxes(title=axis, type="log")
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=models)
    return figure


def _name(system: str, optimizer: str) -> str:
    """A system in words, with its optimiser where it is not the usual one."""
    return SYSTEMS.get(system, system) + ("" if optimizer == "adam" else f", {optimizer.replace('_', ' ')}")


def growth(table: pd.DataFrame, *, title: str = "") -> go.Figure:
    """Time per row against the size of one axis, both logarithmic, a line for each optimiser.

    Args:
        table: of :func:`recsys_lite.explain.speed.growth`, lines of one axis.

    Raises:
        ValueError: for lines of several axes.
    """
    if len(axes := list(dict.fromkeys(table["axis"]))) != 1:
        raise ValueError(f"growth: expected the lines of one axis, got {axes}")
    figure = empty(title=title)
    for place, (optimizer, part) in enumerate(table.groupby("optimizer", sort=False)):
        figure.add_scatter(
            x=part["size"], y=part["microseconds"], mode="lines+markers", name=str(optimizer).replace("_", " "),
            line={"color": SERIES[place % len(SERIES)]}, showlegend=table["optimizer"].nunique() > 1,
        )  # fmt: skip
    figure.update_xaxes(title=axes[0], type="log")
    figure.update_yaxes(title="microseconds per row", type="log")
    return figure
