"""What of ours is compared with no library, or with none directly, and why."""

from __future__ import annotations

from typing import NamedTuple


class Without(NamedTuple):
    """A name of ours without a counterpart."""

    ours: str
    kind: str
    why: str


NOBODY = "None of the libraries has it."
ZOO = "It is only in FuxiCTR's model zoo, which its package does not contain."
PAPER = "Tests check it against its paper's equation, written in NumPy (`tests/reference`)."
NONE = [
    Without("GDCN", "model", f"{ZOO} {PAPER}"),
    Without("GatedCrossNet", "layer", f"{ZOO} {PAPER}"),
    Without("DHEN", "model", f"{NOBODY} Its authors published no code. {PAPER}"),
    Without("EnsembleLayer", "layer", f"{NOBODY} It is DHEN's layer. {PAPER}"),
    Without("SplitNetwork", "model", f"{NOBODY} Tests check it against its equation in NumPy (`tests/reference`)."),
    Without("NGCF", "model",
            f"RecBole has it, with a graph and dropout drawn in another way; not compared. {PAPER}"),
    Without("PAL", "model", f"{NOBODY} {PAPER}"),
    Without("WatchNext", "model", f"{NOBODY} {PAPER}"),
    Without("TextCNN", "model", f"{NOBODY} {PAPER}"),
    Without("HashedCrosses", "layer", "The libraries' wide parts have no crosses, see `WideDeep`."),
    Without("InteractingLayer, variant='code'", "layer",
            "None of the libraries follows the authors' code, which is for TensorFlow 1, with its biases and norms."),
    Without("CausalAttention", "layer",
            "SASRec is in RecBole and torch-rechub, whose blocks place norms and residuals otherwise; not compared. "
            "Tests hold a block against PyTorch's own layer."),
    Without("GradientBoostedTrees", "model", "It calls scikit-learn's own trees."),
    Without("TowerRetriever", "model", "It keeps vectors of `TwoTowers` and computes nothing of its own."),
    Without("auc_interval", "metric",
            "None of the libraries gives an interval of the AUC; a test counts how often it covers the truth."),
    Without("hit_rate", "metric", "With one item to find it is the recall of that user, see `recall@5`."),
    Without("FieldEmbedding", "layer", "It is compared inside every model that has one."),
    Without("StackedInput", "layer", "It is compared inside `DCN` and `DCNV2`."),
    Without("SizedEmbedding", "layer", "It is compared inside `DCNV2` with sizes by field."),
]  # fmt: skip
