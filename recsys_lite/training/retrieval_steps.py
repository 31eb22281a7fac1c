"""What a batch of interactions teaches: the loss of each retriever."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..data.interactions import Interactions
from ..data.item_sets import ItemSets
from ..fields import UNSEEN, choose_columns, choose_fields
from ..layers.device import device_of
from ..models.lightgcn import Propagated
from ..models.two_towers import TwoTowers
from .losses import bpr, in_batch_softmax, logits
from .negatives import draw_negatives
from .retrieval import Step


def bpr_loss(model: Propagated, users: Tensor, positive: Tensor, negative: Tensor, decay: float = 1e-4) -> Tensor:
    r"""BPR on B triples, and the penalty on the rows of the table that they read.

    .. math:: \frac1B \sum -\ln \sigma(\hat y_{ui} - \hat y_{uj}) + \frac{\lambda}{2B} \sum
        \lVert e_u^{(0)} \rVert^2 + \lVert e_i^{(0)} \rVert^2 + \lVert e_j^{(0)} \rVert^2

    Args:
        model: LightGCN (without layers: matrix factorisation) or NGCF.
        users, positive, negative: (B,) a user, an item that the user took, and one that the user did not.
        decay: λ. Default 1e-4 (paper).
    """
    everything = model.propagate()
    nodes = torch.stack([users, model.num_users + positive, model.num_users + negative]).to(everything.device)  # (3, B)
    u, i, j = everything[nodes]  # each (B, d)
    value = bpr((u * i).sum(1), (u * j).sum(1))
    if decay:
        rows = (model.table if model.penalise == "start" else everything)[nodes]
        value = value + decay / 2 * rows.square().sum() / len(users)
    return value


def bpr_step(
    data: Interactions, decay: float = 1e-4, draw: Literal["interactions", "users"] = "interactions"
) -> Step:  # fmt: skip
    """A step of :func:`recsys_lite.training.fit_retrieval`: each positive beside one drawn item, uniform over those
    that the user has not in training.

    Args:
        data: whose training part the numbers of a batch mean.
        decay: λ of :func:`bpr_loss`.
        draw: where the positives come from. ``"interactions"`` (default): those of the batch, so an epoch sees every
            interaction once, and a user as often as it has items. ``"users"``: as many as the batch has are drawn,
            first a user, uniformly, then one of its items, so every user counts the same. That is what the authors'
            code of LightGCN does; their paper does not say it.
    """
    if decay < 0:
        raise ValueError(f"bpr_step: decay must be at least 0, got {decay}")
    if draw not in ("interactions", "users"):
        raise ValueError(f"bpr_step: draw must be 'interactions' or 'users', got {draw!r}")
    taken = ItemSets.of(data, "train")
    known = taken.count.nonzero().flatten()  # users without an item have no positive

    def step(model: nn.Module, batch: Tensor, generator: torch.Generator) -> Tensor:
        users, items = data.train[batch].T
        if draw == "users":
            users = known[torch.randint(len(known), (len(batch),), generator=generator)]
            items = taken.one_of(users, torch.rand(len(users), generator=generator))
        negative = draw_negatives(taken, users, 1, generator)[:, 0]
        return bpr_loss(model, users, items, negative, decay)  # type: ignore[arg-type]

    return step


def in_batch_step(
    model: TwoTowers, data: Interactions, *, correct: float = 1.0, remove_hits: bool = True,
    exact_positive: bool = False, all_items: bool = False, hide_item: float = 0.0,
) -> Step:  # fmt: skip
    """The step of :func:`~recsys_lite.training.fit_retrieval` for two towers.

    Args:
        correct: times log q is subtracted. Default 1; 0 leaves it out, -1 adds it.
        remove_hits, exact_positive: see :func:`~recsys_lite.training.losses.in_batch_softmax`.
        all_items: the softmax over all candidates that the batch stands for, in its place.
        hide_item: share of a batch whose item number is hidden, so that the row of unseen items learns what to say
            when only the features are known. Default 0.

    Raises:
        ValueError: for a share outside 0 to 1, or an item number to hide that the model does not read.
    """
    if not 0 <= hide_item <= 1 or (hide_item and "item" not in model.candidate_names):
        raise ValueError(f"in_batch_step: cannot hide {hide_item} of the items of {model.candidate_names}")
    queries = choose_columns(data.query_fields, data.queries["train"], model.query_names)
    candidates = choose_columns(data.candidate_fields, data.candidates, model.candidate_names)
    log_q = correct * (data.degree().clamp(min=1) / len(data.train)).log()  # (I,)
    chosen = choose_fields(data.candidate_fields, model.candidate_names)
    column = [f.name for f in chosen if f.kind == "categorical"].index("item") if hide_item else 0

    def step(_: nn.Module, batch: Tensor, generator: torch.Generator) -> Tensor:
        nonlocal candidates
        device = device_of(model)
        items = data.train[batch, 1]
        u = model.query(queries[batch].to(device, pinned=True))
        if all_items:
            candidates = candidates.to(device)  # once
            return cross_entropy(logits(u @ model.candidate(candidates).T) / model.temperature, items.to(device))
        rows = candidates[items]
        if hide_item:
            hidden = torch.rand(len(items), generator=generator) < hide_item
            rows.ids[hidden, column] = UNSEEN  # indexing by numbers has copied
        v = model.candidate(rows.to(device, pinned=True))
        drawn = log_q[items].to(device) if correct else None
        return in_batch_softmax(u @ v.T, items.to(device), drawn, model.temperature, remove_hits, exact_positive)

    return step


def next_item_step(data: Interactions) -> Step:
    """The step of :func:`~recsys_lite.training.fit_retrieval`: a softmax over all items after each history."""
    histories = data.queries["train"].bags["history"]

    def step(model: nn.Module, batch: Tensor, generator: torch.Generator) -> Tensor:
        device = device_of(model)
        scores = model.scores_of(histories[batch].to(device))  # type: ignore[operator]
        return cross_entropy(logits(scores), data.train[batch, 1].to(device))

    return step
