"""Inside: what a trained model looks at: attention, pairs, cross blocks, and what a pair is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from recsys_lite import explain, plots
from recsys_lite.data import DataUnavailable
from recsys_lite.models import DHEN, AutoInt, Model

from ..core import shared
from ..core.address import as_text, edited, original
from ..core.cache import edited_row, frozen, load_dataset, load_model, raw_edits, trained
from ..core.controls import number, pick, write_address
from ..core.names import ROWS as DATA
from ..core.names import chapter, name, plain
from ..core.own import OWN, listed
from ..parts import notices, pair_maps, tables
from ..parts.charts import chart
from ..parts.downloads import table_and_downloads
from ..parts.inside_views import VIEWS, View, ablated, cell, computed, own_cell
from ..parts.pair_maps import ROWS
from ..parts.row_strip import strip

MOST_FIELDS = 12  # a pair of more fields takes too long to ablate while a reader waits


def page() -> None:
    """The whole page."""
    st.title("What a model looks at")
    first, second, third = st.columns(3)
    with first:
        rows_of = DATA | listed()
        known = {".".join(pair): pair for pair in rows_of if trained(*pair)}
        data, task = known[pick("Data and question", list(known), "data", lambda k: rows_of[known[k]])]
    try:
        dataset = load_dataset(data, task)
    except (DataUnavailable, ValueError) as error:
        notices.no_data(error)
        return
    usable = [m for m in trained(data, task) if m != "logistic_regression"]
    with second:
        chosen = pick("Model", sorted(usable, key=lambda m: m != "autoint"), "model", name)
    model = load_model(data, task, chosen)
    small = len(dataset.fields) <= MOST_FIELDS
    views = [k for k, v in VIEWS.items() if v.fits(model) and (small or k not in ("strength", "worth"))]
    if not views:
        st.info("This model has no map of its own, and these data have too many fields to swap while you wait.")
        return
    with third:
        kind = pick("View", views, "view", lambda k: VIEWS[k].words)
    view = VIEWS[kind]
    row, layer, head = choices(view, model, len(dataset.test))
    edits: dict[str, Any] = {}
    if row is not None:
        state, wrong = shared.at(dataset, data, task, row)
        if wrong:
            notices.address(wrong)
        strip(state, dataset)
        edits = state.edits
    rows = dataset.test[:ROWS] if row is None else edited_row(data, task, row, frozen(edits))
    place = (data, task, chosen)
    table, unit, signed = computed(kind, place, rows, row, layer, head)
    code = cell(kind, place, row, layer, head, {} if row is None else raw_edits(data, task, row, edits))
    show(view, data, task, chosen, table, unit, signed, row, code, edits)
    _, missing = explain.row_maps(model, dataset.test[row or 0])
    if missing:
        notices.hover("What has no map here, and why", " ".join(missing))
    if small and kind in ("attention", "pairs", "blocks"):
        own = table if row is None else computed(kind, place, dataset.test[:ROWS], None, layer, head)[0]
        pair_maps.show(view.words, own, ablated(*place), place, own_cell(kind, layer, head))
    chosen_so = {"data": f"{data}.{task}", "model": chosen, "view": kind}
    if view.by_row:
        chosen_so |= {"rows": "mean"} if row is None else {"rows": "one", "row": str(row)}
        chosen_so |= {f"set.{k}": as_text(v) for k, v in edits.items() if data != OWN}
    if view.layered:
        chosen_so |= {
            k: st.session_state[f"control.{k}"] for k in ("layer", "head") if f"control.{k}" in st.session_state
        }
    write_address(chosen_so)


def choices(view: View, model: Model, count: int) -> tuple[int | None, int | None, int | None]:
    """Row, layer and head where the view has them; ``None`` is the mean over all."""
    row = layer = head = None
    first, second, third = st.columns(3)
    if view.by_row:
        words = {"mean": f"mean of {ROWS} test rows", "one": "one row"}
        with first:
            if pick("Rows", list(words), "rows", words.__getitem__) == "one":
                row = number("Row", "row", count)
    if view.layered:
        attentive = isinstance(model, AutoInt)
        if isinstance(model, DHEN):  # one layer looks at fields, with one head
            return row, layer, head
        depth = len(model.layers) if attentive else model.cross.depth  # type: ignore[union-attr, arg-type]
        with second:
            layer = counted("Layer", "layer", depth, mean=attentive)
        if attentive:
            with third:
                head = counted("Head", "head", model.layers[0].heads, mean=True)  # type: ignore[union-attr, index]
    return row, layer, head


def counted(words: str, key: str, count: int, mean: bool) -> int | None:
    """One of ``count`` things, shown from 1; ``None`` is the mean over all, where there is one."""
    options = ["mean of all"] * mean + [str(k + 1) for k in range(count)]
    picked = pick(words, options, key)
    return None if picked == "mean of all" else int(picked) - 1


def strongest(table: pd.DataFrame) -> tuple[str, str, float]:
    """See :func:`recsys_lite.explain.strongest`; of a table with other lines than columns, such as gates, a cell."""
    if list(table.index) != list(table.columns):
        cells = table.stack()
        a, b = cells.abs().idxmax()
        return str(a), str(b), float(cells[(a, b)])
    fields = [n for n in table.index if n != "constant"]  # DLRM's vector without numbers is no field
    return explain.strongest(table.loc[fields, fields])


def show(
    view: View, data: str, task: str, chosen: str, table: pd.DataFrame, unit: str, signed: bool, row: int | None,
    cell: str, edits: Mapping[str, Any],
) -> None:  # fmt: skip
    """The map, in words and as a table."""
    a, b, value = strongest(table)
    sentence = f"{view.lead} of {name(chosen)} here is **{plain(a)} × {plain(b)}** ({value:.4g} {unit})."
    st.markdown(f"**What you see.** {sentence}", help=view.reading)
    if row is not None and data == "movielens-100k":
        dataset = load_dataset(data, task)
        record = edited(dataset, original(dataset, row), edits)
        st.caption(f"Row {row}: {tables.row_in_words(dataset, record)}.")
    figure = drawn(table, unit, signed)
    chart(figure, f"{view.words} of {name(chosen)}: strongest {a} × {b}, {value:.4g} {unit}.", "inside.map")
    notices.hover("What it does not prove", f"{view.caveat} The weights shown are those of seed 0. {chapter(chosen)}")
    flat = table.reset_index(names="field")
    file = f"{data}-{task}-{chosen}-inside"
    table_and_downloads(flat, [figure], file, sentence, "Table, downloads", cell)


def drawn(table: pd.DataFrame, unit: str, signed: bool) -> go.Figure:
    """The library's heat map, the same as in the chapters."""
    return plots.heatmap(table, signed=signed, unit=unit)
