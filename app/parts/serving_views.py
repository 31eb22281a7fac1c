"""The page on serving: memory of embedding tables, and what fits into a budget."""

from __future__ import annotations

from collections import Counter
from textwrap import dedent
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from recsys_lite import plots
from recsys_lite.evaluation.compare import MARGINS, WORDS, word_of
from recsys_lite.plots.explorer import grouped_intervals
from recsys_lite.plots.palette import BLUE, NEUTRAL, ORANGE, RED
from recsys_lite.retrieval import serving_cost
from recsys_lite.retrieval.quantise import BITS, shared, table_bytes

from ..core.controls import pick, slide
from ..core.names import NAMES, link, name
from . import notices
from .charts import chart
from .downloads import table_and_downloads

DATA = {"movielens-100k": "MovieLens", "criteo-sample": "Criteo"}
VALUES = [m * 10**e for e in range(3, 9) for m in (1, 2, 5)] + [10**9]
DIMS = [4, 8, 16, 32, 64, 128, 256]
NO_HASH = "none"
HASHED = [NO_HASH, *(10**e for e in range(8, 3, -1))]
BUDGETS = [m * 10**e for e in range(3) for m in (1, 2, 5)] + [1000]
LINES = {"float32": "float32", "float16": "float16, bfloat16", "int8": "int8", "int4": "int4"}
TWO_TOWERS = f"two towers with cached items take for {serving_cost.BASE:,} candidates"


def thousands(n: Any) -> str:
    """A number with commas; words as they are.

    Example:
        >>> thousands(12345), thousands("none")
        ('12,345', 'none')
    """
    return n if isinstance(n, str) else f"{n:,.0f}"


def about(n: float) -> str:
    """A number with two digits that count.

    Example:
        >>> about(163_666), about(855)
        ('160,000', '860')
    """
    return thousands(float(f"{n:.2g}"))


def size(count: float) -> str:
    """Bytes in words, in powers of 1,000.

    Example:
        >>> size(2_560_000_000), size(692_928), size(12)
        ('2.56 GB', '693 kB', '12 B')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.4g} TB"


def memory() -> dict[str, str]:
    """Bytes of a table, and what fewer bits did to the book's models; returns the controls for the address."""
    first, second, third, fourth, fifth = st.columns(5)
    with first:
        values = slide("Values of the vocabulary", VALUES, 10**7, "values", thousands)
    with second:
        dim = slide("Numbers of a row", DIMS, 64, "dim")
    with third:
        kind = slide("Number format", list(BITS), "int8", "format")
    with fourth:
        hashed = slide("Hashed into rows", HASHED, NO_HASH, "hash", thousands)
    with fifth:
        data = pick("AUC measured on", list(DATA), "data", DATA.__getitem__)
    buckets = None if hashed == NO_HASH else int(hashed)
    table, runs = serving_cost.memory_table(values, dim, buckets), serving_cost.quantised_runs(data)
    sentence = memory_in_words(values, dim, kind, buckets, table) + " " + auc_in_words(runs, kind, data)
    st.markdown(f"**What you see.** {sentence}")
    first_chart, second_chart = bytes_chart(values, dim, kind, buckets), auc_chart(runs)
    left, right = st.columns(2)
    with left:
        st.markdown("**Bytes of one table**")
        chart(first_chart, f"Bytes of a table against its vocabulary, a line per number format. {sentence}", "bytes")
    with right:
        st.markdown(f"**Test AUC against float32, {DATA[data]}**")
        chart(second_chart, f"Difference of the AUC to float32, by number format and model. {sentence}", "quantised")
    notices.hover(
        "How it was measured",
        "Integers: symmetric, with a scale per row; a table of single numbers has one scale for all. Measured are the "
        "stored models of seed 0, rounded after training and not trained again; 95 % intervals of the paired "
        f"difference over the test part, {len(runs) - runs['model'].nunique()} of them: one in twenty leaves 0 out "
        f"by chance. What hashing does to the AUC is not measured: it needs training. {link('building_blocks')}",
    )
    table_and_downloads(
        table, [first_chart], "table-bytes", sentence, "Table of the bytes, downloads",
        cell(f"memory_table({values}, {dim}, buckets={buckets})"),
    )  # fmt: skip
    shown = runs.drop(columns=["dataset", "task", "tables"]).assign(model=[name(m) for m in runs["model"]])
    table_and_downloads(
        shown, [second_chart], f"quantised-{data}", sentence, "Table of the AUCs, downloads",
        cell(f'quantised_runs("{data}")'),
    )  # fmt: skip
    return {"values": str(values), "dim": str(dim), "format": kind, "hash": str(hashed), "data": data}


def memory_in_words(values: int, dim: int, kind: str, buckets: int | None, table: pd.DataFrame) -> str:
    """What the table takes, beside float32 and the book's largest."""
    line = table.set_index("format").loc[kind]
    book = serving_cost.book_tables()
    largest = book.loc[book["bytes"].idxmax()]
    text = f"{values:,} values × {dim} numbers take {size(table_bytes(values, dim))} in float32"
    if buckets is not None and buckets < values:
        text += (
            f". Hashed into {buckets:,} rows, in {kind}, they take {size(line['bytes'])}, {line['share']:.2%} of it, "
            f"and {shared(values, buckets):.1%} of the values share their row with another"
        )
    elif kind != "float32":
        text += f" and {size(line['bytes'])} in {kind}, {line['share']:.0%} of it"
    times = table_bytes(values, dim) / largest["bytes"]
    return (
        f"{text}. The largest table of the models measured here ({DATA[largest['dataset']]}, {largest['values']:,} × "
        f"{largest['dim']}) takes {size(largest['bytes'])} in float32: the one chosen takes "
        f"about {about(times)} times as much."
    )


def auc_in_words(runs: pd.DataFrame, kind: str, data: str) -> str:
    """What a format did to the models' AUC."""
    part = runs[runs["format"] == kind]
    in_tables = [sum(v * d for v, d in shapes) for shapes in part["tables"]]
    held = [t / (t + other) for t, other in zip(in_tables, part["other weights"], strict=True)]
    share = f"Of their weights {min(held):.0%} to {max(held):.0%} are in tables."
    if kind == "float32":
        return f"float32 is what the models of {DATA[data]} were trained in. {share}"
    low, high = part["difference"].min(), part["difference"].max()
    words = Counter(word_of(r.low, r.high, "auc") for r in part.itertuples())
    found = ", ".join(f"{words[word]} {word.replace('δ', str(MARGINS['auc']))}" for word in WORDS if words[word])
    return f"On {DATA[data]}, {kind} moves the AUC of {len(part)} models by {low:+.5f} to {high:+.5f}: {found}. {share}"


def bytes_chart(values: int, dim: int, kind: str, buckets: int | None) -> go.Figure:
    """A line per format; the chosen table as a star, the book's tables as dots."""
    lines = [(n, table_bytes(n, dim, k, buckets), words) for k, words in LINES.items() for n in VALUES]
    frame = pd.DataFrame(lines, columns=["values", "bytes", "format"])
    figure = plots.lines(frame, "values", "bytes", by="format", log_x=True, log_y=True)
    figure.update_traces(mode="lines")
    book = serving_cost.book_tables()
    said = [
        f"{DATA[b.dataset]}, {b.values:,} × {b.dim}<br>{', '.join(NAMES.get(m, m) for m in b.models.split(', '))}"
        for b in book.itertuples()
    ]
    figure.add_scatter(
        x=book["values"], y=book["bytes"], mode="markers", name="models of the book, float32", text=said,
        marker={"size": 9, "color": NEUTRAL, "symbol": "circle-open"},
        hovertemplate="%{text}: %{y:.3s}B<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=[values], y=[table_bytes(values, dim, kind, buckets)], mode="markers", name="chosen",
        marker={"size": 15, "color": RED, "symbol": "star"},
    )  # fmt: skip
    figure.update_layout(margin={"t": 8}, height=380)
    figure.update_yaxes(title="size of the table", exponentformat="SI", ticksuffix="B")
    figure.update_xaxes(title="values of the vocabulary", exponentformat="B")
    return figure


def auc_chart(runs: pd.DataFrame) -> go.Figure:
    """Differences to float32, a group per format."""
    table = runs[runs["format"] != "float32"].drop(columns="auc").rename(columns={"difference": "auc"})
    table["model"] = [name(m) for m in table["model"]]
    of = {name(m): m for m in runs["model"]}
    figure = grouped_intervals(table, "format", "model", axis="AUC − AUC in float32", of=of, height=380)
    figure.add_vline(0, line={"width": 1, "dash": "dot", "color": NEUTRAL})
    return figure


def budget() -> dict[str, str]:
    """How many candidates fit, and the stages of a funnel; returns the controls for the address."""
    chosen = slide(f"Budget: times what {TWO_TOWERS}", BUDGETS, 10, "budget", thousands)
    table = serving_cost.budget_table(chosen)
    sentence = budget_in_words(chosen, table)
    st.markdown(f"**What you see.** {sentence}")
    figure = budget_chart(table)
    chart(figure, f"Candidates that each way of serving scores within the budget. {sentence}", "budget")
    notices.hover(
        "How it was measured",
        "Between measured sizes along a straight line of logarithms; a triangle where the measurements end. Processor "
        "time of one thread, two files of one machine, each with towers of its own as the unit: ratios, no promises. "
        f"Diamonds: the formulas of the view *Cost*, at a full cache. {link('split_network')}",
    )
    table_and_downloads(
        table, [figure], f"budget-{chosen}", sentence, "Table of the candidates, downloads",
        cell(f"budget_table({chosen})"),
    )  # fmt: skip
    st.subheader("Stages of a funnel")
    stages = serving_cost.funnel_stages()
    models = {stage: f"{stage}: {name(model)}" for stage, model in serving_cost.funnel_models().items()}
    long = stages.melt("candidates", var_name="stage", value_name="time").replace({"stage": models})
    figure = plots.lines(long, "candidates", "time", by="stage", log_x=True, log_y=True)
    figure.update_layout(margin={"t": 8})
    figure.update_yaxes(title=f"time, retrieval of {stages['candidates'].iloc[0]} = 1", dtick=1)
    figure.update_xaxes(dtick=1)
    sentence = stages_in_words(stages)
    st.markdown(f"**What you see.** {sentence}")
    chart(figure, f"Time of a funnel's stages against the number of candidates. {sentence}", "stages")
    notices.hover("How it was measured", "One request on MovieLens at a time, one thread.")
    table_and_downloads(
        stages, [figure], "funnel-stages", sentence, "Table of the stages, downloads", cell("funnel_stages()")
    )
    return {"budget": str(chosen)}


def budget_in_words(chosen: int, table: pd.DataFrame) -> str:
    """What fits, from most to least."""
    count = {
        (one.group, one.system): about(one.candidates) + (f" or {one.open}" if one.open else "")
        for one in table.itertuples()
    }
    ways = [count[serving_cost.TOWERS, words] for words in serving_cost.WAYS.values()]
    models = table[table["group"] == serving_cost.MODELS]
    whole = models[models["system"].isin([serving_cost.SYSTEMS[m] for m in ("fm", "dlrm", "dcn_v2", "dhen")])]
    listed = ", ".join(f"{one.system} {count[one.group, one.system]}" for one in whole.itertuples())
    times = "In the time that" if chosen == 1 else f"In {chosen:,} times the time that"
    return (
        f"{times} {TWO_TOWERS}, the same towers score about {ways[2]} candidates with cached items, {ways[1]} if only "
        f"the user runs once, and {ways[0]} pair by pair. Models that read whole pairs: {listed}."
    )


def budget_chart(table: pd.DataFrame) -> go.Figure:
    """Candidates of each system, the most on top of its group."""
    figure = plots.empty(
        height=120 + 30 * len(table), legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"}, margin={"t": 8}
    )
    order: list[str] = []
    for group, tint in ((serving_cost.TOWERS, BLUE), (serving_cost.MODELS, ORANGE)):
        part = table[table["group"] == group].sort_values("candidates", ascending=False, kind="stable")
        order += part["system"].tolist()
        figure.add_scatter(
            x=part["candidates"], y=part["system"], mode="markers", name=group, text=part["open"],
            marker={"size": 11, "color": tint}, hovertemplate="%{y}: %{x:,.0f} %{text}<extra></extra>",
        )  # fmt: skip
    ends = table[table["open"] != ""]
    figure.add_scatter(
        x=ends["candidates"], y=ends["system"], mode="markers", name="or beyond: measurements end", hoverinfo="skip",
        marker={
            "size": 18, "color": NEUTRAL, "line": {"width": 2},
            "symbol": ["triangle-right-open" if o == "more" else "triangle-left-open" for o in ends["open"]],
        },
    )  # fmt: skip
    by_formula = table.dropna(subset=["formula"])
    by_formula = by_formula[by_formula["formula"] >= 1]  # a logarithmic axis has no 0
    figure.add_scatter(
        x=by_formula["formula"], y=by_formula["system"], mode="markers", name="by formula",
        marker={"size": 11, "color": NEUTRAL, "symbol": "diamond-open"},
        hovertemplate="%{y}, formula: %{x:,.0f}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title="candidates", type="log", exponentformat="SI", dtick=1)
    figure.update_yaxes(categoryorder="array", categoryarray=order[::-1])
    return figure


def stages_in_words(stages: pd.DataFrame) -> str:
    """What the heavy stage costs for all, and for a few."""
    models = {stage: name(model) for stage, model in serving_cost.funnel_models().items()}
    last, some = stages.iloc[-1], stages[stages["candidates"] == 100].iloc[0]
    return (
        f"To rank all {last['candidates']:,.0f} films, {models['heavy']} takes {last['heavy']:.1f} times as long as "
        f"{models['retrieval']} for the {stages['candidates'].iloc[0]} best of them; for {some['candidates']:,.0f} "
        f"films {some['heavy']:.1f} times. {models['medium']}: {last['medium']:.1f} and {some['medium']:.1f} times."
    )


def cell(call: str) -> str:
    """The notebook cell of a table that the library makes by one call."""
    return dedent(f"""\
        from recsys_lite.retrieval import serving_cost

        table = serving_cost.{call}
        table
        """)
