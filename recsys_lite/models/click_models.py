"""Models of clicks by name, all with the same factorization machine inside."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..data.simulated.clicks import BIAS, Clicks
from .base import Model
from .fm import FM
from .position import PAL, Served, WatchNext


def build(
    name: str, clicks: Clicks, bias: Sequence[str] = BIAS[:1], dropout: float = 0.1, true_curve: bool = False
) -> Model:
    """A model of the clicks; all have the same factorization machine inside.

    Args:
        name: ``"naive"`` (also to be trained with weights, ``"ipw"``), ``"feature"``, ``"pal"`` or ``"watch_next"``.
        bias: the fields that say where a film was shown. Default the position alone.
        dropout: of positions, for Watch Next.
        true_curve: PAL's tower is the true curve and is not trained.

    Raises:
        ValueError: for an unknown name.
    """
    columns = clicks.dataset.fields
    plain = tuple(f for f in columns if f.name not in BIAS)
    if name in ("naive", "ipw"):
        return Served(columns, FM(plain))
    if name == "feature":
        return Served(columns, FM([f for f in columns if f.name not in BIAS or f.name in bias]))
    if name == "watch_next":
        return WatchNext(columns, FM(plain), bias, dropout)
    if name != "pal":
        raise ValueError(f"build: unknown model {name!r}; there are naive, ipw, feature, pal and watch_next")
    pal = PAL(columns, FM(plain), bias)
    if true_curve:
        both = len(bias) == len(BIAS)
        seen = clicks.curve.T if both else clicks.curve[0]  # (places, devices) or (places,)
        inside = pal.tower.weight[1:, 1:] if both else pal.tower.weight[1:]
        with torch.no_grad():
            inside.copy_(torch.logit(seen, eps=1e-4))
        pal.tower.weight.requires_grad_(False)
    return pal
