"""Serving candidates: indexes, the funnel of stages, cost formulas, tables in fewer bits. Trains nothing."""

from .funnel import (
    Funnel,
    Pairs,
    Scores,
    Stage,
    arrange,
    best,
    by_item_sums,
    by_model,
    by_retriever,
    by_split_network,
    by_turns,
    logits,
    moments,
    open_items,
    quality,
    variety,
)
from .index import ExactIndex, FaissIndex, load_index
from .recommend import recommend

__all__ = [
    "ExactIndex",
    "FaissIndex",
    "Funnel",
    "Pairs",
    "Scores",
    "Stage",
    "arrange",
    "best",
    "by_item_sums",
    "by_model",
    "by_retriever",
    "by_split_network",
    "by_turns",
    "load_index",
    "logits",
    "moments",
    "open_items",
    "quality",
    "recommend",
    "variety",
]
