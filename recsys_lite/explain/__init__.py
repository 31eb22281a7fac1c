"""Tables of what a model computed on given rows: parts of a logit, maps of pairs, traces. Trains and draws nothing."""

from .logit import logit_parts, neighbours, readable, top_crosses
from .own_maps import attention, cross_strength, pair_strength
from .swapping import beside, interactions, square

__all__ = [
    "attention",
    "beside",
    "cross_strength",
    "interactions",
    "logit_parts",
    "neighbours",
    "pair_strength",
    "readable",
    "square",
    "top_crosses",
]
