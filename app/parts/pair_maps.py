"""A model's own map beside what its logit does and, on planted data, beside the truth."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from scipy import stats

from recsys_lite import explain, plots
from recsys_lite.data.simulated.planted import planted_pairs
from recsys_lite.evaluation import metrics

from ..core.cache import load_dataset
from ..core.names import PLANTED, name, plain
from . import cells
from .charts import chart
from .downloads import table_and_downloads

ROWS = 1000  # test rows of a mean, and those that are swapped


def show(words: str, own: pd.DataFrame, swapped: pd.DataFrame, place: tuple[str, str, str], call: str) -> None:
    """Two or three maps of the same pairs, how far they agree, and the table.

    Args:
        words: the name of the model's own view.
        own: its table.
        swapped: see :func:`recsys_lite.explain.interactions`.
        place: data, task, model.
        call: Python that makes ``own`` of ``model`` and ``rows``.
    """
    st.subheader("The same pairs, seen in other ways")
    truth = planted_pairs(load_dataset(*place[:2])) if place[:2] == PLANTED else None
    table = explain.beside(own, swapped, truth)
    sentence = in_words(words, table)
    st.markdown(f"**What you see.** {sentence}")
    names = [n for n in own.index if n in set(table["a"]) | set(table["b"])]
    maps = {words: ("own", "weight"), "Found by swapping": ("swapped", "log-odds")}
    maps |= {"Planted": ("planted", "truth")} if truth is not None else {}
    figures = []
    for column, (title, (key, unit)) in zip(st.columns(len(maps)), maps.items(), strict=True):
        figure = plots.heatmap(explain.square(table, key, names), signed=False, unit=unit)
        figure.update_traces(showscale=False)
        figure.update_layout(height=340, margin={"t": 8})
        with column:
            st.markdown(f"**{title}**")
            chart(figure, f"{title}, {name(place[2])}: a map of pairs. {sentence}", f"beside.{key}")
        figures.append(figure)
    st.caption(
        f"Means over {ROWS:,} test rows; a pair is the mean of its two cells. Each map has a scale of its own.",
        help="*Swapping* takes both fields from another row, alone and together: what only the pair explains. It is no "
        "truth either: it tells what this model does with these rows.",
    )
    table_and_downloads(
        table, figures, f"{'-'.join(place)}-beside", sentence, "Table of the pairs, downloads", cell(place, call)
    )


def in_words(words: str, table: pd.DataFrame) -> str:
    """How far the views agree, and where they put the planted pairs."""
    constant = table["own"].nunique() < 2 or table["swapped"].nunique() < 2
    rho = float("nan") if constant else float(stats.spearmanr(table["own"], table["swapped"]).statistic)
    top = {key: table.loc[table[key].idxmax(), ["a", "b"]].tolist() for key in ("own", "swapped")}
    said = words[0].lower() + words[1:]
    text = (
        f"Over {len(table)} pairs of fields, {said} and swapping agree with a rank correlation of {rho:.2f}. The "
        f"strongest pair is {plain(' × '.join(top['own']))} by {said}, {plain(' × '.join(top['swapped']))} by swapping."
    )
    if "planted" in table:
        pairs = table[table["planted"] == 1]
        for key, label in (("own", said), ("swapped", "swapping")):
            places = table[key].rank(ascending=False, method="min")[pairs.index].astype(int)
            told = ", ".join(f"{p.a} × {p.b} at {places[p.Index]}" for p in pairs.itertuples())
            area = metrics.auc(table["planted"].to_numpy(), table[key].to_numpy())
            text += f" By {label} the planted pairs stand: {told} (AUC {area:.2f})."
    return text


def cell(place: tuple[str, str, str], call: str) -> str:
    """The notebook cell of the table."""
    known = place[:2] == PLANTED
    return (
        cells.model_and_data(*place)
        + f"rows = dataset.test[:{ROWS}]\nown = {call}\n"
        + "table = explain.beside(own, explain.interactions(model, rows)"
        + (", planted_pairs(dataset))" if known else ")")
        + "\ntable"
    )
