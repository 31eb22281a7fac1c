"""Models trained side by side on planted data, an epoch of each at a time, so that one can watch what they find."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .. import explain
from ..data.simulated.planted import planted, planted_pairs
from ..evaluation.inference import predict
from ..evaluation.metrics import auc, log_loss
from ..fields import Dataset, Rows
from ..models import MODELS, Model
from ..training.loop import Steps, seed_everything
from ..training.pointwise import fit_in_steps

#: The models that can take part: all but those that ask for a user and an item.
RUNNERS = [name for name in MODELS if name not in ("ncf", "two_towers", "split_network")]
ORDER, BATCH = 2, 256


class Race:
    """Models that train on the same rows with the same budget: epochs, and so steps of Adam, of 256 rows each.

    Every model is as :data:`~recsys_lite.models.MODELS` builds it without settings, and trains as
    :func:`~recsys_lite.training.fit` does, but never stops early. The one seed is that of the data, of the weights at
    the start, and of the order of the rows.

    Args:
        models: names among :data:`RUNNERS`, each once.
        seed: Default 0.
        noise, rows: of :func:`~recsys_lite.data.simulated.planted.planted` with one planted pair of fields. Default 0.1
            and 2000.
        lr: learning rate of Adam. Default 0.01.
        epochs: Default 20.
        values: of each field. Default 10.

    Raises:
        ValueError: for an unknown model or one named twice, settings out of range, or a loss that is not finite.

    Example:
        >>> race = Race(["logistic_regression", "fm"], epochs=1)
        >>> race.step()
        >>> race.done, race.batches, list(race.table()["model"])
        (True, 8, ['logistic_regression', 'fm'])
    """

    def __init__(
        self, models: Sequence[str], seed: int = 0, noise: float = 0.1, rows: int = 2000, lr: float = 0.01,
        epochs: int = 20, values: int = 10,
    ):  # fmt: skip
        if not models or len(set(models)) < len(models) or not set(models) <= set(RUNNERS):
            raise ValueError(f"Race: expected different models among {RUNNERS}, got {list(models)}")
        self.dataset = planted(ORDER, seed, rows=rows, noise=noise, values=values)
        self.epochs, self.epoch = epochs, 0
        self.batches = -(-rows // BATCH)  # of an epoch
        self.models: dict[str, Model] = {}
        self.steps: dict[str, Steps] = {}
        for name in models:
            seed_everything(seed)
            self.models[name] = MODELS[name](self.dataset.fields)
            self.steps[name] = fit_in_steps(
                self.models[name], self.dataset, epochs=epochs, batch_size=BATCH, lr=lr, patience=epochs, seed=seed
            )
        self._lines: list[dict[str, object]] = []
        self._pairs: pd.DataFrame | None = None  # of the weights as they are

    @property
    def done(self) -> bool:
        """Whether the budget is spent."""
        return self.epoch >= self.epochs

    def step(self) -> None:
        """Train one epoch of every model, and look at both parts."""
        lines = []
        for name, steps in self.steps.items():
            line = steps.step()
            label, now = self.dataset.train.label, predict(self.models[name], self.dataset.train, logits=True)
            train = {"train auc": auc(label, now), "train log loss": log_loss(label, now, logits=True)}
            validation = {"validation auc": line["auc"], "validation log loss": line["log_loss"]}
            lines.append({"model": name, "epoch": line["epoch"], **train, **validation})
        self._lines += lines
        self.epoch, self._pairs = self.epoch + 1, None

    def table(self) -> pd.DataFrame:
        """A line per model and epoch so far: model, epoch, AUC and log loss on both parts after the epoch."""
        parts = ("train", "validation")
        columns = ["model", "epoch", *(f"{part} {metric}" for metric in ("auc", "log loss") for part in parts)]
        table = pd.DataFrame(self._lines, columns=columns)
        return pd.concat([table[table["model"] == name] for name in self.models], ignore_index=True)

    def pairs(self) -> pd.DataFrame:
        """What each model has found: model, a, b, strength, planted; see :func:`found_pairs`."""
        if self._pairs is None:
            found = [found_pairs(model, self.dataset).assign(model=name) for name, model in self.models.items()]
            self._pairs = pd.concat(found, ignore_index=True)[["model", "a", "b", "strength", "planted"]]
        return self._pairs


def play(
    models: Sequence[str], seed: int = 0, **settings: Any
) -> Generator[tuple[pd.DataFrame, pd.DataFrame], None, None]:
    """A race for a :class:`~recsys_lite.lab.worker.Worker`: yields :meth:`Race.table` and pairs after each epoch."""
    race = Race(models, seed, **settings)
    while not race.done:
        race.step()
        yield race.table(), race.pairs()


def found_pairs(model: Model, dataset: Dataset) -> pd.DataFrame:
    """How strongly each pair of fields interacts in a model, see :func:`recsys_lite.explain.interactions`.

    Returns:
        a line per pair in the order of the fields: a, b, strength (on the validation rows), planted (0 or 1).
    """
    table = explain.interactions(model, dataset.validation).sort_values(["a", "b"], ignore_index=True)
    truth = planted_pairs(dataset)
    planted_too = [truth.loc[a, b] for a, b in zip(table["a"], table["b"], strict=True)]
    return table[["a", "b", "strength"]].assign(planted=planted_too)


def truth(dataset: Dataset, rows: Rows, noise: float) -> Tensor:
    r"""The best possible prediction of any rows of :func:`~recsys_lite.data.simulated.planted.planted`, (B,).

    .. math:: p = \tfrac12 + (\tfrac12 - \text{noise}) \cdot \operatorname{mean}_C \prod_{f \in C} s_f(x_f)

    Args:
        dataset: which knows the crosses C and the signs s.
        rows: of its fields.
        noise: as given to ``planted``.

    Raises:
        ValueError: for a data set without planted crosses.

    Example:
        >>> data = planted(order=2, seed=0, rows=8)
        >>> bool((truth(data, data.test, noise=0.1) == data.extras["probability"]).all())
        True
    """
    if "crosses" not in dataset.extras:
        raise ValueError(f"truth: {dataset.name} holds no planted crosses")
    names, signs = [f.name for f in dataset.fields], dataset.extras["signs"]
    of_field = {n: signs[n][rows.ids[:, k].long()] for k, n in enumerate(names)}
    products = [torch.stack([of_field[n] for n in cross]).prod(0) for cross in dataset.extras["crosses"]]
    return 0.5 + (0.5 - noise) * torch.stack(products).mean(0)


def best(dataset: Dataset, rows: Rows, noise: float) -> dict[str, float]:
    """AUC and log loss of :func:`truth` on labelled rows: what no model can be expected to pass on rows new to it."""
    p = truth(dataset, rows, noise)
    return {"auc": auc(rows.label, p), "log loss": log_loss(rows.label, p)}


def shares(dataset: Dataset, a: str, b: str) -> pd.DataFrame:
    """The share of label 1 among the training rows of each value of field a (down) with each of b (across).

    The values of a field stand in the order of their planted signs, − first, so that the four blocks show; a
    combination that no row has is NaN.
    """
    rows, names = dataset.train, [f.name for f in dataset.fields]
    words = {}
    for name in (a, b):
        vocabulary = dataset.field(name).vocabulary
        assert vocabulary is not None  # planted fields are categorical
        order = torch.argsort(dataset.extras["signs"][name][1:], stable=True) + 1
        words[name] = {int(v): vocabulary.label(int(v)) for v in order}
    frame = pd.DataFrame({n: rows.ids[:, names.index(n)].numpy() for n in (a, b)} | {"label": rows.label})
    table = frame.pivot_table(index=a, columns=b, values="label", aggfunc="mean")
    return table.reindex(index=list(words[a]), columns=list(words[b])).rename(index=words[a], columns=words[b])


def alone(dataset: Dataset, field: str) -> list[float]:
    """The share of label 1 among the training rows of each value of one field that they have."""
    ids = dataset.train.ids[:, [f.name for f in dataset.fields].index(field)]
    by_value = pd.Series(np.asarray(dataset.train.label)).groupby(ids.numpy()).mean()
    return [float(share) for share in by_value]
