"""Titles as strings of letters, and films that training never showed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ..fields import Dataset, Field, Rows, Vocabulary, pad

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789 '&:,.!?-"


def with_letters(dataset: Dataset, length: int = 32) -> Dataset:
    """The same data with a field ``letters``: the first characters of the film's title, lower case, in order.

    Characters that are not among :data:`LETTERS` count as unseen. Rows of films that are not in the vocabulary have an
    empty title.

    Raises:
        ValueError: for data without films' titles, or a length below 1.
    """
    if "items" not in dataset.extras or length < 1:
        raise ValueError(f"with_letters: {dataset.name!r} has no titles, or {length=} is below 1")
    films, letters = dataset.field("item").vocabulary, Vocabulary(list(LETTERS))
    titles = dataset.extras["items"]["title"]
    assert films is not None
    encoded = [letters.encode(list(titles[raw].lower()[:length])) for raw in films.values]
    table = pad([np.zeros(0, np.int32), *encoded], length)  # (V, length), a row per row of the item's embedding
    field = Field("letters", "history", letters, length=length, about="of the film's title, in order")
    column = [f.name for f in dataset.fields if f.kind == "categorical"].index("item")

    def added(rows: Rows) -> Rows:
        return replace(rows, bags={**rows.bags, "letters": table[rows.ids[:, column].long()]})

    train, validation, test = map(added, (dataset.train, dataset.validation, dataset.test))
    return replace(dataset, fields=(*dataset.fields, field), train=train, validation=validation, test=test)


def cold_films(
    dataset: Dataset, seed: int = 0, rows: int = 30_000, held: int = 20_000, shares: tuple[float, float] = (0.15, 0.2)
) -> Dataset:
    """The rows of ``dataset.train`` parted by film: no film of validation or test has a row in training.

    Args:
        seed: of who goes where and of the rows that are drawn.
        rows, held: at most so many rows of training, and of validation and test.
        shares: of the films that become validation and test. Default 15 % and 20 %.

    Raises:
        ValueError: for shares that leave no film for training.
    """
    if not 0 < sum(shares) < 1 or min(shares) <= 0:
        raise ValueError(f"cold_films: shares must be above 0 and leave some films for training, got {shares}")
    generator = torch.Generator().manual_seed(seed)
    column = [f.name for f in dataset.fields if f.kind == "categorical"].index("item")
    film = dataset.train.ids[:, column].long()
    drawn = torch.rand(dataset.field("item").size, generator=generator)[film]
    group = (drawn < sum(shares)).int() + (drawn < shares[0])  # 0 train, 1 test, 2 validation

    def part(number: int, most: int) -> Rows:
        place = (group == number).nonzero().squeeze(1)
        return dataset.train[place[torch.randperm(len(place), generator=generator)[:most]]]

    about = {**dataset.about, "split": f"by film, seed {seed}: no film is in two parts"}
    return replace(dataset, train=part(0, rows), test=part(1, held), validation=part(2, held), about=about)
