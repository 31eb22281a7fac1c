"""Retrievers without training loops: item neighbours, and the closed form of EASE; both can read the order."""

from __future__ import annotations

import torch
from torch import Tensor

from ..data.interactions import Interactions


def interaction_matrix(data: Interactions, *parts: str) -> Tensor:
    """X (U, I) float32, 1 where a user has an item in one of the parts. Default: the training part."""
    return data.mask(*(parts or ("train",))).float()


def ages(users: Tensor) -> Tensor:
    """(N,) users of interactions in order of time -> how many later interactions each one's user has.

    Example:
        >>> ages(torch.tensor([7, 7, 4, 7]))
        tensor([2, 1, 0, 0])
    """
    backwards = users.flip(0)
    order = torch.argsort(backwards, stable=True)  # by user, the latest first
    grouped = backwards[order].contiguous()
    out = torch.empty_like(order)
    out[order] = torch.arange(len(users)) - torch.searchsorted(grouped, grouped)
    return out.flip(0)


def history_weights(data: Interactions, recency: float | None = None, state: str = "known") -> Tensor:
    r"""(U, I) the weight of each item of a user's history: :math:`x_{uh} = e^{-a_{uh} / \tau}`, 0 for other items.

    The age :math:`a_{uh}` counts the user's later interactions, so the latest item has weight 1. An item that a user
    has twice counts by its later time.

    Args:
        data: its parts in order of time for each user, as :func:`~recsys_lite.data.interactions.interactions` has them.
        recency: τ, in interactions. None: all ages weigh 1.
        state: ``known`` (default), after the training part, or ``fresh``, after the validation part.

    Raises:
        ValueError: for τ of 0 or less, or another state.
    """
    if (recency is not None and not recency > 0) or state not in ("known", "fresh"):
        raise ValueError(f"recency must be None or above 0, state known or fresh; got {recency} and {state!r}")
    if recency is None:
        return interaction_matrix(data, *(("train", "validation")[: 1 + (state == "fresh")]))
    pairs = torch.cat([data.train, data.validation]) if state == "fresh" else data.train
    weight = torch.exp(-ages(pairs[:, 0]) / recency)
    x = torch.zeros(data.num_users * data.num_items)
    x.scatter_reduce_(0, pairs[:, 0] * data.num_items + pairs[:, 1], weight, "amax")
    return x.view(data.num_users, data.num_items)


class ItemSums:
    r"""A retriever whose score is a sum over the user's items.

    .. math:: s_{ui} = \sum_{h \in \mathcal{H}_u} x_{uh} B_{hi}

    Every history item's share of a score is therefore exact.

    Args:
        x: (U, I) the weight of each item of a user, 1 where order does not matter. weights: B (I, I).
        recency: τ of :func:`history_weights`, for users that are not in x; ``None`` (default): all weigh 1.
    """

    def __init__(self, x: Tensor, weights: Tensor, recency: float | None = None):
        self.x, self.weights, self.recency = x, weights, recency

    def scores(self, users: Tensor) -> Tensor:
        return self.x[users] @ self.weights  # (B, I)


class ItemKNN(ItemSums):
    r"""Items that the same people took: cosine similarity of columns, shrunk, the nearest neighbours of each item kept.

    .. math:: B_{hi} = \frac{n_{hi}}{\sqrt{n_h n_i} + \lambda}\,[h \in \mathrm{top}_K(i)], \qquad B_{ii} = 0

    n_hi people took both items.

    Args:
        neighbours: K, kept for each item i. Default 100.
        shrink: λ, which pulls similarities down that rest on few people. Default 10.
        recency, state: τ and the histories that are summed over, see :func:`history_weights`. Default: all films of
            training, in no order. B is the same with and without.

    Raises:
        ValueError: for fewer than one neighbour, a negative shrinkage, or as :func:`history_weights`.

    Source: Sarwar et al., Item-Based Collaborative Filtering Recommendation Algorithms, WWW 2001; the shrinkage as in
    Ferrari Dacrema et al., Are We Really Making Much Progress?, RecSys 2019.
    """

    def __init__(
        self, data: Interactions, neighbours: int = 100, shrink: float = 10.0, recency: float | None = None,
        state: str = "known",
    ):  # fmt: skip
        if neighbours < 1 or shrink < 0:
            raise ValueError(f"ItemKNN: expected neighbours >= 1 and shrink >= 0, got {neighbours} and {shrink}")
        x = interaction_matrix(data)
        both = x.T @ x  # (I, I) people who took both
        norm = both.diagonal().sqrt()
        similarity = both / (norm[:, None] * norm + shrink).clamp(min=1e-12)
        similarity.fill_diagonal_(0)
        kept = similarity.topk(min(neighbours, len(similarity)), 0)
        weights = torch.zeros_like(similarity).scatter_(0, kept.indices, kept.values)
        super().__init__(history_weights(data, recency, state), weights, recency)


class EASE(ItemSums):
    r"""Ridge regression of every item on all others, in closed form.

    .. math:: B = I - P\,\mathrm{diag}(1 / P_{ii}), \qquad P = (X^\top X + \lambda I)^{-1}

    the minimum of :math:`\lVert X - XB \rVert^2 + \lambda \lVert B \rVert^2` with a zero diagonal.

    Args:
        l2: λ. Default 500.
        recency, state: τ and the histories that are summed over, see :func:`history_weights`. Default: all films of
            training, in no order. B is the same with and without: only the history that it multiplies is weighted.

    Raises:
        ValueError: for λ of 0 or less, or as :func:`history_weights`.

    Source: Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, eq. 8.
    """

    def __init__(self, data: Interactions, l2: float = 500.0, recency: float | None = None, state: str = "known"):
        if l2 <= 0:
            raise ValueError(f"EASE: l2 must be above 0, got {l2}")
        x = interaction_matrix(data)
        gram = (x.T @ x).double()
        gram.diagonal().add_(l2)
        inverse = torch.linalg.inv(gram)
        weights = -inverse / inverse.diagonal()
        weights.fill_diagonal_(0)
        super().__init__(history_weights(data, recency, state), weights.float(), recency)
