"""Recommender architectures that run: a small PyTorch library derived line by line in a book.

``load`` a data set, build a model, ``fit`` it, ``predict``; everything else lies in the wings, see ARCHITECTURE.md.
"""

from ._lazy import lazy

__version__ = "0.1.0"

_MODELS = (
    "DCN DCNV2 DHEN DLRM EASE FM GDCN MODELS PAL AutoInt DeepFM FieldMLP GradientBoostedTrees ItemKNN LightGCN "
    "LogisticRegression MatrixFactorisation Model NeuMF NextItem Popularity SplitNetwork TextCNN TwoTowers WatchNext "
    "WideDeep"
)
__getattr__, __dir__ = lazy(
    __name__,
    {
        ".data": "load",
        ".models": _MODELS,
        ".training": "fit fit_ranking fit_retrieval seed_everything",
        ".evaluation": "predict",
        ".store": "load_model load_retriever save_model",
    },
)
