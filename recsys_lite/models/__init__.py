"""One file per architecture."""

from .base import Model
from .fm import FM
from .logistic_regression import LogisticRegression
from .wide_deep import WideDeep

#: short name -> class; the names of results files, stored weights and the explorer.
MODELS: dict[str, type[Model]] = {
    "logistic_regression": LogisticRegression,
    "fm": FM,
    "wide_deep": WideDeep,
}

__all__ = ["FM", "MODELS", "LogisticRegression", "Model", "WideDeep"]
