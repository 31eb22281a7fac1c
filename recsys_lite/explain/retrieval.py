"""What moved a candidate's score: which of the user's items, and which layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ..data.interactions import Interactions
from ..evaluation.full_ranking import Retriever
from ..fields import PADDING, UNSEEN, Rows, find_field
from ..layers import on_cpu
from ..models.lightgcn import LightGCN
from ..models.neighbours import ItemSums


@torch.no_grad()
def moved_by(retriever: Retriever, data: Interactions, user: int, item: int) -> pd.DataFrame:
    r"""How much each item of a user's history raised the score of one item: the score minus that without it.

    .. math:: \Delta_h = s(u, i) - s(u \setminus h, i)

    For retrievers that sum over the history (item neighbours, EASE) the changes are the terms of that sum, so they add
    up to the score. For LightGCN the edge (u, h) is taken out, all degrees are counted anew and the same trained table
    spreads again; for two towers h is taken out of the query's history and the other items weigh more. There the
    changes need not add up, and neither model is trained again: this tells what the score rests on, not what would have
    been learned.

    Args:
        retriever: :class:`~recsys_lite.models.ItemKNN`, :class:`~recsys_lite.models.EASE`,
            :class:`~recsys_lite.models.LightGCN`, or one with ``queries`` and ``scores_of(queries)``.
        user, item: their numbers.

    Returns:
        a line per history item: item, title, change; the largest change first.

    Raises:
        ValueError: for numbers that do not exist, or a retriever that has no history.
    """
    if not (0 <= user < data.num_users and 0 <= item < data.num_items):
        got = f"user {user}, item {item}"
        raise ValueError(f"moved_by: got {got}; there are {data.num_users} users and {data.num_items} items")
    retriever = on_cpu(retriever)
    if isinstance(retriever, ItemSums):
        history = retriever.x[user].nonzero().flatten()
        changes = retriever.x[user, history] * retriever.weights[history, item]
    elif isinstance(retriever, LightGCN):
        history, changes = _without_edges(retriever, user, item)
    elif hasattr(retriever, "scores_of") and hasattr(retriever, "queries"):
        history, changes = _without_history(retriever.scores_of, retriever.queries, data, user, item)
    else:
        raise ValueError(f"moved_by: {type(retriever).__name__} does not say how a user's history enters its scores")
    order = changes.argsort(descending=True, stable=True).tolist()
    items = history[order].tolist()
    columns: dict[str, Any] = {"item": items, "title": [data.title(h) for h in items], "change": changes[order].numpy()}
    return pd.DataFrame(columns)


def _without_edges(model: LightGCN, user: int, item: int) -> tuple[Tensor, Tensor]:
    """Each edge of the user taken out in turn. The spread is symmetric: row u of it is the spread of a one at u."""
    ones = torch.zeros(model.graph.num_nodes, 2)
    ones[user, 0] = ones[model.num_users + item, 1] = 1

    def score(graph: Any) -> Tensor:
        u, i = graph(ones, model.alpha).T @ model.table  # each (d,): the two vectors, without those of other nodes
        return u @ i

    history = model.graph.neighbours(user) - model.num_users
    whole = score(model.graph)
    changes = [whole - score(model.graph.without(user, h)) for h in history.tolist()]
    return history, torch.stack(changes) if changes else torch.zeros(0)


def _without_history(
    scores_of: Callable[[Rows], Tensor], queries: Rows, data: Interactions, user: int, item: int
) -> tuple[Tensor, Tensor]:
    """Each item of the query's ``history`` taken out in turn."""
    query = queries[torch.tensor([user])]
    if "history" not in query.bags:
        raise ValueError("moved_by: the queries have no field 'history'")
    bag = query.bags["history"][0]
    places = ((bag != PADDING) & (bag != UNSEEN)).nonzero().flatten()
    films = find_field(data.query_fields, "history").vocabulary
    number = {str(raw): k for k, raw in enumerate(data.items.tolist())}
    history = torch.tensor([number[films.decode(int(row))] for row in bag[places]], dtype=torch.long)  # type: ignore[union-attr]
    bags = bag.repeat(len(places) + 1, 1)  # the last line is whole
    bags[torch.arange(len(places)), places] = PADDING
    rows = queries[torch.full((len(bags),), user)]
    scores = scores_of(Rows(rows.ids, rows.numeric, rows.bags | {"history": bags}))[:, item]
    return history, scores[-1] - scores[:-1]


@torch.no_grad()
def layer_parts(model: LightGCN, user: int, item: int) -> pd.DataFrame:
    r"""The exact parts of a LightGCN score by layers, a line per user layer k, a column per item layer l.

    .. math:: \hat y_{ui} = \sum_{k, l} \alpha_k \alpha_l\, \langle e_u^{(k)}, e_i^{(l)} \rangle

    The part (0, 0) is matrix factorisation's; all others came over edges. Odd layers of a user are made of items'
    vectors, even ones of users'.
    """
    model = on_cpu(model)
    states = torch.stack(model.layer_vectors())  # (K + 1, U + I, d)
    alpha = torch.tensor(model.alpha)
    parts = (alpha[:, None] * states[:, user]) @ (alpha[:, None] * states[:, model.num_users + item]).T
    names = [str(k) for k in range(model.layers + 1)]
    return pd.DataFrame(parts.numpy(), index=pd.Index(names, name="user layer"), columns=names)
