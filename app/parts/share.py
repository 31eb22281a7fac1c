"""What a reader sends to others: a card of the stage as a PNG, made here, with the address that brings it back."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import streamlit as st

from recsys_lite.data.simulated.planted import planted_probability
from recsys_lite.fields import Dataset, Rows
from recsys_lite.plots.card import Column, card

from ..core.address import State, as_text, link
from ..core.names import ROWS, brief
from ..core.own import OWN, listed
from . import stage, tables

MOST_EDITS = 3  # named on a card; more are counted


def button(
    state: State, dataset: Dataset, rows: Rows, scores: Sequence[tables.Score], about: str, shown: stage.Shown
) -> None:  # fmt: skip
    """The button that makes the card when it is pressed, and not before.

    Args:
        state: what the reader chose.
        dataset: of the row.
        rows: the row before and after the edits.
        scores: of the models.
        about: the row in words, see :func:`tables.row_in_words`.
        shown: what stands on the stage.
    """
    base = (st.context.url or "").split("?")[0]
    st.download_button(
        "Share card",
        lambda: drawn(state, dataset, rows, scores, about, shown, base),
        f"recsys-lite-{state.data}-row{state.row}.png", "image/png", on_click="ignore", key="share.card",
        type="tertiary", icon=":material/image:",
        help="A picture of models, scores and maps, with the address that brings them back.",
    )  # fmt: skip


def drawn(
    state: State, dataset: Dataset, rows: Rows, scores: Sequence[tables.Score], about: str, shown: stage.Shown,
    base: str,
) -> bytes:  # fmt: skip
    """The card as a PNG."""
    end, columns = stage.limit(list(shown.maps.values())), []
    planted = shown.truth
    pairs = [] if planted is None else [(a, b) for a in planted for b in planted if a < b and planted.loc[a, b]]
    if planted is not None:
        was, now = (float(p) for p in planted_probability(dataset, rows))
        columns.append(Column("Truth", tables.percent(now), change(state, now, was), planted, 1.0, "planted pairs"))
    for s in scores:
        note = change(state, s.probability(), s.probability("original"))
        unit = f"log-odds, full colour at ±{end:.2g}"
        columns.append(
            Column(brief(s.model), tables.percent(s.probability()), note, shown.maps[s.model], end, unit, pairs)
        )
    address = f"{base}?{urlencode(link(state), safe=',|')}"
    if state.data == OWN:
        address = "data and models of the reader's own session: no address brings them back"
    foot = [address, "recsys-lite explorer · weights of seed 0 · effects found by swapping fields with other test rows"]
    return card(title(state, about), columns, shown.told, foot, shown.short)


def change(state: State, now: float, was: float) -> str:
    """How the edits moved a chance, in words; nothing without edits."""
    return f"{100 * (now - was):+.1f} points by the edits".replace("-", "−") if state.edits else ""


def title(state: State, about: str) -> str:
    """The data, the row and what was changed in it."""
    data = (ROWS | listed())[state.data, state.task].split(":")[0]
    edits = ", ".join(f"{k.replace('_', ' ')} {as_text(v) or 'missing'}" for k, v in state.edits.items())
    if len(state.edits) > MOST_EDITS:
        edits = f"{len(state.edits)} fields"
    told = "" if about.startswith("a made-up") else f", {about.replace('*', '')}"
    return f"{data}, row {state.row}{told}" + (f", changed: {edits}" if edits else "")
