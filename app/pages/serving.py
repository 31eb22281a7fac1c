"""Serving cost: what N candidates cost, what tables weigh, what a budget is enough for, what an index loses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from recsys_lite import plots
from recsys_lite.plots.explorer import MARKS
from recsys_lite.plots.palette import NEUTRAL, RED, SERIES
from recsys_lite.retrieval import serving_cost
from recsys_lite.retrieval.serving_cost import WAYS, costs

from ..core.controls import pick, slide, write_address
from ..core.names import link
from ..parts import notices
from ..parts.charts import chart
from ..parts.downloads import table_and_downloads
from ..parts.serving_views import budget, cell, memory, thousands

SIZES = [m * 10**e for e in range(2, 6) for m in (1, 2, 5)] + [10**6]
GRID = [0.0] + [m * 10**e for e in range(-4, 3) for m in (1.0, 2.0, 5.0)] + [1000.0]  # microseconds
HITS = [0, 20, 40, 60, 80, 90, 95, 98, 99, 99.9, 100]  # percent
RECALLS = [0.8, 0.9, 0.95, 0.98, 0.99]
UNITS = {
    "u": "u: user part, a row among many", "once": "u₁: user part, a single row", "c": "c: item part",
    "d": "d: what joins them", "k": "k: look-up and best ones",
}  # fmt: skip
KEYS = [
    "n", *UNITS, "hit", "values", "dim", "format", "hash", "data", "budget", "vectors", "recall",
]  # fmt: skip


def page() -> None:
    """The whole page."""
    st.title(
        "What serving costs",
        help=(
            "Scoring a candidate is cheap or dear by where user and item meet. If they meet late, the user's part runs "
            "once and the items' vectors can be kept; if they meet early, everything runs for every pair."
        ),
    )
    for key in KEYS:  # a control that is not shown keeps its value
        if (place := f"control.{key}") in st.session_state:
            st.session_state[place] = st.session_state[place]
    view = pick("View", list(VIEWS), "view", {v: words for v, (words, _) in VIEWS.items()}.__getitem__)
    try:
        asked = VIEWS[view][1]()
    except ValueError as error:  # a results file is missing or damaged
        st.error(f"**This view cannot be shown.** {error}")
        asked = {}
    write_address({"view": view} | asked)


def cost() -> dict[str, str]:
    """The three formulas beside what was measured; returns the controls for the address."""
    measured = serving_cost.measured_units()
    first, second = st.columns(2)
    with first:
        n = slide("N: candidates", SIZES, 1000, "n", thousands)
    with second:
        hit = slide("Items whose vectors are cached, %", HITS, 100, "hit")
    unit = {}
    seen = st.container()  # sentence and chart stand above the sliders of the parts
    for (key, words), column in zip(UNITS.items(), st.columns(len(UNITS)), strict=True):
        with column:
            unit[key] = slide(f"{words}, µs", sorted({*GRID, measured[key]}), measured[key], key, "{:g}".format)
    given = unit | {"hit": hit / 100}
    table = serving_cost.cost_table(n, **given)
    sentence = cost_in_words(n, given, table)
    figure = cost_chart(n, given)
    with seen:
        st.markdown(f"**What you see.** {sentence}")
        chart(figure, f"Cost of three ways to serve against the number of candidates. {sentence}", "cost")
    notices.hover(
        "The three formulas",
        "every pair: N·(u + c + d) · user once: u₁ + N·(c + d) · items cached: u₁ + N·d + k + (1 − hit)·N·c. Marks: "
        "measured processor time of one thread on the machine that made the results, with all items cached. Times of "
        f"another machine differ; compare ratios. {worst_in_words()} {link('two_towers')} {link('split_network')}",
    )
    call = ", ".join(f"{key}={value!r}" for key, value in given.items())
    table_and_downloads(
        table, [figure], f"cost-{n}", sentence, "Table of the costs, downloads", cell(f"cost_table({n}, {call})")
    )
    return {"n": str(n), "hit": str(hit)} | {key: str(value) for key, value in unit.items()}


def cost_in_words(n: int, given: dict[str, float], table: pd.DataFrame) -> str:
    """Ratios at N, measured ones beside them, and what the cheapest way spends its cost on."""
    at, line = costs(n, **given), table[table["candidates"] == n].iloc[0]
    cheap = at["cached"]
    if cheap == 0:
        return "With these costs cached items cost nothing, so nothing is a multiple of them."
    pair, once = (
        f"{ratio:,.0f}" if (ratio := at[way] / cheap) >= 1000 else f"{ratio:.3g}" for way in ("every_pair", "user_once")
    )
    text = f"For {n:,} candidates every pair costs {pair} times as much as cached items, the user once {once} times"
    found = [line[f"{WAYS[way]}, measured"] for way in WAYS]
    if not any(np.isnan(found)):
        text += f" (measured, all items cached: {found[0] / found[2]:.3g} and {found[1] / found[2]:.3g})"
    parts = {
        "the user's part": given["once"], "the products": n * given["d"], "look-up and best ones": given["k"],
        "items missing in the cache": (1 - given["hit"]) * n * given["c"],
    }  # fmt: skip
    most = max(parts, key=lambda p: parts[p])
    more = n * given["c"] / 100 / cheap
    text += f". With cached items {parts[most] / cheap:.0%} of the cost is {most}"
    return text + (f"; each percent of the items missing in the cache adds {more:.1%}." if given["hit"] == 1 else ".")


def worst_in_words() -> str:
    """Where the formulas with the measured units are furthest from the measured times."""
    units = serving_cost.measured_units()
    ratios = [
        (found / costs(line["candidates"], **units)[way], line["candidates"], words)
        for _, line in serving_cost.measured_costs().iterrows() for way, words in WAYS.items()
        if not np.isnan(found := line[way])
    ]  # fmt: skip
    times, n, words = max(ratios, key=lambda r: abs(np.log(r[0])))
    return (
        f"With the measured units the formulas are furthest off at {n:,.0f} candidates, {words}: measured is "
        f"{times:.2g} times the formula."
    )


def cost_chart(n: int, given: dict[str, float]) -> go.Figure:
    """Three curves, the measured marks under them, and the chosen N."""
    sizes = np.geomspace(SIZES[0], SIZES[-1], 33)
    lines = [(m, value, WAYS[way]) for m in sizes for way, value in costs(m, **given).items()]
    frame = pd.DataFrame(lines, columns=["candidates", "microseconds", "way"])
    figure = plots.lines(
        frame[frame["microseconds"] > 0], "candidates", "microseconds", by="way", log_x=True, log_y=True
    )
    figure.update_traces(mode="lines", hovertemplate="%{x:,.0f}: %{y:,.4g} µs")
    found = serving_cost.measured_costs()
    marks = [
        go.Scatter(
            x=found["candidates"], y=found[way], mode="markers", name=f"{words}, measured",
            marker={"size": 10, "color": SERIES[k], "symbol": f"{MARKS[k]}-open", "line": {"width": 2}},
            hovertemplate="%{x:,.0f}: %{y:,.4g} µs",
        ) for k, (way, words) in enumerate(WAYS.items())
    ]  # fmt: skip
    figure.add_traces(marks)
    figure.data = (*figure.data[len(WAYS) :], *figure.data[: len(WAYS)])
    at = [value for value in costs(n, **given).values() if value > 0]
    reach = [*at, *found[list(WAYS)].min(), *found[list(WAYS)].max()]
    figure.add_scatter(
        x=[n, n], y=[min(reach), max(reach)], mode="lines", name=f"N = {n:,}", hoverinfo="skip",
        line={"color": NEUTRAL, "dash": "dot", "width": 2},
    )  # fmt: skip
    figure.add_scatter(
        x=[n] * len(at), y=at, mode="markers", showlegend=False, marker={"size": 8, "color": RED}, hoverinfo="skip"
    )
    figure.update_layout(margin={"t": 8}, height=420)
    figure.update_xaxes(title="candidates", exponentformat="SI", dtick=1)
    figure.update_yaxes(title="microseconds", exponentformat="SI", dtick=1)
    return figure


def index() -> dict[str, str]:
    """Recall against time of approximate search; returns the controls for the address."""
    sizes = serving_cost.index_sizes()
    first, second = st.columns(2)
    with first:
        vectors = slide("Vectors", sizes, 100_000 if 100_000 in sizes else sizes[0], "vectors", thousands)
    with second:
        wanted = slide("Recall that is asked for", RECALLS, 0.95, "recall")
    table = serving_cost.index_table(vectors)
    sentence = index_in_words(vectors, wanted, table)
    st.markdown(f"**What you see.** {sentence}")
    figure = index_chart(wanted, table)
    chart(figure, f"Recall of the ten best against time of a search, HNSW and IVF. {sentence}", "index")
    notices.hover(
        "To the upper left is good",
        "To the upper left is good. Measured with trained film vectors of 32 numbers and noise added, queries one by "
        "one, one thread; recall is the share found of the ten best of the exact search. In the "
        "table, build is in processor seconds of the measuring machine. Other vectors, or another setting "
        "of an index, can turn the order around. " + link("two_towers"),
    )
    table_and_downloads(
        table, [figure], f"index-{vectors}", sentence, "Table of the searches, downloads",
        cell(f"index_table({vectors})"),
    )  # fmt: skip
    return {"vectors": str(vectors), "recall": str(wanted)}


def index_in_words(vectors: int, wanted: float, table: pd.DataFrame) -> str:
    """The time at which each index reaches the recall, the frontier, the build."""
    said = []
    for kind in ("HNSW", "IVF"):
        line = serving_cost.reached(table, kind, wanted)
        if line is None:
            said.append(f"{kind} does not reach it")
            continue
        said.append(
            f"{kind} takes {line['time']:.2g} times as long as the exact search "
            f"(effort {line['effort']}, recall {line['recall']:.3f})"
        )
    kept = table[table["frontier"] & (table["index"] != "exact")]["index"].value_counts()
    on = " and ".join(f"{count} of {kind}" for kind, count in kept.items())
    build = table.groupby("index")["build"].max()
    return (
        f"Among {vectors:,} vectors, for a recall of {wanted:g}, {' and '.join(said)}. On the frontier, with no other "
        f"search as good and faster: {on or 'only the exact one'}. "
        f"Building HNSW took {build['HNSW'] / build['IVF']:.2g} times as long as building IVF."
    )


def index_chart(wanted: float, table: pd.DataFrame) -> go.Figure:
    """A line per index, the frontier, and the recall that is asked for."""
    axes = {"time": "time of a search, exact = 1", "recall": "recall of the ten best"}
    figure = plots.lines(table.rename(columns=axes), *axes.values(), by="index", log_x=True)
    for trace, mark in zip(figure.data, ("star", "circle", "diamond"), strict=True):
        part = table[table["index"] == trace.name]
        trace.update(
            customdata=part["effort"], marker={"size": 14 if mark == "star" else 9, "symbol": mark},
            hovertemplate="effort %{customdata}: recall %{y:.3f} at %{x:.3g}",
        )  # fmt: skip
    best = table[table["frontier"]].sort_values("time")
    figure.add_scatter(
        x=best["time"], y=best["recall"], mode="lines", name="frontier", hoverinfo="skip",
        line={"color": NEUTRAL, "dash": "dot", "shape": "hv"},
    )  # fmt: skip
    figure.add_scatter(
        x=[best["time"].min(), table["time"].max()], y=[wanted] * 2, mode="lines", name=f"recall {wanted:g}",
        line={"width": 1, "color": RED}, hoverinfo="skip",
    )  # fmt: skip
    figure.update_layout(margin={"t": 8}, height=400)
    figure.update_xaxes(tickvals=[m * 10**e for e in range(-3, 3) for m in (1, 2, 5)])
    return figure


VIEWS = {
    "cost": ("Cost of N candidates", cost), "memory": ("Memory of tables", memory),
    "budget": ("What a budget is enough for", budget), "index": ("Approximate search", index),
}  # fmt: skip
