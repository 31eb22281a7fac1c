"""The drawing of an architecture as a figure whose boxes can be clicked, and the tensor of a box as a heat map."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from recsys_lite import plots
from recsys_lite.explain.boxes import Box
from recsys_lite.explain.drawn import drawn
from recsys_lite.plots.diagrams import WIDTH, _arrow, _outline
from recsys_lite.plots.palette import BOX_COLOURS

from ..core.names import plain

INK = "rgba(128,128,128,0.9)"
TEXT = ("#22272e", "#f0f2f5")  # on light and on dark ground
LONGEST = 18  # signs of a tick
# between two signs of emphasis, once all is escaped: whole words, with any such sign that a name itself holds
EMPHASIS = re.compile(r"(?<!\S)\\\*(\S.*?)\\\*(?=\s|\\[.,;)]|,|$)")
COUNTED = re.compile(r"(number|unit|factor) \d+$")


def path(box: Box) -> str:
    """The outline of a box, as :mod:`recsys_lite.plots.diagrams` draws it, as a path of plotly."""
    outline = _outline(box)
    if found := re.search(r'points="([^"]+)"', outline):
        return "M" + "L".join(found[1].split()) + "Z"
    left, right = box.x - box.width / 2, box.x + box.width / 2
    top, bottom = box.y - box.height / 2, box.y + box.height / 2
    rounded = re.search(r'rx="([^"]+)"', outline)
    r = float(rounded[1]) if rounded else box.height / 2
    return (
        f"M{left + r},{top}L{right - r},{top}Q{right},{top},{right},{top + r}L{right},{bottom - r}"
        f"Q{right},{bottom},{right - r},{bottom}L{left + r},{bottom}Q{left},{bottom},{left},{bottom - r}"
        f"L{left},{top + r}Q{left},{top},{left + r},{top}Z"
    )


def arrow(a: Box, b: Box) -> tuple[str, str]:
    """Line and head of an arrow, as :mod:`recsys_lite.plots.diagrams` draws them, as paths of plotly."""
    line, head = re.findall(r' d="([^"]+)"', _arrow(a, b))
    x, y, dx, dy, way = re.findall(r"-?[\d.]+|[hv]", head)[:5]
    first, second = (float(x), float(y)), (float(x) + float(dx), float(y) + float(dy))
    third = (second[0] + 8, second[1]) if way == "h" else (second[0], second[1] + 8)
    return line, "M" + "L".join(f"{p:g},{q:g}" for p, q in (first, second, third)) + "Z"


def drawing(
    model: str, lit: int, steps: dict[int, int], dark: bool = False, itself: object = None
) -> go.Figure:  # fmt: skip
    """A model's boxes and arrows, one box lit.

    Args:
        model: a key of ``ARCHITECTURES``.
        lit: place of the box that is open.
        steps: place of a box -> number of its first step, from 1; what a click on it brings.
        dark: whether the page is; the theme's own ink is too pale inside a box.
        itself: the model, for a drawing of how it is set up.
    """
    boxes, arrows = drawn(model, itself)
    height = max(b.y + b.height / 2 for b in boxes) + 6
    figure = plots.empty(height=int(1.15 * height), showlegend=False, hovermode="closest", hoverdistance=24)
    for a, b in arrows:
        line, head = arrow(boxes[a], boxes[b])
        figure.add_shape(type="path", path=line, line={"color": INK, "width": 1.5})
        figure.add_shape(type="path", path=head, fillcolor=INK, line={"width": 0})
    for place, box in enumerate(boxes):
        colour, on = BOX_COLOURS[box.kind], place == lit
        r, g, b_ = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
        outline: dict[str, Any] = {"type": "path", "path": path(box)}
        if box.kind == "sum":
            x, y, r_ = box.x, box.y, box.height / 2
            outline = {"type": "circle", "x0": x - r_, "x1": x + r_, "y0": y - r_, "y1": y + r_}
        figure.add_shape(
            **outline, fillcolor=f"rgba({r},{g},{b_},{0.45 if on else 0.16})",
            line={"color": colour, "width": 4 if on else 1.8},
        )  # fmt: skip
        label = f"<b>{'▸ ' if on else ''}{box.label}</b>" + (f"<br><span>{box.note}</span>" if box.note else "")
        figure.add_annotation(x=box.x, y=box.y, text=label, showarrow=False, font={"size": 12, "color": TEXT[dark]})
    spots = [(box.x + shift * box.width, box.y, k) for k, box in enumerate(boxes) for shift in (-0.3, 0.0, 0.3)]
    figure.add_scatter(
        x=[s[0] for s in spots], y=[s[1] for s in spots], customdata=[[steps.get(s[2], 1)] for s in spots],
        text=[boxes[s[2]].label for s in spots], mode="markers",
        marker={"size": 30, "opacity": 0, "symbol": "square"},
        selected={"marker": {"opacity": 0}}, unselected={"marker": {"opacity": 0}},
        hovertemplate="open <b>%{text}</b>: step %{customdata[0]}<extra></extra>",
    )  # fmt: skip
    hidden = {"visible": False, "fixedrange": True, "constrain": "domain"}
    figure.update_xaxes(range=[0, WIDTH], **hidden)
    figure.update_yaxes(range=[height, 0], scaleanchor="x", **hidden)
    figure.update_layout(margin={"l": 0, "r": 0, "t": 4, "b": 4}, clickmode="event+select", dragmode=False)
    return figure


def short(words: str) -> str:
    """A tick that leaves room for the picture."""
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"


def heatmap(table: pd.DataFrame) -> go.Figure:
    """A tensor as colours: named lines and columns, long names cut on the axes and whole where one points."""
    signed = bool((table.min(axis=None) or 0) < 0)
    names = table.set_axis(range(table.shape[0]), axis=0).set_axis(range(1, table.shape[1] + 1), axis=1)
    figure = plots.heatmap(names, signed=signed)
    lines, columns = ([str(n) for n in axis] for axis in (table.index, table.columns))
    full = [[f"{line}, {column}" for column in columns] for line in lines]
    figure.update_traces(
        x=list(range(1, len(columns) + 1)), y=list(range(len(lines))), text=full, xgap=1, ygap=1,
        hovertemplate="%{text}: %{z:.4f}<extra></extra>",
        texttemplate="%{z:.2f}" if table.shape[1] <= 6 else None,
        colorbar={"orientation": "h", "y": 1.0, "yanchor": "bottom", "thickness": 10, "len": 1.0, "title": ""},
    )  # fmt: skip
    if all(COUNTED.match(c) for c in columns):
        figure.update_xaxes(title=columns[0].split()[0], nticks=min(len(columns), 9))
    else:
        figure.update_xaxes(tickvals=list(range(1, len(columns) + 1)), ticktext=[short(c) for c in columns])
        figure.update_xaxes(tickangle=-90 if len(columns) >= 6 else 0)
    figure.update_yaxes(
        tickvals=list(range(len(lines))), ticktext=[short(n) for n in lines], showgrid=False, zeroline=False
    )
    figure.update_xaxes(showgrid=False, zeroline=False)
    wordy = 0 if all(COUNTED.match(c) for c in columns) or len(columns) < 6 else 110
    figure.update_layout(height=150 + 21 * len(lines) + wordy, margin={"t": 8})
    return figure


def in_words(table: pd.DataFrame) -> str:
    """A tensor in a sentence: its size, its ends and where they are."""
    values = table.to_numpy(float)
    if not values.size:
        return "This box holds no number for these data."
    if values.size == 1:
        return f"One number: {values[0, 0]:.3f}.".replace(" -", " −")
    low, high = (divmod(int(f(values)), values.shape[1]) for f in (np.nanargmin, np.nanargmax))
    where = lambda at: f"{table.index[at[0]]}, {table.columns[at[1]]}"  # noqa: E731
    count = int(np.isfinite(values).sum())  # fields of different length leave gaps
    size = f"{values.shape[0]} × {values.shape[1]}" if count == values.size else str(count)
    text = f"{size} numbers from {values[low]:.3f} ({where(low)}) to {values[high]:.3f} ({where(high)})."
    return text.replace(" -", " −")


def told(note: str) -> str:
    r"""A note as markdown: emphasis stays emphasis, all else in it is a name of the data and is shown as it is.

    Example:
        >>> told("The largest is *M*A*S*H*.")
        'The largest is *M\\*A\\*S\\*H*\\.'
    """
    return EMPHASIS.sub(r"*\1*", plain(note))
