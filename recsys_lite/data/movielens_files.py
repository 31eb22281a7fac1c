"""MovieLens-100K as files: where they come from, and one parsed form for all sources.

GroupLens does not allow others to pass the data on, so it is fetched at first use.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from . import fetch
from .delimited import read_table, whole_numbers

OFFICIAL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
OFFICIAL_HASH = "md5:0e33842e24a9c977be4e0107933c0723"  # as published beside the file
WHEEL = "recbole==1.2.1"
WHEEL_NAME = "recbole-1.2.1-py3-none-any.whl"
WHEEL_HASH = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
WHEEL_FILES = {
    "inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
}
ADVICE = (
    "Fetch ml-100k.zip from GroupLens by another way, unzip it, and give its folder as load(..., path=...) or in the "
    "environment variable RECSYS_LITE_ML100K."
)
GENRES = [
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
]  # fmt: skip


class Raw(NamedTuple):
    """The data as published, in one form for all sources."""

    ratings: pd.DataFrame  # user, item: str; timestamp: int; rating: int, or float where there are half stars
    users: pd.DataFrame  # index user: age, gender, occupation, or no column; in the order of the user numbers
    items: pd.DataFrame  # index item: title, release_year (str), genres (tuple); in the order of the film numbers
    source: str

    def sha256(self) -> str:
        """The hash of the content, the same whichever source it came from."""
        digest = hashlib.sha256()
        ratings = self.ratings.sort_values(["timestamp", "user", "item"])
        for table in (ratings, self.users.reset_index(), self.items.reset_index()):
            digest.update(repr(table.to_dict("list")).encode())
        return digest.hexdigest()


# --- sources ---------------------------------------------------------------------------------------------------------


def read_raw(path: str | os.PathLike[str] | None = None) -> Raw:
    """The raw data from the named folder, or from the cache, the official address or the mirror, in that order."""
    path = path or os.environ.get("RECSYS_LITE_ML100K")
    if path:
        folder = Path(path)
        if missing := [n for n in ("u.data", "u.user", "u.item") if not (folder / n).is_file()]:
            raise fetch.DataUnavailable(f"{folder} holds no {missing[0]}; expected an unzipped ml-100k folder")
        return parse_official(lambda name: (folder / name).read_bytes(), f"folder {folder.name}")
    file = _cached(fetch.cache_path()) or _fetched()  # a cache that holds the file need not be writable
    with zipfile.ZipFile(file) as archive:
        if file.suffix == ".whl":
            return parse_mirror({kind: _member(archive, kind) for kind in WHEEL_FILES})
        return parse_official(lambda name: archive.read(f"ml-100k/{name}"), "GroupLens")


def _cached(cache: Path) -> Path | None:
    """A file fetched before; one whose hash is wrong, or that cannot be read, counts as absent."""
    for file, known in ((cache / "ml-100k.zip", OFFICIAL_HASH), (cache / WHEEL_NAME, f"sha256:{WHEEL_HASH}")):
        if fetch.is_whole(file, known):
            return file
    return None


def _fetched() -> Path:
    cache = fetch.cache_folder()
    with fetch.locked(cache, "movielens-100k"):
        if file := _cached(cache):  # another process was faster
            return file
        return fetch.first_that_works(
            "MovieLens-100K",
            [
                ("GroupLens", lambda: fetch.retrieve(OFFICIAL, OFFICIAL_HASH, cache)),
                (f"mirror in the package index ({WHEEL})", lambda: fetch.wheel(WHEEL, WHEEL_HASH, cache)),
            ],
            ADVICE,
        )


def _member(archive: zipfile.ZipFile, kind: str) -> bytes:
    name = f"recbole/dataset_example/ml-100k/ml-100k.{kind}"
    data = archive.read(name)
    if (got := fetch.sha256(data)) != WHEEL_FILES[kind]:
        raise ValueError(f"{name}: wrong hash, expected sha256 {WHEEL_FILES[kind]}, got {got}")
    return data


def checked(
    ratings: pd.DataFrame,
    users: pd.DataFrame,
    items: pd.DataFrame,
    names: Mapping[str, str],
    source: str,
    half_stars: bool = False,
) -> Raw:
    """Checks that hold for every source; users and films in the order of their numbers.

    Args:
        ratings, users, items: as in :class:`Raw`, but of text, with columns user and item in place of an index; users
            may have no age.
        names: "ratings", "users", "items" -> the file, for messages.
        source: as in :class:`Raw`.
        half_stars: whether ratings go from 0.5 to 5 in halves, and not from 1 to 5.

    Raises:
        ValueError: naming the file, and the row where there is one.
    """
    last = 2**31 - 1
    ratings = ratings.assign(
        rating=(_half_stars if half_stars else _stars)(ratings, names["ratings"]),
        timestamp=whole_numbers(ratings, "timestamp", names["ratings"], 0, last),
    )
    if (again := ratings.duplicated(["user", "item"]).to_numpy()).any():
        row = int(again.argmax())
        user, item = ratings[["user", "item"]].iloc[row]
        raise ValueError(f"{names['ratings']}, row {row + 1}: user {user!r} rates item {item!r} a second time")
    if "age" in users:
        users = users.assign(age=whole_numbers(users, "age", names["users"], 0, 150))
    tables = {}
    for column, table in (("user", users), ("item", items)):
        file = names[column + "s"]
        order = whole_numbers(table, column, file, 0, last).to_numpy().argsort(kind="stable")
        if (repeated := table[column].duplicated()).any():
            raise ValueError(f"{file}: {column} {table[column][repeated].iloc[0]!r} occurs twice")
        tables[column] = table.iloc[order].set_index(column)
        if unknown := sorted(set(ratings[column]) - set(tables[column].index)):
            raise ValueError(f"{names['ratings']}: {column} {unknown[0]!r} is not in {file}")
    return Raw(ratings, tables["user"], tables["item"], source)


def _stars(ratings: pd.DataFrame, file: str) -> pd.Series:
    return whole_numbers(ratings, "rating", file, 1, 5)


def _half_stars(ratings: pd.DataFrame, file: str) -> pd.Series:
    values = pd.to_numeric(ratings["rating"], errors="coerce")
    if (wrong := ~(values * 2).isin(range(1, 11)).to_numpy()).any():
        row = int(wrong.argmax())
        got = ratings["rating"].iloc[row]
        raise ValueError(f"{file}, row {row + 1}: rating is {got!r}, expected 0.5 to 5 in halves")
    return values


def parse_official(read: Callable[[str], bytes], source: str) -> Raw:
    """The published files u.data, u.user and u.item."""
    ratings = read_table(read("u.data"), "u.data", "\t", ["user", "item", "rating", "timestamp"], 4)
    users = read_table(read("u.user"), "u.user", "|", ["user", "age", "gender", "occupation"], 5)
    columns = ["item", "full_title", "date", "video_date", "url", *GENRES]
    items = read_table(read("u.item"), "u.item", "|", columns, len(columns))
    year = items["full_title"].str.extract(r"\((\d{4})\)\s*$")[0].fillna("unknown")
    title = items["full_title"].str.replace(r"\s*\([^()]*\)\s*$", "", regex=True)
    for genre in GENRES:
        if (wrong := ~items[genre].isin(["0", "1"]).to_numpy()).any():
            row = int(wrong.argmax())
            raise ValueError(f"u.item, row {row + 1}: {genre} is {items[genre].iloc[row]!r}, expected 0 or 1")
    flags = items[GENRES].to_numpy() == "1"
    genres = [tuple(np.array(GENRES)[row].tolist()) for row in flags]
    items = pd.DataFrame({"item": items["item"], "title": title, "release_year": year, "genres": genres})
    return checked(ratings, users, items, {"ratings": "u.data", "users": "u.user", "items": "u.item"}, source)


def parse_mirror(files: Mapping[str, bytes]) -> Raw:
    """The three files of the mirror: the same data in UTF-8, with a header line and words for genres."""
    ratings = read_table(
        files["inter"], "ml-100k.inter", "\t", ["user", "item", "rating", "timestamp"], 4, True, "utf-8"
    )
    users = read_table(files["user"], "ml-100k.user", "\t", ["user", "age", "gender", "occupation"], 5, True, "utf-8")
    items = read_table(
        files["item"], "ml-100k.item", "\t", ["item", "title", "release_year", "genres"], 4, True, "utf-8"
    )
    items["title"] = items["title"].replace("unkonwn", "unknown")
    items["release_year"] = [y if re.fullmatch(r"\d{4}", y) else "unknown" for y in items["release_year"]]
    items["genres"] = [tuple(sorted(g.split(), key=GENRES.index)) for g in items["genres"]]
    names = {"ratings": "ml-100k.inter", "users": "ml-100k.user", "items": "ml-100k.item"}
    return checked(ratings, users, items, names, f"mirror {WHEEL}")
