"""One small file per idea: tensors and fields in, tensors out. Knows no data set and no architecture."""

from .attention import InteractingLayer
from .batch_norm import add_batch_norm, fold_batch_norm
from .cross import CrossLayers, CrossNet, CrossNetMix, CrossNetV2, GatedCrossNet
from .crosses import HashedCrosses
from .device import choose_device, device_of, devices, on_cpu
from .dot import dot_interaction
from .embedding import FieldEmbedding, SizedEmbedding
from .ensemble import EnsembleLayer
from .fm import fm_interaction
from .mlp import MLP, linear_piece
from .stack import StackedInput

__all__ = [
    "MLP",
    "CrossLayers",
    "CrossNet",
    "CrossNetMix",
    "CrossNetV2",
    "EnsembleLayer",
    "FieldEmbedding",
    "GatedCrossNet",
    "HashedCrosses",
    "InteractingLayer",
    "SizedEmbedding",
    "StackedInput",
    "add_batch_norm",
    "choose_device",
    "device_of",
    "devices",
    "dot_interaction",
    "fm_interaction",
    "fold_batch_norm",
    "linear_piece",
    "on_cpu",
]
