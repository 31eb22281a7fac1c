"""The stage: the chosen models' maps of pairs of fields, side by side on one scale, and what they have in common.

The first map of a model says what it does with the row (fields swapped, log-odds), the next where its numbers point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import torch
from scipy import stats
from streamlit.components import v2

from recsys_lite import explain, plots
from recsys_lite.data.simulated.planted import planted_pairs
from recsys_lite.explain import RowMap
from recsys_lite.fields import Rows

from ..core.address import State
from ..core.cache import Edits, edited_row, frozen, load_dataset, load_model, raw_edits
from ..core.names import PLANTED, brief, name
from ..core.own import OWN, cached
from . import cells
from .downloads import table_and_downloads

OTHERS = 32  # rows that the fields are swapped with
MOST_FIELDS = 12  # of a map: more cannot be read
FOLDER = Path(__file__).parent / "grid"
SHORT = {
    "release_year": "year", "occupation": "job", "weekday": "day", "history": "rated", "item": "film",
}  # fmt: skip
HELP = (
    "First map of a model: how much of this row's logit only the pair explains, when both fields are swapped, alone "
    f"and together, for those of {OTHERS} other test rows; the diagonal is a field alone. The unit is the same for all "
    "models. Swapped rows may be ones that never occur. Second map: the model's own numbers, each in its own unit: "
    "a large attention weight or product is no large effect. Weights of seed 0."
)
_grid = v2.component(
    "recsys_lite_grid", html='<div class="stage"></div>',
    css=(FOLDER / "grid.css").read_text(encoding="utf-8"), js=(FOLDER / "grid.js").read_text(encoding="utf-8"),
)  # fmt: skip


@cached(st.cache_resource, show_spinner=False, max_entries=8)
def others(data: str, task: str) -> Rows:
    """The rows whose fields are swapped in, the same for all models and rows."""
    rows = load_dataset(data, task).test
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:OTHERS].tolist()]


@cached(st.cache_data, show_spinner=False, max_entries=256)
def alone(data: str, task: str, model: str, row: int, edits: Edits) -> pd.Series:
    """See :func:`recsys_lite.explain.field_effects`."""
    return explain.field_effects(load_model(data, task, model), edited_row(data, task, row, edits), others(data, task))


@cached(st.cache_resource, show_spinner=False, max_entries=16)
def swapped(data: str, task: str, row: int, edits: Edits, names: tuple[str, ...]) -> Rows:
    """See :func:`recsys_lite.explain.swapped_rows`; made once for all models."""
    fields = load_dataset(data, task).fields
    return explain.swapped_rows(fields, edited_row(data, task, row, edits), others(data, task), names)


@cached(st.cache_data, show_spinner=False, max_entries=256)
def effects(data: str, task: str, model: str, row: int, edits: Edits, names: tuple[str, ...]) -> pd.DataFrame:
    """See :func:`recsys_lite.explain.row_effects`."""
    of_row, rows = edited_row(data, task, row, edits), swapped(data, task, row, edits, names)
    return explain.row_effects(load_model(data, task, model), of_row, others(data, task), names, rows)


@cached(st.cache_data, show_spinner=False, max_entries=256)
def own(data: str, task: str, model: str, row: int, edits: Edits) -> tuple[list[RowMap], list[str]]:
    """See :func:`recsys_lite.explain.row_maps`."""
    return explain.row_maps(load_model(data, task, model), edited_row(data, task, row, edits))


def fields_of(state: State, models: Sequence[str]) -> tuple[str, ...]:
    """The fields of the maps, in the order of the data: all, or those whose swap moves the models most."""
    names = [f.name for f in load_dataset(state.data, state.task).fields]
    if len(names) <= MOST_FIELDS:
        return tuple(names)
    place = (state.data, state.task)
    sizes = pd.concat([alone(*place, m, state.row or 0, frozen(state.edits)).abs() for m in models], axis=1).max(axis=1)
    chosen = set(sizes.nlargest(MOST_FIELDS).index) | set(state.edits)
    return tuple(n for n in names if n in chosen)


@dataclass(frozen=True)
class Shown:
    """What stands on the stage: the models' maps of effects, planted pairs where known, the words, shorter names."""

    maps: Mapping[str, pd.DataFrame]
    truth: pd.DataFrame | None
    told: str
    short: Mapping[str, str]


def show(state: State, models: Sequence[str], also: Callable[[Shown], None] | None = None) -> None:
    """The maps, what one sees in words, and the table behind them; ``also`` adds what stands right below the maps."""
    row, edits = state.row or 0, frozen(state.edits)
    names = fields_of(state, models)
    maps = {m: effects(state.data, state.task, m, row, edits, names) for m in models}
    owned = {m: own(state.data, state.task, m, row, edits) for m in models}
    truth = planted_pairs(load_dataset(state.data, state.task)) if (state.data, state.task) == PLANTED else None
    short = {} if state.data == OWN else SHORT
    told = sentence(maps, owned, truth, short)
    data = payload(maps, owned, truth, names, told, state.diff) | {"short": short}
    _grid(key="stage.maps", data=data, height="content")
    table = pairs_table(maps, owned, truth)
    all_fields = len(load_dataset(state.data, state.task).fields)
    some = f"{len(names)} of {all_fields} fields: those whose swap moves these models most. "
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(some * (len(names) < all_fields) + "How to read the maps", help=HELP, width="content")
        if also is not None:
            also(Shown(maps, truth, told, short))
    file = f"{state.data}-{state.task}-row{row}-pairs"
    code = cells.effects(
        state.data, state.task, list(models), row, raw_edits(state.data, state.task, row, state.edits), names, OTHERS
    )
    figures = partial(drawn, maps, owned, row)
    table_and_downloads(table, figures, file, told, "Table of the pairs, downloads", code)


def drawn(
    maps: Mapping[str, pd.DataFrame], owned: Mapping[str, tuple[list[RowMap], list[str]]], row: int
) -> list[go.Figure]:
    """The same as figures, to take away: each model's effects, and below them the first map of its own."""
    end, figures = limit(list(maps.values())), []
    for m, table in maps.items():
        title = f"{name(m)}: effect of fields and pairs on row {row}"
        figures.append(plots.heatmap(table, signed=True, limit=end, unit="log-odds", title=title))
        for one in owned[m][0][:1]:
            title = f"{name(m)}, its own numbers: {one.name}, row {row}"
            figures.append(plots.heatmap(one.table, signed=one.kind == "signed", unit=one.unit, title=title))
    return figures


def limit(tables: Sequence[pd.DataFrame]) -> float:
    """The end of the scale of several maps: the largest number of a pair in any; fields alone may pass it."""
    off = [np.abs(t.to_numpy()[~np.eye(len(t), dtype=bool)]) for t in tables]
    return float(max((o.max(initial=0) for o in off), default=0)) or 1.0


def band(title: str, table: pd.DataFrame, unit: str, kind: str, end: float) -> dict[str, Any]:
    """A map as the browser draws it."""
    cells_ = [[None if pd.isna(v) else round(float(v), 4) for v in line] for line in table.to_numpy()]
    lines, columns = [str(i) for i in table.index], [str(c) for c in table.columns]
    return {
        "title": title, "unit": unit, "kind": kind, "limit": end, "lines": lines, "names": columns, "cells": cells_,
    }  # fmt: skip


def own_band(m: RowMap, names: Sequence[str], end: float = 0.0) -> dict[str, Any]:
    """A map of a model's own, its fields in the order of all maps."""
    extra = [n for n in m.table.columns if n not in names and len(m.table.columns) <= MOST_FIELDS + 1]
    columns = [n for n in names if n in m.table.columns] + extra
    lines = list(m.table.index) if m.name == "gates" else columns
    same = lines == list(m.table.index) and columns == list(m.table.columns)
    table = m.table if same else m.table.loc[lines, columns]
    values = table.to_numpy()[np.isfinite(table.to_numpy())]
    if m.kind == "ratio":
        end = end or max(1.2, *(float(max(v, 1 / max(v, 1e-3))) for v in values))
        return band(m.name, table, m.unit, m.kind, min(end, 10.0))
    return band(m.name, table, m.unit, m.kind, float(np.abs(values).max(initial=0)) or 1.0)


def payload(
    maps: Mapping[str, pd.DataFrame], owned: Mapping[str, tuple[list[RowMap], list[str]]], truth: pd.DataFrame | None,
    names: Sequence[str], told: str, diff: str,
) -> dict[str, Any]:  # fmt: skip
    """All that the browser needs to draw the stage."""
    end = limit(list(maps.values()))
    columns: list[dict[str, Any]] = []
    if truth is not None:
        planted = band("planted pairs", truth.loc[list(names), list(names)], "", "size", 1.0)
        planted |= {"unit": "truth", "legend": "blue: the pair decides labels"}
        columns.append({"name": "Truth", "truth": True, "bands": [planted, {"title": ""}]})
    for m, table in maps.items():
        ours, missing = owned[m]
        first = own_band(ours[0], names) if ours else {"title": "no map of its own"}
        first |= {"why": missing, "more": [own_band(one, names) for one in ours[1:]]}
        columns.append({"name": brief(m), "bands": [band(f"{brief(m)}", table, "log-odds", "signed", end), first]})
    if len(two := [m for m in diff.split(",") if m in maps]) == 2:
        words = f"{brief(two[0])} − {brief(two[1])}"
        table = maps[two[0]] - maps[two[1]]
        columns.append({"name": words, "bands": [band(words, table, "log-odds", "signed", end), {
            "title": "", "why": [agreement(maps[two[0]], maps[two[1]])],
        }]})  # fmt: skip
    pairs = None if truth is None else [[a, b] for a in truth for b in truth if a < b and truth.loc[a, b]]
    return {"columns": columns, "truth": pairs, "told": told}


def agreement(a: pd.DataFrame, b: pd.DataFrame) -> str:
    """How far two models put the pairs in the same order."""
    upper = np.triu_indices(len(a), 1)
    x, y = np.abs(a.to_numpy()[upper]), np.abs(b.to_numpy()[upper])
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return "One of the two has no order of pairs."
    rho = float(stats.spearmanr(x, y).statistic)
    return f"The two order the {len(x)} pairs by size with a rank correlation of {rho:.2f}."


def both(a: str, b: str, short: Mapping[str, str]) -> str:
    """A pair of fields in words."""
    return f"{short.get(a, a)} × {short.get(b, b)}"


def sentence(
    maps: Mapping[str, pd.DataFrame], owned: Mapping[str, tuple[list[RowMap], list[str]]],
    truth: pd.DataFrame | None, short: Mapping[str, str],
) -> str:  # fmt: skip
    """The strongest pair of each model, by what it does and by its own numbers."""
    pairs = {m: explain.strongest(table) for m, table in maps.items() if len(table) > 1}
    told = []
    for m, (a, b, value) in pairs.items():
        text = f"{brief(m)}: {both(a, b, short)} {value:+.2f}".replace("-", "−")
        ours = owned[m][0]
        points = [explain.strongest(o.table, o.kind) for o in ours[:1] if o.table.notna().any(axis=None)]
        if points and {points[0][0], points[0][1]} != {a, b}:
            text += f" (own map: {both(*points[0][:2], short)})"
        told.append(text if abs(value) > 1e-6 else f"{brief(m)}: no pair")
    text = f"Strongest pair of this row, in log-odds. {'; '.join(told)}."
    if truth is not None:
        known = {frozenset((a, b)) for a in truth for b in truth if truth.loc[a, b]}
        found = [m for m, (a, b, _) in pairs.items() if frozenset((a, b)) in known]
        text += f" {len(found)} of {len(pairs)} models put a planted pair first."
    return text


def pairs_table(
    maps: Mapping[str, pd.DataFrame], owned: Mapping[str, tuple[list[RowMap], list[str]]], truth: pd.DataFrame | None
) -> pd.DataFrame:
    """A line for each field alone and each pair: the effect in every model, its own numbers, and the truth."""
    names = list(next(iter(maps.values())).index)
    k = len(names)
    a, b = (np.concatenate([np.arange(k), upper]) for upper in np.triu_indices(k, 1))
    table = pd.DataFrame({"a": np.array(names)[a], "b": np.array(names)[b]})
    if truth is not None:
        table["planted"] = truth.loc[names, names].to_numpy()[a, b]
    for m, effect in maps.items():
        table[name(m)] = effect.to_numpy()[a, b]
    for m, (ours, _) in owned.items():
        for one in ours[:1]:
            values = one.table.reindex(index=names, columns=names).to_numpy()
            table[f"{name(m)}: {one.name} ({one.unit})"] = ((values + values.T) / 2)[a, b]
    return table
