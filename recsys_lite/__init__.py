"""Recommender architectures that run: a small PyTorch library derived line by line in a book.

``load`` a data set, build a model, ``fit`` it, ``predict``, and ``score`` new raw rows; every model is offered here,
too. All else lies in the wings, see ARCHITECTURE.md. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
from typing import Any

from ._lazy import lazy

__version__ = "0.1.0"

_get, __dir__ = lazy(
    __name__,
    {
        ".data": "load",
        ".models": "MODELS",
        ".training": "fit fit_ranking fit_retrieval seed_everything",
        ".evaluation": "predict score",
        ".store": "export load_model load_retriever save_model",
    },
)


def __getattr__(name: str) -> Any:
    """One of the names above, or a model."""
    if name[:1].isupper() and name in (models := importlib.import_module(".models", __name__)).__all__:
        return getattr(models, name)
    return _get(name)
