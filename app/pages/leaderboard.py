"""Leaderboard: all stored runs of a data set and task, and which differences stand over the seeds."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from recsys_lite import plots
from recsys_lite.evaluation import report

from ..core.cache import results
from ..core.controls import pick, write_address
from ..core.names import METRICS, TASKS, chapter, name
from ..parts import cells, notices, run_tables
from ..parts.charts import chart
from ..parts.downloads import table_and_downloads


def page() -> None:
    """The whole page."""
    st.title(
        "Leaderboard",
        help="All models on the same rows, with the same seeds and the same tuning effort.",
    )
    left, right = st.columns(2)
    known = {".".join(pair): pair for pair in TASKS if results(*pair)}
    if not known:
        st.info("No stored runs yet. `make bench` trains the models and stores the numbers.")
        return
    with left:
        data, task = known[pick("Data and question", list(known), "data", lambda k: TASKS[known[k]])]
    runs = results(data, task)
    metrics = [m for m in METRICS if any(m in r["test"] for r in runs)]
    with right:
        metric = pick("Metric", metrics, "metric", METRICS.__getitem__)
    table = report.standings(runs, metric)
    models = list(table["model"])
    st.markdown(f"**What you see.** {sentence(table)}")
    shown = table.rename(columns={"model": "name"}).assign(name=[name(m) for m in models])
    figure = plots.intervals(table.rename(columns={"model": "name"}), axis=f"test {METRICS[metric]}")
    figure.update_yaxes(tickvals=models, ticktext=list(shown["name"]))
    figure.update_layout(margin={"t": 8})
    chart(figure, f"Test {metric} of {len(models)} models, mean and 95 % interval over seeds.", "leaderboard")
    cost = run_tables.cost_table(runs, models, {m: m for m in models}).set_index("model")
    whole = shown.drop(columns="p").assign(
        parameters=cost["parameters"].reindex(models).to_numpy(), seconds=cost["seconds"].reindex(models).to_numpy()
    )
    st.dataframe(whole, hide_index=True, width="stretch", column_config={
        **{c: st.column_config.NumberColumn(format="%.4f") for c in ("mean", "low", "high", "gap")},
        "parameters": st.column_config.NumberColumn(format="localized"),
        "seconds": st.column_config.NumberColumn(format="%.1f"),
    })  # fmt: skip
    notices.hover(
        "Intervals, verdicts, units",
        "Intervals and verdicts are over seeds of training only (Welch's test against the best, corrected for their "
        "number). Other test rows would move all models together and each a little apart; the book's leaderboard "
        "measures that too. Parameters of boosted trees are their nodes; seconds are one machine's.",
    )
    with st.expander("The models' chapters"):
        st.markdown("\n".join(f"- {name(m)}: {chapter(m)}" for m in models if chapter(m)))
    file = f"{data}-{task}-{metric}-leaderboard"
    cell = cells.standings(data, task, metric)
    table_and_downloads(whole, [figure], file, sentence(table), "Table, downloads", cell)
    write_address({"data": f"{data}.{task}", "metric": metric})


def sentence(table: pd.DataFrame) -> str:
    """The order in words, ties called ties."""
    best = table.iloc[0]
    level = [name(m) for m in table[table["verdict"] == "no difference"]["model"]]
    text = f"{name(best['model'])} has the best mean, {best['mean']:.4f} over {best['seeds']} seeds. "
    if level:
        return text + f"Within the noise of seeds of it: {', '.join(level)}."
    return text + "Every other model is worse by more than the noise of seeds."
