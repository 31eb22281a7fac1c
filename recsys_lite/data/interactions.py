"""Interactions for retrieval: who took what, split by time, with what is known about users and items."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..fields import Field, Rows, Vocabulary, find_field, pad
from . import movielens
from .item_sets import ItemSets
from .movielens_files import read_raw
from .pairs import numbered, text_lines, whole_numbers

QUERY = ("user", "gender", "age", "occupation", "history")


@dataclass(frozen=True, eq=False)
class Interactions:
    """Interactions of U users with I items, both numbered from 0, and the features of both sides.

    Args:
        name: of the data set.
        train, validation, test: (N, 2) user and item of each interaction. What validation and test hold of a user is
            to be found among all items that the user does not have in an earlier part. Validation may be empty, for
            models that need none.
        users, items: raw numbers, ascending; an item's place is its number here.
        query_fields, candidate_fields: the columns of the two sides.
        queries: rows of the query fields: ``train`` one per training interaction, as things stood before it; ``known``
            one per user (U), as things stood after the training part; ``fresh`` the same after the validation part.
        candidates: (I) rows of the candidate fields, also for items that training never showed.
        titles: raw number of an item, as text -> readable name.
        about: how the parts were made, in words, with hashes.
    """

    name: str
    train: Tensor
    validation: Tensor
    test: Tensor
    users: np.ndarray
    items: np.ndarray
    query_fields: tuple[Field, ...]
    candidate_fields: tuple[Field, ...]
    queries: dict[str, Rows]
    candidates: Rows
    titles: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    num_users = property(lambda self: len(self.users), doc="U")
    num_items = property(lambda self: len(self.items), doc="I")

    def __post_init__(self) -> None:
        for part in ("train", "validation", "test"):
            pairs = getattr(self, part)
            if pairs.dim() != 2 or pairs.shape[1] != 2 or (not len(pairs) and part != "validation"):
                raise ValueError(f"{self.name!r}, {part}: expected (N, 2) pairs, got {tuple(pairs.shape)}")
            if (pairs < 0).any() or (pairs >= torch.tensor([self.num_users, self.num_items])).any():
                raise ValueError(f"{self.name!r}, {part}: numbers reach beyond {self.num_users} × {self.num_items}")
        expected = {"train": len(self.train), "known": self.num_users, "fresh": self.num_users}
        if (got := {k: len(rows) for k, rows in self.queries.items()}) != expected:
            raise ValueError(f"{self.name!r}: expected query rows {expected}, got {got}")
        if len(self.candidates) != self.num_items:
            raise ValueError(f"{self.name!r}: {len(self.candidates)} candidate rows for {self.num_items} items")

    def mask(self, *parts: str) -> Tensor:
        """(U, I) whether a user has an item in one of the parts ``train``, ``validation``, ``test``.

        For small data: one byte a pair. :class:`~recsys_lite.data.item_sets.ItemSets` says the same of large data.
        """
        return ItemSets.of(self, *parts).mask()

    def degree(self) -> Tensor:
        """(I,) training interactions of each item."""
        return torch.bincount(self.train[:, 1], minlength=self.num_items)

    def title(self, item: int) -> str:
        """The readable name of an item's number."""
        raw = str(self.items[item])
        return self.titles.get(raw, raw)

    def without_items(self, items: Tensor) -> Interactions:
        """The same data as if some items were new: no training interactions, and no row in any vocabulary.

        Where a user's history held one of them, it holds nothing. The other parts stay as they are.
        """
        gone = torch.zeros(self.num_items, dtype=torch.bool)
        gone[items] = True
        kept = ~gone[self.train[:, 1]]
        row_gone = torch.zeros(find_field(self.candidate_fields, "item").size, dtype=torch.bool)
        place = [f.name for f in self.candidate_fields if f.kind == "categorical"].index("item")
        row_gone[self.candidates.ids[gone, place].long()] = True
        row_gone[0] = False
        ids = self.candidates.ids.clone()
        ids[gone, place] = 0
        queries = {state: self._forget(rows, row_gone) for state, rows in self.queries.items()}
        queries["train"] = queries["train"][kept]
        return replace(self, train=self.train[kept], queries=queries, candidates=replace(self.candidates, ids=ids))

    def _forget(self, rows: Rows, row_gone: Tensor) -> Rows:
        bags = {}
        for name, bag in rows.bags.items():
            film = find_field(self.candidate_fields, "item")
            shared = find_field(self.query_fields, name).vocabulary is film.vocabulary
            bags[name] = torch.where(row_gone[bag.long().clamp(min=0)] & (bag > 0), -1, bag) if shared else bag
        return replace(rows, bags=bags)


def interactions(path: str | os.PathLike[str] | None = None, history: int = 10) -> Interactions:
    """MovieLens-100K: every rating is an interaction; the split is that of ``data.load("movielens-100k")``.

    Each user's last 10 % of ratings by time are the test part, the 10 % before them validation. All 1,682 films are
    candidates, also those that training never showed.

    Args:
        path: an unzipped ml-100k folder; by default the data is fetched.
        history: how many of the films rated before are kept, latest first.

    Raises:
        ValueError: for damaged files. DataUnavailable: if no source works.
    """
    raw = read_raw(path)
    data = movielens.load("like", path, history=history).select(QUERY)  # a row per rating, in the order of the events
    events = movielens.ordered(raw)
    user, item = raw.users.index.get_indexer(events["user"]), raw.items.index.get_indexer(events["item"])
    pairs = torch.from_numpy(np.stack([user, item], 1))
    part = events["part"].to_numpy()
    films = data.field("history").vocabulary
    queries = {"train": data.train}
    for state, last in (("known", 0), ("fresh", 1)):
        queries[state] = _state(data.train, user[part == 0], films, events[part <= last], len(raw.users), history)
    fields, candidates = _candidates(raw.items, films)
    about = {
        "source": raw.source,
        "data_sha256": raw.sha256(),
        "split": data.about["split"],
        "ratings": data.about["ratings"],
        "history": f"the last {history} films rated before",
    }
    users, items = (table.index.to_numpy().astype(int) for table in (raw.users, raw.items))
    titles = {i: f"{t} ({y})" if y != "unknown" else t for i, t, y in raw.items[["title", "release_year"]].itertuples()}
    train, validation, test = (pairs[torch.from_numpy(part == p)] for p in range(3))
    return Interactions(
        "movielens-100k", train, validation, test, users, items, data.fields, fields, queries, candidates, titles,
        about,
    )  # fmt: skip


def _state(
    train: Rows, user: np.ndarray, films: Vocabulary | None, events: pd.DataFrame, count: int, length: int
) -> Rows:
    """(U) a row per user: who it is as in training, and the last films of some events."""
    first = np.full(count, -1)
    first[user[::-1]] = np.arange(len(user))[::-1]
    if (first < 0).any():
        raise ValueError(f"user number {int(np.flatnonzero(first < 0)[0])} has no training interaction")
    latest = [group["item"].to_numpy()[::-1][:length] for _, group in events.groupby("u", sort=True)]
    rows = train[torch.from_numpy(first)]
    history = pad([films.encode(items) for items in latest], length)  # type: ignore[union-attr]
    return Rows(rows.ids, rows.numeric, {**rows.bags, "history": history}, None, torch.arange(count, dtype=torch.int32))


def words(title: str) -> list[str]:
    """The words of a title, lower case, each once.

    Example:
        >>> words("Star Trek: The Wrath of Khan, The")
        ['star', 'trek', 'the', 'wrath', 'of', 'khan']
    """
    return list(dict.fromkeys(re.findall(r"[^\W_]+", title.lower())))


def _candidates(items: pd.DataFrame, films: Vocabulary | None) -> tuple[tuple[Field, ...], Rows]:
    """Fields and rows of all films; vocabularies of features hold what films seen in training show, words twice."""
    assert films is not None
    seen = items.loc[[str(v) for v in films.values]]
    told = [words(t) for t in items["title"]]
    counts = Counter(w for title in seen["title"] for w in words(title))
    genres = Vocabulary(sorted({g for gs in seen["genres"] for g in gs}))
    known = Vocabulary(sorted(w for w, n in counts.items() if n > 1))
    years = Vocabulary(seen["release_year"].unique())
    fields = (
        Field("item", "categorical", films, about="the film"),
        Field("genres", "multi_hot", genres, length=int(items["genres"].map(len).max()), about="of the film"),
        Field("release_year", "categorical", years, about="of the film"),
        Field("title", "multi_hot", known, length=max(map(len, told)), about="its words that two films or more have"),
    )
    ids = np.stack([films.encode(items.index.to_numpy(str)), years.encode(items["release_year"])], 1)
    bags = {"genres": _bag(list(items["genres"]), genres, fields[1]), "title": _bag(told, known, fields[3])}
    return fields, Rows(torch.from_numpy(ids), torch.zeros(len(items), 0), bags)


def _bag(values: Sequence[Sequence[str]], vocabulary: Vocabulary, f: Field) -> Tensor:
    """Known values of each item, unknown ones left out: an unknown word says nothing."""
    encoded = [vocabulary.encode(v) if len(v) else np.zeros(0, np.int32) for v in values]
    return pad([e[e > 0] for e in encoded], f.length)


def load_lightgcn_files(
    folder: str | os.PathLike[str], name: str = "", seed: int = 0, validation: str = "tenth"
) -> Interactions:
    """The text splits that the authors of LightGCN publish (gowalla, yelp2018, amazon-book), or your own in this form.

    ``train.txt`` and ``test.txt`` hold a line ``user item item …`` per user. Any whole numbers may name users and
    items: they are numbered anew from 0, ascending, and stay in ``users`` and ``items``.

    Args:
        folder: with both files.
        name: of the data set. Default: the folder's.
        seed: of the validation part that is drawn.
        validation: the published split has no validation part. ``"tenth"`` (default): of every user with two training
            items or more, one item in ten, at least one, is drawn and taken out of training. ``"test"``: all is trained
            on and the test part chooses the epoch, as the authors do, so its numbers are too good. ``"none"``: all is
            trained on and there is no validation part, for models that need none (EASE, ItemKNN).

    Raises:
        ValueError: naming file and line, what was got and what was expected.
    """
    if validation not in VALIDATIONS:
        raise ValueError(f"load_lightgcn_files: validation must be one of {list(VALIDATIONS)}, got {validation!r}")
    folder = Path(folder)
    raw_train, raw_test = (_lines(folder / file) for file in ("train.txt", "test.txt"))
    if again := set(map(tuple, raw_train.tolist())) & set(map(tuple, raw_test.tolist())):
        user, item = min(again)
        raise ValueError(f"test.txt: user {user} has item {item} in train.txt, too")
    users, by = numbered(raw_train[:, 0], raw_test[:, 0])
    items, of = numbered(raw_train[:, 1], raw_test[:, 1])
    train, test = (torch.from_numpy(np.stack([u, i], 1)) for u, i in zip(by, of, strict=True))
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    train = train[order[torch.argsort(train[order, 0], stable=True)]]  # by user, shuffled within
    count = torch.bincount(train[:, 0], minlength=len(users))
    place = torch.arange(len(train)) - (count.cumsum(0) - count)[train[:, 0]]
    held = torch.where(count > 1, (count // 10).clamp(min=1), 0) * (validation == "tenth")
    is_validation = place < held[train[:, 0]]
    fields = (Field("user", "categorical", Vocabulary(users)),), (Field("item", "categorical", Vocabulary(items)),)
    as_rows = lambda numbers: Rows(numbers[:, None].int() + 1, torch.zeros(len(numbers), 0))  # noqa: E731
    state = as_rows(torch.arange(len(users)))
    kept = train[~is_validation]
    queries = {"train": as_rows(kept[:, 0]), "known": state, "fresh": state}
    about = {
        "source": "train.txt, test.txt",
        "split": f"as published; validation: {VALIDATIONS[validation]}" + f", seed {seed}" * (validation == "tenth"),
    }
    return Interactions(
        name or folder.name, kept, test if validation == "test" else train[is_validation], test, users, items, *fields,
        queries, as_rows(torch.arange(len(items))), {}, about,
    )  # fmt: skip


#: how :func:`load_lightgcn_files` makes a validation part
VALIDATIONS = {"tenth": "one training item in ten of each user", "test": "the test part", "none": "none"}


def _lines(path: Path) -> np.ndarray:
    """(N, 2) pairs of a file; a user without items is allowed, a pair given twice is not."""
    pairs: list[tuple[int, int]] = []
    for where, line in text_lines(path, "train.txt and test.txt in one folder"):
        user, *items = whole_numbers(where, line.split() or ["0"])
        if len(set(items)) < len(items):
            twice = next(i for i in items if items.count(i) > 1)
            raise ValueError(f"{where}: item {twice} stands twice for user {user}")
        pairs += [(user, item) for item in items]
    if not pairs:
        raise ValueError(f"{path.name} holds no interaction")
    if len(set(pairs)) < len(pairs):
        user, item = next(pair for pair, n in Counter(pairs).items() if n > 1)
        raise ValueError(f"{path.name}: user {user} has item {item} in two lines")
    return np.array(pairs)
