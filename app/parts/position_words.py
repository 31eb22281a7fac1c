"""What the page on position bias says and draws: curves, gains over the naive model, what a curve alone does."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from recsys_lite import plots
from recsys_lite.evaluation.compare import WORDS, margin, word_of
from recsys_lite.plots.palette import BLUE, MODEL_COLOURS, NEUTRAL, OCHRE, ORANGE, SKY

NAMES = {
    "naive": "Naive: no place", "feature": "Place as a field, served at 1", "ipw": "Weights from the true curve",
    "pal": "PAL", "watch_next": "Watch Next",
}  # fmt: skip
ORDERS = {
    "popular": "Popular films first", "random": "Random order", "expert": "The person's best films first",
}  # fmt: skip
KINDS = {"ratings of the film": SKY, "the person's rating": ORANGE}


def drawn(curves: pd.DataFrame) -> go.Figure:
    """The truth dotted, a line per model; phones have open marks."""
    figure = plots.empty(height=380)
    for (model, device), line in curves.groupby(["model", "device"], sort=False):
        colour = NEUTRAL if model == "truth" else MODEL_COLOURS.get(str(model), OCHRE)
        label = "truth" if model == "truth" else NAMES[str(model)].split(",")[0]
        figure.add_scatter(
            x=line["place"], y=line["relative to place 1"], name=label + ("" if device == "both" else f", {device}"),
            mode="lines+markers", line={"color": colour, "dash": "dot" if model == "truth" else "solid"},
            marker={"symbol": "circle-open" if device == "phone" else "circle", "size": 8},
        )  # fmt: skip
    figure.update_xaxes(title="place in the list", dtick=1)
    figure.update_yaxes(title="chance relative to place 1", rangemode="tozero")
    figure.update_layout(margin={"t": 8}, legend={"orientation": "h", "y": -0.25})
    return figure


def curve_words(curves: pd.DataFrame) -> str:
    """The last place of each curve, in words."""
    last = curves[curves["place"] == curves["place"].max()]
    text = []
    for device, some in last.groupby("device", sort=False):
        by = some.set_index("model")["relative to place 1"]
        told = ", ".join(f"{NAMES[m].split(',')[0]} {by[m]:.2f}" for m in by.index if m != "truth")
        where = "" if device == "both" else f" on a {device}"
        text.append(f"At place {int(some['place'].iloc[0])}{where} the truth is {by['truth']:.2f} of place 1; {told}.")
    return " ".join(text)


def gain_words(gains: pd.DataFrame, metric: str = "ndcg@10") -> str:
    """Who is better, worse, equal within the margin, or undecided, by the intervals of the gains."""
    of: dict[str, list[str]] = {word: [] for word in WORDS}
    for r in gains.itertuples(index=False):
        of[word_of(r.low, r.high, metric)].append(f"{r.name} ({r.mean:+.4f})")
    better, worse, equal, undecided = (", ".join(of[word]) for word in WORDS)
    text = (
        f"Better than the naive model: {better}." if better else "Nothing is shown to be better than the naive model."
    )
    said = {"Worse": worse, f"Equal to it within {margin(metric):g}": equal, "Undecided": undecided}
    return " ".join([text, *(f"{word}: {models}." for word, models in said.items() if models)])


def gains_drawn(gains: pd.DataFrame, metric: str) -> go.Figure:
    """Gains over the naive model with their intervals, and a line at no gain."""
    figure = plots.intervals(gains, axis=f"gain over the naive model, {metric}")
    colours = {words: MODEL_COLOURS.get(model, OCHRE) for model, words in NAMES.items()}
    figure.for_each_trace(lambda trace: trace.update(marker_color=colours[trace.y[0]]))  # as in the chart of curves
    figure.add_vline(x=0, line={"dash": "dot", "color": NEUTRAL})
    figure.update_layout(margin={"t": 8})
    return figure


def implied_words(share: pd.DataFrame, table: pd.DataFrame, order: str) -> str:
    """The shares of the first and last place, and the kinds of film that stand where people look, in words.

    Args:
        share, table: of :func:`recsys_lite.lab.own_curve.shares` and :func:`recsys_lite.lab.own_curve.looked_at`.
        order: of the lists.
    """
    first, last = share["share of clicks"].iloc[[0, -1]]
    text = (
        f"Were all films equally good, place 1 would get {first:.0%} of the clicks and place {len(share)} would get "
        f"{last:.0%}; an equal share is {1 / len(share):.0%}. {ORDERS[order]}: "
    )
    spread = table.groupby("by", sort=False)["relative"].agg(lambda r: r.max() / r.min())
    by = str(spread.idxmax())
    own = table[table["by"] == by]
    if spread[by] < 1.05:
        low, high = own["relative"].min(), own["relative"].max()
        return text + (
            f"every kind of film is looked at nearly alike, {low:.2f} to {high:.2f} times as often as the mean. A "
            "model without the place has no wrong taste to learn; it only gets fewer clicks where fewer people look."
        )
    bottom, top = own.iloc[0], own.iloc[-1]
    films = "films with {} ratings" if by == "ratings of the film" else "films to which the person gives {}"
    text += (
        f"{films.format(top['group'])} are looked at {top['relative']:.2f} times as often as the mean, "
        f"{films.format(bottom['group'])} {bottom['relative']:.2f} times. "
    )
    if by == "ratings of the film":
        return text + "A model without the place takes this for taste."
    return text + "The place says what the person likes, and a model without the place learns this with the taste."


def shares_drawn(share: pd.DataFrame) -> go.Figure:
    """Shares of clicks as bars, the chance of a look as a line."""
    figure = plots.empty(height=340, margin={"t": 8})
    figure.add_bar(
        x=share["place"], y=share["share of clicks"], name="share of clicks", marker_color=BLUE,
        hovertemplate="place %{x}: %{y:.1%}",
    )  # fmt: skip
    figure.add_scatter(
        x=share["place"], y=share["looked at"], name="chance of a look", mode="lines+markers",
        line={"color": NEUTRAL, "dash": "dot"}, hovertemplate="place %{x}: %{y:.0%}",
    )  # fmt: skip
    figure.update_xaxes(title="place in the list", dtick=1)
    figure.update_yaxes(title="share of clicks, chance of a look", tickformat=".0%", rangemode="tozero")
    figure.update_layout(legend={"orientation": "h", "y": -0.25})
    return figure


def looks_drawn(table: pd.DataFrame) -> go.Figure:
    """Looks of each kind of film relative to the mean, as bars from 1."""
    figure = plots.empty(height=340, margin={"t": 8}, legend={"orientation": "h", "y": -0.25})
    for by, own in table.groupby("by", sort=False):
        labels = [f"{g} ratings" if by == "ratings of the film" else g for g in own["group"]]
        figure.add_bar(
            x=own["relative"] - 1, base=1, y=labels, orientation="h", name=str(by), marker_color=KINDS[str(by)],
            customdata=own["relative"], hovertemplate="%{y}: looked at %{customdata:.2f} times as often",
        )  # fmt: skip
    figure.add_vline(x=1, line={"dash": "dot", "color": NEUTRAL})
    figure.update_xaxes(title="chance of a look, relative to the mean")
    figure.update_yaxes(autorange="reversed")
    return figure
