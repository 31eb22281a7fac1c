"""The drawing of one user and one item in trained towers."""

from __future__ import annotations

import torch
from torch import Tensor

from ..evaluation.full_ranking import top_k
from ..explain.boxes import LEFT, RIGHT, Box
from ..models import TowerRetriever
from ..models.two_towers import Tower
from ..plots.own_boxes import boxes_drawing


@torch.no_grad()
def tower_drawing(retriever: TowerRetriever, user: int, seen: Tensor, item: int | None = None) -> tuple[str, int, int]:
    """The drawing with all dimensions and this pair's numbers, the item, and its rank among the user's candidates.

    Args:
        retriever: trained towers with their users and items.
        user: its number. item: its number; by default the user's best candidate.
        seen: (I,) items that are no candidates, such as those of training.

    Raises:
        ValueError: for an item that is no candidate, or numbers that do not exist.
    """
    data, model = retriever.data, retriever.model
    if not 0 <= user < data.num_users or (item is not None and not 0 <= item < data.num_items):
        raise ValueError(f"tower_drawing: no user {user} or no item {item} in {data.name!r}")
    which = torch.tensor([user])
    if item is None:
        item = int(top_k(retriever, which, 1, seen[None])[1])
    if seen[item]:
        raise ValueError(f"tower_drawing: item {item} is no candidate of user {user}")
    scores = retriever.scores(which)[0]
    rank = 1 + int((scores[~seen] > scores[item]).sum())
    u, v = model.query(retriever.queries[which])[0], retriever.vectors()[item]
    product, tau = float(u @ v), model.temperature
    title = data.title(item)
    kept = int((~seen).sum())
    boxes = [
        Box("input", f"user {data.users[user]}", f"{len(model.query_names)} fields", LEFT, 26, 148),
        Box("input", title if len(title) < 20 else title[:17] + "…", f"{len(model.candidate_names)} fields", RIGHT, 26,
            148),
        Box("embedding", *_embedded(model.query_tower, len(model.query_names)), LEFT, 104, 148),
        Box("embedding", *_embedded(model.candidate_tower, len(model.candidate_names)), RIGHT, 104, 148),
        Box("mlp", _layers(model.query_tower), f"u = {_first(u)}", LEFT, 182, 164),
        Box("mlp", _layers(model.candidate_tower), f"v = {_first(v)}", RIGHT, 182, 164),
        Box("cross", f"⟨u, v⟩ = {_told(product)}", f"÷ τ = {tau:g}: score {_told(product / tau)}", 170, 262, 210),
        Box("output", f"rank {rank:,}", f"of {kept:,} candidates", 170, 336, 170),
    ]  # fmt: skip
    arrows = [(0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 6), (6, 7)]
    return boxes_drawing(boxes, arrows), item, rank


def _embedded(tower: Tower, fields: int) -> tuple[str, str]:
    wide = tower.mlp[0].in_features  # type: ignore[union-attr]
    return "embeddings", f"{fields} × {wide // fields} = {wide}"  # type: ignore[operator]


def _layers(tower: Tower) -> str:
    return " → ".join(str(m.out_features) for m in tower.mlp if isinstance(m, torch.nn.Linear))


def _first(vector: Tensor) -> str:
    return "(" + ", ".join(_told(float(x)) for x in vector[:2]) + ", …)"


def _told(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
