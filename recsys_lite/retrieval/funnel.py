"""From catalogue to screen: stages that keep ever fewer items, and a rule that arranges the last ones.

Items are numbers from 0, as in :class:`~recsys_lite.data.interactions.Interactions`; -1 fills the places of a list
that has fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..evaluation.full_ranking import Retriever
from ..fields import PADDING, Dataset, Rows, choose_columns, pad, swap
from ..layers import device_of
from ..models import Model, SplitNetwork
from ..models.neighbours import ItemSums

#: users (B,) and candidates (B, n), -1 for none -> scores (B, n)
Scores = Callable[[Tensor, Tensor], Tensor]
FILM = ("item", "genres", "release_year")


def best(scores: Tensor, candidates: Tensor, keep: int) -> Tensor:
    """The candidates of highest score, the best first: (B, n) and (B, n) -> (B, keep); -1 where there are fewer.

    Example:
        >>> best(torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([[7, 8, -1]]), 3)
        tensor([[ 8,  7, -1]])
    """
    scores = scores.masked_fill(candidates < 0, -torch.inf)
    return candidates.gather(1, scores.topk(min(keep, scores.shape[1]), 1).indices)


@dataclass(frozen=True)
class Stage:
    """A stage: how candidates are scored, and how many of the best go on.

    Args:
        name: of the stage, unique in its funnel.
        keep: how many go on.
        scores: users (B,), candidates (B, n) -> (B, n).

    Raises:
        ValueError: if fewer than one is kept.
    """

    name: str
    keep: int
    scores: Scores

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise ValueError(f"stage {self.name!r}: keep must be at least 1, got {self.keep}")


@dataclass(frozen=True)
class Funnel:
    r"""Stages one after the other: each sees only what the one before has kept.

    .. math:: C_0 \supseteq C_1 \supseteq \dots \supseteq C_S, \qquad
        C_s = \mathrm{top}_{k_s}\{ i \in C_{s-1} : f_s(u, i) \}

    What a stage drops no later one can bring back, so the recall of :math:`C_s` bounds that of every later list.

    Args:
        stages: the first sees the whole catalogue.

    Raises:
        ValueError: without stages, for a name that comes twice, or a stage that keeps more than the one before.

    Source: two stages in Covington et al., Deep Neural Networks for YouTube Recommendations, RecSys 2016. Derived in
    the chapter *From catalogue to screen*.

    Example:
        >>> half = Stage("half", 2, lambda users, items: items.float())
        >>> one = Stage("one", 1, lambda users, items: -items.float())
        >>> Funnel((half, one)).run(torch.tensor([0]), torch.tensor([[4, 5, 6]]))
        {'half': tensor([[6, 5]]), 'one': tensor([[5]])}
    """

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        names, kept = [s.name for s in self.stages], [s.keep for s in self.stages]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"Funnel: expected stages with names of their own, got {names}")
        if kept != sorted(kept, reverse=True):
            raise ValueError(f"Funnel: a stage cannot keep more than the one before, got {kept}")

    def run(self, users: Tensor, candidates: Tensor) -> dict[str, Tensor]:
        """Users (B,) and their candidates (B, n) -> what every stage kept, (B, keep) by name, the best first."""
        if len(users) != len(candidates):
            raise ValueError(f"Funnel: got {len(users)} users and {len(candidates)} lists of candidates")
        kept = {}
        for stage in self.stages:
            candidates = best(stage.scores(users, candidates), candidates, stage.keep)
            kept[stage.name] = candidates
        return kept


def open_items(seen: Tensor) -> Tensor:
    """What may be shown to each user: (B, I) seen -> (B, n) numbers of the others, -1 at the end of shorter lists.

    Example:
        >>> open_items(torch.tensor([[True, False, False], [True, True, False]]))
        tensor([[ 1,  2],
                [ 2, -1]])
    """
    return pad([np.flatnonzero(~row) for row in seen.numpy()], int((~seen).sum(1).max())).long()


class Pairs:
    """Rows of a MovieLens data set for any pair of a moment and a film, so that every ranking model can score them.

    A *moment* is who asks, when, and what was rated before: any row of the data set has one. The film's columns (item,
    genres, release_year) are put in its place.

    Args:
        dataset: of :func:`recsys_lite.data.load` for MovieLens-100K, with films in ``extras["items"]``.

    Raises:
        ValueError: for a data set without these fields or films.
    """

    def __init__(self, dataset: Dataset):
        if "items" not in dataset.extras or not set(FILM) <= {f.name for f in dataset.fields}:
            raise ValueError(f"Pairs: data set {dataset.name!r} has no films in its extras")
        self.fields, items = dataset.fields, dataset.extras["items"]
        encode = lambda name, raw: dataset.field(name).vocabulary.encode(raw)  # type: ignore[union-attr]  # noqa: E731
        genres: list[Any] = [encode("genres", list(g)) if len(g) else [] for g in items["genres"]]
        column = [f.name for f in self.fields if f.kind == "categorical"]
        ids = torch.zeros(len(items), len(column), dtype=torch.int32)
        ids[:, column.index("item")] = torch.from_numpy(encode("item", items.index.to_numpy(str)))
        ids[:, column.index("release_year")] = torch.from_numpy(encode("release_year", items["release_year"]))
        bags = {"genres": pad(genres, dataset.field("genres").length)}
        bags |= {
            n: torch.full((len(items), b.shape[1]), PADDING) for n, b in dataset.train.bags.items() if n not in bags
        }
        self.films = Rows(ids, torch.zeros(len(items), 0), bags)  # (I) in the order of the items' numbers

    def rows(self, moments: Rows, items: Tensor) -> Rows:
        """B moments, each with n films (B, n) -> B·n rows, moment by moment; labels are left out."""
        if len(moments) != len(items):
            raise ValueError(f"Pairs: got {len(moments)} moments and films for {len(items)}")
        each = torch.arange(len(items)).repeat_interleave(items.shape[1])
        repeated = moments[each]
        return swap(self.fields, Rows(repeated.ids, repeated.numeric, repeated.bags), FILM, self.films[items.flatten()])


def moments(part: Rows) -> Rows:
    """The first row of each user in a part, users ascending: the request that the user's films of the part answer."""
    if part.group is None or (part.group < 0).any():
        raise ValueError("moments: expected rows that belong to users")
    return part[torch.from_numpy(np.unique(part.group.numpy(), return_index=True)[1])]


def by_retriever(retriever: Retriever) -> Scores:
    """Scores of a retriever, which knows all items, at the candidates."""
    return lambda users, items: retriever.scores(users).cpu().gather(1, items.clamp(min=0))


def by_item_sums(retriever: ItemSums) -> Scores:
    """The same for sums over a user's items, adding only the rows of items that the user has: for single requests."""
    own = [row.nonzero().squeeze(1) for row in retriever.x]  # per user

    def scores(users: Tensor, items: Tensor) -> Tensor:
        sums = torch.stack([retriever.x[u, own[u]] @ retriever.weights[own[u]] for u in users.tolist()])  # (B, I)
        return sums.gather(1, items.clamp(min=0))

    return scores


def by_model(model: Model, pairs: Pairs, requests: Rows) -> Scores:
    """Logits of a ranking model: a row is made and run for every candidate. ``requests``: a moment per user."""

    def scores(users: Tensor, items: Tensor) -> Tensor:
        return logits(model, pairs.rows(requests[users], items.clamp(min=0))).view(items.shape)

    return scores


@torch.no_grad()
def logits(model: Model, rows: Rows, batch: int = 8192) -> Tensor:
    """Logits (B,) of rows, in batches and in evaluation mode; the model may lie on any device, they lie on the CPU."""
    model.eval()
    return torch.cat([model(part) for part in rows.batches(batch, device=device_of(model))]).cpu()


def by_split_network(model: SplitNetwork, pairs: Pairs, requests: Rows) -> Scores:
    """Logits of a split network: films' vectors are made once, here; a request costs one user tower and heads."""
    model.eval()
    device = device_of(model)
    with torch.no_grad():
        sides = choose_columns(pairs.fields, pairs.films, model.towers.candidate_names)
        films = model.candidate(sides.to(device))  # (I, out)

    @torch.no_grad()
    def scores(users: Tensor, items: Tensor) -> Tensor:
        asked = choose_columns(pairs.fields, requests[users], model.towers.query_names)
        u = model.query(asked.to(device, pinned=True))  # (B, out)
        v = films[items.clamp(min=0).to(device)]  # (B, n, out)
        return torch.cat([model.score_all(one[None], few) for one, few in zip(u, v, strict=True)]).cpu()

    return scores


def by_turns(*sources: Scores) -> Scores:
    """Several sources merged: the first of each, then the second of each, an item standing where it first appears."""
    if not sources:
        raise ValueError("by_turns: no sources given")

    def scores(users: Tensor, items: Tensor) -> Tensor:
        turns = []
        for k, source in enumerate(sources):
            value = source(users, items).masked_fill(items < 0, -torch.inf)
            turns.append(value.argsort(1, descending=True).argsort(1) * len(sources) + k)  # (B, n) when it is named
        return -torch.stack(turns).amin(0).float()

    return scores


def quality(kept: Tensor, wanted: Tensor, k: int | None = None) -> pd.DataFrame:
    r"""Recall and NDCG of the first k kept items, by user: (B, n) and (B, I) what is to be found -> recall, ndcg.

    .. math:: \mathrm{NDCG} = \frac{\sum_{p < k} [\mathrm{item}_p \in R] / \log_2(p + 2)}
        {\sum_{p < \min(k, |R|)} 1 / \log_2(p + 2)}
    """
    kept = kept if k is None else kept[:, :k]
    k = kept.shape[1] if k is None else k
    hit = wanted.gather(1, kept.clamp(min=0)) & (kept >= 0)  # (B, k)
    discount = 1 / torch.log2(torch.arange(k, dtype=torch.float64) + 2)
    count = wanted.sum(1)
    if not count.all():
        raise ValueError("quality: a user has nothing to be found")
    ideal = discount.cumsum(0)[count.clamp(max=k) - 1]
    return pd.DataFrame({
        "recall": (hit.sum(1) / count).numpy(), "ndcg": ((hit * discount[: kept.shape[1]]).sum(1) / ideal).numpy(),
    })  # fmt: skip


def arrange(ranked: Sequence[int], groups: Sequence[frozenset[str]], places: int, most: int) -> list[int]:
    """Fill a screen from a ranked list so that no group has more than ``most`` items; if none fits, the best left goes.

    Args:
        ranked: items, the best first. groups: of every item by number; an item may be of several.

    Raises:
        ValueError: for fewer than one place or item of a group.

    Example:
        >>> arrange([0, 1, 2], [frozenset("a"), frozenset("a"), frozenset("b")], places=2, most=1)
        [0, 2]
    """
    if places < 1 or most < 1:
        raise ValueError(f"arrange: expected places and most of at least 1, got {places} and {most}")
    left, screen, used = [i for i in ranked if i >= 0], list[int](), dict[str, int]()
    while left and len(screen) < places:
        fits = (i for i in left if all(used.get(g, 0) < most for g in groups[i]))
        chosen = next(fits, left[0])
        left.remove(chosen)
        screen.append(chosen)
        for g in groups[chosen]:
            used[g] = used.get(g, 0) + 1
    return screen


def variety(screen: Sequence[int], groups: Sequence[frozenset[str]]) -> tuple[int, float]:
    """How many groups a screen shows, and the mean Jaccard distance of two of its items."""
    sets = [groups[i] for i in screen]
    pairs = [(a, b) for k, a in enumerate(sets) for b in sets[:k] if a | b]
    distance = sum(1 - len(a & b) / len(a | b) for a, b in pairs) / max(len(pairs), 1)
    return len(frozenset().union(*sets)), distance
