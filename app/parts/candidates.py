"""The candidates that retrievers fetch for a person: lists, their reasons, in words and as charts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import torch

from recsys_lite import plots
from recsys_lite.data.interactions import Interactions
from recsys_lite.evaluation import per_user
from recsys_lite.explain.retrieval import moved_by
from recsys_lite.plots import palette
from recsys_lite.plots.palette import MODEL_COLOURS, NEUTRAL

from ..core.cache import load_interactions, retriever
from ..core.names import name


@st.cache_data(show_spinner=False, max_entries=64)
def recall(model: str, k: int) -> pd.DataFrame:
    """Recall and NDCG of every person's test films."""
    return per_user(retriever(model), load_interactions(), "test", k).set_index("user")


@st.cache_data(show_spinner=False, max_entries=256)
def found(model: str, user: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The first k films for a person, of those not rated before, and their scores."""
    data = load_interactions()
    seen = torch.zeros(data.num_items, dtype=torch.bool)
    for part in (data.train, data.validation):
        seen[part[part[:, 0] == user, 1]] = True
    with torch.no_grad():
        scores = retriever(model).scores(torch.tensor([user]))[0].masked_fill(seen, -torch.inf)
    best = scores.topk(k)
    return best.indices.numpy(), best.values.numpy()


@st.cache_data(show_spinner="Taking films out of the history …", max_entries=256)
def reasons(model: str, user: int, item: int) -> pd.DataFrame:
    """See :func:`recsys_lite.explain.retrieval.moved_by`."""
    return moved_by(retriever(model), load_interactions(), user, item)


def of_user(data: Interactions, part: str, user: int) -> list[int]:
    """The films of a person in a part, the latest first."""
    pairs = getattr(data, part)
    return pairs[pairs[:, 0] == user, 1].flip(0).tolist()


def genres(data: Interactions, item: int) -> str:
    """The genres of a film in words."""
    field = next(f for f in data.candidate_fields if f.name == "genres")
    bag = data.candidates.bags["genres"][item]
    return ", ".join(field.vocabulary.label(int(g)) for g in bag[bag > 0])  # type: ignore[union-attr]


def person(data: Interactions, user: int) -> str:
    """A person in words."""
    fields = [f for f in data.query_fields if f.kind == "categorical"]
    row = data.queries["known"].ids[user].tolist()
    said = {f.name: f.vocabulary.label(i) for f, i in zip(fields, row, strict=True)}  # type: ignore[union-attr]
    gender = {"F": "a woman", "M": "a man"}.get(said["gender"], "a person")
    return f"person {said['user']}, {gender} aged {said['age']}, {said['occupation']}"


def as_table(
    data: Interactions, lists: Mapping[str, tuple[np.ndarray, np.ndarray]], wanted: set[int]
) -> pd.DataFrame:  # fmt: skip
    """Every film of every list."""
    return pd.DataFrame(
        [
            (name(m), place, "✓" if int(i) in wanted else "", data.title(int(i)), genres(data, int(i)), float(score))
            for m, (items, scores) in lists.items()
            for place, (i, score) in enumerate(zip(items, scores, strict=True), 1)
        ],
        columns=["model", "place", "came true", "film", "genres", "score"],
    )


def in_words(
    data: Interactions, user: int, lists: Mapping[str, tuple[np.ndarray, np.ndarray]], wanted: set[int], k: int
) -> str:
    """Hits of each list, and how alike the lists are."""
    hits = {m: len(wanted & set(items.tolist())) for m, (items, _) in lists.items()}
    order = sorted(hits, key=lambda m: -hits[m])
    told = ", ".join(f"{name(m)} {hits[m]}" for m in order)
    text = f"For {person(data, user)}: of {len(wanted)} films rated later, the first {k} of each model hold: {told}."
    if len(lists) > 1:
        sets = [set(items.tolist()) for items, _ in lists.values()]
        text += f" {len(set.intersection(*sets))} films stand in every list, {len(set.union(*sets))} in any."
    return text


def strips(data: Interactions, lists: Mapping[str, tuple[np.ndarray, np.ndarray]], wanted: set[int]) -> go.Figure:
    """A line of places per model; what came true is a filled mark, the rest an empty one."""
    figure = plots.empty(height=110 + 46 * len(lists), showlegend=False)
    for model, (items, _) in lists.items():
        hit = [int(i) in wanted for i in items]
        colour = MODEL_COLOURS.get(model, NEUTRAL)
        figure.add_scatter(
            x=list(range(1, len(items) + 1)), y=[name(model)] * len(items), mode="markers",
            marker={
                "size": 11, "symbol": ["square" if h else "square-open" for h in hit], "color": colour,
                "opacity": [1.0 if h else 0.45 for h in hit],
            },
            text=[f"{data.title(int(i))}{', came true' if h else ''}" for i, h in zip(items, hit, strict=True)],
            hovertemplate="place %{x}: %{text}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title="place in the list (filled: rated later)", zeroline=False)
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(margin={"t": 8})
    return figure


def bars(table: pd.DataFrame) -> go.Figure:
    """A bar per history film: blue lifts, orange lowers."""
    figure = plots.empty(height=70 + 30 * len(table), showlegend=False)
    colours = [palette.GOOD if c > 0 else palette.BAD for c in table["change"]]
    short = [t if len(t) <= 34 else t[:32] + "…" for t in table["title"]]
    figure.add_bar(
        x=table["change"], y=short, orientation="h", marker={"color": colours}, text=table["title"],
        textposition="none", hovertemplate="%{text}: %{x:+.4g}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title="change of the score by this film")
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(margin={"t": 8})
    return figure
