"""Candidates for somebody whom training never saw, from the items that this person has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..data.interactions import Interactions
from ..evaluation.full_ranking import top_k
from ..fields import Field, Rows, Vocabulary, find_field, pad
from ..fields.cells import texts
from ..fields.encoder import encode_column, joined
from ..models import NextItem, Popularity, TowerRetriever
from ..models.neighbours import ItemSums

HISTORY = "history"  # the query field that holds the items which a user has


@torch.no_grad()
def recommend(
    retriever: Any, data: Interactions, histories: Sequence[Sequence[Any]], k: int = 10, *,
    features: Sequence[Mapping[str, Any]] | None = None, again: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """The k best items for new users, each of whom is known by a list of items.

    A user's own vector does not exist, so what a retriever knows of the list must be enough: EASE and item neighbours
    sum over its items (weighted by age, if they have a ``recency``), towers and the next item read it as the field
    ``history``, and popularity needs nothing.

    Args:
        retriever: :class:`~recsys_lite.models.EASE`, :class:`~recsys_lite.models.ItemKNN`,
            :class:`~recsys_lite.models.TowerRetriever`, :class:`~recsys_lite.models.NextItem` or
            :class:`~recsys_lite.models.Popularity`, fitted to ``data``.
        data: of its training; items are named as in ``data.items``.
        histories: the items of each new user, the latest first; what training did not have is passed over.
        k: how many items each gets. Default 10.
        features: of each new user, for towers: values of other query fields by name, raw; what is not named is taken as
            never seen. A user that training did not have is never seen, either.
        again: whether items of a user's own list may be recommended. Default no.

    Returns:
        a line for each user and rank: user (place in ``histories``, from 0), rank (from 1), item, title, score.

    Raises:
        ValueError: for a retriever that needs a vector of the user, a list of which no item is known, too few items
            left, or features that cannot be encoded.

    Example:
        >>> from recsys_lite.data.interactions import load_lightgcn_files
        >>> from recsys_lite.models import EASE
        >>> from pathlib import Path; from tempfile import mkdtemp
        >>> folder = Path(mkdtemp())
        >>> _ = (folder / "train.txt").write_text("0 10 11\\n1 10 11\\n2 11 12\\n")
        >>> _ = (folder / "test.txt").write_text("0 12\\n")
        >>> data = load_lightgcn_files(folder, validation="none")
        >>> recommend(EASE(data, l2=1.0), data, [[10]], k=2)["item"].tolist()
        [11, 12]
    """
    own = _places(data, histories)
    if features is not None and len(features) != len(own):
        raise ValueError(f"recommend: {len(features)} users have features, {len(own)} have items")
    scores = _scores(retriever, data, histories, own, features)
    known = torch.zeros(scores.shape, dtype=torch.bool)
    for user, places in enumerate(own):
        if not len(places) and not isinstance(retriever, Popularity):
            raise ValueError(f"recommend: none of the items of user {user} is known, got {list(histories[user])[:5]}")
        known[user, places] = not again
    values, items = top_k(_Given(scores), torch.arange(len(own)), k, known)
    found = items.flatten().numpy()
    return pd.DataFrame({
        "user": np.repeat(np.arange(len(own)), k), "rank": np.tile(np.arange(1, k + 1), len(own)),
        "item": data.items[found], "title": [data.title(int(i)) for i in found], "score": values.flatten().numpy(),
    })  # fmt: skip


class _Given:
    """Scores as a retriever."""

    def __init__(self, table: Tensor):
        self.table = table

    def scores(self, users: Tensor) -> Tensor:
        return self.table[users]


def _places(data: Interactions, histories: Sequence[Sequence[Any]]) -> list[list[int]]:
    """The numbers of the items of each list, each once, in the list's order; unknown items are left out."""
    lists = not isinstance(histories, (str, bytes)) and not any(isinstance(h, (str, bytes)) for h in histories)
    if not lists or not all(hasattr(h, "__len__") for h in histories):
        raise ValueError("recommend: expected a list of items for each user")
    numbers, known = Vocabulary(data.items), []
    for history in histories:
        rows = numbers.encode(texts(list(history))) - 1 if len(history) else np.zeros(0, int)
        known.append(list(dict.fromkeys(int(k) for k in rows if k >= 0)))
    return known


def _scores(
    retriever: Any, data: Interactions, histories: Sequence[Sequence[Any]], own: list[list[int]],
    features: Sequence[Mapping[str, Any]] | None,
) -> Tensor:  # fmt: skip
    """(B, I)."""
    if isinstance(retriever, Popularity):
        return retriever.scores(torch.arange(len(own)))
    if isinstance(retriever, ItemSums):
        x = torch.zeros(len(own), data.num_items)
        for user, places in enumerate(own):
            age = torch.arange(float(len(places)))  # the latest stands first
            x[user, places] = torch.exp(-age / retriever.recency) if retriever.recency else torch.ones_like(age)
        return x @ retriever.weights
    if isinstance(retriever, NextItem):
        return retriever.scores_of(_bag(find_field(data.query_fields, HISTORY), histories))
    if isinstance(retriever, TowerRetriever):
        fields = [find_field(data.query_fields, name) for name in retriever.model.query_names]
        if HISTORY not in [f.name for f in fields]:
            raise ValueError(f"recommend: these towers read no {HISTORY!r}, so a list of items tells them nothing")
        return retriever.scores_of(_queries(fields, histories, features or [{}] * len(own)))
    raise ValueError(f"recommend: {type(retriever).__name__} knows users by vectors, and has none for new ones")


def _bag(f: Field, histories: Sequence[Sequence[Any]]) -> Tensor:
    """Histories as their field has them: the latest known items, as many as it holds."""
    assert f.vocabulary is not None
    rows = [f.vocabulary.encode(texts(list(h))) if len(h) else np.zeros(0, np.int32) for h in histories]
    return pad([r[r > 0] for r in rows], f.length)


def _queries(
    fields: Sequence[Field], histories: Sequence[Sequence[Any]], features: Sequence[Mapping[str, Any]]
) -> Rows:  # fmt: skip
    for user, known in enumerate(features):
        if unknown := sorted(set(known) - {f.name for f in fields if f.name != HISTORY}):
            raise ValueError(f"recommend: user {user} has the feature {unknown[0]!r}, which these towers do not read")
    ids: list[Tensor] = []
    numeric: list[Tensor] = []
    bags: dict[str, Tensor] = {}
    for f in fields:
        if f.name == HISTORY:
            bags[f.name] = _bag(f, histories)
            continue
        cells = [known.get(f.name, [] if f.is_bag else None) for known in features]
        made, bad = encode_column(f, pd.Series(cells, dtype=object))
        if bad:
            raise ValueError(f"recommend: user {bad[0][0]}, field {f.name!r}: {bad[0][1]}")
        if f.is_bag:
            bags[f.name] = made
        else:
            (ids if f.kind == "categorical" else numeric).append(made)
    return joined(len(histories), ids, numeric, bags)
