"""Poorer data made from real ones: fewer rows, thinner rows, fewer kinds of columns; and where two curves cross.

Training and validation shrink, the test part stays, unless a segment is asked for; what the smaller training part no
longer shows becomes unseen. Derived in the chapter *When deep learning does not pay*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ...fields import PADDING, UNSEEN, Dataset, Field, Rows, Vocabulary, find_field

LEAST_VALIDATION = 100  # rows: fewer could not choose an epoch


def subsample(dataset: Dataset, rows: int, seed: int) -> Dataset:
    """A data set with only so many training rows, drawn at random without replacement.

    The validation part shrinks in proportion, but to no fewer than 100 rows (or all it has), and forgets whom its rows
    belong to, since so few rows a person allow no per-user metric. Vocabularies keep what the drawn training rows
    show. The test part keeps its rows. Numbers stay standardised as they were, and a history keeps films of rows that
    were not drawn: drop it where the smaller data must not know them.

    Args:
        dataset: see :class:`~recsys_lite.fields.Dataset`.
        rows: for training, from 1 to all.
        seed: of the draw.

    Raises:
        ValueError: for a number of rows out of range.
    """
    if not 1 <= rows <= len(dataset.train):
        raise ValueError(f"subsample: rows must lie within 1 and {len(dataset.train)}, got {rows}")
    g = torch.Generator().manual_seed(seed)
    return _shrunk(dataset, torch.randperm(len(dataset.train), generator=g)[:rows], g)


def sparsen(dataset: Dataset, per: int, seed: int, by: str = "user") -> Dataset:
    """A data set with at most ``per`` training rows of each value of one field, drawn at random.

    Rows of the reserved row (unseen values) are kept like those of any other value. All else is as in
    :func:`subsample`.

    Args:
        per: rows of each value at most.
        seed: of the draw.
        by: a categorical field. Default ``user``: few rows a person; ``item``: few rows a film.

    Raises:
        ValueError: if ``per`` is below 1 or the field is not categorical.
    """
    if per < 1:
        raise ValueError(f"sparsen: per must be at least 1, got {per}")
    g = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(dataset.train), generator=g)
    value = column(dataset.fields, dataset.train, by)[order]
    return _shrunk(dataset, order[rank_within(value) < per], g)


def homogeneous(
    dataset: Dataset, fields: Sequence[str] | None = None, where: Mapping[str, Sequence[str]] | None = None
) -> Dataset:
    """A data set of one kind: only some columns, or only one segment of people or things.

    A segment is taken from **all** parts, the test part too: another question is asked, not the same with less data.

    Args:
        fields: the columns that stay. Default: all.
        where: categorical field -> the raw values that a row must have one of. Default: every row.

    Raises:
        ValueError: if neither is given, for an unknown field or value, or if a part loses all its rows or a class.
    """
    if fields is None and not where:
        raise ValueError("homogeneous: got neither fields nor where, expected one of them")
    parts = {name: getattr(dataset, name) for name in ("train", "validation", "test")}
    for name, wanted in (where or {}).items():
        vocabulary = find_field(dataset.fields, name).vocabulary
        known = vocabulary.encode(list(wanted)) if vocabulary is not None else np.zeros(1)
        if not len(wanted) or (known == UNSEEN).any():
            raise ValueError(f"homogeneous: field {name!r} has not all of the values {list(wanted)}")
        chosen = torch.from_numpy(known)
        parts = {p: rows[torch.isin(column(dataset.fields, rows, name), chosen)] for p, rows in parts.items()}
    for p, rows in parts.items():
        if rows.label is None or len(rows.label.unique()) < 2:
            raise ValueError(f"homogeneous: {len(rows)} rows are left of the {p} part, without both labels")
    made = replace(dataset, **parts)
    return rebuilt(made if fields is None else made.select(fields))


def column(fields: Sequence[Field], rows: Rows, name: str) -> Tensor:
    """The row numbers (B,) of a categorical field.

    Raises:
        ValueError: if there is no such field, or it is of another kind.
    """
    names = [f.name for f in fields if f.kind == "categorical"]
    if name not in names:
        raise ValueError(f"unknown categorical field {name!r}; there are {names}")
    return rows.ids[:, names.index(name)]


def rank_within(value: Tensor) -> Tensor:
    """(B,): how many equal values stand before each place.

    Example:
        >>> rank_within(torch.tensor([7, 3, 7, 7, 3])).tolist()
        [0, 0, 1, 2, 1]
    """
    order = value.argsort(stable=True)
    ordered = value[order]
    starts = torch.searchsorted(ordered, ordered)  # where the run of equal values begins
    rank = torch.empty(len(value), dtype=torch.int64)
    rank[order] = torch.arange(len(value)) - starts
    return rank


def rebuilt(dataset: Dataset) -> Dataset:
    """The same rows with vocabularies that hold only what the training part shows; other values become unseen.

    Fields that share a table keep sharing it: its vocabulary holds what any of them shows.
    """
    seen: dict[str, np.ndarray] = {}
    for f in dataset.fields:
        if f.vocabulary is not None:
            shown = seen.setdefault(f.table, np.zeros(f.size, bool))
            values = _values(dataset, dataset.train, f)
            shown[values[values != PADDING]] = True
    seen = {table: shown & (np.arange(len(shown)) != UNSEEN) for table, shown in seen.items()}
    to_new = {table: np.where(shown, shown.cumsum(), UNSEEN).astype(np.int32) for table, shown in seen.items()}
    fields = []
    for f in dataset.fields:
        if f.vocabulary is not None:
            kept = f.vocabulary.values[seen[f.table][1:]]
            f = replace(f, vocabulary=Vocabulary(kept, f.vocabulary.labels))
        fields.append(f)
    train, validation, test = (_recoded(dataset, p, to_new) for p in (dataset.train, dataset.validation, dataset.test))
    return replace(dataset, fields=tuple(fields), train=train, validation=validation, test=test)


def _values(dataset: Dataset, rows: Rows, f: Field) -> np.ndarray:
    return (rows.bags[f.name] if f.is_bag else column(dataset.fields, rows, f.name)).numpy()


def _recoded(dataset: Dataset, rows: Rows, to_new: Mapping[str, np.ndarray]) -> Rows:
    """Rows whose values have the new row numbers; padding stays."""
    ids, bags = rows.ids.clone(), dict(rows.bags)
    place = 0
    for f in dataset.fields:
        if f.kind == "numeric":
            continue
        old = _values(dataset, rows, f)
        new = torch.from_numpy(np.where(old == PADDING, PADDING, to_new[f.table][old.clip(min=0)]).astype(np.int32))
        if f.is_bag:
            bags[f.name] = new
        else:
            ids[:, place] = new
            place += 1
    return replace(rows, ids=ids, bags=bags)


def _shrunk(dataset: Dataset, chosen: Tensor, g: torch.Generator) -> Dataset:
    """Only the chosen training rows, validation in proportion."""
    share = len(chosen) / len(dataset.train)
    count = min(len(dataset.validation), max(LEAST_VALIDATION, round(share * len(dataset.validation))))
    validation = dataset.validation[torch.randperm(len(dataset.validation), generator=g)[:count]]
    validation = replace(validation, group=torch.full((count,), -1, dtype=torch.int32))
    return rebuilt(replace(dataset, train=dataset.train[chosen], validation=validation))
