"""One small file per idea."""

from .crosses import HashedCrosses
from .embedding import FieldEmbedding
from .fm import fm_interaction
from .mlp import MLP

__all__ = ["MLP", "FieldEmbedding", "HashedCrosses", "fm_interaction"]
