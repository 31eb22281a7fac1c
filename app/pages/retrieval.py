"""Find candidates: one person, the films that several models would fetch, and what in the history moved them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from recsys_lite import plots
from recsys_lite.data import DataUnavailable
from recsys_lite.data.interactions import Interactions
from recsys_lite.store import RETRIEVERS

from ..core.cache import load_interactions, record
from ..core.controls import number, pick, pick_some, write_address
from ..core.names import chapter, name, site
from ..parts import cells, notices, run_tables
from ..parts.candidates import as_table, bars, found, genres, in_words, of_user, reasons, recall, strips
from ..parts.charts import chart
from ..parts.downloads import table_and_downloads

START = ["popularity", "ease", "lightgcn", "two_towers"]
MOST = 4
SHOWN = 10  # history films in the chart of reasons
ASKED = 400  # history films taken out one at a time while a reader waits

ABOUT = {
    "popularity": "the same for everybody", "item_knn": "films that the same people rated",
    "ease": "linear over the whole history", "mf": "a vector per person and film",
    "lightgcn": "vectors averaged over the graph", "two_towers": "a network per side, a dot product",
}  # fmt: skip
WHY = {
    "item_knn": "The changes are the terms of the score: they add up to it.",
    "ease": "The changes are the terms of the score: they add up to it. Negative weights are part of the model.",
    "lightgcn": "Each film's edge is taken out of the graph and the trained vectors spread again; the changes need not "
    "add up, and the model is not trained again.",
    "two_towers": "Each film is taken out of the history that the query tower reads (the last ten); the changes need "
    "not add up. Who the person is enters, too.",
}


def page() -> None:
    """The whole page."""
    st.title(
        "Find candidates",
        help="Out of 1,682 films, which few would each model fetch for a person? A tick marks what came true later.",
    )
    try:
        data = load_interactions()
    except (DataUnavailable, ValueError) as error:
        notices.no_data(error)
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
    title = f"Places of the films that person {user + 1} rated later"
    chart(figure, f"{title}: {sentence}", "retrieval.strips", title=title)
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
    st.markdown(f"**What you see.** {sentence}", help=WHY[model])
    figure = bars(top)
    title = f"{name(model)}: what each film of the history does to the score of {data.title(item)}"
    chart(figure, f"{title}. {sentence}", "retrieval.why", title=title)
    notices.hover(
        "What it does not prove",
        "What it does not prove: that the person would not have chosen the film otherwise. It is what the score rests "
        "on.",
    )
    file = f"why-{user + 1}-{model}-{item}"
    cell = cells.reasons(model, user, item)
    table_and_downloads(table, [figure], file, sentence, "Table of all history films, downloads", cell)
    return {"by": model, "film": str(item)}


def standing(models: Sequence[str], user: int, k: int) -> None:
    """How these models do over all people, from the stored runs."""
    st.subheader("Over all people")
    table = run_tables.metric_table(record("retrieval").get("runs", []), "recall@20", models)
    table["name"] = [name(m) for m in table["name"]]
    if table.empty:
        st.info("No stored runs yet. `python -m bench.retrieval.retrieval` makes them.")
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
    chart(figure, sentence, "retrieval.standing", title="Recall within the first 20, over all people")
    notices.hover(
        "Intervals",
        "Mean and 95 % interval over seeds of training; a closed form has no seed and no interval. Every model was "
        "tuned on the validation part with the same effort.",
    )
    table_and_downloads(
        table, [figure], "retrieval-recall", sentence, "Table of the shares, downloads", cells.recalls(models)
    )


def caveats(data: Interactions) -> None:
    """What the numbers do not say."""
    points = [
        "A film that was not rated later may still have been a good one: nobody saw these lists.",
        "All models know the training part only; films of the validation part are left out of the lists.",
        "The weights are those of seed 0; another seed would fetch other films, most of all further down.",
        "Scores of different models have different scales: compare places, not scores.",
    ]
    about = [f"{key.capitalize()}: {data.about[key]}" for key in ("split", "ratings", "history")]
    where = f"[the book]({site()}/book/catalogue_to_screen.html)" if site() else "`book/catalogue_to_screen.ipynb`"
    notices.caveats(points, [*about, f"How such lists become a screen: {where}"])
