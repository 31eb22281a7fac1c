"""One row through each chosen model: the answers, what they are made of, and what the numbers do not say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from recsys_lite import plots
from recsys_lite.fields import Dataset, Rows

from ..core.address import DETAILS, State
from ..core.cache import load_dataset
from ..core.controls import hold, keep
from ..core.names import DONE, chapter, name
from . import cells, notices, tables
from .charts import chart
from .downloads import table_and_downloads

PARTS_HELP = (
    "*bias*: where every row starts. *linear*: a weight per value. *pairs*: dot products of two values' vectors. "
    "*crosses*: weights of exact combinations. *deep*, *mlp*, *top network*: a network. *gmf*: a weighted product "
    "of user and film. *cross*: polynomials of the input. *attention*: fields that looked at each other. Their sum is "
    "the logit, log(p / (1 - p)). Fine parts of a network that is no sum (DLRM) hold at this row only."
)


@st.cache_resource(show_spinner=False, max_entries=4)
def films_of(data: str, task: str) -> Rows:
    """See :func:`tables.film_features`."""
    return tables.film_features(load_dataset(data, task))


def show_row(
    state: State, dataset: Dataset, models: dict[str, Any], first: dict[str, Any], record: dict[str, Any]
) -> None:
    """The sentence, then each model's answer and what it is made of."""
    rows = dataset.encode([first, record])
    scores = [tables.score(m, model, rows) for m, model in models.items()]
    count = 0
    if dataset.name == "movielens-100k":
        column = tables.column_of(dataset, "item")
        films = films_of(state.data, state.task)
        others = tables.candidates(dataset, films, rows[1], str(record["user"]))
        before = tables.candidates(dataset, films, rows[0], str(first["user"])) if state.edits else None
        for s in scores:
            count = tables.add_rank(s, models[s.model], others, column, before)
    names = {m: name(m) for m in models}
    event = DONE[state.task]
    happened = bool(dataset.test.label[state.row] == 1)  # type: ignore[index]
    truth = f"In the data, {'the original row' if state.edits else 'it'} was {'' if happened else 'not '}{event}."
    words = [f.replace("_", " ") for f in state.edits]
    sentence = tables.sentence(tables.row_in_words(dataset, record), scores, names, state.task, words, truth)
    st.markdown(f"**What you see.** {sentence}")
    if unseen := tables.unseen_fields(dataset, rows):
        st.caption(f"Not seen (or too rare) in training, so on the row that such values share: {', '.join(unseen)}.")

    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Parts of the logit", list(DETAILS), format_func=DETAILS.__getitem__,
            key=hold("compare.detail", state.detail),
            on_change=keep, args=(state, "detail", "compare.detail"), help=PARTS_HELP,
        )  # fmt: skip
        change = bool(state.edits) and st.toggle("Only what the edits changed", key="compare.change")
    parts = [s.parts(state.detail, change) for s in scores]
    limits = tables.limits(parts)
    figures = [plots.waterfall(p, limits=limits) for p in parts]
    for figure in figures:
        figure.update_traces(textposition="outside", textangle=0, cliponaxis=False)
    per_line = 2 if len(scores) in (2, 4) else max(len(scores), 1)
    columns = [c for i in range(0, len(scores), per_line) for c in st.columns(per_line)]
    for column, s, figure in zip(columns, scores, figures, strict=False):
        with column.container(border=True, height="stretch"):
            model_card(state, s, figure, count, change)
    table = tables.parts_table(scores, state.detail, names)
    for figure, s in zip(figures, scores, strict=True):
        figure.update_layout(title=name(s.model))
    file = f"{state.data}-{state.task}-row{state.row}-{state.detail}"
    edits, fine = raw_edits(record, first), state.detail == "fine"
    cell = cells.parts(state.data, state.task, list(models), state.row or 0, edits, fine)
    table_and_downloads(table, figures, file, sentence, "Table of the parts, downloads", cell)
    if count:
        with st.expander("The first films of each model for this person", expanded=bool(state.edits)):
            st.dataframe(tables.top_table(dataset, scores, names), hide_index=True, width="stretch")
            told = f"Out of {count} films: all of the training part that this person had not rated in it."
            st.caption(told + " An arrow tells how many places a film moved by the edits." * bool(state.edits))


def raw_edits(record: Mapping[str, Any], first: Mapping[str, Any]) -> dict[str, Any]:
    """What was edited, as the encoder takes it."""
    return {name: value for name, value in record.items() if value != first[name]}


def model_card(state: State, s: tables.Score, figure: Any, count: int, change: bool) -> None:
    """One model: probability, change, rank, waterfall, chapter."""
    points = 100 * (s.probability() - s.probability("original"))
    st.metric(
        name(s.model), tables.percent(s.probability()), f"{points:+.1f} points" if state.edits else None,
        delta_color="blue" if points > 0 else "orange",
        help=f"Chance of a {state.task}. The change is against the original row.",
    )  # fmt: skip
    line = f"logit {s.logit():+.3f}".replace("-", "−")
    if state.edits:
        line += f" (was {s.logit('original'):+.3f})"
    if count:
        line += f" · rank **{s.rank}** of {count} films"
    st.markdown(line)
    figure.update_layout(margin={"l": 4, "r": 4, "t": 8, "b": 4})
    if change:
        figure.data[0].y = [*figure.data[0].y[:-1], "change"]
        figure.update_xaxes(title="change of the log-odds")
    shown_parts = ", ".join(f"{p} {v:+.2f}" for p, v in zip(figure.data[0].y, figure.data[0].x, strict=True))
    chart(figure, f"Waterfall of {name(s.model)}: {shown_parts}", f"waterfall.{s.model}")
    st.caption(chapter(s.model))


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
    notices.caveats(points, [f"{k.replace('_', ' ').capitalize()}: {v}" for k, v in about if "sha256" not in k])
