"""What two models trained on the reader's data came to: quality, learning curves, calibration, worth of columns."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from recsys_lite import plots
from recsys_lite.evaluation import metrics
from recsys_lite.fields import Dataset
from recsys_lite.plots.explorer import grouped_intervals, seed_curves
from recsys_lite.plots.palette import NEUTRAL

from ..core.names import name, plain
from .charts import chart
from .downloads import table_and_downloads

METRIC = {"auc": "AUC", "log_loss": "log loss"}
MOST_COLUMNS = 12  # that the chart of worth shows


def show(
    outcome: Mapping[str, pd.DataFrame], dataset: Dataset, options: Mapping[str, Any], schema: Mapping[str, str],
    seed: int, budget: Mapping[str, Any],
) -> None:  # fmt: skip
    """All views of a training, four charts in a square, their tables below."""
    quality, curve, bins, worth = (outcome[k] for k in ("quality", "curves", "calibration", "worth"))
    names = {m: name(m) for m in quality["model"]}
    words = in_words(outcome, dataset, names)
    st.subheader("On the test rows")
    st.markdown(f"**What you see.** {words}")
    side_by_side(quality, outcome["gaps"], names)
    area = plots.intervals(
        quality.rename(columns={"model": "name", "auc": "mean", "auc low": "low", "auc high": "high"}), axis="test AUC"
    )
    area.update_layout(height=300)
    area.add_vline(x=0.5, line={"dash": "dot", "color": NEUTRAL})
    area.update_yaxes(tickvals=list(names), ticktext=list(names.values()))
    learnt = seed_curves(curve, "log_loss", names=names, axis="validation log loss")
    calibration = plots.calibration({str(m): part for m, part in bins.groupby("model", sort=False)})
    calibration.for_each_trace(lambda t: t.update(name=names.get(t.name, t.name)))
    top = list(dict.fromkeys(worth["field"]))[:MOST_COLUMNS]
    shown = worth[worth["field"].isin(top)].rename(columns={"worth": "auc"})
    fields = grouped_intervals(
        shown.assign(field=shown["field"].map(escape), model=shown["model"].map(names)), "field", "model",
        axis="rise of the log loss", of={v: k for k, v in names.items()},
    )  # fmt: skip
    said = {
        "quality": (area, quality, "AUC and 95 % interval", words),
        "curves": (learnt, curve, "Validation log loss per epoch", curve_words(quality, names)),
        "calibration": (calibration, bins, "Calibration", bin_words(bins, names)),
        "worth": (fields, worth, "What a column is worth", worth_words(worth, names)),
    }
    both = [*st.columns(2), *st.columns(2)]
    for column, (key, (figure, _, title, sentence)) in zip(both, said.items(), strict=True):
        figure.update_layout(margin={"t": 8}, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
        with column:
            st.markdown(f"**{title}**")
            chart(figure, f"{title}. {sentence}", f"own_data.{key}")
            if key != "quality":
                st.caption(plain(sentence))
    said["gaps"] = (area, outcome["gaps"], "Differences", words)
    for key, (figure, data, title, sentence) in said.items():
        named = "verdict" if key == "gaps" else "model"
        table_and_downloads(
            data.assign(**{named: data[named].replace(names)}), [figure], f"own-data-{key}", sentence,
            f"{title}: table, downloads", cell(key, options, schema, list(names), seed, budget),
        )  # fmt: skip


def in_words(outcome: Mapping[str, pd.DataFrame], dataset: Dataset, names: Mapping[str, str]) -> str:
    """Both AUCs with intervals, the differences, and what knowing nothing would cost."""
    runs, gaps = (outcome[k].to_dict("records") for k in ("quality", "gaps"))
    told = [f"{q['auc']:.3f} [{q['auc low']:.3f}, {q['auc high']:.3f}] for {names[q['model']]}" for q in runs]
    first, second, *_ = names.values()
    verdicts = [f"{METRIC[g['metric']]} {ends(g)}, {verdict(g, names)}" for g in gaps]
    rate = float(dataset.train.label.mean())  # type: ignore[union-attr]
    constant = metrics.log_loss(dataset.test.label, np.full(len(dataset.test), rate))
    chance = [names[q["model"]] for q in runs if q["auc low"] <= 0.5]
    text = (
        f"On {len(dataset.test):,} test rows the AUC is {listed(told)}. {second} against {first} on the same "
        f"rows: {'; '.join(verdicts)}. Always answering {rate:.1%}, the share of 1 in training, has an AUC of 0.5 and "
        f"a log loss of {constant:.3f}."
    )
    return text + (f" Not shown to order rows better than that: {', '.join(chance)}." if chance else "")


def listed(words: Sequence[str]) -> str:
    """Words in one clause.

    Example:
        >>> listed(["a", "b"]), listed(["a", "b", "c"])
        ('a and b', 'a, b and c')
    """
    return f"{', '.join(words[:-1])} and {words[-1]}"


def verdict(gap: Mapping[Hashable, Any], names: Mapping[str, str]) -> str:
    """Which model is better, that they are equal within the margin, or what would decide."""
    word = gap["verdict"]
    return f"{names[word]} is better" if word in names else str(word)


def ends(gap: Mapping[Hashable, Any]) -> str:
    """A difference with its interval."""
    return f"{gap['difference']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}]".replace("-", "−")


def side_by_side(quality: pd.DataFrame, gaps: pd.DataFrame, names: Mapping[str, str]) -> None:
    """AUC and log loss of both models, and the difference with its verdict."""
    lines = []
    for g in gaps.to_dict("records"):
        values = dict(zip(names.values(), quality[g["metric"]], strict=True))
        lines.append({
            "test": METRIC[g["metric"]], **values, "difference": ends(g), "verdict": verdict(g, names),
        })  # fmt: skip
    number = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(
        pd.DataFrame(lines), hide_index=True, width="stretch", column_config=dict.fromkeys(names.values(), number)
    )


def curve_words(quality: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Which epochs were kept."""
    told = [f"{names[q['model']]} after epoch {q['best epoch']}" for q in quality.to_dict("records")]
    return (
        f"Weights kept: {', '.join(told)}. Training stops after three epochs without a smaller loss on validation rows."
    )


def bin_words(bins: pd.DataFrame, names: Mapping[str, str]) -> str:
    """How far predictions are off, bin by bin."""
    told = []
    for model, part in bins.groupby("model", sort=False):
        off = np.average((part["predicted"] - part["observed"]).abs(), weights=part["rows"])
        told.append(f"{names[str(model)]} {off:.3f}")
    return f"Off the dotted line on average: {', '.join(told)}. Bars: 95 % Wilson intervals of the observed rate."


def worth_words(worth: pd.DataFrame, names: Mapping[str, str]) -> str:
    """The most useful column of each model, and which do nothing that shows."""
    told = []
    for model, part in worth.groupby("model", sort=False):
        best = part.loc[part["worth"].idxmax()]
        told.append(
            f"{names[str(model)]} loses most without {best['field']} ({best['worth']:+.3f})"
            if best["low"] > 0
            else f"no column is shown to help {names[str(model)]}"
        )
    helps = set(worth[worth["low"] > 0]["field"])
    idle = [f for f in dict.fromkeys(worth["field"]) if f not in helps][:MOST_COLUMNS]
    text = f"Values of one column dealt out anew among the test rows: {'; '.join(told)}."
    return text + (f" Not shown to help either model: {', '.join(idle)}." if idle and helps else "")


def cell(
    what: str, options: Mapping[str, Any], schema: Mapping[str, str], models: list[str], seed: int,
    budget: Mapping[str, Any],
) -> str:  # fmt: skip
    """The notebook cell of a table; of a reader's own file it names the file, which lies beside the notebook."""
    first_two = "{m: trials[m] for m in " + repr(models[:2]) + "}"
    made = {
        "quality": "trial.quality(dataset, trials)",
        "gaps": "trial.gaps(dataset, trials)" if len(models) == 2 else f"trial.gaps(dataset, {first_two})",
        "curves": "trial.curves(trials)",
        "calibration": "trial.calibration(dataset, trials)",
        "worth": "trial.worth(dataset, trials)",
    }[what]
    return "\n".join([code(options, schema, models, seed, budget), f"table = {made}", "table"])


def code(
    options: Mapping[str, Any], schema: Mapping[str, str], models: Sequence[str], seed: int, budget: Mapping[str, Any]
) -> str:
    """The lines that read the file and train on it: they make ``dataset`` and ``trials``."""
    path, given = options["path"], {k: v for k, v in options.items() if k != "path" and v != ""}
    lines = "\n".join(f"    {column!r}: {kind!r}," for column, kind in schema.items())
    settings = ", ".join(f"{k}={v!r}" for k, v in given.items())
    budgeted = ", ".join(f"{k}={v!r}" for k, v in ({"seed": seed} | dict(budget)).items())
    return "\n".join([
        "from recsys_lite.lab import trial",
        f"from recsys_lite.data.table import {'read_csv' if path else 'example, read_csv'}",
        "", "schema = {", lines, "}",
        f"dataset = read_csv({repr(path) if path else 'example()'}, schema, {settings})",
        f"trials = trial.run(dataset, {list(models)!r}, {budgeted})",
    ])  # fmt: skip
