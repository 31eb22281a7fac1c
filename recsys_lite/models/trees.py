"""Gradient-boosted trees on the same rows, so that every comparison has a strong baseline without embeddings."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import TargetEncoder
from torch import Tensor

from ..fields import PADDING, Dataset, Field, Rows

MOST_CATEGORIES = 255  # a histogram has no more bins


class GradientBoostedTrees:
    """scikit-learn's histogram gradient boosting over a :class:`~recsys_lite.fields.Dataset`.

    Trees cannot look ids up in tables, so columns are made as practitioners make them:

    - a categorical field of up to 255 values goes in as it is, a larger one as the click rate of its value in
      training, cross-fitted (:class:`sklearn.preprocessing.TargetEncoder`), and as its count in training;
    - a numeric field goes in as it is;
    - a multi-hot field becomes a 0/1 column per value; a history becomes its length and the mean rate of its films.

    Args:
        learning_rate: shrinkage of a tree. Default 0.1.
        max_leaf_nodes: leaves of a tree. Default 31.
        max_iter: trees at most; the validation part's log loss stops earlier. Default 300.
        min_samples_leaf: rows of a leaf at least. Default 20.
        l2_regularization: penalty on the values of the leaves. Default 0.
        patience: trees without an improvement before stopping. Default 10.
        seed: of the folds of the encoder and of the half of the columns that each split may look at.

    Needs scikit-learn 1.9 or newer (the extra ``recsys-lite[trees]``).

    Source: Ke et al., LightGBM, NeurIPS 2017, is the algorithm; Micci-Barreca, SIGKDD Explorations 2001, the encoding.
    """

    def __init__(
        self,
        learning_rate: float = 0.1,
        max_leaf_nodes: int = 31,
        max_iter: int = 300,
        patience: int = 10,
        seed: int = 0,
        min_samples_leaf: int = 20,
        l2_regularization: float = 0.0,
    ):
        self.settings: dict[str, float] = {
            "learning_rate": learning_rate, "max_leaf_nodes": max_leaf_nodes, "max_iter": max_iter,
            "patience": patience,
        }  # fmt: skip
        more = {"min_samples_leaf": (min_samples_leaf, 20), "l2_regularization": (l2_regularization, 0.0)}
        self.settings |= {k: value for k, (value, default) in more.items() if value != default}
        self.seed = seed

    def fit(self, dataset: Dataset) -> GradientBoostedTrees:
        """Grow trees on ``dataset.train``, stop by ``dataset.validation``; returns itself."""
        self.fields = dataset.fields
        y, y_validation = dataset.train.label.numpy(), dataset.validation.label.numpy()  # type: ignore[union-attr]
        high = self._categorical(dataset.train, large=True)
        folds = StratifiedKFold(5, shuffle=True, random_state=self.seed)
        self.rates = TargetEncoder(target_type="binary", cv=folds)
        encoded = self.rates.fit_transform(high, y) if high.shape[1] else high  # cross-fitted
        self.counts = [np.bincount(column, minlength=f.size) for f, column in zip(self._large(), high.T, strict=True)]
        X, kinds = self._columns(dataset.train, encoded)
        settings = dict(self.settings)
        self.trees = HistGradientBoostingClassifier(
            n_iter_no_change=settings.pop("patience"), early_stopping=True, categorical_features=kinds,
            max_features=0.5, random_state=self.seed, **settings,
        )  # fmt: skip
        X_validation, _ = self._columns(dataset.validation)
        self.trees.fit(X, y, X_val=X_validation, y_val=y_validation)
        return self

    def logits(self, rows: Rows) -> Tensor:
        """Logits (B,) of a click, float64."""
        return torch.from_numpy(self.trees.decision_function(self._columns(rows)[0]))

    def predict(self, rows: Rows) -> Tensor:
        """Probabilities (B,) of a click."""
        return torch.from_numpy(self.trees.predict_proba(self._columns(rows)[0])[:, 1]).float()

    def _large(self) -> list[Field]:
        return [f for f in self.fields if f.kind == "categorical" and f.size > MOST_CATEGORIES]

    def _categorical(self, rows: Rows, large: bool) -> np.ndarray:
        fields = [f for f in self.fields if f.kind == "categorical"]
        return rows.ids.numpy()[:, [k for k, f in enumerate(fields) if (f.size > MOST_CATEGORIES) == large]]

    def _columns(self, rows: Rows, encoded: np.ndarray | None = None) -> tuple[np.ndarray, list[bool]]:
        """The table that trees see, and which of its columns are categories."""
        low, high = self._categorical(rows, large=False), self._categorical(rows, large=True)
        if encoded is None:
            encoded = self.rates.transform(high) if high.shape[1] else high
        columns = [
            low,
            encoded,
            *(c[ids, None] for c, ids in zip(self.counts, high.T, strict=True)),
            rows.numeric.numpy(),
        ]
        for f in self.fields:
            if f.is_bag:
                columns.append(self._bag(f, rows.bags[f.name].numpy()))
        X = np.concatenate([c.astype(np.float32) for c in columns], 1)
        return X, [True] * low.shape[1] + [False] * (X.shape[1] - low.shape[1])

    def _bag(self, f: Field, values: np.ndarray) -> np.ndarray:
        there = values != PADDING
        if f.size <= MOST_CATEGORIES:
            out = np.zeros((len(values), f.size + 1), np.float32)
            np.put_along_axis(out, np.where(there, values, f.size), 1.0, axis=1)
            return out[:, :-1]
        length = there.sum(1, keepdims=True)
        owner = next((k for k, g in enumerate(self._large()) if g.name == f.table), None)
        if owner is None:
            return length
        rate = np.full(f.size, self.rates.target_mean_)
        rate[self.rates.categories_[owner].astype(int)] = self.rates.encodings_[owner]
        mean = (rate[values.clip(min=0)] * there).sum(1, keepdims=True) / length.clip(min=1)
        return np.concatenate([length, np.where(length > 0, mean, self.rates.target_mean_)], 1)
