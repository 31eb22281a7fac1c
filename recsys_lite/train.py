"""The training loop: shuffled batches, log loss, early stopping on the validation part, seeds, resume."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from .fields import Dataset, Rows
from .metrics import evaluate
from .steps import Optimizers, Result, Steps, run_epochs

__all__ = ["Optimizers", "Result", "fit", "fit_in_steps", "predict", "run_epochs", "seed_everything"]


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch. The same seed gives the same run on the same machine and versions."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@torch.no_grad()
def predict(model: nn.Module, rows: Rows, batch_size: int = 8192) -> Tensor:
    """Probabilities (B,) of a click, in evaluation mode; the model's mode is put back afterwards."""
    was_training = model.training
    model.eval()
    try:
        return torch.cat([torch.sigmoid(model(batch)) for batch in rows.batches(batch_size)])
    finally:
        model.train(was_training)


def fit(
    model: nn.Module,
    dataset: Dataset,
    *,
    epochs: int = 20,
    batch_size: int = 1024,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    patience: int = 2,
    monitor: str = "log_loss",
    seed: int = 0,
    optimizer: Callable[[nn.Module], torch.optim.Optimizer | Optimizers] | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    evaluate_test: bool = True,
) -> Result:
    """Train on ``dataset.train``, stop by ``dataset.validation``, keep the best epoch's weights, test once.

    Args:
        model: rows -> logits (B,). Build it after :func:`seed_everything` for a reproducible start.
        dataset: see :class:`~recsys_lite.fields.Dataset`.
        epochs: at most. Default 20.
        batch_size: Default 1024.
        lr, weight_decay: of Adam (fused; the penalty is added to the gradient of every row in every step). Default
            1e-3 and 0.
        patience: stop after this many epochs without a better value. Default 2.
        monitor: the validation metric: ``log_loss`` (default), ``auc`` or another of
            :func:`~recsys_lite.metrics.evaluate`.
        seed: of the order of the rows and of dropout in each epoch.
        optimizer: model -> optimiser or list of optimisers, in place of Adam.
        checkpoint: a path without suffix. After each epoch the whole state is written there, and a later call with the
            same settings goes on after the last finished epoch.
        progress: show a bar.
        evaluate_test: look at the test part at the end. Off while settings are chosen.

    Returns:
        A :class:`Result`; the model holds the best weights.

    Raises:
        ValueError: for settings out of range, an unknown metric, a checkpoint of other settings, or a loss that is
            not finite.
    """
    steps = fit_in_steps(
        model, dataset, epochs=epochs, batch_size=batch_size, lr=lr, weight_decay=weight_decay, patience=patience,
        monitor=monitor, seed=seed, optimizer=optimizer, checkpoint=checkpoint,
    )  # fmt: skip
    result = steps.finish(progress)
    if evaluate_test:
        result.test = _evaluate(model, dataset.test)
    return result


def fit_in_steps(
    model: nn.Module,
    dataset: Dataset,
    *,
    epochs: int = 20,
    batch_size: int = 1024,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    patience: int = 2,
    monitor: str = "log_loss",
    seed: int = 0,
    optimizer: Callable[[nn.Module], torch.optim.Optimizer | Optimizers] | None = None,
    checkpoint: str | Path | None = None,
) -> Steps:
    """The training of :func:`fit`, with the same settings and errors, for one who wants to look between its epochs.

    Returns:
        :class:`~recsys_lite.steps.Steps`: ``step()`` trains an epoch, ``finish()`` all that are left.
    """
    if epochs < 1 or batch_size < 1 or lr <= 0 or patience < 1 or weight_decay < 0:
        raise ValueError(
            f"fit: epochs, batch_size and patience must be at least 1, lr above 0, weight_decay at least 0; got "
            f"{epochs=}, {batch_size=}, {patience=}, {lr=}, {weight_decay=}"
        )
    if len(dataset.train) == 0 or len(dataset.validation) == 0:
        raise ValueError(f"fit: data set {dataset.name!r} has an empty training or validation part")
    settings = {
        "epochs": epochs, "batch_size": batch_size, "lr": lr, "weight_decay": weight_decay, "patience": patience,
        "monitor": monitor, "optimizer": "Adam" if optimizer is None else "custom", **getattr(model, "config", {}),
    }  # fmt: skip
    result = Result(dataset.name, dataset.task, type(model).__name__, seed, settings)
    result.parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    built = (
        torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay, fused=True)
        if optimizer is None
        else optimizer(model)
    )
    optimizers = [built] if isinstance(built, torch.optim.Optimizer) else list(built)
    return Steps(
        model, result, optimizers,
        train_epoch=lambda epoch: _train_epoch(model, dataset.train, optimizers, batch_size, seed, epoch),
        validate=lambda: _evaluate(model, dataset.validation),
        epochs=epochs, patience=patience, monitor=monitor, higher=monitor in ("auc", "grouped_auc"),
        checkpoint=checkpoint,
    )  # fmt: skip


def _train_epoch(model: nn.Module, rows: Rows, optimizers: Optimizers, batch_size: int, seed: int, epoch: int) -> float:
    """One pass in an order that depends on seed and epoch only, so that a resumed run equals an unbroken one."""
    torch.manual_seed(seed * 100_003 + epoch)  # dropout
    generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
    model.train()
    total = 0.0
    for batch in rows.batches(batch_size, generator=generator):
        loss = binary_cross_entropy_with_logits(model(batch), batch.label)  # type: ignore[arg-type]
        if not torch.isfinite(loss):
            raise ValueError(f"fit: the loss is {loss.item()} in epoch {epoch}; try a smaller lr")
        for o in optimizers:
            o.zero_grad()
        loss.backward()
        for o in optimizers:
            o.step()
        total += loss.item() * len(batch)
    return total / len(rows)


def _evaluate(model: nn.Module, rows: Rows) -> dict[str, float]:
    return evaluate(rows.label, predict(model, rows), rows.group)
