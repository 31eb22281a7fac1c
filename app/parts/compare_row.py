"""One row through each chosen model: the answers, what they are made of, and what the numbers do not say."""

from __future__ import annotations

from typing import Any

import streamlit as st

from recsys_lite.data.simulated.planted import planted_probability
from recsys_lite.fields import Dataset, Rows

from ..core.address import State, original
from ..core.cache import Edits, edited_row, frozen, load_dataset, load_model
from ..core.names import brief, chapter, done, event, name, plain
from ..core.own import OWN
from . import notices, share, stage, tables, waterfalls


@st.cache_resource(show_spinner=False, max_entries=4)
def films_of(data: str, task: str) -> Rows:
    """See :func:`tables.film_features`."""
    return tables.film_features(load_dataset(data, task))


@st.cache_data(show_spinner=False, max_entries=256)
def ordered(data: str, task: str, model: str, row: int, edits: Edits) -> tuple[list[int], int]:
    """See :func:`tables.order`, of the films that the row's person had not rated."""
    dataset, of_row = load_dataset(data, task), edited_row(data, task, row, edits)
    user = dict(edits).get("user", original(dataset, row)["user"])
    films = tables.candidates(dataset, films_of(data, task), of_row, str(user))
    return tables.order(load_model(data, task, model), films, tables.column_of(dataset, "item"))


QUESTION = "**Find the pairs** of the first map. Each model has two maps: what it does, its own numbers."
COUNTED = ("One model answers", "Two models answer", "Three models answer", "Four models answer")


def lead(state: State) -> None:
    """What the opening scene shows, in a few words: other data have their own to say, and a page has 150."""
    if state.models and state.data == "planted":
        st.markdown(f"**{COUNTED[len(state.models) - 1]} for one row.** Maps: which pair of fields moved it.")


def show_row(
    state: State, dataset: Dataset, models: dict[str, Any], first: dict[str, Any], record: dict[str, Any]
) -> None:
    """Each model's answer, its maps of pairs, what its logit is made of, and the films that come first."""
    rows = dataset.encode([first, record])
    scores = [tables.score(m, model, rows) for m, model in models.items()]
    count = 0
    if dataset.name == "movielens-100k":
        place, now = (state.data, state.task), frozen(state.edits)
        for s in scores:
            before = ordered(*place, s.model, state.row or 0, ())[0] if state.edits else None
            count = tables.add_rank(s, ordered(*place, s.model, state.row or 0, now), before)
    names = {m: name(m) for m in models}
    answers(state, dataset, rows, scores, count)
    if dataset.name == "planted":
        st.markdown(QUESTION)
    about = tables.row_in_words(dataset, record)
    stage.show(state, list(models), lambda shown: share.button(state, dataset, rows, scores, about, shown))
    happened = bool(dataset.test.label[state.row] == 1)  # type: ignore[index]
    truth = f"In the data, {'the original row' if state.edits else 'it'} was {'' if happened else 'not '}"
    words = [plain(f.replace("_", " ")) for f in state.edits]
    sentence = tables.sentence(about, scores, names, event(state.task), words, f"{truth}{done(state.task)}.")
    st.markdown(f"**What you see.** {sentence}")
    if unseen := tables.unseen_fields(dataset, rows):
        st.caption(
            plain(f"Not seen in training: {', '.join(unseen)}"),
            help="Or too rare there. All such values of a field share one row of its table.",
        )
    waterfalls.show(state, scores, sentence)
    if count:
        with st.expander("The first films of each model for this person", expanded=bool(state.edits)):
            st.dataframe(tables.top_table(dataset, scores, names), hide_index=True, width="stretch")
            told = f"Out of {count} films: all of the training part that this person had not rated in it."
            st.caption(told + " An arrow tells how many places a film moved by the edits." * bool(state.edits))


def answers(state: State, dataset: Dataset, rows: Rows, scores: list[tables.Score], count: int) -> None:
    """The chances in one line, the truth first where it is known."""
    with st.container(horizontal=True, key="scores", gap="small"):
        if dataset.name == "planted":
            was, now = (float(p) for p in planted_probability(dataset, rows))
            metric("Truth", now, was, bool(state.edits), "The best possible prediction for this row.")
        for s in scores:
            told = f"{name(s.model)}: chance of {event(state.task)}. Logit {s.logit():+.3f}"
            told += f", {s.logit('original'):+.3f} before the edits." if state.edits else "."
            told += f" Rank {s.rank} of {count} films." * bool(count)
            metric(brief(s.model), s.probability(), s.probability("original"), bool(state.edits), told)


def metric(label: str, now: float, was: float, edited: bool, told: str) -> None:
    """A chance, and how the edits changed it."""
    points = 100 * (now - was)
    st.metric(
        label, tables.percent(now), f"{points:+.1f} points" if edited else None,
        delta_color="blue" if points > 0 else "orange", help=told.replace("-", "−"),
    )  # fmt: skip


def caveats(state: State, dataset: Dataset) -> None:
    """What the numbers do not say, and where the data come from."""
    points = [
        "The parts are exact: they sum to the logit. They say what a model computed, not what causes a click.",
        "Values of a row belong together. An edited row may be one that never occurs.",
        "The weights shown are those of one seed; another would divide the logit differently.",
        "The intervals tell how much results vary from seed to seed, not how they would on other data.",
    ]
    if dataset.name == "movielens-100k" and dataset.task == "click":
        points.append(
            "Beside each film that was rated stand two drawn at random, so a third of the rows "
            "are positive by design: the probabilities are not rates at which people click."
        )
    if dataset.name == "criteo-sample":
        points.append(
            "These are 10,000 rows of a far larger set, so most categories are rare. "
            "What the columns mean was never published."
        )
    if dataset.name == "movielens-100k":
        points.append(
            "Changing the film brings its genres and year along; changing the user brings who they are "
            "and the history of their first test row. Change those afterwards to take them apart."
        )
    about = dataset.about.items()
    told = [" · ".join(f"{name(m)}: {chapter(m)}" for m in state.models if chapter(m))]
    words = plain if state.data == OWN else str  # a reader's columns are no Markdown
    notes = [f"{k.replace('_', ' ').capitalize()}: {words(v)}" for k, v in about if "sha256" not in k]
    notices.caveats(points, [*told, *notes])
