"""The vectors of films and their neighbours: computed once, as tables and in words."""

from __future__ import annotations

from textwrap import dedent

import numpy as np
import pandas as pd
import streamlit as st
import torch
from torch import Tensor

from recsys_lite.explain import item_map
from recsys_lite.explain.film_vectors import NUMBERS_ONLY, film_vectors, often_rated, stored_map

from ..core.cache import load_dataset, load_interactions
from ..core.names import name

DATA = ("movielens-100k", "click")
NEIGHBOURS = 10


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
    """See :func:`recsys_lite.explain.film_vectors.film_vectors`."""
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


def words(model: str) -> str:
    """A model in words; retrievers are told from click models."""
    return f"{name(model.split(',')[0])} (retrieval)" if "," in model else name(model)


def neighbours(shown: pd.DataFrame, models: tuple[str, str], least: int, i: int) -> pd.DataFrame:
    """The nearest films of each model, see :func:`recsys_lite.explain.item_map.nearest_table`, with genres."""
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


def cell(models: tuple[str, str], least: int, film: str) -> str:
    """The notebook cell of the neighbours."""
    return dedent(f"""\
        import pandas as pd

        from recsys_lite import data
        from recsys_lite.explain.film_vectors import film_vectors, often_rated
        from recsys_lite.explain.item_map import nearest_table

        dataset, models = data.load("{DATA[0]}", task="{DATA[1]}"), {list(models)!r}
        films, titles = often_rated(dataset, {least}), dataset.field("item").vocabulary.labels
        vectors = {{name: film_vectors(name, dataset, films) for name in models}}
        table = nearest_table(vectors, [titles[f] for f in films], films.index("{film}"), {NEIGHBOURS})
        table = pd.concat([table[table["model"] == name] for name in models], ignore_index=True)
        table
        """)
