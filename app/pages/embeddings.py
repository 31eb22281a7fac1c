"""Embeddings: where two models put the films, and which films each has side by side."""

from __future__ import annotations

from functools import partial

import streamlit as st

from recsys_lite.data import DataUnavailable
from recsys_lite.explain.film_vectors import NUMBERS_ONLY, known

from ..core.cache import load_dataset
from ..core.controls import number, pick, write_address
from ..core.names import chapter, link, name
from ..parts import notices
from ..parts.charts import chart
from ..parts.downloads import table_and_downloads
from ..parts.film_map import drawn
from ..parts.film_neighbours import (
    DATA,
    NEIGHBOURS,
    cell,
    films,
    flat,
    genre_words,
    has_map,
    in_words,
    near,
    neighbours,
    words,
)

START = ("fm", "lightgcn")
MAPS = {"pca": "Principal components", "tsne": "t-SNE"}
COLOURS = {"genre": "One genre", "year": "Year of release", "popularity": "Ratings in training"}
LEAST = [20, 5, 1, 50, 100]  # ratings in training that a film must have to be shown
COLUMNS = {
    "place": st.column_config.NumberColumn(width=50), "film": st.column_config.TextColumn(width=210),
    "in both": st.column_config.TextColumn(width=60), "cosine": st.column_config.NumberColumn(width=70, format="%.3f"),
    "distance": st.column_config.NumberColumn(width=70, format="%.3f", help="1 − cosine"),
}  # fmt: skip
FIRST = "Star Wars (1977)"
ASKED = "embeddings.asked"  # in the state of the session: the map that the reader had computed


def page() -> None:
    """The whole page."""
    st.title(
        "Where the films lie",
        help=(
            "Every film is a vector that a model learnt from who rated what. Here two models' vectors are laid flat, "
            "side by side, and a film's nearest neighbours are listed. Search by title, or click a mark."
        ),
    )
    try:
        dataset = load_dataset(*DATA)
    except (DataUnavailable, ValueError) as error:
        notices.no_data(error)
        return
    models = known(dataset)
    first, second, third, fourth = st.columns(4)
    with first:
        a = pick("Model", sorted(models, key=lambda m: m != START[0]), "a", words)
    with second:
        b = pick("Beside it", sorted(models, key=lambda m: m != START[1]), "b", words)
    with third:
        kind = pick("Map", list(MAPS), "map", MAPS.__getitem__)
    with fourth:
        least = pick("Least ratings of a film in training", LEAST, "least")
    shown = films(least)
    first, second, third, fourth = st.columns(4)
    with first:
        colour = pick("Colour", list(COLOURS), "colour", COLOURS.__getitem__)
    genre = ""
    with second:
        if colour == "genre":
            common = shown["genres"].explode().value_counts()
            genre = pick("Genre", sorted(common.index, key=lambda g: (g != "Children's", g)), "genre")
    with third:
        titles = dict(zip(shown["raw"], shown["film"], strict=True))
        order = sorted(titles, key=lambda r: (titles[r] != FIRST, titles[r].lower()))
        film = pick("Film (type a part of its title)", order, "film", titles.__getitem__)
    seed = 0
    with fourth:
        if kind == "tsne":
            seed = number("Seed", "seed", 100)
    i = list(shown["raw"]).index(film)
    table = neighbours(shown, (a, b), least, i)
    sentence = in_words(shown, (a, b), least, i)
    st.markdown(f"**What you see.** {sentence}")
    drawn_as = choose_map((a, b), least, kind, seed)
    figures = []
    for place, (column, model) in enumerate(zip(st.columns(2), (a, b), strict=True)):
        places, variance, stay = flat(model, least, *drawn_as)
        figure = drawn(shown, places, colour, genre, i, near(model, least)[i])
        with column:
            st.markdown(f"**{words(model)}**")
            key = f"embeddings.{'ab'[place]}"
            chart(figure, f"Map of films in {words(model)}. {sentence}", key, on_select=partial(chosen, key))
            kept = about_map(drawn_as, variance, stay, len(shown))
            notices.hover("What the map keeps", f"{kept} {chapter(model.split(',')[0])}")
        figures.append(figure)
    for place, (column, model) in enumerate(zip(st.columns(2), (a, b), strict=True)):
        with column:
            st.markdown(f"**Nearest in {words(model)}**")
            own = table.iloc[NEIGHBOURS * place :][:NEIGHBOURS].drop(columns="model")
            st.dataframe(own, hide_index=True, width="stretch", column_config=COLUMNS)
            notices.hover("Genres in common", genre_words(least, i, model))
    table_and_downloads(
        table, figures, f"films-{a}-{b}-{film}", sentence, "Table of the neighbours, downloads",
        cell((a, b), least, film),
    )  # fmt: skip
    caveats()
    asked = {"a": a, "b": b, "map": kind, "least": str(least), "colour": colour, "film": film}
    write_address(asked | ({"genre": genre} if genre else {}) | ({"seed": str(seed)} if kind == "tsne" else {}))


def choose_map(models: tuple[str, str], least: int, kind: str, seed: int) -> tuple[str, int, bool]:
    """What to draw: kind, seed, whether it is stored. A t-SNE that is not stored is computed only if asked for."""
    if kind == "pca":
        return "pca", 0, False
    stored = all(has_map(m, least) for m in models)
    if seed == 0 and stored:
        return "tsne", 0, True
    now = (*models, least, seed)
    if st.session_state.get(ASKED) == now:
        return "tsne", seed, False
    instead = "those of seed 0" if stored else "principal components"
    st.info(f"The t-SNE maps with seed {seed} are not stored. Computing them takes some seconds; below are {instead}.")
    st.button(f"Compute t-SNE with seed {seed}", on_click=st.session_state.__setitem__, args=(ASKED, now))
    return ("tsne", 0, True) if stored else ("pca", 0, False)


def chosen(key: str) -> None:
    """A chart's callback: the film whose mark was clicked becomes the film of the page."""
    if points := st.session_state[key].selection.points:
        st.session_state["control.film"] = str(points[0]["customdata"][0])


def about_map(drawn_as: tuple[str, int, bool], variance: float, stay: float, count: int) -> str:
    """What a map keeps, in words."""
    text = f"the two axes keep {variance:.0%} of the variance" if drawn_as[0] == "pca" else ""
    text = f"{MAPS[drawn_as[0]]}: {text}; " if text else f"{MAPS['tsne']}, seed {drawn_as[1]}: "
    return (
        f"{text}{stay:.0%} of the {NEIGHBOURS} nearest by cosine are among the {NEIGHBOURS} nearest on the map "
        f"(by chance {NEIGHBOURS / (count - 1):.0%})."
    )


def caveats() -> None:
    """What maps do not say."""
    notices.caveats(
        [
            "Distance is 1 − cosine: only directions count. Models compare by dot products or by networks, so a near "
            "film need not get the same scores.",
            "The axes mean nothing by themselves. Principal components leave out most of the variance; t-SNE keeps "
            "neighbours, but how far groups lie apart and how large they are means nothing, and another seed gives "
            "another map.",
            "The vector of a film rated seldom rests on few ratings, and on where chance put it before training: "
            "lower the least number of ratings and compare the shares.",
            f"Only {', '.join(name(m) for m in NUMBERS_ONLY)} never read a genre: there films of one genre lie "
            "together because the same people rate them. Elsewhere genres were read beside the film's number, and "
            "what its vector holds of them cannot be told apart from what people did.",
            "The weights are those of seed 0, and so are the stored t-SNE maps: other seeds give other neighbours "
            "and other maps.",
        ],
        [f"How such vectors come about, and more on their neighbours: {link('building_blocks')}"],
    )
