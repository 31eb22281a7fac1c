"""What stored runs and the test part say of the chosen models: quality, cost, training, calibration, kinds of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from recsys_lite import plots
from recsys_lite.evaluation import metrics, slices
from recsys_lite.plots.explorer import apart, grouped_intervals, seed_curves
from recsys_lite.plots.palette import NEUTRAL

from ..core.address import ABOUT, State
from ..core.cache import load_dataset, record, results, test_predictions
from ..core.controls import hold, keep
from ..core.names import METRICS, name, short_metric
from . import cells, notices, run_tables
from .charts import chart
from .downloads import table_and_downloads

BINS = 10


def show_models(state: State, models: dict[str, Any]) -> None:
    """One of the views on the chosen models."""
    st.header("Quality and cost")
    views = ["calibration"] if state.data == "planted" else list(ABOUT)  # of these no runs over seeds are stored
    about = state.about if state.about in views else views[0]
    st.segmented_control(
        "About these models", views, format_func=ABOUT.__getitem__, required=True,
        key=hold("compare.about", about), on_change=keep, args=(state, "about", "compare.about"),
    )  # fmt: skip
    names = {m: name(m) for m in models}
    {"quality": quality, "training": training, "calibration": calibration, "slices": kinds}[about](state, names)


def runs_of(state: State, names: Mapping[str, str]) -> tuple[list[dict[str, Any]], str]:
    """The stored runs and the chosen metric; says so where there are none."""
    runs = results(state.data, state.task)
    if not any(r["model"] in names for r in runs):
        st.info("No stored runs of these models on this data yet. `make bench` trains them and stores the numbers.")
        return [], state.metric
    known = [k for k in METRICS if any(k in r["test"] for r in runs)]
    metric = state.metric if state.metric in known else known[0]
    st.selectbox(
        "Metric", known, format_func=METRICS.__getitem__, key=hold("compare.metric", metric), width=320,
        on_change=keep, args=(state, "metric", "compare.metric"),
    )  # fmt: skip
    return runs, metric


def quality(state: State, names: Mapping[str, str]) -> None:
    """A test metric with intervals over seeds, and what a run costs."""
    runs, metric = runs_of(state, names)
    if not runs:
        return
    measured = run_tables.metric_table(runs, metric, list(names))
    sentence = run_tables.metric_sentence(runs, measured, metric, names)
    st.markdown(f"**What you see.** {sentence}")
    interval = plots.intervals(measured, axis=f"test {METRICS[metric]}")
    interval.update_layout(margin={"t": 8})
    interval.update_yaxes(tickvals=list(measured["name"]), ticktext=[names[m] for m in measured["name"]])
    left, right = st.columns(2)
    with left:
        st.markdown("**Test metric**, mean and 95 % interval over seeds")
        chart(interval, sentence, "intervals", title=f"Test {short_metric(metric)}, mean and 95 % interval over seeds")
    with right:
        st.markdown("**Cost** of a run")
        measured_times = (state.data, state.task) == ("movielens-100k", "click")
        ranking = record("comparison").get("ranking", []) if measured_times else []
        times = {line["model"]: line["ratio"] for line in ranking}
        cost = run_tables.cost_table(runs, list(names), names)
        if times:
            cost["times"] = [times.get(m) for m in names if any(r["model"] == m for r in runs)]
        st.dataframe(cost, hide_index=True, width="stretch", column_config={
            "parameters": st.column_config.NumberColumn(format="localized"),
            "seconds": st.column_config.NumberColumn(format="%.1f"),
            "best epoch": st.column_config.NumberColumn(format="%.0f"),
            "times": st.column_config.NumberColumn("time to score", format="%.1f ×"),
        })  # fmt: skip
        told = "Medians over seeds. The seconds are those of one machine: compare them with each other only."
        notices.hover("Units", told + " Time to score 1,000 rows: that of logistic regression is 1." * bool(times))
    table_and_downloads(
        measured.assign(name=measured["name"].map(names)), [interval], f"{state.data}-{state.task}-{metric}", sentence,
        "Table of the metric, downloads", cells.intervals(state.data, state.task, metric, list(names)),
    )  # fmt: skip


def training(state: State, names: Mapping[str, str]) -> None:
    """Curves of all seeds, with an epoch to stop at."""
    runs, metric = runs_of(state, names)
    if not runs:
        return
    curve = run_tables.curve_table(runs, list(names))
    last = int(curve["epoch"].max())
    epoch = min(state.epoch, last) or last
    st.slider(
        "Epoch", 1, last, key=hold("compare.epoch", epoch), on_change=keep, args=(state, "epoch", "compare.epoch"),
        help="Training stopped early where the validation part no longer got better.",
    )  # fmt: skip
    sentence = epoch_sentence(curve, metric, epoch, names)
    st.markdown(f"**What you see.** {sentence}")
    short = short_metric(metric)
    figures = []
    for column, y, title in zip(
        st.columns(2), ("train_loss", metric), ("Training loss", f"Validation {short}"), strict=True
    ):
        figure = seed_curves(curve, y, names=names, axis=title.lower() if y == "train_loss" else f"validation {short}")
        figure.add_vline(x=epoch, line={"dash": "dot", "color": NEUTRAL})
        figure.update_layout(margin={"t": 8})
        with column:
            st.markdown(f"**{title}** per epoch, a line per seed")
            chart(figure, f"{title} per epoch. {sentence}", f"curve.{y}")
        figures.append(figure)
    table_and_downloads(
        curve, figures, f"{state.data}-{state.task}-{metric}-curves", sentence, "Table of the curves, downloads",
        cells.curves(state.data, state.task, list(names)),
    )  # fmt: skip


def epoch_sentence(curve: pd.DataFrame, metric: str, epoch: int, names: Mapping[str, str]) -> str:
    """Where each model stands after an epoch, as a mean over the seeds that still train."""
    told = []
    for model, label in names.items():
        mine = curve[curve["model"] == model]
        now = mine[mine["epoch"] == epoch][metric]
        if now.empty:
            told.append(f"{label} had stopped")
        else:
            seeds = mine["seed"].nunique()
            still = f" ({len(now)} of {seeds} seeds still train)" if len(now) < seeds else ""
            told.append(f"{label} {now.mean():.4f}{still}")
    return f"After epoch {epoch} the mean validation {short_metric(metric)} is: {', '.join(told)}."


def calibration(state: State, names: Mapping[str, str]) -> None:
    """Mean prediction against observed rate."""
    label = load_dataset(state.data, state.task).test.label
    assert label is not None
    parts = {m: metrics.calibration_table(label, test_predictions(state.data, state.task, m), BINS) for m in names}
    table = pd.concat([t.assign(model=m) for m, t in parts.items()], ignore_index=True)
    gap = {m: float(np.average((t["predicted"] - t["observed"]).abs(), weights=t["rows"])) for m, t in parts.items()}
    best, worst = min(gap, key=gap.__getitem__), max(gap, key=gap.__getitem__)
    sentence = (
        f"Of all rows {float(label.mean()):.1%} are positive. Bin by bin, {names[best]} is off by {gap[best]:.3f} on "
        "average"
    )
    sentence += f", {names[worst]} by {gap[worst]:.3f}." if best != worst else "."
    st.markdown(f"**What you see.** {sentence}")
    figure = plots.calibration(parts)
    figure.for_each_trace(lambda t: t.update(name=names.get(t.name, t.name)))
    apart(figure)
    figure.update_layout(margin={"t": 8}, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
    chart(figure, sentence, "calibration", title="Calibration on the test part")
    notices.hover(
        "Bins and intervals",
        "On the dotted line a chance of 0.3 comes true in 3 of 10 rows. "
        f"{BINS} bins of equally many test rows; bars: 95 % Wilson intervals of the observed rate. A model can order "
        "rows well and still be off here, and the other way round. Weights of seed 0.",
    )
    table_and_downloads(
        table.assign(model=table["model"].map(names)), [figure], f"{state.data}-{state.task}-calibration", sentence,
        "Table of the bins, downloads", cells.bins(state.data, state.task, list(names), BINS),
    )  # fmt: skip


@st.cache_data(show_spinner="Scoring kinds of rows …", max_entries=32)
def by_slice(data: str, task: str, models: tuple[str, ...]) -> pd.DataFrame:
    """See :func:`recsys_lite.evaluation.slices.auc_by_slice`."""
    return slices.auc_by_slice(load_dataset(data, task), {m: test_predictions(data, task, m) for m in models})


def kinds(state: State, names: Mapping[str, str]) -> None:
    """AUC by how much training knew of the user, the film or the row."""
    table = by_slice(state.data, state.task, tuple(names))
    table = table.assign(model=table["model"].map(names))
    sentence = slice_sentence(table)
    st.markdown(f"**What you see.** {sentence}")
    figures = []
    for column, (by, part) in zip(st.columns(table["by"].nunique()), table.groupby("by", sort=False), strict=True):
        figure = grouped_intervals(
            part, "group", "model", axis="test AUC within the group", of=dict(zip(names.values(), names, strict=True))
        )
        with column:
            st.markdown(f"**By {by}** in training" if "training" not in str(by) else f"**By {by}**")
            chart(figure, f"AUC by {by}. {sentence}", f"slices.{by}")
        figures.append(figure)
    notices.hover(
        "Intervals and groups",
        "Bars: 95 % intervals over rows (DeLong), which take rows for independent; those of one person are not. "
        "Groups differ in who and what is in them, so a lower AUC need not mean that less training is the cause. "
        "Weights of seed 0.",
    )
    table_and_downloads(
        table, figures, f"{state.data}-{state.task}-slices", sentence, "Table of the groups, downloads",
        cells.slices(state.data, state.task, list(names)),
    )  # fmt: skip


def slice_sentence(table: pd.DataFrame) -> str:
    """For each kind of group the best model at both ends, and whether the intervals leave that open."""
    told = []
    for by, part in table.groupby("by", sort=False):
        groups = list(dict.fromkeys(part["group"]))
        ends = []
        for group in (groups[0], groups[-1]):
            rows = part[(part["group"] == group) & part["auc"].notna()].sort_values("auc", ascending=False)
            if rows.empty:
                ends.append(f"{group}: too few rows")
                continue
            best, rest = rows.iloc[0], rows.iloc[1:]
            overlaps = not rest.empty and bool((rest["high"] >= best["low"]).any())
            ends.append(f"{group}: {best['model']} {best['auc']:.3f}" + (" (intervals overlap)" if overlaps else ""))
        told.append(f"By {by}, the highest AUC is at {'; at '.join(ends)}.")
    return " ".join(told)
