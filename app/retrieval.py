"""Find candidates: one person, the films that several models would fetch, and what in the history moved them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import torch
from recsys_lite.explain_retrieval import moved_by
from recsys_lite.metrics import interval
from recsys_lite.palette import MODEL_COLOURS, NEUTRAL
from recsys_lite.stored_retrievers import RETRIEVERS, load_retriever

from recsys_lite import plots, store
from recsys_lite.data import DataUnavailable
from recsys_lite.data.interactions import Interactions, interactions
from recsys_lite.retrieval import Retriever, per_user

from . import cells
from .common import chapter, chart, name, site, table_and_downloads
from .controls import number, pick, pick_some, write_address

START = ["popularity", "ease", "lightgcn", "two_towers"]
MOST = 4
SHOWN = 10  # history films in the chart of reasons
ASKED = 400  # history films taken out one at a time while a reader waits

ABOUT = {
    "popularity": "the same order for everybody", "item_knn": "films that the same people rated",
    "ease": "a linear model over the whole history", "mf": "a vector per person and film",
    "lightgcn": "vectors averaged over the graph of ratings", "two_towers": "a network per side, a dot product",
}  # fmt: skip
WHY = {
    "item_knn": "The changes are the terms of the score: they add up to it.",
    "ease": "The changes are the terms of the score: they add up to it. Negative weights are part of the model.",
    "lightgcn": "Each film's edge is taken out of the graph and the trained vectors spread again; the changes need not "
    "add up, and the model is not trained again.",
    "two_towers": "Each film is taken out of the history that the query tower reads (the last ten); the changes need "
    "not add up. Who the person is enters, too.",
}


@st.cache_resource(show_spinner="Reading the data …", max_entries=1)
def load() -> Interactions:
    """The interactions, read once for all sessions."""
    torch.set_num_threads(1)
    return interactions()


@st.cache_resource(show_spinner="Reading stored models …", max_entries=16)
def retriever(model: str) -> Retriever:
    """A tuned retriever, made once for all sessions."""
    return load_retriever(model, load())


@st.cache_data(show_spinner=False, max_entries=64)
def recall(model: str, k: int) -> pd.DataFrame:
    """Recall and NDCG of every person's test films."""
    return per_user(retriever(model), load(), "test", k).set_index("user")


@st.cache_data(show_spinner=False, max_entries=256)
def found(model: str, user: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The first k films for a person, of those not rated before, and their scores."""
    data = load()
    seen = torch.zeros(data.num_items, dtype=torch.bool)
    for part in (data.train, data.validation):
        seen[part[part[:, 0] == user, 1]] = True
    with torch.no_grad():
        scores = retriever(model).scores(torch.tensor([user]))[0].masked_fill(seen, -torch.inf)
    best = scores.topk(k)
    return best.indices.numpy(), best.values.numpy()


@st.cache_data(show_spinner="Taking films out of the history …", max_entries=256)
def reasons(model: str, user: int, item: int) -> pd.DataFrame:
    """See :func:`recsys_lite.explain_retrieval.moved_by`."""
    return moved_by(retriever(model), load(), user, item)


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


def page() -> None:
    """The whole page."""
    st.title("Find candidates")
    st.markdown("Out of 1,682 films, which few would each model fetch for a person? A tick marks what came true later.")
    try:
        data = load()
    except (DataUnavailable, ValueError) as error:
        st.error(f"**This data set cannot be shown.** {str(error).splitlines()[0]}")
        return
    first, second, third = st.columns([1, 3, 1])
    with first:
        user = number("Person", "person", data.num_users, first=1) - 1
    with second:
        models = pick_some("Models (up to four)", list(RETRIEVERS), START, "models", MOST, name)
    with third:
        k = pick("Films fetched", [20, 10, 50], "k")
    if not models:
        st.info("Pick at least one model.")
        return
    wanted = set(of_user(data, "test", user))
    lists = {m: found(m, user, k) for m in models}
    table = as_table(data, lists, wanted)
    sentence = in_words(data, user, lists, wanted, k)
    st.markdown(f"**What you see.** {sentence}")
    figure = strips(data, lists, wanted)
    chart(figure, f"Places of the films that came true: {sentence}", "retrieval.strips")
    history(data, user)
    for column, model in zip(st.columns(min(len(models), 2)) * 2, models, strict=False):
        with column.container(border=True):
            st.markdown(f"**{name(model)}** – {ABOUT[model]}")
            own = table[table["model"] == name(model)].drop(columns=["model", "score"])
            st.dataframe(own, hide_index=True, width="stretch", height=300)
            if chapter(model):
                st.caption(chapter(model))
    table_and_downloads(
        table, [figure], f"candidates-{user + 1}-{k}", sentence, "Table of all lists, downloads",
        cells.candidates(models, user, k),
    )  # fmt: skip
    asked = {"person": str(user + 1), "models": ",".join(models), "k": str(k)}
    asked |= why(data, user, lists)
    standing(models, user, k)
    caveats(data)
    write_address(asked)


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


def history(data: Interactions, user: int) -> None:
    """What the models know of the person."""
    films = of_user(data, "train", user)
    with st.expander(f"What the models know: {len(films)} films rated before, the latest first"):
        lines = [(data.title(i), genres(data, i)) for i in films]
        st.dataframe(pd.DataFrame(lines, columns=["film", "genres"]), hide_index=True, width="stretch", height=260)


def why(data: Interactions, user: int, lists: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, str]:
    """What history films moved one candidate; returns what the address should hold."""
    st.subheader("Why is this film here?")
    explained = [m for m in lists if m in WHY]
    if not explained:
        st.info("Popularity and matrix factorisation read no history when they score. Pick another model above.")
        return {}
    left, right = st.columns(2)
    with left:
        model = pick("Model", explained, "by", name)
    items = [int(i) for i in lists[model][0]]
    with right:
        item = pick("Film", items, "film", data.title)
    if model == "lightgcn" and len(of_user(data, "train", user)) > ASKED:
        st.info(f"This person rated more than {ASKED} films: taking each out of the graph takes too long to wait for.")
        return {"by": model, "film": str(item)}
    table = reasons(model, user, item)
    if table.empty:
        st.info("The model knows of no film of this person.")
        return {"by": model, "film": str(item)}
    top = table.reindex(table["change"].abs().sort_values(ascending=False, kind="stable").index).head(SHOWN)
    lift = table.iloc[0]
    sentence = (
        f"{name(model)} puts *{data.title(item)}* at place {items.index(item) + 1}. "
        + (f"What lifts it most is *{lift['title']}* ({lift['change']:+.3g})." if lift["change"] > 0 else "")
    )  # fmt: skip
    st.markdown(f"**What you see.** {sentence} {WHY[model]}")
    figure = bars(top)
    chart(figure, f"Change of the score by history film: {sentence}", "retrieval.why")
    st.caption(
        "What it does not prove: that the person would not have chosen the film otherwise. It is what the score rests "
        "on."
    )
    file = f"why-{user + 1}-{model}-{item}"
    cell = cells.reasons(model, user, item)
    table_and_downloads(table, [figure], file, sentence, "Table of all history films, downloads", cell)
    return {"by": model, "film": str(item)}


def bars(table: pd.DataFrame) -> go.Figure:
    """A bar per history film: blue lifts, red lowers."""
    figure = plots.empty(height=70 + 30 * len(table), showlegend=False)
    colours = [plots.GOOD if c > 0 else plots.BAD for c in table["change"]]
    short = [t if len(t) <= 34 else t[:32] + "…" for t in table["title"]]
    figure.add_bar(
        x=table["change"], y=short, orientation="h", marker={"color": colours}, text=table["title"],
        textposition="none", hovertemplate="%{text}: %{x:+.4g}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title="change of the score by this film")
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(margin={"t": 8})
    return figure


def standing(models: Sequence[str], user: int, k: int) -> None:
    """How these models do over all people, from the stored runs."""
    st.subheader("Over all people")
    runs = stored()
    lines = []
    for model in models:
        values = [r["test"]["recall@20"] for r in runs if r["model"] == model]
        if values:
            mean, low, high = interval(values) if len(values) > 1 else (values[0],) * 3
            lines.append((name(model), mean, low, high, len(values)))
    table = pd.DataFrame(lines, columns=["name", "mean", "low", "high", "seeds"])
    if table.empty:
        st.info("No stored runs yet. `python -m bench.retrieval` makes them.")
        return
    best = table.loc[table["mean"].idxmax()]
    own = ", ".join(f"{name(m)} {recall(m, k)['recall'].get(user, float('nan')):.2f}" for m in models)
    sentence = (
        f"Of what people rated later, {best['name']} has the largest share among its first 20, {best['mean']:.3f} on "
        f"average. For this person the shares within {k} are: {own}."
    )
    st.markdown(f"**What you see.** {sentence}")
    figure = plots.intervals(table, axis="test recall@20, all films ranked")
    figure.update_layout(margin={"t": 8})
    chart(figure, sentence, "retrieval.standing")
    st.caption(
        "Mean and 95 % interval over seeds of training; a closed form has no seed and no interval. Every model was "
        "tuned on the validation part with the same effort."
    )
    table_and_downloads(
        table, [figure], "retrieval-recall", sentence, "Table of the shares, downloads", cells.recalls(models)
    )


@st.cache_data(show_spinner=False, max_entries=1)
def stored() -> list[dict]:
    """The committed runs; none if there is no results file yet."""
    try:
        return store.read_json(store.RESULTS / "retrieval.json")["runs"]
    except ValueError:
        return []


def caveats(data: Interactions) -> None:
    """What the numbers do not say."""
    with st.expander("What these numbers do not say"):
        points = [
            "A film that was not rated later may still have been a good one: nobody saw these lists.",
            "All models know the training part only; films of the validation part are left out of the lists.",
            "The weights are those of seed 0; another seed would fetch other films, most of all further down.",
            "Scores of different models have different scales: compare places, not scores.",
        ]
        st.markdown("\n".join(f"- {p}" for p in points))
        for key in ("split", "ratings", "history"):
            st.caption(f"{key.capitalize()}: {data.about[key]}")
        where = f"[the book]({site()}/book/catalogue_to_screen.html)" if site() else "`book/catalogue_to_screen.ipynb`"
        st.caption(f"How such lists become a screen: {where}")
