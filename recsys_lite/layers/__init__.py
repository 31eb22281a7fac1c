"""One small file per idea."""

from .attention import InteractingLayer
from .cross import CrossNet
from .crosses import HashedCrosses
from .dot import dot_interaction
from .embedding import FieldEmbedding
from .fm import fm_interaction
from .mlp import MLP
from .stack import StackedInput

__all__ = [
    "MLP",
    "CrossNet",
    "FieldEmbedding",
    "HashedCrosses",
    "InteractingLayer",
    "StackedInput",
    "dot_interaction",
    "fm_interaction",
]
