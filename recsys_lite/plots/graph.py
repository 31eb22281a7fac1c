"""Drawings of small graphs of users and items."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from .figures import empty
from .palette import NEUTRAL, SEQUENTIAL


def node_columns(
    nodes: pd.DataFrame, edges: Sequence[tuple[int, int]], *, title: str = "", limit: float = 1.0, unit: str = ""
) -> go.Figure:
    """Nodes in columns with lines between them; size and colour of a node show its value.

    Args:
        nodes: a line per node with ``column`` (its name, columns stand in order of appearance), ``name`` (in words) and
            ``value``, 0 or more.
        edges: pairs of lines of ``nodes``.
        limit: the value of the largest size and the end of the colours; give several figures the same one.
        unit: title of the colour bar.

    Raises:
        ValueError: for a negative value, or an edge to a node that is not there.
    """
    if (nodes["value"] < 0).any():
        raise ValueError(f"node_columns: values must be at least 0, the least is {nodes['value'].min()}")
    if any(not 0 <= end < len(nodes) for edge in edges for end in edge):
        raise ValueError(f"node_columns: edges go beyond the {len(nodes)} nodes")
    columns = list(dict.fromkeys(nodes["column"]))
    x = nodes["column"].map(columns.index)
    place = nodes.groupby("column").cumcount()
    y = (place + 0.5) / nodes.groupby("column")["column"].transform("size")
    figure = empty(height=430, title=title, showlegend=False)
    ends = [[*(values[k] for k in edge), None] for edge in edges for values in (x,)]
    heights = [[*(y[k] for k in edge), None] for edge in edges]
    figure.add_scatter(
        x=[v for line in ends for v in line], y=[v for line in heights for v in line], mode="lines", hoverinfo="skip",
        line={"color": NEUTRAL, "width": 0.7}, opacity=0.5,
    )  # fmt: skip
    figure.add_scatter(
        x=x, y=y, mode="markers", text=nodes["name"], customdata=nodes["value"],
        hovertemplate="%{text}: %{customdata:.4f}<extra></extra>",
        marker={
            "size": 8 + 26 * (nodes["value"] / limit).clip(upper=1) ** 0.5, "color": nodes["value"], "cmin": 0,
            "cmax": limit, "colorscale": SEQUENTIAL, "line": {"color": NEUTRAL, "width": 1},
            "colorbar": {"title": unit, "thickness": 12},
        },
    )  # fmt: skip
    figure.update_xaxes(tickvals=list(range(len(columns))), ticktext=columns, showgrid=False, zeroline=False)
    figure.update_yaxes(visible=False, range=[0, 1])
    return figure
