"""A signal on its way from a user to a recommended item: the strongest paths of three edges, with their numbers."""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import Tensor

from ..explain.boxes import Box
from ..layers.graph import BipartiteGraph
from ..models import LightGCN
from ..plots.own_boxes import boxes_drawing

X = (57, 170, 283)  # centres of three columns
WIDE, NARROW, LONGEST = 330, 108, 12


def strongest_paths(graph: BipartiteGraph, user: int, item: int, count: int = 3) -> list[tuple[int, int]]:
    r"""Items f and users v of the heaviest paths user, f, v, item, no f and no v twice; numbers of nodes.

    The weight of a path is :math:`\hat A_{uf} \hat A_{fv} \hat A_{vi}`.
    """
    own = graph.neighbours(user)
    others = graph.neighbours(graph.num_users + item)
    own, others = own[own != graph.num_users + item], others[others != user]
    one = torch.zeros(graph.num_nodes, len(others))
    one[others, torch.arange(len(others))] = 1
    from_user, to_item = (_column(graph, n) for n in (user, graph.num_users + item))
    weight = graph.hop(one)[own] * from_user[own, None] * to_item[others]  # (own items, other users)
    found: list[tuple[int, int]] = []
    while len(found) < count and weight.numel() and weight.max() > 0:
        row, column = divmod(int(weight.argmax()), len(others))
        found.append((int(own[row]), int(others[column])))
        weight[row], weight[:, column] = 0, 0
    return found


def hop_drawing(model: LightGCN, user: int, item: int, name: Callable[[int], str]) -> str:
    """The drawing as an SVG text: user, own items, other users, the item; then the mean of the layers and the score.

    Args:
        model: with three layers.
        user, item: their numbers; there must be a path of three edges between them.
        name: of a node (users first, then items), in words.

    Raises:
        ValueError: for another depth, or without a path.
    """
    graph, U = model.graph, model.num_users
    paths = strongest_paths(graph, user, item)
    if model.layers != 3 or not paths:
        raise ValueError(f"hop_drawing: expected three layers and a path of three edges, got {model.layers} layers "
                         f"and {len(paths)} paths")  # fmt: skip
    one = torch.zeros(graph.num_nodes, 1)
    one[user] = 1
    signal = [state.flatten() for state in graph.states(one, 3)]
    with torch.no_grad():
        score = float(model.scores(torch.tensor([user]))[0, item])
    boxes = [Box("input", name(user), f"starts with 1; {len(graph.neighbours(user))} items", 170, 26, WIDE)]
    for x, (own, _) in zip(X, paths, strict=False):
        boxes.append(Box("embedding", _short(name(own)), f"{signal[1][own]:.3f}", x, 104, NARROW))
    for x, (_, other) in zip(X, paths, strict=False):
        boxes.append(Box("input", _short(name(other)), f"{signal[2][other]:.4f}", x, 182, NARROW))
    boxes += [
        Box("embedding", name(U + item)[:34], f"{signal[3][U + item]:.4f} after three hops, all paths", 170, 260, WIDE),
        Box("cross", "E: mean of E⁰, ÂE⁰, Â²E⁰, Â³E⁰", f"each {graph.num_nodes:,} × {model.table.shape[1]}, E⁰ learned",
            170, 338, WIDE),
        Box("output", f"⟨e_u, e_i⟩ = {score:.2f}".replace("-", "−"), "score of the item", 170, 416, 200),
    ]  # fmt: skip
    n = len(paths)
    arrows = [(0, 1 + k) for k in range(n)] + [(1 + k, 1 + n + k) for k in range(n)]
    arrows += [(1 + n + k, 1 + 2 * n) for k in range(n)] + [(1 + 2 * n, 2 + 2 * n), (2 + 2 * n, 3 + 2 * n)]
    return boxes_drawing(boxes, arrows)


def _column(graph: BipartiteGraph, node: int) -> Tensor:
    """A column of the normalised adjacency matrix, (U + I,)."""
    one = torch.zeros(graph.num_nodes, 1)
    one[node] = 1
    return graph.hop(one).flatten()


def _short(text: str) -> str:
    """A title without its year, as far as it fits a box."""
    text = re.sub(r" \(\d{4}\)$", "", text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
