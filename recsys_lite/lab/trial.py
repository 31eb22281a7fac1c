"""A trial: a few models on the same rows, trained alike, compared on the test part."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from ..evaluation import compare, metrics
from ..evaluation.inference import predict
from ..fields import Dataset, Field, Vocabulary, swap
from ..models import MODELS, Model
from ..training.loop import seed_everything
from ..training.pointwise import fit_in_steps
from ..training.record import Result
from .steps import drained

PATIENCE = 3
STEPS = 40  # that an epoch should have at least


@dataclass
class Trial:
    """A trained model, its run, and its probabilities (B,) of the test rows."""

    model: Model
    result: Result
    test: np.ndarray


def possible(fields: Sequence[Field]) -> list[str]:
    """The names of :data:`~recsys_lite.models.MODELS` that can be built of some fields with their default settings.

    NeuMF needs a ``user`` and an ``item``, towers need the fields of MovieLens, DLRM a field that is no number.

    Example:
        >>> "ncf" in possible([Field("age", "numeric")]), "fm" in possible([Field("age", "numeric")])
        (False, True)
    """
    small = [f if f.vocabulary is None else replace(f, vocabulary=Vocabulary([])) for f in fields]
    found = []
    for name, model in MODELS.items():
        try:
            with torch.device("meta"):  # no numbers are drawn, so that a training elsewhere is not disturbed
                model(small)
        except ValueError:
            continue
        found.append(name)
    return found


def batch_size(rows: int) -> int:
    """Rows of a batch so that an epoch has about forty steps: between 16 and 1,024.

    Example:
        >>> batch_size(120), batch_size(2400), batch_size(100_000)
        (16, 60, 1024)
    """
    return min(max(rows // STEPS, 16), 1024)


def run(
    dataset: Dataset,
    names: Sequence[str],
    *,
    seed: int = 0,
    epochs: int = 30,
    lr: float = 3e-3,
    progress: Callable[[str, int], None] | None = None,
) -> dict[str, Trial]:
    """Train models with the same budget and settings: Adam, early stopping on the validation part, one look at test.

    Args:
        dataset: see :class:`~recsys_lite.fields.Dataset`.
        names: of :data:`~recsys_lite.models.MODELS`; their default sizes are used.
        seed: of the start and of the order of rows. Default 0.
        epochs: at most. Default 30; a run stops after three without a smaller validation log loss.
        lr: of Adam. Default 0.003.
        progress: called with the model's name and the number of the epoch that has just been trained.

    Raises:
        ValueError: for an unknown model, or one that these fields do not fit.
    """
    return drained(in_steps(dataset, names, seed=seed, epochs=epochs, lr=lr), progress)


def in_steps(
    dataset: Dataset, names: Sequence[str], *, seed: int = 0, epochs: int = 30, lr: float = 3e-3
) -> Generator[tuple[str, int], None, dict[str, Trial]]:
    """The same as :func:`run`, an epoch at a time: yields model and epoch, returns the trials."""
    if unknown := [n for n in names if n not in MODELS]:
        raise ValueError(f"trial: unknown model {unknown[0]!r}; there are {list(MODELS)}")
    size = batch_size(len(dataset.train))
    trials = {}
    for name in names:
        seed_everything(seed)
        model = MODELS[name](dataset.fields)
        steps = fit_in_steps(model, dataset, epochs=epochs, batch_size=size, lr=lr, patience=PATIENCE, seed=seed)
        while not steps.done:
            line = steps.step()
            yield name, int(line["epoch"])
        result = steps.finish()
        result.model = name
        trials[name] = Trial(model, result, predict(model, dataset.test).numpy())
    return trials


def job(
    dataset: Dataset, names: Sequence[str], **options: Any
) -> Generator[tuple[str, int], None, tuple[dict[str, pd.DataFrame], dict[str, Model]]]:
    """:func:`in_steps` for a :class:`~recsys_lite.lab.worker.Worker`: returns all tables of the trials, and the models.

    The last thing that it yields is ``("", 0)``: the models are trained, and the test rows are looked at.
    """
    trials = yield from in_steps(dataset, names, **options)
    yield "", 0
    return outcome(dataset, trials), {name: trial.model for name, trial in trials.items()}


def outcome(dataset: Dataset, trials: Mapping[str, Trial]) -> dict[str, pd.DataFrame]:
    """All tables of the trials, each by the name of the function that makes it; the gaps are those of the first two."""
    two = dict(list(trials.items())[:2])
    return {
        "quality": quality(dataset, trials), "gaps": gaps(dataset, two), "curves": curves(trials),
        "calibration": calibration(dataset, trials), "worth": worth(dataset, trials),
    }  # fmt: skip


def row_losses(label: object, probability: object) -> np.ndarray:
    """-log p(label) of each row, whose mean is :func:`metrics.log_loss`.

    Example:
        >>> row_losses([1, 0], [0.8, 0.4]).round(4).tolist()
        [0.2231, 0.5108]
    """
    y, p = np.asarray(label, np.float64), np.asarray(probability, np.float64)
    return -np.log(np.where(y == 1, p, 1 - p).clip(1e-12))


def quality(dataset: Dataset, trials: Mapping[str, Trial]) -> pd.DataFrame:
    """AUC (DeLong) and log loss (Student's t over rows) of the test part with 95 % intervals, and what was trained.

    Returns:
        a line per model: model, auc, auc low, auc high, log_loss, log_loss low, log_loss high, parameters, best epoch.
    """
    label, lines = _label(dataset), []
    for name, trial in trials.items():
        area = metrics.auc_interval(label, trial.test)
        loss = metrics.interval(row_losses(label, trial.test).tolist())
        lines.append((name, *area, *loss, trial.result.parameters, trial.result.best_epoch))
    told = [f"{m}{end}" for m in ("auc", "log_loss") for end in ("", " low", " high")]
    return pd.DataFrame(lines, columns=["model", *told, "parameters", "best epoch"])


def gaps(dataset: Dataset, trials: Mapping[str, Trial], seed: int = 0) -> pd.DataFrame:
    """What the second model of two adds to the first on the same test rows, by :func:`~recsys_lite.evaluation.compare`.

    It speaks of these two trained models: their seeds are not varied. Users are drawn whole where the rows have them.

    Returns:
        a line for each metric (auc, log_loss): difference (second - first), low, high (95 %), verdict: the name of the
        better model, ``equal within 0.002``, or ``undecided`` with what would decide.

    Raises:
        ValueError: if there are not two models.
    """
    if len(trials) != 2:
        raise ValueError(f"gaps: expected two models, got {list(trials)}")
    (first, a), (second, b) = trials.items()
    label, lines = _label(dataset), []
    for metric in ("auc", "log_loss"):
        found = compare(b.test, a.test, label, dataset.test.group, metric=metric, seed=seed)
        verdict = {"better": second, "worse": first}.get(found.word, found.told)
        lines.append((metric, found.difference, found.low, found.high, verdict))
    return pd.DataFrame(lines, columns=["metric", "difference", "low", "high", "verdict"])


def curves(trials: Mapping[str, Trial]) -> pd.DataFrame:
    """What each epoch gave: model, seed, epoch, train_loss and the validation metrics."""
    lines = [{"model": n, "seed": t.result.seed, **point} for n, t in trials.items() for point in t.result.curve]
    return pd.DataFrame(lines)


def calibration(dataset: Dataset, trials: Mapping[str, Trial], bins: int = 10) -> pd.DataFrame:
    """:func:`metrics.calibration_table` of each model on the test part, one below the other, with a column model."""
    label = _label(dataset)
    tables = [metrics.calibration_table(label, t.test, bins).assign(model=n) for n, t in trials.items()]
    return pd.concat(tables, ignore_index=True)


@torch.no_grad()
def worth(dataset: Dataset, trials: Mapping[str, Trial], draws: int = 5, seed: int = 0) -> pd.DataFrame:
    r"""How much worse each model's test log loss gets when a field's values are dealt out anew among the rows.

    .. math:: w_f = \frac{1}{B} \sum_i \Big( \frac{1}{R} \sum_r \ell_i(x_{f \leftarrow \pi_r(i)}) - \ell_i(x) \Big)

    Args:
        draws: R, how often the values are dealt out. Default 5.
        seed: of the permutations :math:`\pi_r`, which are the same for all fields and models.

    Returns:
        a line per field and model, the most useful field of all first: field, model, worth, low, high (95 %, Student's
        t over rows).

    Source: permutation importance, Breiman, Random Forests, Machine Learning 2001; here for the loss of a row.
    """
    label, rows = _label(dataset), dataset.test
    generator = torch.Generator().manual_seed(seed)
    others = [rows[torch.randperm(len(rows), generator=generator)] for _ in range(draws)]
    lines = []
    for name, trial in trials.items():
        before = row_losses(label, trial.test)
        for f in dataset.fields:
            after = [
                row_losses(label, predict(trial.model, swap(dataset.fields, rows, [f.name], other))) for other in others
            ]
            lines.append((f.name, name, *metrics.interval((np.mean(after, 0) - before).tolist())))
    table = pd.DataFrame(lines, columns=["field", "model", "worth", "low", "high"])
    most = table.groupby("field", sort=False)["worth"].max().sort_values(ascending=False, kind="stable")
    table["place"] = table["field"].map({f: k for k, f in enumerate(most.index)})
    return table.sort_values("place", kind="stable", ignore_index=True).drop(columns="place")


def _label(dataset: Dataset) -> np.ndarray:
    if dataset.test.label is None:
        raise ValueError(f"trial: the test rows of {dataset.name!r} have no labels")
    return dataset.test.label.numpy()
