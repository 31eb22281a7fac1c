"""The ways to look into a trained model: which models have which, its table, and the notebook cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from recsys_lite import explain
from recsys_lite.explain import crosses as explain_crosses
from recsys_lite.fields import Rows
from recsys_lite.models import DHEN, GDCN, AutoInt, Model
from recsys_lite.models.cross_model import CrossModel

from ..core.cache import load_dataset, load_model
from ..core.own import cached
from . import cells
from .pair_maps import ROWS


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
        "Blue pairs push this row's logit up, orange ones down. A mean over rows shows sizes instead.",
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
        "A cell is a gate less ½, where training started: blue lets more of a field's products pass, orange less.",
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
        "How much test log loss rises when that part of the logit is taken out: blue pairs help, orange ones hurt.",
        "One seed's model on a thousand rows: small values are noise.", by_row=False,
    ),
}  # fmt: skip


@cached(st.cache_data, show_spinner="Swapping fields …", max_entries=32)
def ablated(data: str, task: str, model: str) -> pd.DataFrame:
    """See :func:`recsys_lite.explain.interactions`, over some test rows."""
    rows = load_dataset(data, task).test[:ROWS]
    return explain.interactions(load_model(data, task, model), rows)


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


def cell(
    kind: str, place: tuple[str, str, str], row: int | None, layer: int | None, head: int | None,
    edits: Mapping[str, Any],
) -> str:  # fmt: skip
    """The notebook cell of a view."""
    changed = f"dataset.encode(dataset.decode(dataset.test, {row}) | {dict(edits)!r})"
    return (
        cells.model_and_data(*place)
        + f"rows = {changed if edits else f'dataset.test[{row}]' if row is not None else f'dataset.test[:{ROWS}]'}\n"
        + f"table = {own_cell(kind, layer, head)}\ntable"
    )
