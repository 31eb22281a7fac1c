"""Do similar items lie together? Neighbours by cosine, a flat map, and what neighbours have in common.

Derived in the chapter *Building blocks*.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def nearest(vectors: Tensor, k: int = 10) -> Tensor:
    """Places of the k other vectors with the largest cosine, the nearest first: (I, d) -> (I, k).

    Raises:
        ValueError: unless 1 <= k < I.

    Example:
        >>> nearest(torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.1]]), 1).squeeze(1).tolist()
        [2, 2, 0]
    """
    if vectors.dim() != 2 or not 1 <= k < len(vectors):
        raise ValueError(f"nearest: expected (I, d) with I above k, got {tuple(vectors.shape)} and k = {k}")
    unit = normalize(vectors, dim=1)
    return (unit @ unit.T).fill_diagonal_(-torch.inf).topk(k, 1).indices


def pca(vectors: Tensor, k: int = 2) -> tuple[Tensor, Tensor]:
    r"""Principal components: the flat map that keeps most of the variance.

    .. math:: X - \bar X = U S V^\top, \qquad \text{places} = (X - \bar X) V_{:k}, \qquad
        \text{share}_j = S_j^2 / \textstyle\sum_l S_l^2

    The sign of an axis is free; here the entry of V with the largest absolute value is positive, so the same vectors
    give the same map.

    Returns:
        places (I, k) and the share of the variance that each axis keeps (k,).

    Raises:
        ValueError: if there are fewer than k dimensions or two vectors.
    """
    if vectors.dim() != 2 or len(vectors) < 2 or not 1 <= k <= vectors.shape[1]:
        raise ValueError(f"pca: expected (I, d) with d of at least {k}, got {tuple(vectors.shape)}")
    centred = vectors.double() - vectors.double().mean(0)
    _, s, vt = torch.linalg.svd(centred, full_matrices=False)
    sign = vt.gather(1, vt.abs().argmax(1, keepdim=True)).sign()
    return centred @ (vt * sign)[:k].T, s[:k] ** 2 / (s**2).sum()


def members(bag: Tensor) -> Tensor:
    """What each item has, as a table: (I, L) row numbers padded with -1 -> (I, G) bool.

    Example:
        >>> members(torch.tensor([[2, -1], [0, 1]])).int().tolist()
        [[0, 0, 1], [1, 1, 0]]
    """
    out = torch.zeros(len(bag), int(bag.max()) + 1, dtype=torch.bool)
    item, place = (bag >= 0).nonzero().T
    out[item, bag[item, place].long()] = True
    return out


def common_share(neighbours: Tensor, sets: Tensor) -> float:
    """Share of neighbours that have at least one element in common with the item.

    Args:
        neighbours: (I, k) places.
        sets: (I, G) bool, what each item has (its genres).

    Example:
        >>> common_share(torch.tensor([[1], [0]]), torch.tensor([[True, False], [True, True]]))
        1.0
    """
    if neighbours.dim() != 2 or sets.dim() != 2 or len(neighbours) != len(sets):
        raise ValueError(f"common_share: got shapes {tuple(neighbours.shape)} and {tuple(sets.shape)}")
    return (sets[neighbours] & sets[:, None]).any(2).float().mean().item()
