"""The training loop: shuffled batches, log loss, early stopping on the validation part, seeds, resume."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm.auto import tqdm

from .fields import Dataset, Rows
from .metrics import evaluate
from .store import read_json, read_tensors, write_json, write_tensors

Optimizers = Sequence[torch.optim.Optimizer]


@dataclass
class Result:
    """One training run; ``asdict`` of it is what results files hold.

    Args:
        dataset, task, model, seed, settings: what was run.
        validation, test: metrics of the weights of the best epoch.
        curve: per epoch the training loss and the validation metrics.
        best_epoch: the epoch (from 1) whose weights were kept.
        seconds: wall time of the training epochs, evaluation included.
        parameters: trainable numbers.
    """

    dataset: str
    task: str
    model: str
    seed: int
    settings: dict[str, Any]
    validation: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    parameters: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


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
    run_epochs(
        model, result, optimizers,
        train_epoch=lambda epoch: _train_epoch(model, dataset.train, optimizers, batch_size, seed, epoch),
        validate=lambda: _evaluate(model, dataset.validation),
        epochs=epochs, patience=patience, monitor=monitor, higher=monitor in ("auc", "grouped_auc"),
        checkpoint=checkpoint, progress=progress,
    )  # fmt: skip
    if evaluate_test:
        result.test = _evaluate(model, dataset.test)
    return result


def run_epochs(
    model: nn.Module, result: Result, optimizers: Optimizers, *, train_epoch: Callable[[int], float],
    validate: Callable[[], dict[str, float]], epochs: int, patience: int, monitor: str, higher: bool,
    from_start: bool = False, checkpoint: str | Path | None = None, progress: bool = True,
) -> None:  # fmt: skip
    """The loop of every kind of training: an epoch, its validation, the best weights kept, a stop when stale.

    Args:
        model: trained in place; it ends in evaluation mode with the weights of the best epoch.
        result: filled with curve, best epoch, its validation metrics and seconds.
        optimizers: whose state a checkpoint holds.
        train_epoch: trains the epoch of a number (from 1), returns the mean loss.
        validate: metrics of the weights as they are.
        epochs, patience, checkpoint, progress: see :func:`fit`.
        monitor, higher: the metric that chooses the epoch, and whether more of it is better.
        from_start: whether the weights at the start count as epoch 0, which may be the best.

    Raises:
        ValueError: for an unknown metric, or a checkpoint of other settings.
    """
    best = {k: v.clone() for k, v in model.state_dict().items()}
    state = _Checkpoint(Path(checkpoint)) if checkpoint is not None else None
    if state is not None and state.exists():
        best = state.restore(model, optimizers, result)
    elif from_start:
        result.validation = validate()
        _known(monitor, result.validation)
    sign = 1.0 if higher else -1.0
    bar = tqdm(total=epochs, initial=len(result.curve), disable=not progress, desc=result.model, unit="epoch")
    while len(result.curve) < epochs and not _stale(result, patience):
        started = time.perf_counter()
        epoch = len(result.curve) + 1
        loss = train_epoch(epoch)
        validation = validate()
        _known(monitor, validation)
        result.curve.append({"epoch": epoch, "train_loss": loss, **validation})
        if not result.validation or sign * validation[monitor] > sign * result.validation[monitor]:
            result.best_epoch, result.validation = epoch, validation
            best = {k: v.clone() for k, v in model.state_dict().items()}
        result.seconds += time.perf_counter() - started
        if state is not None:
            state.write(model, optimizers, best, result)
        bar.set_postfix(loss=f"{loss:.4f}", **{monitor: f"{validation[monitor]:.4f}"})
        bar.update()
    bar.close()
    model.load_state_dict(best)
    model.eval()


def _known(monitor: str, metrics: dict[str, float]) -> None:
    if monitor not in metrics:
        raise ValueError(f"training: unknown metric {monitor!r}; there are {sorted(metrics)}")


def _stale(result: Result, patience: int) -> bool:
    return bool(result.curve) and len(result.curve) - result.best_epoch >= patience


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


class _Checkpoint:
    """Everything that a run needs to go on: weights now and at their best, the optimisers' tensors, the record."""

    def __init__(self, path: Path):
        self.tensors = path.with_name(path.name + ".safetensors")
        self.record = path.with_name(path.name + ".json")

    def exists(self) -> bool:
        return self.record.exists()

    def write(self, model: nn.Module, optimizers: Optimizers, best: dict[str, Tensor], result: Result) -> None:
        tensors = {f"model/{k}": v for k, v in model.state_dict().items()}
        tensors |= {f"best/{k}": v for k, v in best.items()}
        for i, o in enumerate(optimizers):
            for number, values in o.state_dict()["state"].items():
                tensors |= {f"optimizer/{i}/{number}/{k}": torch.as_tensor(v) for k, v in values.items()}
        epoch = len(result.curve)
        # The record names its tensors file: a stop between the two writes leaves the older pair whole.
        name = self.tensors.with_name(f"{self.tensors.stem}.epoch{epoch}.safetensors")
        write_tensors(name, {k: v.clone() for k, v in tensors.items()})
        write_json(self.record, {"tensors": name.name, "result": result.to_dict()})
        for old in self.tensors.parent.glob(f"{self.tensors.stem}.epoch*.safetensors"):
            if old != name:
                old.unlink()

    def restore(self, model: nn.Module, optimizers: Optimizers, result: Result) -> dict[str, Tensor]:
        record = read_json(self.record)
        for key in ("dataset", "task", "model", "seed", "settings"):
            now, then = result.to_dict()[key], record["result"][key]
            if key == "settings":  # a run may be extended
                now, then = ({k: v for k, v in s.items() if k != "epochs"} for s in (now, then))
            if now != then:
                raise ValueError(f"{self.record}: this checkpoint is of another run: {key} was {then!r}, now {now!r}")
        tensors = read_tensors(self.record.with_name(record["tensors"]))
        pick = lambda prefix: {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}  # noqa: E731
        model.load_state_dict(pick("model/"))
        for i, o in enumerate(optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in pick(f"optimizer/{i}/").items():
                number, name = key.split("/")
                state.setdefault(int(number), {})[name] = value
            o.load_state_dict({"state": state, "param_groups": o.state_dict()["param_groups"]})
        for key, value in record["result"].items():
            if key != "settings":
                setattr(result, key, value)
        return pick("best/")
