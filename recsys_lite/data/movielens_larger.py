"""MovieLens-1M, -10M and the latest sets, from the user's own copy: the same rows and tasks as MovieLens-100K.

GroupLens does not allow others to pass the data on. These are never fetched: unzip them from grouplens.org by hand.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from ..fields import Dataset
from . import fetch, movielens, table_text
from .delimited import read_table, whole_numbers
from .movielens_files import Raw, checked

RATINGS = ["user", "item", "rating", "timestamp"]
NO_GENRES = "(no genres listed)"
#: of MovieLens-1M, by number, as its README names them
OCCUPATIONS = [
    "other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service",
    "doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer",
    "retired", "sales/marketing", "scientist", "self-employed", "technician/engineer", "tradesman/craftsman",
    "unemployed", "writer",
]  # fmt: skip
AGES = ("1", "18", "25", "35", "45", "50", "56")  # of MovieLens-1M: the youngest of each group, 1 for under 18


def load(name: str, task: str = "click", path: str | os.PathLike[str] | None = None, **options: Any) -> Dataset:
    """A larger MovieLens set as a :class:`~recsys_lite.fields.Dataset`: split, tasks and history of MovieLens-100K.

    Films that nobody rated are left out. Only 1M has the user's gender, age and occupation; the others have the fields
    user, item, genres, release_year, hour, weekday and history. *like* is a rating of at least 4, half stars or not.

    Args:
        name: ``"movielens-1m"`` (ratings.dat, users.dat and movies.dat), ``"movielens-10m"`` (ratings.dat and
            movies.dat) or ``"movielens-latest"`` (ratings.csv and movies.csv, as in ml-latest-small and ml-25m).
        task: ``"click"`` or ``"like"``.
        path: the unzipped folder.
        options: as in :func:`recsys_lite.data.movielens.load`.

    Raises:
        ValueError: for an unknown name or task, no path, or damaged files, naming file and row. DataUnavailable: if a
            file is missing.

    Source: Harper and Konstan, The MovieLens Datasets: History and Context, ACM TiiS 2015.
    """
    if name not in READERS:
        raise ValueError(f"unknown MovieLens set {name!r}; there are {list(READERS)}")
    files, parse = READERS[name]
    if path is None:
        raise ValueError(f"{name}: give the unzipped folder, which holds {', '.join(files)}, as path=")
    folder = Path(path)
    if missing := [file for file in files if not (folder / file).is_file()]:
        raise fetch.DataUnavailable(f"{folder} holds no {missing[0]}; expected the unzipped folder of {name}")

    def read() -> Raw:
        return _rated(parse(*((folder / file).read_bytes() for file in files), f"folder {folder.name}"))

    return movielens.build(name, read, task, **options)


def parse_1m(ratings: bytes, users: bytes, movies: bytes, source: str) -> Raw:
    """ratings.dat, users.dat and movies.dat: ``::`` between columns, latin-1, whole stars."""
    people = read_table(users, "users.dat", "::", ["user", "gender", "age", "occupation"], 5)
    for column, known in (("age", AGES), ("occupation", [str(k) for k in range(len(OCCUPATIONS))])):
        if (wrong := ~people[column].isin(known).to_numpy()).any():
            row = int(wrong.argmax())
            got = people[column].iloc[row]
            raise ValueError(f"users.dat, row {row + 1}: {column} is {got!r}, expected one of {', '.join(known)}")
    people["occupation"] = [OCCUPATIONS[int(k)] for k in people["occupation"]]
    names = {"ratings": "ratings.dat", "users": "users.dat", "items": "movies.dat"}
    table = read_table(ratings, "ratings.dat", "::", RATINGS, 4)
    return checked(table, people[["user", "age", "gender", "occupation"]], _movies(movies, "latin-1"), names, source)


def parse_10m(ratings: bytes, movies: bytes, source: str) -> Raw:
    """ratings.dat and movies.dat: ``::`` between columns, UTF-8, half stars, nothing about users."""
    names = {"ratings": "ratings.dat", "users": "ratings.dat", "items": "movies.dat"}
    table = read_table(ratings, "ratings.dat", "::", RATINGS, 4)
    return checked(table, _users(table, "ratings.dat"), _movies(movies, "utf-8"), names, source, half_stars=True)


def parse_latest(ratings: bytes, movies: bytes, source: str) -> Raw:
    """ratings.csv and movies.csv: with headers, UTF-8, titles in quotes where they hold a comma, half stars."""
    for data, file, header in ((ratings, "ratings.csv", "userId,movieId,rating,timestamp"),
                               (movies, "movies.csv", "movieId,title,genres")):  # fmt: skip
        got = data.split(b"\n", 1)[0].decode("latin-1").strip()
        if got != header:
            raise ValueError(f"{file}: expected the header {header}, got {got}")
    table = read_table(ratings, "ratings.csv", ",", RATINGS, 4, header=True, encoding="utf-8")
    try:
        films = table_text.read(movies, ",").reset_index(drop=True)
    except table_text.TableError as error:
        raise ValueError(f"movies.csv: {error}") from None
    names = {"ratings": "ratings.csv", "users": "ratings.csv", "items": "movies.csv"}
    items = _items(films.rename(columns={"movieId": "item", "title": "full_title"}))
    return checked(table, _users(table, "ratings.csv"), items, names, source, half_stars=True)


def _users(ratings: pd.DataFrame, file: str) -> pd.DataFrame:
    """Who rates, where there is no file of users."""
    whole_numbers(ratings, "user", file, 0, 2**31 - 1)
    return ratings[["user"]].drop_duplicates(ignore_index=True)


def _movies(data: bytes, encoding: str) -> pd.DataFrame:
    return _items(read_table(data, "movies.dat", "::", ["item", "full_title", "genres"], 3, encoding=encoding))


def _items(films: pd.DataFrame) -> pd.DataFrame:
    """``Title (1995)`` and ``Genre|Genre`` -> title, release_year, genres."""
    year = films["full_title"].str.extract(r"\((\d{4})\)\s*$")[0].fillna("unknown")
    title = films["full_title"].str.replace(r"\s*\(\d{4}\)\s*$", "", regex=True)
    genres = [() if g == NO_GENRES else tuple(dict.fromkeys(g.split("|"))) for g in films["genres"]]
    return pd.DataFrame({"item": films["item"], "title": title, "release_year": year, "genres": genres})


def _rated(raw: Raw) -> Raw:
    return raw._replace(items=raw.items[raw.items.index.isin(raw.ratings["item"])])


#: name -> its files, and what reads them
READERS: dict[str, tuple[tuple[str, ...], Callable[..., Raw]]] = {
    "movielens-1m": (("ratings.dat", "users.dat", "movies.dat"), parse_1m),
    "movielens-10m": (("ratings.dat", "movies.dat"), parse_10m),
    "movielens-latest": (("ratings.csv", "movies.csv"), parse_latest),
}
