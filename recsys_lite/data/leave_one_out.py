"""Leave one out: each user's last item is hidden, and a model ranks it among items that the user never touched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..fields import Field, Rows, Vocabulary
from .fetch import sha256
from .item_sets import ItemSets
from .movielens_files import read_raw
from .pairs import numbered, text_lines, whole_numbers

KINDS = ("train.rating", "test.rating", "test.negative")  # the published files


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """Interactions of U users with I items, both numbered from 0; the last two of every user are held out.

    Args:
        name: of the data set.
        train: (N, 2) user and item of each training interaction.
        validation: (U,) each user's last item but one: chooses settings and the epoch to stop.
        test: (U,) each user's last item, looked at once.
        negatives: (U, m) the items that stand beside the held-out one in *sampled* ranking.
        users, items: raw numbers, ascending; an item's place is its number here.
        titles: raw number of an item, as text -> readable name.
        about: how the parts were made, in words, with hashes.
    """

    name: str
    train: Tensor
    validation: Tensor
    test: Tensor
    negatives: Tensor
    users: np.ndarray
    items: np.ndarray
    titles: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    num_users = property(lambda self: len(self.users), doc="U")
    num_items = property(lambda self: len(self.items), doc="I")

    def fields(self) -> tuple[Field, Field]:
        """The two columns, ``user`` and ``item``; row 0 of each is reserved, so number k has row k + 1."""
        return (
            Field("user", "categorical", Vocabulary(self.users), about="who"),
            Field("item", "categorical", Vocabulary(self.items, self.titles), about="what"),
        )

    def rows(self, user: Tensor, item: Tensor, label: Tensor | None = None) -> Rows:
        """Pairs of numbers as a model's rows."""
        return Rows(torch.stack([user, item], 1).int() + 1, torch.zeros(len(user), 0), {}, label, user.int())

    def mask(self, *parts: str) -> Tensor:
        """(U, I) whether a user has an item in one of the parts ``train``, ``validation``, ``test``.

        For small data: one byte a pair. :class:`~recsys_lite.data.item_sets.ItemSets` says the same of large data.
        """
        return ItemSets.of(self, *parts).mask()


def leave_one_out(path: str | os.PathLike[str] | None = None, seed: int = 0, negatives: int = 99) -> LeaveOneOut:
    """MovieLens-100K: every rating is an interaction; a user's negatives are films that this user never rated.

    Args:
        path: an unzipped ml-100k folder; by default the data is fetched.
        seed: of the negatives.
        negatives: m, how many for each user. Default 99.

    Raises:
        ValueError: for damaged files, or too few films to draw from. DataUnavailable: if no source works.
    """
    raw = read_raw(path)
    user = raw.users.index.get_indexer(raw.ratings["user"])
    item = raw.items.index.get_indexer(raw.ratings["item"])
    order = np.lexsort((item, raw.ratings["timestamp"], user))
    train, validation, test = _split(torch.from_numpy(np.stack([user, item], 1)[order]), len(raw.users))
    seen = torch.zeros(len(raw.users), len(raw.items), dtype=torch.bool)
    seen[user, item] = True
    if (short := (~seen).sum(1) < negatives).any():
        raise ValueError(
            f"user {raw.users.index[int(short.int().argmax())]}: fewer than {negatives} items to draw from"
        )
    chance = torch.rand(seen.shape, generator=torch.Generator().manual_seed(seed)).masked_fill(seen, -1)
    drawn = chance.topk(negatives, 1).indices
    titles = {i: f"{t} ({y})" if y != "unknown" else t for i, t, y in raw.items[["title", "release_year"]].itertuples()}
    about = {
        "source": raw.source,
        "data_sha256": raw.sha256(),
        "split": "each user's ratings by time (ties by film number): the last is test, the one before it validation",
        "negatives": f"{negatives} different films for each user, uniform over those never rated, seed {seed}",
        "negatives_sha256": sha256(drawn.numpy().astype("<i4").tobytes()),
    }
    users, items = (table.index.to_numpy().astype(int) for table in (raw.users, raw.items))
    return LeaveOneOut("movielens-100k", train, validation, test, drawn, users, items, titles, about)


def _split(pairs: Tensor, num_users: int, held: int = 2) -> tuple[Tensor, ...]:
    """Pairs ordered by user and time -> training pairs, then the last ``held`` items of each user, the latest last."""
    count = torch.bincount(pairs[:, 0], minlength=num_users)
    if (short := count <= held).any():
        user = int(short.int().argmax())
        raise ValueError(f"user number {user} has {int(count[user])} interactions, expected at least {held + 1}")
    end = count.cumsum(0)
    kept = torch.ones(len(pairs), dtype=torch.bool)
    last = [end - back for back in range(held, 0, -1)]
    kept[torch.cat(last)] = False
    return (pairs[kept], *(pairs[place, 1] for place in last))


def load_ncf_files(folder: str | os.PathLike[str], name: str) -> LeaveOneOut:
    r"""The files that He et al. (2017) publish: ``ml-1m`` and ``pinterest-20``, or your own in the same form.

    ``NAME.train.rating`` and ``NAME.test.rating`` hold a line ``user \t item \t rating`` for each interaction, with a
    ``timestamp`` where there is one; ``NAME.test.negative`` holds, for each line of the test file, ``(user,item)`` and
    the numbers of the negatives. Any whole numbers may name users and items: they are numbered anew from 0, ascending,
    and stay in ``users`` and ``items``. The published split has no validation part: each user's last training line by
    time (ties, and files without times, by place in the file) becomes it. A training pair that comes again counts once,
    at its last place.

    In the published ``ml-1m`` some users have the test item among their own negatives; ranking does not count it as a
    rival of itself. A negative that the user has in training is refused. A ``ValueError`` names file and line, what was
    got and what was expected.
    """
    train_file, test_file, negative_file = (Path(folder) / f"{name}.{kind}" for kind in KINDS)
    train, tests = np.array(list(_ratings(train_file))), np.array(list(_ratings(test_file)))
    rows = np.array(list(_negatives(negative_file, tests)))
    users, (by, of) = numbered(train[:, 0], tests[:, 0])
    if wrong := np.flatnonzero((lines := np.bincount(of, minlength=len(users))) != 1).tolist():
        raise ValueError(f"{test_file.name}: user {users[wrong[0]]} has {lines[wrong[0]]} lines, expected 1")
    items, (taken, test, drawn) = numbered(train[:, 1], tests[:, 1], rows)
    if again := np.flatnonzero(test[of.argsort()][by] == taken).tolist():
        raise ValueError(f"{train_file.name}, line {again[0] + 1}: this is the user's test item, expected another one")
    known = np.isin(of[:, None] * len(items) + drawn, by * len(items) + taken)
    if known.any():
        line, column = (int(k) for k in np.argwhere(known)[0])
        what = f"{rows[line, column]} is a negative, but user {tests[line, 0]} has it in {train_file.name}"
        raise ValueError(f"{negative_file.name}, line {line + 1}: {what}")
    order = np.lexsort((np.arange(len(train)), train[:, 2], by))
    pairs = np.stack([by, taken], 1)[order][::-1]
    last = np.sort(np.unique(pairs, axis=0, return_index=True)[1])  # the last time that a pair comes
    try:
        kept, validation = _split(torch.from_numpy(pairs[last][::-1].copy()), len(users), held=1)
    except ValueError as error:
        raise ValueError(f"{train_file.name}: {error} (the last becomes the validation part)") from None
    by_user = of.argsort()
    about = {
        "source": ", ".join(f"{name}.{kind}" for kind in KINDS),
        "split": "as published; validation: each user's last training line by time",
        "negatives": f"{drawn.shape[1]} for each user, as published",
    }
    found, negatives = torch.from_numpy(test[by_user]), torch.from_numpy(drawn[by_user])
    return LeaveOneOut(name, kept, validation, found, negatives, users, items, {}, about)


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Where each line stands, in words, and its columns."""
    for where, line in text_lines(path, ", ".join(f"NAME.{kind}" for kind in KINDS)):
        yield where, line.rstrip().split("\t")


def _ratings(path: Path) -> Iterator[tuple[int, int, int]]:
    for where, columns in _lines(path):
        if len(columns) not in (3, 4):
            raise ValueError(f"{where}: got {len(columns)} columns, expected user, item, rating and perhaps timestamp")
        named = zip(columns[:2], ("user", "item"), strict=True)
        user, item = (whole_numbers(where, [text], what)[0] for text, what in named)
        yield user, item, whole_numbers(where, columns[3:] or ["0"], "timestamp")[0]


def _negatives(path: Path, tests: np.ndarray) -> Iterator[list[int]]:
    width = 0
    for count, (where, columns) in enumerate(_lines(path), 1):
        if count > len(tests):
            raise ValueError(f"{where}: the test file has only {len(tests)} lines")
        pair = f"({tests[count - 1, 0]},{tests[count - 1, 1]})"
        if columns[0].replace(" ", "") != pair:
            raise ValueError(f"{where}: starts with {columns[0]!r}, expected {pair!r} as in the test file")
        width = width or len(columns) - 1
        if len(columns) - 1 != width or not width:
            raise ValueError(f"{where}: got {len(columns) - 1} negatives, expected {width or 'at least 1'}")
        yield whole_numbers(where, columns[1:], "a negative")
    if count < len(tests):
        raise ValueError(f"{path.name}: got {count} lines, expected {len(tests)}, one for each line of the test file")
