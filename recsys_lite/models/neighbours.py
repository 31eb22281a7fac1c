"""Retrievers without training loops: item neighbours, and the closed form of EASE."""

from __future__ import annotations

import torch
from torch import Tensor

from ..data.interactions import Interactions


def interaction_matrix(data: Interactions, *parts: str) -> Tensor:
    """X (U, I) float32, 1 where a user has an item in one of the parts. Default: the training part."""
    return data.mask(*(parts or ("train",))).float()


class ItemSums:
    r"""A retriever whose score is a sum over the user's items: :math:`s_{ui} = \sum_{h \in \mathcal{H}_u} B_{hi}`.

    Every history item's share of a score is therefore exact.

    Args:
        x: (U, I) the interactions that are summed over. weights: B (I, I).
    """

    def __init__(self, x: Tensor, weights: Tensor):
        self.x, self.weights = x, weights

    def scores(self, users: Tensor) -> Tensor:
        return self.x[users] @ self.weights  # (B, I)


class ItemKNN(ItemSums):
    r"""Items that the same people took: cosine similarity of columns, shrunk, the nearest neighbours of each item kept.

    .. math:: B_{hi} = \frac{n_{hi}}{\sqrt{n_h n_i} + \lambda}\,[h \in \mathrm{top}_K(i)], \qquad B_{ii} = 0

    n_hi people took both items.

    Args:
        neighbours: K, kept for each item i. Default 100.
        shrink: λ, which pulls similarities down that rest on few people. Default 10.

    Raises:
        ValueError: for fewer than one neighbour or a negative shrinkage.

    Source: Sarwar et al., Item-Based Collaborative Filtering Recommendation Algorithms, WWW 2001; the shrinkage as in
    Ferrari Dacrema et al., Are We Really Making Much Progress?, RecSys 2019.
    """

    def __init__(self, data: Interactions, neighbours: int = 100, shrink: float = 10.0):
        if neighbours < 1 or shrink < 0:
            raise ValueError(f"ItemKNN: expected neighbours >= 1 and shrink >= 0, got {neighbours} and {shrink}")
        x = interaction_matrix(data)
        both = x.T @ x  # (I, I) people who took both
        norm = both.diagonal().sqrt()
        similarity = both / (norm[:, None] * norm + shrink).clamp(min=1e-12)
        similarity.fill_diagonal_(0)
        kept = similarity.topk(min(neighbours, len(similarity)), 0)
        super().__init__(x, torch.zeros_like(similarity).scatter_(0, kept.indices, kept.values))


class EASE(ItemSums):
    r"""Ridge regression of every item on all others, in closed form.

    .. math:: B = I - P\,\mathrm{diag}(1 / P_{ii}), \qquad P = (X^\top X + \lambda I)^{-1}

    the minimum of :math:`\lVert X - XB \rVert^2 + \lambda \lVert B \rVert^2` with a zero diagonal.

    Args:
        l2: λ. Default 500.

    Raises:
        ValueError: for λ of 0 or less.

    Source: Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, eq. 8.
    """

    def __init__(self, data: Interactions, l2: float = 500.0):
        if l2 <= 0:
            raise ValueError(f"EASE: l2 must be above 0, got {l2}")
        x = interaction_matrix(data)
        gram = (x.T @ x).double()
        gram.diagonal().add_(l2)
        inverse = torch.linalg.inv(gram)
        weights = -inverse / inverse.diagonal()
        weights.fill_diagonal_(0)
        super().__init__(x, weights.float())
