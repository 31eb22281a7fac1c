"""What each model's logit is made of: the same parts in the same order for all models, on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.components import v2

from recsys_lite import plots

from ..core.address import DETAILS, State
from ..core.cache import raw_edits
from ..core.controls import hold, keep
from ..core.names import brief, name
from . import cells, tables
from .downloads import table_and_downloads

PARTS_HELP = (
    "*bias*: where every row starts. *linear*: a weight per value. *pairs*: dot products of two values' vectors. "
    "*crosses*: weights of exact combinations. *deep*, *mlp*, *top network*, *stacked*: a network. *gmf*: a weighted "
    "product of user and film. *cross*: polynomials of the input. *attention*: fields that looked at each other. Their "
    "sum is the logit, log(p / (1 - p)). Fine parts of a network that is no sum (DLRM) hold at this row only."
)
FOLDER = Path(__file__).parent / "grid"
_table = v2.component(
    "recsys_lite_parts", html='<div class="parts"></div>',
    css=(FOLDER / "parts.css").read_text(encoding="utf-8"), js=(FOLDER / "parts.js").read_text(encoding="utf-8"),
)  # fmt: skip


def show(state: State, scores: Sequence[tables.Score], sentence: str) -> None:
    """The controls, the parts of all models side by side, and all that can be taken away."""
    st.header("What each answer is made of")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Parts of the logit", list(DETAILS), format_func=DETAILS.__getitem__,
            key=hold("compare.detail", state.detail),
            on_change=keep, args=(state, "detail", "compare.detail"), help=PARTS_HELP,
        )  # fmt: skip
        change = bool(state.edits) and st.toggle(
            "Only what the edits changed", key=hold("compare.change", state.change),
            on_change=keep, args=(state, "change", "compare.change"),
        )  # fmt: skip
    parts = tables.aligned(scores, state.detail, change)
    _table(key="waterfalls", data=payload(parts, [s.model for s in scores], change), height="content")
    names = {s.model: name(s.model) for s in scores}
    table = tables.parts_table(scores, state.detail, names)
    file = f"{state.data}-{state.task}-row{state.row}-{state.detail}"
    edits, fine = raw_edits(state.data, state.task, state.row or 0, state.edits), state.detail == "fine"
    cell = cells.parts(state.data, state.task, list(names), state.row or 0, edits, fine)
    figures = partial(drawn, parts, list(names.values()), "change" if change else "logit")
    table_and_downloads(table, figures, file, sentence, "Table of the parts, downloads", cell)


def payload(parts: Sequence[pd.Series], models: Sequence[str], change: bool) -> dict[str, Any]:
    """All that the browser needs to draw the table; every part starts where the one above it ended."""
    total = "change" if change else "logit"
    low, high = tables.limits(parts, room=0.02)
    columns = []
    for model, p in zip(models, parts, strict=True):
        values = p.to_numpy(float)
        starts = np.concatenate([[0.0], np.nancumsum(values)[:-1]]) if len(values) else values
        own = [
            {"value": None if np.isnan(v) else round(float(v), 4), "from": round(float(s), 4)}
            for v, s in zip(values, starts, strict=True)
        ]
        own.append({"value": round(float(np.nansum(values)), 4), "from": 0.0})
        columns.append({"name": brief(model), "full": name(model), "cells": own})
    told = f"Parts of the {total} of each model, in log-odds; a part starts where the one above it ended."
    lines = [*map(str, parts[0].index), total] if parts else []
    return {"lines": lines, "columns": columns, "low": low, "high": high, "told": told}


def drawn(parts: Sequence[pd.Series], names: Sequence[str], total: str) -> list[go.Figure]:
    """The same as figures, to take away."""
    limits = tables.limits(parts)
    told = [f"{n}: parts of the {total}" for n in names]
    figures = [plots.waterfall(p, title=t, limits=limits) for p, t in zip(parts, told, strict=True)]
    for figure in figures:
        figure.update_traces(textposition="outside", textangle=0, cliponaxis=False)
    return figures
