"""Position bias: what naive models, PAL and Watch Next make of simulated clicks whose truth is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from recsys_lite.evaluation import interval

from ..core.cache import record
from ..core.controls import pick, write_address
from ..core.names import chapter
from ..parts import cells, notices, position_own
from ..parts.charts import chart
from ..parts.downloads import table_and_downloads
from ..parts.notices import caveats
from ..parts.position_words import NAMES, curve_words, drawn, gain_words, gains_drawn

LOGS = {
    "popular": "Popular films first, place k looked at with chance 1/k",
    "device": "The same; on phones place k is looked at with chance 1/k²",
    "random": "Films in random order, place k looked at with chance 1/k",
    "control": "Control: popular films first, every place looked at",
    "expert": "The person's best films first, place k looked at with chance 1/k",
}
METRICS = {
    "ndcg@10": "NDCG@10 of the person's ratings",
    "auc": "AUC of liked films",
    "grouped_auc": "per-user AUC of liked films",
}
VIEWS = {"stored": "Stored runs", "own": "Draw your own curve"}
DEVICES = ("desktop", "phone")


def page() -> None:
    """The whole page."""
    st.title(
        "Position bias",
        help=(
            "A click needs a look. Here the chance of a look is **known**, because the clicks are "
            "simulated from real ratings. Can a model learn from such clicks what people like, and not where it stood?"
        ),
    )
    stored = record("position")
    known = [log for log in LOGS if any(r["condition"] == log for r in stored.get("runs", []))]
    if not known:
        st.info("No stored runs yet. `python -m bench.position.position` makes them.")
        return
    if pick("View", list(VIEWS), "view", VIEWS.__getitem__, width=320) == "own":
        position_own.view(seeds=len({r["seed"] for r in stored["runs"]}))
        return
    left, right = st.columns([3, 2])
    with left:
        log = pick("How the list was made and looked at", known, "log", LOGS.__getitem__)
    with right:
        metric = pick("Judged by", list(METRICS), "metric", METRICS.__getitem__)
    runs = [r for r in stored["runs"] if r["condition"] == log and r["model"] in NAMES]
    gains, values = scores(runs, metric)
    curves = learnt(runs, stored["about"]["curves"][log])
    st.subheader("What was learnt of looking")
    st.markdown(f"**What you see.** {curve_words(curves)}")
    figure = drawn(curves)
    chart(figure, curve_words(curves), "position.curves", title=f"Looking as learnt, {LOGS[log]}")
    notices.hover(
        "Relative to place 1",
        "Only ratios can be learnt: a film seldom looked at and much liked clicks like one often looked at and liked "
        "little. So every curve is divided by its value at place 1. Mean over seeds.",
    )
    st.subheader("What it is worth when the list is served")
    sentence = gain_words(gains, metric)
    st.markdown(f"**What you see.** {sentence}")
    shown = gains_drawn(gains, METRICS[metric])
    chart(shown, sentence, "position.gains", title=f"Gain over the model that knows no place, {LOGS[log]}")
    notices.hover(
        "Intervals",
        "Differences of runs on the same log with the same seed, mean and 95 % t interval over seeds; every seed has a "
        f"log of its own. All models hold the same factorization machine and were tuned alike. {chapter('pal')}",
    )
    table_and_downloads(
        values, [figure, shown], f"position-{log}-{metric}", sentence, "Table of all runs, downloads",
        cells.position(log, metric, list(NAMES)),
    )  # fmt: skip
    caveats(
        [
            "Real people do not follow a curve that depends on the place alone, and a click is not a rating.",
            "The films of a list are ones that the person rated: the simulation has no indifference.",
            "The order came from popularity and chance. Where it follows taste itself (the last log), the place says "
            "something of the film, and models that take it out take that out, too.",
        ]
    )
    write_address({"log": log, "metric": metric})


def learnt(runs: list[dict[str, Any]], truth: list[list[float]]) -> pd.DataFrame:
    """Curves relative to place 1: the truth, and the mean over seeds of each model that has one."""
    curves = {"truth": np.array(truth)}
    for model in NAMES:
        own = [r["curve"] for r in runs if r["model"] == model and "curve" in r]
        if own:
            curves[model] = np.mean(own, axis=0)
    same = np.allclose(truth[0], truth[1])
    return pd.DataFrame(
        [
            (m, "both" if same else DEVICES[d], place + 1, float(line[place] / line[0]))
            for m, curve in curves.items()
            for d, line in enumerate(curve[: 1 if same else 2])
            for place in range(len(line))
        ],
        columns=["model", "device", "place", "relative to place 1"],
    )


def scores(runs: list[dict[str, Any]], metric: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Gains over the naive model, paired by seed, with intervals; and every run's value."""
    table = pd.DataFrame([(r["model"], r["seed"], value(r, metric)) for r in runs], columns=["model", "seed", metric])
    wide = table.pivot(index="seed", columns="model", values=metric)
    lines = []
    for model in [m for m in NAMES if m != "naive" and m in wide]:
        difference = (wide[model] - wide["naive"]).dropna()
        mean, low, high = interval(difference.tolist())
        lines.append((NAMES[model], mean, low, high, len(difference)))
    named = table.assign(model=table["model"].map(NAMES))
    return pd.DataFrame(lines, columns=["name", "mean", "low", "high", "seeds"]), named


def value(run: dict[str, Any], metric: str) -> float:
    """A run's metric; for the place as a field, served at place 1."""
    return float(run["test"].get("at 1", run["test"])[metric])
