"""One file per architecture."""

from .autoint import AutoInt
from .base import Model
from .dcn import DCN
from .deepfm import DeepFM
from .dlrm import DLRM
from .fm import FM
from .logistic_regression import LogisticRegression
from .ncf import NeuMF
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
}

__all__ = ["DCN", "DLRM", "FM", "MODELS", "AutoInt", "DeepFM", "LogisticRegression", "Model", "NeuMF", "WideDeep"]
