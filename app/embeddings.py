"""Embeddings: where two models put the films, and which films each has side by side."""

from __future__ import annotations

from functools import partial
from textwrap import dedent

import numpy as np
import pandas as pd
import streamlit as st
import torch
from recsys_lite.film_vectors import NUMBERS_ONLY, film_vectors, known, often_rated, stored_map
from torch import Tensor

from recsys_lite import item_map
from recsys_lite.data import DataUnavailable

from .common import chapter, chart, link, load_dataset, name, table_and_downloads
from .controls import number, pick, write_address
from .film_map import drawn
from .retrieval import load as load_interactions

DATA = ("movielens-100k", "click")
START = ("fm", "lightgcn")
MAPS = {"pca": "Principal components", "tsne": "t-SNE"}
COLOURS = {"genre": "One genre", "year": "Year of release", "popularity": "Ratings in training"}
LEAST = [20, 5, 1, 50, 100]  # ratings in training that a film must have to be shown
NEIGHBOURS = 10
COLUMNS = {
    "place": st.column_config.NumberColumn(width=50), "film": st.column_config.TextColumn(width=210),
    "in both": st.column_config.TextColumn(width=60), "cosine": st.column_config.NumberColumn(width=70, format="%.3f"),
    "distance": st.column_config.NumberColumn(width=70, format="%.3f", help="1 − cosine"),
}  # fmt: skip
FIRST = "Star Wars (1977)"
ASKED = "embeddings.asked"  # in the state of the session: the map that the reader had computed


@st.cache_data(show_spinner=False, max_entries=8)
def films(least: int) -> pd.DataFrame:
    """Films that training showed often enough: raw number, title with year, year, genres, ratings."""
    dataset = load_dataset(*DATA)
    vocabulary, raw = dataset.field("item").vocabulary, often_rated(dataset, least)
    assert vocabulary is not None
    table = dataset.extras["items"].loc[raw].reset_index(names="raw")
    table["film"] = [vocabulary.labels.get(r, r) for r in raw]
    twice = table["film"].duplicated(keep=False)
    table.loc[twice, "film"] += " · no. " + table.loc[twice, "raw"]
    return table


@st.cache_data(show_spinner="Reading vectors …", max_entries=64)
def vectors(model: str, least: int) -> Tensor:
    """See :func:`recsys_lite.film_vectors.film_vectors`."""
    data = load_interactions() if model.startswith("two_towers,") else None  # the only one that needs them
    return film_vectors(model, load_dataset(*DATA), list(films(least)["raw"]), data)


@st.cache_data(show_spinner="Laying the vectors flat …", max_entries=64)
def flat(model: str, least: int, kind: str, seed: int, stored: bool = False) -> tuple[np.ndarray, float, float]:
    """Places (I, 2), the share of variance that they keep (t-SNE: NaN), and the share of neighbours."""
    x, variance = vectors(model, least), float("nan")
    if kind == "pca":
        places, share = item_map.pca(x)
        variance = float(share.sum())
    else:
        places = stored_map(model, load_dataset(*DATA), least) if stored else item_map.tsne(x, seed)
    return places.numpy(), variance, item_map.kept(x, places, NEIGHBOURS)


@st.cache_data(show_spinner=False, max_entries=128)
def has_map(model: str, least: int) -> bool:
    """Whether a t-SNE map of these films with seed 0 is stored."""
    try:
        return len(stored_map(model, load_dataset(*DATA), least)) > 0
    except ValueError:
        return False


@st.cache_data(show_spinner=False, max_entries=64)
def near(model: str, least: int) -> Tensor:
    """The ten nearest of each film by cosine."""
    return item_map.nearest(vectors(model, least), NEIGHBOURS)


@st.cache_data(show_spinner=False, max_entries=8)
def genre_sets(least: int) -> Tensor:
    """(I, G): which genres a film has."""
    bags = films(least)["genres"]
    names = sorted({g for bag in bags for g in bag})
    return torch.tensor([[g in bag for g in names] for bag in bags])


def page() -> None:
    """The whole page."""
    st.title("Where the films lie")
    st.markdown(
        "Every film is a vector that a model learnt from who rated what. Here the vectors of two models are laid flat, "
        "side by side, and a film's nearest neighbours are listed. Search by title, or click a mark."
    )
    try:
        dataset = load_dataset(*DATA)
    except (DataUnavailable, ValueError) as error:
        st.error(f"**This data set cannot be shown.** {str(error).splitlines()[0]}")
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
            st.caption(about_map(drawn_as, variance, stay, len(shown)) + f" {chapter(model.split(',')[0])}")
        figures.append(figure)
    for place, (column, model) in enumerate(zip(st.columns(2), (a, b), strict=True)):
        with column:
            st.markdown(f"**Nearest in {words(model)}**")
            own = table.iloc[NEIGHBOURS * place :][:NEIGHBOURS].drop(columns="model")
            st.dataframe(own, hide_index=True, width="stretch", column_config=COLUMNS)
            st.caption(genre_words(least, i, model))
    table_and_downloads(
        table, figures, f"films-{a}-{b}-{film}", sentence, "Table of the neighbours, downloads",
        cell((a, b), least, film),
    )  # fmt: skip
    caveats()
    asked = {"a": a, "b": b, "map": kind, "least": str(least), "colour": colour, "film": film}
    write_address(asked | ({"genre": genre} if genre else {}) | ({"seed": str(seed)} if kind == "tsne" else {}))


def words(model: str) -> str:
    """A model in words; retrievers are told from click models."""
    return f"{name(model.split(',')[0])} (retrieval)" if "," in model else name(model)


def chosen(key: str) -> None:
    """A chart's callback: the film whose mark was clicked becomes the film of the page."""
    if points := st.session_state[key].selection.points:
        st.session_state["control.film"] = str(points[0]["customdata"][0])


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


def about_map(drawn_as: tuple[str, int, bool], variance: float, stay: float, count: int) -> str:
    """What a map keeps, in words."""
    text = f"the two axes keep {variance:.0%} of the variance" if drawn_as[0] == "pca" else ""
    text = f"{MAPS[drawn_as[0]]}: {text}; " if text else f"{MAPS['tsne']}, seed {drawn_as[1]}: "
    return (
        f"{text}{stay:.0%} of the {NEIGHBOURS} nearest by cosine are among the {NEIGHBOURS} nearest on the map "
        f"(by chance {NEIGHBOURS / (count - 1):.0%})."
    )


def genre_words(least: int, i: int, model: str) -> str:
    """How many neighbours of the film share a genre with it."""
    sets = genre_sets(least)
    shares = (sets & sets[i]).any(1)
    by_chance = NEIGHBOURS * (int(shares.sum()) - int(shares[i])) / (len(sets) - 1)
    count = int(shares[near(model, least)[i]].sum())
    return f"{count} of the {NEIGHBOURS} have a genre in common with the film; by chance {by_chance:.1f}. {told(model)}"


def told(model: str) -> str:
    """What a model's vectors could know of genres."""
    if model in NUMBERS_ONLY:
        return "This model was never told a genre."
    if model.startswith("two_towers,"):
        return "These vectors are made of genres, year and title as well: likeness of genre is partly put in."
    return "This model also reads genres, in vectors of their own; shown are those of the films' numbers."


def neighbours(shown: pd.DataFrame, models: tuple[str, str], least: int, i: int) -> pd.DataFrame:
    """The nearest films of each model, see :func:`recsys_lite.item_map.nearest_table`, with genres."""
    own = {m: vectors(m, least) for m in models}
    table = item_map.nearest_table(own, list(shown["film"]), i, NEIGHBOURS)
    table = pd.concat([table[table["model"] == m] for m in models], ignore_index=True)  # twice if twice the same
    said = {
        "model": [words(m) for m in table["model"]], "place": table["place"], "film": table["label"],
        "in both": ["✓" if yes else "" for yes in table["in all"]], "cosine": table["cosine"],
        "distance": table["distance"], "genres": [", ".join(shown["genres"][j]) for j in table["item"]],
    }  # fmt: skip
    return pd.DataFrame(said)


def in_words(shown: pd.DataFrame, models: tuple[str, str], least: int, i: int) -> str:
    """Nearest films, what two models have in common, and whether neighbours are of one kind."""
    a, b = (near(m, least) for m in models)
    told = "; ".join(f"in {words(m)} *{shown['film'][int(n[i, 0])]}*" for m, n in zip(models, (a, b), strict=True))
    both = item_map.overlap(a, b)
    sets = genre_sets(least)
    shares = " and ".join(
        f"{item_map.common_share(n, sets):.0%} in {words(m)}" for n, m in zip((a, b), models, strict=True)
    )
    return (
        f"Nearest to *{shown['film'][i]}* is {told}. The two have {round(NEIGHBOURS * float(both[i]))} of its "
        f"{NEIGHBOURS} nearest in common; over all {len(shown):,} films {NEIGHBOURS * float(both.mean()):.1f} on "
        f"average (by chance {NEIGHBOURS**2 / (len(shown) - 1):.1f}). Of all neighbours {shares} have a genre in "
        f"common with their film; of films drawn by chance {item_map.chance_share(sets):.0%}."
    )


def cell(models: tuple[str, str], least: int, film: str) -> str:
    """The notebook cell of the neighbours."""
    return dedent(f"""\
        import pandas as pd

        from recsys_lite import data
        from recsys_lite.film_vectors import film_vectors, often_rated
        from recsys_lite.item_map import nearest_table

        dataset, models = data.load("{DATA[0]}", task="{DATA[1]}"), {list(models)!r}
        films, titles = often_rated(dataset, {least}), dataset.field("item").vocabulary.labels
        vectors = {{name: film_vectors(name, dataset, films) for name in models}}
        table = nearest_table(vectors, [titles[f] for f in films], films.index("{film}"), {NEIGHBOURS})
        table = pd.concat([table[table["model"] == name] for name in models], ignore_index=True)
        table
        """)


def caveats() -> None:
    """What maps do not say."""
    with st.expander("What these numbers do not say"):
        st.markdown(
            "- Distance is 1 − cosine: only directions count. Models compare by dot products or by networks, so a near "
            "film need not get the same scores.\n"
            "- The axes mean nothing by themselves. Principal components leave out most of the variance; t-SNE keeps "
            "neighbours, but how far groups lie apart and how large they are means nothing, and another seed gives "
            "another map.\n"
            "- The vector of a film rated seldom rests on few ratings, and on where chance put it before training: "
            "lower the least number of ratings and compare the shares.\n"
            f"- Only {', '.join(name(m) for m in NUMBERS_ONLY)} never read a genre: there films of one genre lie "
            "together because the same people rate them. Elsewhere genres were read beside the film's number, and "
            "what its vector holds of them cannot be told apart from what people did.\n"
            "- The weights are those of seed 0, and so are the stored t-SNE maps: other seeds give other neighbours "
            "and other maps."
        )
        st.caption(f"How such vectors come about, and more on their neighbours: {link('building_blocks')}")
