"""Train live: two models learn the same planted rows before the reader's eyes, an epoch at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from recsys_lite.data.simulated.planted import planted
from recsys_lite.fields import Dataset
from recsys_lite.lab.race import BATCH, ORDER, RUNNERS, alone, best, shares
from recsys_lite.lab.worker import Worker

from ..core import run
from ..core.controls import number, pick, write_address
from ..core.names import chapter, name, plain
from ..parts import notices
from ..parts import race_charts as charts
from ..parts import race_words as words
from ..parts.charts import chart
from ..parts.downloads import table_and_downloads
from ..parts.race_words import Asked

START = ("logistic_regression", "fm")
NOISE = [0.1, 0.0, 0.05, 0.2, 0.3]
ROWS = [2000, 500, 1000, 4000]
RATES = [0.01, 0.001, 0.003, 0.03]
EPOCHS = [20, 10, 40]
TICK = 0.3  # seconds between two looks at a race that plays
PATIENCE = 0.25  # seconds that a look waits for an epoch
LIVE = "race.live"  # in the state of the session: the one race that it trains
BUSY = "race.busy"  # in the state of the session: a button was pressed while another session trained
TITLES = {"auc": "AUC after each epoch", "log loss": "Log loss after each epoch"}


@dataclass
class Live:
    """A race that a process of this session's trains; it moves only while ``playing``, or by one epoch when asked."""

    asked: Asked
    worker: Worker
    epoch: int = 0
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    pairs: pd.DataFrame = field(default_factory=pd.DataFrame)
    playing: bool = False
    under_way: bool = False  # an epoch has been asked for and is not here yet
    error: str = ""

    def step(self) -> None:
        """Ask for one epoch of both models, unless one is under way."""
        self.worker.ask()
        self.under_way = True

    def look(self, seconds: float) -> None:
        """Take the epoch that was asked for, if it is ready in time; the last one, and one that fails, end the race."""
        try:
            got = self.worker.take(seconds) if self.under_way else None
        except (ValueError, RuntimeError) as error:
            self.error, self.under_way = str(error), False
            got = None
        if got is not None:
            (self.table, self.pairs), self.under_way, self.epoch = got[1], False, self.epoch + 1
        self.playing = self.playing and not self.over
        if self.over:
            self.worker.close()

    @property
    def over(self) -> bool:
        """Whether no epoch is left."""
        return self.epoch >= self.asked.epochs or bool(self.error)


def page() -> None:
    """The whole page."""
    st.title(
        "Train live",
        help=(
            "Two models learn the same made-up rows with one budget. The label follows one **pair** of fields, no "
            "field alone, so it is known what there is to find, and how well the best model can do."
        ),
    )
    asked = choose()
    chosen = {"a": asked.models[0], "b": asked.models[1], "seed": asked.seed, **asked.settings}
    write_address({k: str(v) for k, v in chosen.items()})
    live = current(asked)
    buttons(asked, live)
    if st.session_state.pop(BUSY, False):
        st.warning(run.BUSY)
    moving = live is not None and (live.playing or live.under_way)
    st.fragment(board, run_every=TICK if moving else None)(asked)
    with st.expander("What a race does not say"):
        st.markdown(words.caveats(asked, data_of(asked)))


def choose() -> Asked:
    """The controls."""
    first, second, third, fourth = st.columns(4)
    with first:
        a = pick("Model", sorted(RUNNERS, key=lambda m: m != START[0]), "a", name)
    with second:
        others = [m for m in RUNNERS if m != a]
        b = pick("Against", sorted(others, key=lambda m: m != START[1]), "b", name)
    with third:
        seed = number("Seed", "seed", 100)
    with fourth:
        noise = pick("Labels turned over", NOISE, "noise", "{:.0%}".format)
    first, second, third, _ = st.columns(4)
    with first:
        rows = pick("Rows to train on", ROWS, "rows", "{:,}".format)
    with second:
        lr = pick("Learning rate of Adam", RATES, "lr", "{:g}".format)
    with third:
        epochs = pick("Budget in epochs, the same for both", EPOCHS, "epochs")
    return Asked((a, b), seed, noise, rows, lr, epochs)


def buttons(asked: Asked, live: Live | None) -> None:
    """Play, pause, one epoch, back to the start: nothing else trains."""
    playing, over = live is not None and live.playing, live is not None and live.over
    with st.container(horizontal=True):
        st.button("Play", type="primary", disabled=playing or over, on_click=play, args=(asked,))
        st.button("Pause", disabled=not playing, on_click=pause, args=(asked,))
        st.button("Step: one epoch", disabled=playing or over, on_click=one_epoch, args=(asked,))
        st.button("Reset", disabled=live is None, on_click=forget)


def play(asked: Asked) -> None:
    """A button's callback; the board takes the steps."""
    if (live := current(asked, start=True)) is not None:
        live.playing = not live.over


def pause(asked: Asked) -> None:
    """A button's callback."""
    if (live := current(asked)) is not None:
        live.playing = False


def one_epoch(asked: Asked) -> None:
    """A button's callback."""
    if run.lock().locked():
        st.session_state[BUSY] = True
    elif (live := current(asked, start=True)) is not None and not live.over:
        live.step()


def forget() -> None:
    """End the session's race, and its process."""
    live: Live | None = st.session_state.pop(LIVE, None)
    if live is not None:
        live.worker.close()


def current(asked: Asked, start: bool = False) -> Live | None:
    """The session's race; one of other choices is forgotten. ``start`` builds one if there is none."""
    live: Live | None = st.session_state.get(LIVE)
    if live is not None and live.asked != asked:
        forget()
        live = None
    if live is None and start:
        busy = run.lock().locked()
        worker = None if busy else run.live("recsys_lite.lab.race:play", asked.models, asked.seed, **asked.settings)
        if worker is None:
            st.session_state[BUSY] = True
            return None
        live = st.session_state[LIVE] = Live(asked, worker)
    return live


def board(asked: Asked) -> None:
    """How far the models are, and what there is to find. While a race plays, every call asks for one epoch of both.

    The browser asks for the calls, so a closed tab ends the training.
    """
    live = current(asked)
    if live is not None and (live.playing or live.under_way):
        if live.playing and not live.under_way:
            if run.lock().locked():
                st.caption("Another training is running on this server; this race waits for it.")
            else:
                live.step()
        live.look(PATIENCE)
        if not live.playing and not live.under_way:
            st.rerun()  # the buttons stand outside
    dataset = data_of(asked)
    curve, pairs, source = shown(asked, live)
    sentence, figures = "", []
    if live is not None:
        batches = live.epoch * -(-asked.rows // BATCH)
        told = f"Epoch {live.epoch} of {asked.epochs}: {batches} batches for each"
        told += " · starting a process …" if live.under_way and not live.epoch else ""
        st.progress(live.epoch / asked.epochs, text=told)
        if live.error:
            st.error(f"**The race stopped.** {plain(live.error)}")
    elif curve.empty:
        st.info("No race is stored for these settings. **Play** trains both models here, **Step** one epoch of them.")
    if not curve.empty:
        sentence = source + words.in_words(asked, curve, pairs, dataset)
        notices.told(sentence)
        bound = best(dataset, dataset.validation, asked.noise)
        for column, (metric, title) in zip(st.columns(2), TITLES.items(), strict=True):
            figures.append(charts.curves(curve, metric, bound[metric], asked.epochs))
            with column:
                st.markdown(f"**{title}**")
                chart(figures[-1], f"{title}, both models. {sentence}", f"race.{metric}")
        notices.hover(
            "Solid: validation rows, dashed: training rows, dotted: the truth",
            "Solid: validation rows, which training never sees. Dashed: the training rows themselves. Dotted: the "
            "planted truth as a prediction of the validation rows. "
            + " · ".join(f"{name(m)}: {chapter(m)}" for m in asked.models),
        )
    left, right = st.columns(2)
    with left:
        figures.append(what_there_is(dataset, asked))
    if not pairs.empty:
        with right:
            figures.append(what_was_found(pairs, asked))
    if not curve.empty and not (live is not None and live.playing):
        table = curve.assign(model=curve["model"].map(name))
        table_and_downloads(
            table, figures, f"race-{'-'.join(asked.models)}-{asked.seed}", sentence, "Table of all epochs, downloads",
            words.cell(asked, None if live is None else live.epoch),
        )  # fmt: skip


def data_of(asked: Asked) -> Dataset:
    """The rows of a race; they are drawn in milliseconds."""
    return planted(ORDER, asked.seed, rows=asked.rows, noise=asked.noise)


def shown(asked: Asked, live: Live | None) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Curves, pairs, and in words whose they are: of the session's race, or of the stored one, or empty."""
    if live is not None:
        return live.table, pd.DataFrame() if live.error else live.pairs, ""
    runs = {r["model"]: r for r in words.stored_runs(asked) if r["seed"] == asked.seed}
    if not set(asked.models) <= set(runs):
        return pd.DataFrame(), pd.DataFrame(), ""
    curve, pairs = (
        pd.DataFrame([{"model": m, **line} for m in asked.models for line in runs[m][part]])
        for part in ("curve", "pairs")
    )
    return curve, pairs, f"A stored race, seed {asked.seed}; **Play** runs it anew, here. "


def what_there_is(dataset: Dataset, asked: Asked) -> go.Figure:
    """The data: label 1 by the values of the planted pair."""
    ((a, b),) = dataset.extras["crosses"]
    table = shares(dataset, a, b)
    figure = charts.blocks(table)
    sentence = words.task_words(table, [*alone(dataset, a), *alone(dataset, b)], asked.noise)
    st.markdown("**What there is to find**")
    chart(figure, f"Share of label 1 by the values of {a} and {b}. {sentence}", "race.data")
    st.caption(sentence)
    return figure


def what_was_found(pairs: pd.DataFrame, asked: Asked) -> go.Figure:
    """The models: how strong every pair of fields is in each."""
    figure = charts.found(pairs)
    st.markdown("**What each model has found**")
    chart(figure, f"Strength of every pair of fields. {words.pair_words(asked.models, pairs)}", "race.pairs")
    notices.hover(
        "Found by swapping; the planted pair in bold",
        "How much of the logit only the pair explains: both fields are swapped for another row's, alone and together, "
        "on the validation rows. The planted pair is in bold.",
    )
    return figure
