"""MovieLens-100K: 100,000 ratings by 943 people of 1,682 films, 1997-1998.

GroupLens does not allow others to pass the data on, so it is fetched at first use.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from ..fields import PADDING, Dataset, Field, Rows, Vocabulary
from . import fetch

OFFICIAL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
OFFICIAL_HASH = "md5:0e33842e24a9c977be4e0107933c0723"  # as published beside the file
WHEEL = "recbole==1.2.1"
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
AGES = [(18, "under 18"), (25, "18-24"), (35, "25-34"), (45, "35-44"), (50, "45-49"), (56, "50-55"), (999, "56+")]
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
NEGATIVES = 2


class Raw(NamedTuple):
    """The data as published, in one form for all sources."""

    ratings: pd.DataFrame  # user, item: str; rating, timestamp: int
    users: pd.DataFrame  # index user: age, gender, occupation
    items: pd.DataFrame  # index item: title, release_year (str), genres (tuple)
    source: str


# --- sources ---------------------------------------------------------------------------------------------------------


def read_raw(path: str | os.PathLike[str] | None = None) -> Raw:
    """The raw data from the named folder, or from the cache, the official address or the mirror, in that order."""
    path = path or os.environ.get("RECSYS_LITE_ML100K")
    if path:
        folder = Path(path)
        if missing := [n for n in ("u.data", "u.user", "u.item") if not (folder / n).is_file()]:
            raise fetch.DataUnavailable(f"{folder} holds no {missing[0]}; expected an unzipped ml-100k folder")
        return parse_official(lambda name: (folder / name).read_bytes(), f"folder {folder.name}")
    cache = fetch.cache_folder()
    with fetch.locked(cache, "movielens-100k"):
        file = fetch.first_that_works(
            "MovieLens-100K",
            [
                ("cache", lambda: _cached(cache)),
                ("GroupLens", lambda: fetch.retrieve(OFFICIAL, OFFICIAL_HASH, cache)),
                (f"mirror in the package index ({WHEEL})", lambda: fetch.wheel(WHEEL, WHEEL_HASH, cache)),
            ],
            ADVICE,
        )
    with zipfile.ZipFile(file) as archive:
        if file.suffix == ".whl":
            return parse_mirror({kind: _member(archive, kind) for kind in WHEEL_FILES})
        return parse_official(lambda name: archive.read(f"ml-100k/{name}"), "GroupLens")


def _cached(cache: Path) -> Path:
    """A file fetched before; one whose hash is wrong counts as absent."""
    mirror = cache / "recbole-1.2.1-py3-none-any.whl"
    if mirror.is_file() and fetch.sha256(mirror.read_bytes()) == WHEEL_HASH:
        return mirror
    official = cache / OFFICIAL.rsplit("/", 1)[-1]
    if official.is_file() and fetch.pooch.file_hash(str(official), "md5") == OFFICIAL_HASH.removeprefix("md5:"):
        return official
    raise FileNotFoundError("nothing there yet")


def _member(archive: zipfile.ZipFile, kind: str) -> bytes:
    name = f"recbole/dataset_example/ml-100k/ml-100k.{kind}"
    data = archive.read(name)
    if (got := fetch.sha256(data)) != WHEEL_FILES[kind]:
        raise ValueError(f"{name}: wrong hash, expected sha256 {WHEEL_FILES[kind]}, got {got}")
    return data


def _table(data: bytes, file: str, sep: str, columns: list[str], header: int | None = None) -> pd.DataFrame:
    """A delimited file as text columns, with errors that name the file."""
    if not data.strip():
        raise ValueError(f"{file} is empty")
    table = pd.read_csv(io.BytesIO(data), sep=sep, header=header, dtype=str, encoding="latin-1", keep_default_na=False)
    if table.shape[1] < len(columns):
        raise ValueError(
            f"{file}: expected at least {len(columns)} columns ({', '.join(columns)}), got {table.shape[1]}"
        )
    table = table.iloc[:, : len(columns)]
    table.columns = columns
    return table


def _integers(table: pd.DataFrame, column: str, file: str) -> pd.Series:
    values = pd.to_numeric(table[column], errors="coerce")
    if values.isna().any():
        line = int(values.isna().to_numpy().argmax())
        raise ValueError(f"{file}, row {line + 1}: {column} is {table[column].iloc[line]!r}, expected a number")
    return values.astype(int)


def _raw(ratings: pd.DataFrame, users: pd.DataFrame, items: pd.DataFrame, names: Mapping[str, str], source: str) -> Raw:
    for column in ("rating", "timestamp"):
        ratings[column] = _integers(ratings, column, names["ratings"])
    if not ratings["rating"].between(1, 5).all():
        raise ValueError(f"{names['ratings']}: ratings must lie within 1 to 5")
    users["age"] = _integers(users, "age", names["users"])
    users, items = users.set_index("user"), items.set_index("item")
    for column, table in (("user", users), ("item", items)):
        if unknown := sorted(set(ratings[column]) - set(table.index)):
            raise ValueError(f"{names['ratings']}: {column} {unknown[0]!r} is not in {names[column + 's']}")
    return Raw(ratings, users, items, source)


def parse_official(read: Callable[[str], bytes], source: str) -> Raw:
    """The published files u.data, u.user and u.item."""
    ratings = _table(read("u.data"), "u.data", "\t", ["user", "item", "rating", "timestamp"])
    users = _table(read("u.user"), "u.user", "|", ["user", "age", "gender", "occupation"])
    columns = ["item", "full_title", "date", "video_date", "url", *GENRES]
    items = _table(read("u.item"), "u.item", "|", columns)
    year = items["full_title"].str.extract(r"\((\d{4})\)\s*$")[0].fillna("unknown")
    title = items["full_title"].str.replace(r"\s*\([^()]*\)\s*$", "", regex=True)
    flags = items[GENRES].to_numpy() == "1"
    genres = [tuple(np.array(GENRES)[row]) for row in flags]
    items = pd.DataFrame({"item": items["item"], "title": title, "release_year": year, "genres": genres})
    return _raw(ratings, users, items, {"ratings": "u.data", "users": "u.user", "items": "u.item"}, source)


def parse_mirror(files: Mapping[str, bytes]) -> Raw:
    """The three files of the mirror: the same data with a header line and words for genres."""
    ratings = _table(files["inter"], "ml-100k.inter", "\t", ["user", "item", "rating", "timestamp"], header=0)
    users = _table(files["user"], "ml-100k.user", "\t", ["user", "age", "gender", "occupation"], header=0)
    items = _table(files["item"], "ml-100k.item", "\t", ["item", "title", "release_year", "genres"], header=0)
    items["title"] = items["title"].replace("unkonwn", "unknown")
    items["release_year"] = [y if re.fullmatch(r"\d{4}", y) else "unknown" for y in items["release_year"]]
    items["genres"] = [tuple(sorted(g.split(), key=GENRES.index)) for g in items["genres"]]
    names = {"ratings": "ml-100k.inter", "users": "ml-100k.user", "items": "ml-100k.item"}
    return _raw(ratings, users, items, names, f"mirror {WHEEL}")


# --- rows ------------------------------------------------------------------------------------------------------------


def load(task: str = "click", path: str | os.PathLike[str] | None = None, seed: int = 0, history: int = 10) -> Dataset:
    """MovieLens-100K as a :class:`~recsys_lite.fields.Dataset`.

    *click* (main task): each rating is a click; beside it stand two films that this person never rated at any time,
    drawn uniformly, at the same time and with the same history. *like* (control): label 1 for a rating of 4 or 5.
    Each person's last 10 % of ratings by time are the test part, the 10 % before them the validation part.

    Args:
        task: ``"click"`` or ``"like"``.
        path: an unzipped ml-100k folder; by default the data is fetched.
        seed: of the negatives.
        history: how many of the films rated strictly before the row's time are kept, latest first.

    Raises:
        ValueError: for an unknown task or damaged files. DataUnavailable: if no source works.
    """
    if task not in ("click", "like"):
        raise ValueError(f"movielens-100k: unknown task {task!r}; there are 'click' and 'like'")
    if history < 1:
        raise ValueError(f"movielens-100k: history must be at least 1, got {history}")
    raw = read_raw(path)
    events = _ordered(raw)
    past = _past(events, history)
    fields = _fields(raw, events[events["part"] == 0], history)
    negatives = _negatives(events, raw, seed) if task == "click" else None
    parts = [_rows(raw, fields, events, past, negatives, events["part"].to_numpy() == p) for p in range(3)]
    clicks = events.groupby("part").size()
    about: dict[str, object] = {
        "source": raw.source,
        "split": "each user's ratings by time (ties by film number): last 10 % test, 10 % before them validation, "
        "each rounded down but at least one",
        "label": "click: 1 = rated, 0 = a film never rated by this user" if task == "click" else "like: rating >= 4",
        "ratings": ", ".join(f"{n} {name}" for n, name in zip(clicks, ("train", "validation", "test"), strict=True)),
        "history": f"the last {history} films rated strictly before the row's time",
    }
    if negatives is not None:
        about["negatives"] = f"{NEGATIVES} per click, uniform over the films this user never rated, seed {seed}"
        about["negatives_sha256"] = fetch.sha256(negatives.astype("<i4").tobytes())
    train_items = events.loc[events["part"] == 0, "item"].value_counts()
    items = raw.items.assign(popularity=train_items.reindex(raw.items.index).fillna(0).astype(int))
    extras = {"items": items, "users": raw.users}
    return Dataset("movielens-100k", task, fields, parts[0], parts[1], parts[2], about, extras)


def _ordered(raw: Raw) -> pd.DataFrame:
    """Ratings by user and time, each with its part: 0 train, 1 validation, 2 test."""
    events = raw.ratings.assign(u=raw.ratings["user"].astype(int), i=raw.ratings["item"].astype(int))
    events = events.sort_values(["u", "timestamp", "i"], kind="stable").reset_index(drop=True)
    n = events.groupby("u")["i"].transform("size")
    held = (n // 10).clip(lower=1)
    from_end = n - 1 - events.groupby("u").cumcount()
    events["part"] = np.select([from_end < held, from_end < 2 * held], [2, 1], 0)
    return events


def _past(events: pd.DataFrame, length: int) -> np.ndarray:
    """(rows, length) positions in ``events`` of what the same user rated strictly before, latest first; -1 for none."""
    user, time = events["u"].to_numpy(), events["timestamp"].to_numpy()
    change = np.flatnonzero((np.diff(user) != 0) | (np.diff(time) != 0)) + 1
    starts = np.concatenate([[0], change])  # of runs of equal user and time
    before = np.repeat(starts, np.diff(np.append(starts, len(events))))  # first row of one's own run
    first = np.searchsorted(user, user)  # first row of the user
    positions = before[:, None] - 1 - np.arange(length)
    return np.where(positions >= first[:, None], positions, -1)


def _fields(raw: Raw, train: pd.DataFrame, history: int) -> tuple[Field, ...]:
    """The ten fields; vocabularies hold what the training part shows."""
    titles = {i: f"{t} ({y})" if y != "unknown" else t for i, t, y in raw.items[["title", "release_year"]].itertuples()}
    users, items = raw.users.loc[train["user"].unique()], raw.items.loc[train["item"].unique()]
    films = Vocabulary(items.index.to_numpy(str), titles)
    longest = int(raw.items["genres"].map(len).max())
    return (
        Field("user", "categorical", Vocabulary(users.index.to_numpy(str)), about="who"),
        Field("item", "categorical", films, about="the film"),
        Field("gender", "categorical", Vocabulary(users["gender"].unique()), about="of the user, as given in 1997"),
        Field("age", "categorical", Vocabulary(users["age"].map(_age).unique()), about="of the user, in seven groups"),
        Field("occupation", "categorical", Vocabulary(users["occupation"].unique()), about="of the user"),
        Field(
            "genres", "multi_hot", Vocabulary(sorted({g for gs in items["genres"] for g in gs})),
            length=longest, about="of the film",
        ),
        Field("release_year", "categorical", Vocabulary(items["release_year"].unique()), about="of the film"),
        Field("hour", "categorical", Vocabulary([f"{h:02d}" for h in range(24)]), about="of the request, UTC"),
        Field("weekday", "categorical", Vocabulary(WEEKDAYS), about="of the request, UTC"),
        Field("history", "history", films, length=history, table="item", about="films rated before, latest first"),
    )  # fmt: skip


def _age(years: int) -> str:
    return next(name for limit, name in AGES if years < limit)


def _negatives(events: pd.DataFrame, raw: Raw, seed: int) -> np.ndarray:
    """(rows, 2) numbers in ``raw.items`` of films that the row's user never rated at any time."""
    rng = np.random.default_rng(seed)
    place = {item: k for k, item in enumerate(raw.items.index)}
    out = np.zeros((len(events), NEGATIVES), np.int64)
    for _, rows in events.groupby("u", sort=True):
        free = np.setdiff1d(np.arange(len(raw.items)), [place[i] for i in rows["item"]])
        if not len(free):
            raise ValueError(f"user {rows['user'].iloc[0]!r} has rated every film: no negatives can be drawn")
        out[rows.index] = rng.choice(free, (len(rows), NEGATIVES))
    return out


def _rows(
    raw: Raw,
    fields: tuple[Field, ...],
    events: pd.DataFrame,
    past: np.ndarray,
    negatives: np.ndarray | None,
    keep: np.ndarray,
) -> Rows:
    """Encode the kept events: each rating, followed by its negatives where there are any."""
    vocabulary = {f.name: f.vocabulary for f in fields}
    encode = lambda name, values: vocabulary[name].encode(np.asarray(values, str))  # type: ignore[union-attr]  # noqa: E731
    items, users = raw.items, raw.users.loc[events["user"]]
    place = items.index.get_indexer(events["item"])
    clock = pd.to_datetime(events["timestamp"], unit="s")
    longest = next(f.length for f in fields if f.name == "genres")
    genres = np.full((len(items), longest), PADDING, np.int32)
    for k, names in enumerate(items["genres"]):
        genres[k, : len(names)] = encode("genres", names) if names else []
    item_row = encode("item", items.index)
    year_row = encode("release_year", items["release_year"])
    history = np.where(past >= 0, item_row[place[past]], PADDING).astype(np.int32)

    film = place[keep][:, None]
    label = np.ones_like(film, dtype=np.float32)
    if negatives is None:
        label = (events["rating"].to_numpy()[keep, None] >= 4).astype(np.float32)
    else:
        film = np.concatenate([film, negatives[keep]], 1)
        label = np.concatenate([label, np.zeros((len(film), NEGATIVES), np.float32)], 1)
    repeat, film = film.shape[1], film.ravel()
    context = {
        "user": encode("user", events["user"]),
        "gender": encode("gender", users["gender"]),
        "age": encode("age", users["age"].map(_age)),
        "occupation": encode("occupation", users["occupation"]),
        "hour": encode("hour", clock.dt.strftime("%H")),
        "weekday": encode("weekday", np.array(WEEKDAYS)[clock.dt.day_of_week]),
    }
    columns = {name: np.repeat(values[keep], repeat) for name, values in context.items()}
    columns |= {"item": item_row[film], "release_year": year_row[film]}
    ids = np.stack([columns[f.name] for f in fields if f.kind == "categorical"], 1)
    return Rows(
        torch.from_numpy(ids),
        torch.zeros((len(ids), 0)),
        {"genres": torch.from_numpy(genres[film]), "history": torch.from_numpy(np.repeat(history[keep], repeat, 0))},
        torch.from_numpy(label.ravel()),
        torch.from_numpy(np.repeat(events["u"].to_numpy(np.int32)[keep], repeat)),
    )
