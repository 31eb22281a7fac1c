"""MovieLens-100K: 100,000 ratings by 943 people of 1,682 films, 1997-1998, as rows for two tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch

from ..fields import PADDING, Dataset, Field, Rows, Vocabulary
from . import fetch
from .movielens_files import Raw, read_raw
from .negatives import draw_negatives

AGES = [(18, "under 18"), (25, "18-24"), (35, "25-34"), (45, "35-44"), (50, "45-49"), (56, "50-55"), (999, "56+")]
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
NEGATIVES = 2
#: the films that a negative is drawn from, by the rule
FREE = {
    "spared": "a film never rated by this user",
    "open": "a film that this user rated neither in this part nor before",
}


def load(
    task: str = "click",
    path: str | os.PathLike[str] | None = None,
    seed: int = 0,
    history: int = 10,
    negatives: str = "spared",
) -> Dataset:
    """MovieLens-100K as a :class:`~recsys_lite.fields.Dataset`.

    *click* (main task): each rating is a click; beside it stand two films that this person did not rate, drawn
    uniformly and independently (both may be the same film), at the same time and with the same history.
    *like* (control): label 1 for a rating of 4 or 5. Each person's last 10 % of ratings by time are the test part,
    the 10 % before them the validation part.

    Args:
        task: ``"click"`` or ``"like"``.
        path: an unzipped ml-100k folder; by default the data is fetched.
        seed: of the negatives.
        history: how many of the films rated strictly before the row's time are kept, latest first.
        negatives: what "did not rate" means. ``"open"``: in this part or an earlier one, so that no part's negatives
            know of a later part. ``"spared"`` (default, that of the stored results): at any time. It leaks: a film
            that a person rates in the test part is never one of their training negatives, so that counting training
            negatives, which learns nothing, ranks the test part with AUC 0.60
            (:func:`~recsys_lite.evaluation.leak.counter_auc`); with ``"open"`` it is 0.50.

    Raises:
        ValueError: for an unknown task or rule of negatives, or damaged files. DataUnavailable: if no source works.
    """
    return build("movielens-100k", lambda: read_raw(path), task, seed, history, negatives)


def build(
    name: str,
    read: Callable[[], Raw],
    task: str = "click",
    seed: int = 0,
    history: int = 10,
    negatives: str = "open",
) -> Dataset:
    """Ratings as a :class:`~recsys_lite.fields.Dataset`, see :func:`load`; fields of the user only if users have them.

    Args:
        name: of the data set.
        read: gives the ratings.
        task, seed, history, negatives: as in :func:`load`.
    """
    if task not in ("click", "like"):
        raise ValueError(f"{name}: unknown task {task!r}; there are 'click' and 'like'")
    if history < 1:
        raise ValueError(f"{name}: history must be at least 1, got {history}")
    if negatives not in FREE:
        raise ValueError(f"{name}: unknown rule of negatives {negatives!r}; there are {sorted(FREE)}")
    raw = read()
    events = ordered(raw)
    past = _past(events, history)
    train = events["part"] == 0
    drawn = _drawn(events, raw, seed, negatives == "open") if task == "click" else None
    films = set(events.loc[train, "item"])
    if drawn is not None:  # a film that training shows as a negative has been seen
        films |= set(raw.items.index[np.unique(drawn[train])])
    fields = _fields(raw, events.loc[train, "user"].unique(), sorted(films, key=int), history)
    parts = [_rows(raw, fields, events, past, drawn, events["part"].to_numpy() == p) for p in range(3)]
    clicks = events.groupby("part").size()
    about: dict[str, object] = {
        "source": raw.source,
        "data_sha256": raw.sha256(),
        "split": "each user's ratings by time (ties by film number): last 10 % test, 10 % before them validation, "
        "each rounded down but at least one",
        "label": f"click: 1 = rated, 0 = {FREE[negatives]}" if task == "click" else "like: rating >= 4",
        "ratings": ", ".join(f"{n} {name}" for n, name in zip(clicks, ("train", "validation", "test"), strict=True)),
        "history": f"the last {history} films rated strictly before the row's time",
    }
    if drawn is not None:
        kept = "the films this user never rated" if negatives == "spared" else FREE["open"]
        about["negatives"] = f"{NEGATIVES} per click, uniform over {kept}, with replacement, seed {seed}"
        about["negatives_sha256"] = fetch.sha256(drawn.astype("<i4").tobytes())
    train_items = events.loc[events["part"] == 0, "item"].value_counts()
    items = raw.items.assign(popularity=train_items.reindex(raw.items.index).fillna(0).astype(int))
    extras = {"items": items, "users": raw.users}
    return Dataset(name, task, fields, parts[0], parts[1], parts[2], about, extras)


def ordered(raw: Raw) -> pd.DataFrame:
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


def _fields(raw: Raw, users_seen: Sequence[str], films_seen: Sequence[str], history: int) -> tuple[Field, ...]:
    """The ten fields; vocabularies hold what the training rows show, as clicks or as negatives."""
    titles = {i: f"{t} ({y})" if y != "unknown" else t for i, t, y in raw.items[["title", "release_year"]].itertuples()}
    users, items = raw.users.loc[users_seen], raw.items.loc[films_seen]
    films = Vocabulary(items.index.to_numpy(str), titles)
    longest = max(int(raw.items["genres"].map(len).max()), 1)
    return (
        Field("user", "categorical", Vocabulary(users.index.to_numpy(str)), about="who"),
        Field("item", "categorical", films, about="the film"),
        *_of_users(users),
        Field(
            "genres", "multi_hot", Vocabulary(sorted({g for gs in items["genres"] for g in gs})),
            length=longest, about="of the film",
        ),
        Field("release_year", "categorical", Vocabulary(items["release_year"].unique()), about="of the film"),
        Field("hour", "categorical", Vocabulary([f"{h:02d}" for h in range(24)]), about="of the request, UTC"),
        Field("weekday", "categorical", Vocabulary(WEEKDAYS), about="of the request, UTC"),
        Field("history", "history", films, length=history, table="item", about="films rated before, latest first"),
    )  # fmt: skip


def _of_users(users: pd.DataFrame) -> list[Field]:
    if "gender" not in users:
        return []
    return [
        Field("gender", "categorical", Vocabulary(users["gender"].unique()), about="of the user, as they gave it"),
        Field("age", "categorical", Vocabulary(users["age"].map(_age).unique()), about="of the user, in seven groups"),
        Field("occupation", "categorical", Vocabulary(users["occupation"].unique()), about="of the user"),
    ]


def _age(years: int) -> str:
    return next(name for limit, name in AGES if years < limit)


def _drawn(events: pd.DataFrame, raw: Raw, seed: int, is_open: bool) -> np.ndarray:
    """(rows, 2) numbers in ``raw.items`` of films that the row's user did not rate: up to its part, or at any time."""
    part = events["part"].to_numpy() if is_open else np.zeros(len(events), np.int64)
    films = raw.items.index.get_indexer(events["item"])
    rng = np.random.default_rng(seed)
    return draw_negatives(events["u"].to_numpy(), films, part, len(raw.items), NEGATIVES, rng)


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
        "hour": encode("hour", clock.dt.strftime("%H")),
        "weekday": encode("weekday", np.array(WEEKDAYS)[clock.dt.day_of_week]),
    }
    if "gender" in users:
        context |= {name: encode(name, users[name]) for name in ("gender", "occupation")}
        context["age"] = encode("age", users["age"].map(_age))
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
