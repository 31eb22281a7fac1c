"""Inside: what a trained model looks at: attention, pairs, cross blocks, and what a pair is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from recsys_lite import explain, explain_crosses, plots
from recsys_lite.data import DataUnavailable
from recsys_lite.fields import Rows
from recsys_lite.models import DHEN, GDCN, AutoInt, Model
from recsys_lite.models.cross_model import CrossModel

from . import beside, cells, tables
from .address import original
from .common import PLANTED, chapter, chart, load_dataset, load_model, name, table_and_downloads, trained
from .common import TASKS as ROW_TASKS
from .controls import number, pick, write_address

MOST_FIELDS = 12  # a pair of more fields takes too long to ablate while a reader waits
ROWS = 1000  # test rows of a mean
ABLATED = 1000


@dataclass(frozen=True)
class View:
    """A way to look into a model: its name, the models that have it, how to read it, what it does not prove."""

    words: str
    fits: Callable[[Model], bool]
    reading: str
    caveat: str
    by_row: bool = True
    layered: bool = False
    lead: str = "The strongest pair"  # what the largest cell is


TASKS = ROW_TASKS | {PLANTED: "Planted pairs: the truth is known"}


def _has_pairs(model: Model) -> bool:
    return hasattr(model, "pairs") or "FM" in type(model).__name__


VIEWS = {
    "attention": View(
        "Attention", lambda m: isinstance(m, AutoInt) or (isinstance(m, DHEN) and "attention" in m.config["modules"]),
        "A line is a field that looks, a column one that it looks at; each line sums to 1.",
        "A large weight is not a large effect: what is passed on also depends on the values and on the layers above.",
        layered=True,
    ),
    "pairs": View(
        "Pairs in the logit", _has_pairs,
        "Blue pairs push this row's logit up, red ones down. A mean over rows shows sizes instead.",
        "A strong pair is not a useful pair: two strong ones can cancel.",
    ),
    "blocks": View(
        "Cross weights", lambda m: isinstance(m, CrossModel),
        "How strongly a cross layer can multiply the field of a line with that of a column: a norm of weights.",
        "It is the weights' view, the same for all rows. A large weight on vectors that hardly vary does little.",
        by_row=False, layered=True,
    ),
    "gates": View(
        "Gates", lambda m: isinstance(m, GDCN),
        "A cell is a gate less ½, where training started: blue lets more of a field's products pass, red less.",
        "An open gate does not make a field important: what passes also depends on the weights before and after it.",
        lead="The gate that moved most",
    ),
    "strength": View(
        "Interaction found by swapping", lambda m: True,
        "How much of the logit only the pair explains: both fields are swapped for another row's, alone and together.",
        "Swapped rows may be ones that never occur.", by_row=False,
    ),
    "worth": View(
        "What a pair is worth", lambda m: True,
        "How much test log loss rises when that part of the logit is taken out: blue pairs help, red ones hurt.",
        "One seed's model on a thousand rows: small values are noise.", by_row=False,
    ),
}  # fmt: skip


@st.cache_data(show_spinner="Swapping fields …", max_entries=32)
def ablated(data: str, task: str, model: str) -> pd.DataFrame:
    """See :func:`recsys_lite.explain.interactions`, over some test rows."""
    rows = load_dataset(data, task).test[:ABLATED]
    return explain.interactions(load_model(data, task, model), rows)


def page() -> None:
    """The whole page."""
    st.title("What a model looks at")
    st.markdown("One trained model, the fields of a row against each other, seen in several ways.")
    first, second, third = st.columns(3)
    with first:
        known = {".".join(pair): pair for pair in TASKS if trained(*pair)}
        data, task = known[pick("Data and question", list(known), "data", lambda k: TASKS[known[k]])]
    try:
        dataset = load_dataset(data, task)
    except (DataUnavailable, ValueError) as error:
        st.error(f"**This data set cannot be shown.** {str(error).splitlines()[0]}")
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
    rows = dataset.test[:ROWS] if row is None else dataset.test[row]
    place = (data, task, chosen)
    table, unit, signed = computed(kind, place, rows, row, layer, head)
    show(view, data, task, chosen, table, unit, signed, row, cell(kind, place, row, layer, head))
    if small and kind in ("attention", "pairs", "blocks"):
        own = table if row is None else computed(kind, place, dataset.test[:ROWS], None, layer, head)[0]
        beside.show(view.words, own, ablated(*place), place, own_cell(kind, layer, head))
    chosen_so = {"data": f"{data}.{task}", "model": chosen, "view": kind}
    if view.by_row:
        chosen_so |= {"rows": "mean"} if row is None else {"rows": "one", "row": str(row)}
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


def computed(
    kind: str, place: tuple[str, str, str], rows: Rows, row: int | None, layer: int | None, head: int | None
) -> tuple[pd.DataFrame, str, bool]:
    """The table of a view, its unit, and whether it is signed."""
    model: Any = load_model(*place)
    if kind == "attention":
        return explain.attention(model, rows, layer, head), "weight", False
    if kind == "pairs":
        return explain.pair_strength(model, rows, signed=row is not None), "log-odds", row is not None
    if kind == "blocks":
        return explain.cross_strength(model, layer or 0), "norm", False
    if kind == "gates":
        return explain_crosses.open_gates(model, rows) - 0.5, "gate − ½", True
    names = [f.name for f in model.fields]
    if kind == "strength":
        return explain.square(ablated(*place), "strength", names), "log-odds", False
    return explain.square(ablated(*place), "log_loss", names), "log loss", True


def own_cell(kind: str, layer: int | None, head: int | None) -> str:
    """The call that makes the table of a view, of ``model`` and ``rows``."""
    return {
        "attention": f"explain.attention(model, rows, layer={layer}, head={head})",
        "pairs": "explain.pair_strength(model, rows, signed=len(rows) == 1)",
        "blocks": f"explain.cross_strength(model, layer={layer or 0})",
        "gates": "explain_crosses.open_gates(model, rows) - 0.5",
        "strength": 'explain.square(explain.interactions(model, rows), "strength", [f.name for f in model.fields])',
        "worth": 'explain.square(explain.interactions(model, rows), "log_loss", [f.name for f in model.fields])',
    }[kind]


def cell(kind: str, place: tuple[str, str, str], row: int | None, layer: int | None, head: int | None) -> str:
    """The notebook cell of a view."""
    return (
        cells.model_and_data(*place)
        + f"rows = dataset.test[{f':{ROWS}' if row is None else row}]\n"
        + f"table = {own_cell(kind, layer, head)}\ntable"
    )


def strongest(table: pd.DataFrame) -> tuple[str, str, float]:
    """The largest entry off the diagonal."""
    cells = table.stack()
    cells = cells[[a != b for a, b in cells.index]]
    a, b = cells.abs().idxmax()
    return str(a), str(b), float(cells[(a, b)])


def show(
    view: View, data: str, task: str, chosen: str, table: pd.DataFrame, unit: str, signed: bool, row: int | None,
    cell: str,
) -> None:  # fmt: skip
    """The map, in words and as a table."""
    a, b, value = strongest(table)
    sentence = f"{view.lead} of {name(chosen)} here is **{a} × {b}** ({value:.4g} {unit})."
    st.markdown(f"**What you see.** {sentence} {view.reading}")
    if row is not None and data == "movielens-100k":
        dataset = load_dataset(data, task)
        st.caption(f"Row {row}: {tables.row_in_words(dataset, original(dataset, row))}.")
    figure = drawn(table, unit, signed)
    chart(figure, f"{view.words} of {name(chosen)}: strongest {a} × {b}, {value:.4g} {unit}.", "inside.map")
    st.caption(f"What it does not prove. {view.caveat} The weights shown are those of seed 0. {chapter(chosen)}")
    flat = table.reset_index(names="field")
    file = f"{data}-{task}-{chosen}-inside"
    table_and_downloads(flat, [figure], file, sentence, "Table, downloads", cell)


def drawn(table: pd.DataFrame, unit: str, signed: bool) -> go.Figure:
    """The library's heat map, the same as in the chapters."""
    return plots.heatmap(table, signed=signed, unit=unit)
