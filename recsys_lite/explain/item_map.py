"""Do similar items lie together? Neighbours by cosine, a flat map, and what neighbours have in common.

Derived in the chapter *Building blocks*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
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
    out = torch.zeros(len(bag), int(bag.max()) + 1, dtype=torch.bool, device=bag.device)
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


def chance_share(sets: Tensor) -> float:
    """What :func:`common_share` is for neighbours drawn by chance: over all pairs of two items.

    Example:
        >>> chance_share(torch.tensor([[True, False], [True, True], [False, False]]))  # one of three pairs
        0.3333333432674408
    """
    both = (sets.float() @ sets.float().T > 0).float().fill_diagonal_(0)
    return (both.sum() / (len(sets) * (len(sets) - 1))).item()


def overlap(a: Tensor, b: Tensor) -> Tensor:
    r"""For each item the share of neighbours that two models have in common, (I, k) and (I, k) -> (I,).

    .. math:: o_i = \frac{|N^a_i \cap N^b_i|}{k}, \qquad \text{by chance } \frac{k}{I - 1}

    Raises:
        ValueError: for tables of different shapes.

    Example:
        >>> overlap(torch.tensor([[1, 2], [0, 2]]), torch.tensor([[2, 3], [3, 4]])).tolist()
        [0.5, 0.0]
    """
    if a.shape != b.shape or a.dim() != 2:
        raise ValueError(f"overlap: got shapes {tuple(a.shape)} and {tuple(b.shape)}")
    return (a[:, :, None] == b[:, None, :]).any(2).float().mean(1)


def kept(vectors: Tensor, places: Tensor, k: int = 10) -> float:
    r"""How much of the neighbourhood a flat map keeps: the share of the k items with the largest cosine that are also
    among the k nearest in the plane, by Euclidean distance, mean over items.

    .. math:: \frac1I \sum_i \frac{|N_i \cap P_i|}{k}

    with :math:`N_i` of :func:`nearest` and :math:`P_i` the k places nearest to that of item i.

    Args:
        vectors: (I, d).
        places: (I, 2) on the map.
        k: how many neighbours. Default 10.

    Raises:
        ValueError: unless there is a place for each vector and 1 <= k < I.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
        >>> kept(x, x, 1)
        1.0
    """
    if places.dim() != 2 or len(places) != len(vectors):
        raise ValueError(f"kept: got shapes {tuple(vectors.shape)} and {tuple(places.shape)}")
    distance = torch.cdist(places.float(), places.float()).fill_diagonal_(torch.inf)
    return overlap(nearest(vectors, k), distance.topk(k, largest=False).indices).mean().item()


def nearest_table(
    vectors: Mapping[str, Tensor], labels: Sequence[str], i: int, k: int = 10
) -> pd.DataFrame:  # fmt: skip
    r"""The k nearest of one item in each of several models, by cosine.

    .. math:: \cos_{ij} = \frac{x_i^\top x_j}{\lVert x_i \rVert \lVert x_j \rVert}, \qquad
        \text{distance}_{ij} = 1 - \cos_{ij}

    Args:
        vectors: model -> (I, d); d may differ.
        labels: of the I items.
        i: the item's place.
        k: how many neighbours. Default 10.

    Returns:
        a line per model and neighbour: model, place, item (its number), label, cosine, distance, in all (whether it is
        among the nearest of every model).

    Raises:
        ValueError: for an item that does not exist, other than I vectors or k not in [1, I).

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
        >>> nearest_table({"a": x}, ["p", "q", "r"], 0, 1).round(3).to_numpy().tolist()
        [['a', 1, 2, 'r', 0.6, 0.4, True]]
    """
    count = len(labels)
    if not 0 <= i < count or not 1 <= k < count or any(len(x) != count for x in vectors.values()):
        shapes = {m: tuple(x.shape) for m, x in vectors.items()}
        raise ValueError(f"nearest_table: item {i}, k = {k}, {count} labels, vectors {shapes}")
    found = {}
    for model, x in vectors.items():
        unit = normalize(x, dim=1)
        cosine = unit @ unit[i]
        cosine[i] = -torch.inf
        found[model] = cosine.topk(k)
    every = set.intersection(*(set(best.indices.tolist()) for best in found.values()))
    return pd.DataFrame(
        [
            (model, place, j, labels[j], c, 1 - c, j in every)
            for model, best in found.items()
            for place, (j, c) in enumerate(zip(best.indices.tolist(), best.values.tolist(), strict=True), 1)
        ],
        columns=["model", "place", "item", "label", "cosine", "distance", "in all"],
    )


def tsne(vectors: Tensor, seed: int = 0, perplexity: float = 30.0) -> Tensor:
    r"""t-SNE of the vectors' directions, (I, d) -> (I, 2), by scikit-learn: neighbours stay near, far distances mean
    nothing. It starts from the principal components; the same seed on the same machine gives the same map.

    .. math:: \min_y \sum_{i \ne j} p_{ij} \ln \frac{p_{ij}}{q_{ij}}, \qquad
        q_{ij} = \frac{(1 + \lVert y_i - y_j \rVert^2)^{-1}}{\sum_{k \ne l} (1 + \lVert y_k - y_l \rVert^2)^{-1}}

    with :math:`p_{ij}` a Gaussian of the distance of the unit vectors, as wide as the perplexity asks.

    Args:
        vectors: (I, d).
        seed: scikit-learn's ``random_state``. Default 0.
        perplexity: how many neighbours count, roughly. Default 30 (scikit-learn).

    Raises:
        ValueError: if there are no more items than three times the perplexity.

    Source: van der Maaten and Hinton, Visualizing Data using t-SNE, JMLR 9, 2008.
    """
    from sklearn.manifold import TSNE  # an optional dependency

    if len(vectors) <= 3 * perplexity:
        raise ValueError(f"tsne: {len(vectors)} items are too few for a perplexity of {perplexity:g}")
    unit = normalize(vectors.cpu(), dim=1).numpy()
    places = TSNE(2, init="pca", perplexity=perplexity, random_state=seed).fit_transform(unit)
    return torch.from_numpy(places)
