"""One file per architecture."""

from .autoint import AutoInt
from .base import Model
from .dcn import DCN
from .dcn_v2 import DCNV2
from .deepfm import DeepFM
from .dhen import DHEN
from .dlrm import DLRM
from .fm import FM
from .gdcn import GDCN
from .logistic_regression import LogisticRegression
from .ncf import NeuMF
from .position import PAL, WatchNext
from .split_network import SplitNetwork
from .two_towers import TwoTowers
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

__all__ = [
    "DCN",
    "DCNV2",
    "DHEN",
    "DLRM",
    "FM",
    "GDCN",
    "MODELS",
    "PAL",
    "AutoInt",
    "DeepFM",
    "LogisticRegression",
    "Model",
    "NeuMF",
    "SplitNetwork",
    "TwoTowers",
    "WatchNext",
    "WideDeep",
]
