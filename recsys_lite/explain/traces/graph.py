"""Trace of LightGCN: the vectors of a user and an item, spread over the graph hop by hop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ...fields import Rows
from ...models.lightgcn import LightGCN
from .shared import matrix, numbered
from .steps import Step, short_vector, vector, weighted_of


@torch.no_grad()
def lightgcn(model: Any, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    r"""A user and an item: E⁰, hops :math:`E^{(k+1)} = \hat A E^{(k)}`, the mean over the layers, the score.

    Args:
        model: a LightGCN.
        rows: one row, whose two ids are the numbers of the user and of the item in the graph.
        words: what to call ``user`` and ``item``. Default: by their numbers.

    Returns:
        the last step holds the score, not a chance: LightGCN puts items in an order.

    Raises:
        ValueError: if the model is not LightGCN, or there is no such pair.

    Example:
        >>> model = LightGCN((torch.tensor([[0, 0], [0, 1]]), 1, 2), dim=2, layers=1)
        >>> [step.box for step in lightgcn(model, Rows(torch.tensor([[0, 1]]), torch.zeros(1, 0)), {})]
        [0, 1, 2, 3, 4, 5]
    """
    if not isinstance(model, LightGCN):
        raise ValueError(f"trace: 'lightgcn' is a LightGCN, got a {type(model).__name__}")
    if rows.ids.shape != (1, 2):
        raise ValueError(f"trace: expected the numbers of one user and one item, got ids {tuple(rows.ids.shape)}")
    user, item = rows.ids[0].tolist()
    if not (0 <= user < model.num_users and 0 <= item < model.num_items):
        raise ValueError(f"trace: there are {model.num_users} users and {model.num_items} items, got {user} and {item}")
    nodes = [user, model.num_users + item]
    labels = [words.get("user", f"user {user}"), words.get("item", f"item {item}")]
    everything = model.layer_vectors()  # K + 1 of (U + I, d)
    states = [s[nodes] for s in everything]
    degree = [int(model.graph.degree[node]) for node in nodes]
    side, first = 0 if degree[0] else 1, states[0]  # a node without neighbours hears nothing
    steps = [
        Step(
            0, "A user, an item, and who took what", r"N(u),\quad d_u = |N(u)|,\quad N(i),\quad d_i = |N(i)|",
            rf"d_u = {degree[0]},\quad d_i = {degree[1]}",
            pd.DataFrame([[float(d)] for d in degree], index=labels, columns=["neighbours"]),
            f"The graph has {model.graph.num_edges} edges between {model.num_users} users and {model.num_items} items.",
        ),
        Step(
            1, "A vector for each node", r"e^{(0)}_u,\ e^{(0)}_i \in \mathbb{R}^d",
            rf"e^{{(0)}}_u = {short_vector(first[0].tolist())},\quad e^{{(0)}}_i = {short_vector(first[1].tolist())}",
            matrix(first, labels), "This table is all that is learned.",
        ),
    ]  # fmt: skip
    for k in range(1, model.layers + 1):
        steps.append(_hop_step(model, k, nodes, side, everything[k - 1], everything[k], labels))
    for box in (2, 3):
        if model.layers < box - 1:
            nothing = pd.DataFrame(index=["E"], dtype=float)
            note = "This is matrix factorisation." if not model.layers else "The box stays empty."
            title = f"This model has {model.layers} {'hop' if model.layers == 1 else 'hops'}"
            steps.append(Step(box, title, f"K = {model.layers}", r"\text{no hop}", nothing, note))
    e = model.propagate()[nodes]
    j = int(e[side].abs().argmax())
    who = "ui"[side]
    score = model(torch.tensor([user]), torch.tensor([item])).item()
    return [
        *steps,
        Step(
            4, "The layers put together", rf"e_{who} = \sum_{{k=0}}^{{K}} \alpha_k\, e^{{(k)}}_{who}",
            weighted_of(
                model.alpha, [s[side, j].item() for s in states], e[side, j].item(),
                [f"layer {k}" for k in range(len(states))],
            ),
            matrix(e, labels), f"The numbers are those of *{labels[side]}* at number {j + 1}.",
        ),
        Step(
            5, "The score", r"\hat y_{ui} = \langle e_u, e_i \rangle",
            weighted_of(e[0].tolist(), e[1].tolist(), score, numbered("number", e.shape[1])),
            vector([score], "score", ["ŷ"]), "Items are put in order by it; it is no chance.",
        ),
    ]  # fmt: skip


def _hop_step(
    model: LightGCN, k: int, nodes: list[int], side: int, before: Tensor, after: Tensor, labels: list[str]
) -> Step:  # fmt: skip
    """Hop number k, with the sum over the neighbours of one of the two nodes."""
    node, (a, b) = nodes[side], ("ui", "iu")[side]
    near = model.graph.neighbours(node)
    weights = (model.graph.degree[node] * model.graph.degree[near].double()).rsqrt()
    made = after[nodes]
    j = int(made[side].abs().argmax())
    names = [f"item {n - model.num_users}" if side == 0 else f"user {n}" for n in near.tolist()]
    formula = rf"e^{{({k})}}_{a} = \sum_{{{b} \in N({a})}} \frac{{1}}{{\sqrt{{d_u d_i}}}}\, e^{{({k - 1})}}_{b}"
    numbers = weighted_of(weights.tolist(), before[near, j].tolist(), made[side, j].item(), names)
    note = f"The numbers are those of *{labels[side]}* at number {j + 1}: a sum over {len(near)} neighbours."
    if not len(near):
        note = "Neither of the two has a neighbour, so both hear nothing."
    return Step(2 if k == 1 else 3, f"Hop {k}", formula, numbers, matrix(made, labels), note)
