"""One file per architecture, retrievers too: every system of the book is importable from here.

A model is its ``parts``, whose sum is the logit; a retriever has ``scores(users)``. No optimiser, no metric lies here.
"""

from .._lazy import lazy
from .autoint import AutoInt
from .base import Model
from .blocks import FieldMLP, NextItem, TextCNN
from .dcn import DCN
from .dcn_v2 import DCNV2
from .deepfm import DeepFM
from .dhen import DHEN
from .dlrm import DLRM
from .fm import FM
from .gdcn import GDCN
from .lightgcn import LightGCN
from .logistic_regression import LogisticRegression
from .matrix_factorisation import MatrixFactorisation
from .ncf import NeuMF
from .neighbours import EASE, ItemKNN
from .ngcf import NGCF
from .popularity import Popularity
from .position import PAL, WatchNext
from .split_network import SplitNetwork
from .two_towers import TowerRetriever, TwoTowers
from .wide_deep import WideDeep

#: short name -> class; the names of results files, stored weights and the explorer.
MODELS: dict[str, type[Model]] = {
    "logistic_regression": LogisticRegression,
    "fm": FM,
    "wide_deep": WideDeep,
    "deepfm": DeepFM,
    "ncf": NeuMF,
    "dcn": DCN,
    "autoint": AutoInt,
    "dlrm": DLRM,
    "dcn_v2": DCNV2,
    "dhen": DHEN,
    "gdcn": GDCN,
    "two_towers": TwoTowers,
    "split_network": SplitNetwork,
}

# scikit-learn takes a second to import and is needed by trees only
__getattr__, __dir__ = lazy(__name__, {".trees": "GradientBoostedTrees"})

__all__ = [
    "DCN",
    "DCNV2",
    "DHEN",
    "DLRM",
    "EASE",
    "FM",
    "GDCN",
    "MODELS",
    "NGCF",
    "PAL",
    "AutoInt",
    "DeepFM",
    "FieldMLP",
    "GradientBoostedTrees",
    "ItemKNN",
    "LightGCN",
    "LogisticRegression",
    "MatrixFactorisation",
    "Model",
    "NeuMF",
    "NextItem",
    "Popularity",
    "SplitNetwork",
    "TextCNN",
    "TowerRetriever",
    "TwoTowers",
    "WatchNext",
    "WideDeep",
]
