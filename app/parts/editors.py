"""One labelled native widget per field of a row; each change lands in the state's edits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import streamlit as st

from recsys_lite.fields import Dataset, Field

from ..core.address import MOST_COUNT, UNSEEN_VALUE, State, distinct, original, shown
from ..core.cache import load_dataset
from ..core.controls import hold
from ..core.names import plain
from ..core.own import OWN, cached
from .tables import column_of

MOST_OPTIONS = 100  # of an advertising field; others can be typed
WORDS = {
    "user": "User", "item": "Film", "gender": "Gender", "age": "Age", "occupation": "Occupation", "genres": "Genres",
    "release_year": "Year of release", "hour": "Hour of the day (UTC)", "weekday": "Weekday",
    "history": "Films rated before",
}  # fmt: skip
#: a field -> the fields that belong to it and come along when it is changed
BELONGS = {"item": ["genres", "release_year"], "user": ["gender", "age", "occupation", "history"]}


def key(state: State, field: str) -> str:
    """The widget's key."""
    return f"edit.{state.data}.{state.task}.{field}"


def words_of(data: str, f: Field) -> str:
    """A field in words; the columns of a reader's table keep their names."""
    return f.name if data == OWN else WORDS.get(f.name, f.name)


def label(f: Field, value: str) -> str:
    """A raw value for a reader."""
    assert f.vocabulary is not None
    if value.startswith(UNSEEN_VALUE):
        return "not seen in training" + value.removeprefix(UNSEEN_VALUE)
    return str(f.vocabulary.labels.get(value, value))


@cached(st.cache_data, show_spinner=False, max_entries=256)
def options(data: str, task: str, name: str) -> dict[str, str]:
    """The raw values of a field, each with a label that no other has, sorted for a reader."""
    dataset = load_dataset(data, task)
    f = dataset.field(name)
    assert f.vocabulary is not None
    values = [str(v) for v in f.vocabulary.values]
    if data != "movielens-100k" and len(values) > MOST_OPTIONS:
        column = column_of(dataset, name)
        often = Counter(dataset.train.ids[:, column].tolist())
        values = [f.vocabulary.decode(i) for i, _ in often.most_common(MOST_OPTIONS + 1) if i]
    labels = {v: label(f, v) for v in values}
    repeated = {k for k, n in Counter(labels.values()).items() if n > 1}
    labels = {v: f"{words} · no. {v}" if words in repeated else words for v, words in labels.items()}
    numbers = all(v.isdigit() for v in values) and not f.vocabulary.labels
    order = sorted(labels, key=int) if numbers else sorted(labels, key=lambda v: labels[v].lower())
    if data != "movielens-100k" or name == "weekday":
        order = [v for v in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun") if v in values] or values
    if name == "age":
        order = sorted(values, key=lambda v: (v != "under 18", v))
    return {v: labels[v] for v in order}


def belonging(dataset: Dataset, name: str, value: str) -> dict[str, Any]:
    """What comes along with a film (genres, year) or a user (who they are; the history of their first test row)."""
    if name == "item":
        film = dataset.extras["items"].loc[value]
        return {"genres": list(film["genres"]), "release_year": film["release_year"]}
    column = column_of(dataset, "user")
    number = int(dataset.field("user").vocabulary.encode([value])[0])  # type: ignore[union-attr]
    rows = (dataset.test.ids[:, column] == number).nonzero()
    record = original(dataset, int(rows[0])) if len(rows) else {}
    return {n: record[n] for n in BELONGS["user"] if n in record}


def _set(state: State, dataset: Dataset, before: dict[str, Any], name: str, value: Any) -> None:
    if value == before[name]:
        state.edits.pop(name, None)
    else:
        state.edits[name] = value


def changed(state: State, dataset: Dataset, name: str) -> None:
    """A widget's callback: note the edit, and what belongs to it."""
    value = st.session_state[key(state, name)]
    f = dataset.field(name)
    before = shown(dataset, original(dataset, state.row or 0))
    if f.is_bag:
        value = distinct(list(value))
    if f.kind == "categorical" and value is None:
        value = before[name]
    if f.kind == "categorical" and f.vocabulary is not None and not f.vocabulary.encode([value])[0]:
        value = UNSEEN_VALUE
    _set(state, dataset, before, name, value)
    if dataset.name == "movielens-100k" and name in BELONGS and value != UNSEEN_VALUE:
        if name not in state.edits:  # back to the original, with all that belongs to it
            for n in BELONGS[name]:
                state.edits.pop(n, None)
        else:
            for n, v in shown_values(belonging(dataset, name, value)).items():
                _set(state, dataset, before, n, v)


def shown_values(values: dict[str, Any]) -> dict[str, Any]:
    """Lists as a list widget can hold them."""
    return {n: distinct(v) if isinstance(v, list) else v for n, v in values.items()}


def editor(state: State, dataset: Dataset, f: Field, value: Any, before: Any) -> None:
    """The widget of one field; a mark on its label says that it was changed."""
    words = plain(words_of(state.data, f))
    if value != before:
        words = f"**{words}** (changed)"
    common: dict[str, Any] = {
        "key": hold(key(state, f.name), value),
        "on_change": changed,
        "args": (state, dataset, f.name),
    }
    if f.kind == "numeric":
        ends = {"min_value": -MOST_COUNT, "max_value": MOST_COUNT}
        st.number_input(words, **ends, step=1.0, format="%.10g", placeholder="missing", **common)
        return
    names = options(state.data, state.task, f.name)
    held = value if f.is_bag else [value]
    extra = [v for v in [*held, UNSEEN_VALUE] if v not in names]
    if f.is_bag:
        extra = distinct([UNSEEN_VALUE] * (1 + sum(v.startswith(UNSEEN_VALUE) for v in held)))
    show = lambda v: names.get(v) or label(f, v)  # noqa: E731
    listed = list(dict.fromkeys([*extra, *names]))
    if f.is_bag:
        st.multiselect(words, listed, format_func=show, max_selections=f.length, placeholder="none", **common)
    else:
        st.selectbox(words, listed, format_func=show, accept_new_options=len(names) == MOST_OPTIONS, **common)


def editors(state: State, dataset: Dataset, record: dict[str, Any], before: dict[str, Any]) -> None:
    """All fields; an advertising row in two folded groups, as it has 39."""
    groups: Sequence[tuple[str, list[Field]]] = [("", list(dataset.fields))]
    if len(dataset.fields) > 20:
        counts = [f for f in dataset.fields if f.kind == "numeric"]
        first = "Numbers" if state.data == OWN else "Counts"
        groups = [(first, counts), ("Categories", [f for f in dataset.fields if f.kind != "numeric"])]
    for title, fields in groups:
        with st.expander(title, expanded=title in ("Counts", "Numbers")) if title else st.container():
            if title == "Counts":
                st.caption(f"As counted. The models see {fields[0].transform}; a missing count is the mean.")
            for f in fields:
                editor(state, dataset, f, record[f.name], before[f.name])
