"""Training an epoch at a time: the record of a run, the one loop of all kinds of training, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

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


class Steps:
    """A training run that waits between its epochs: an epoch, its validation, the best weights kept, a stop when stale.

    Args:
        model: trained in place.
        result: filled with curve, best epoch, its validation metrics and seconds.
        optimizers: whose state a checkpoint holds.
        train_epoch: trains the epoch of a number (from 1), returns the mean loss.
        validate: metrics of the weights as they are.
        epochs, patience, checkpoint: see :func:`recsys_lite.train.fit`.
        monitor, higher: the metric that chooses the epoch, and whether more of it is better.
        from_start: whether the weights at the start count as epoch 0, which may be the best.

    Raises:
        ValueError: for an unknown metric, or a checkpoint of other settings.
    """

    def __init__(
        self, model: nn.Module, result: Result, optimizers: Optimizers, *, train_epoch: Callable[[int], float],
        validate: Callable[[], dict[str, float]], epochs: int, patience: int, monitor: str, higher: bool,
        from_start: bool = False, checkpoint: str | Path | None = None,
    ):  # fmt: skip
        self.model, self.result, self.optimizers = model, result, optimizers
        self.train_epoch, self.validate = train_epoch, validate
        self.epochs, self.patience, self.monitor, self.sign = epochs, patience, monitor, 1.0 if higher else -1.0
        self.best = {k: v.clone() for k, v in model.state_dict().items()}
        self.state = _Checkpoint(Path(checkpoint)) if checkpoint is not None else None
        if self.state is not None and self.state.exists():
            self.best = self.state.restore(model, optimizers, result)
        elif from_start:
            result.validation = self._validated()

    @property
    def done(self) -> bool:
        """Whether all epochs ran, or none of the last ``patience`` was the best."""
        count = len(self.result.curve)
        return count >= self.epochs or (count > 0 and count - self.result.best_epoch >= self.patience)

    def step(self) -> dict[str, float]:
        """Train one epoch; returns its line of the curve: epoch, train_loss and the validation metrics.

        Raises:
            ValueError: if the run is done, or for a loss that is not finite.
        """
        result = self.result
        if self.done:
            raise ValueError(f"step: the run is done after {len(result.curve)} of {self.epochs} epochs")
        started, epoch = time.perf_counter(), len(result.curve) + 1
        loss = self.train_epoch(epoch)
        validation = self._validated()
        result.curve.append({"epoch": epoch, "train_loss": loss, **validation})
        monitor = self.monitor
        if not result.validation or self.sign * validation[monitor] > self.sign * result.validation[monitor]:
            result.best_epoch, result.validation = epoch, validation
            self.best = {k: v.clone() for k, v in self.model.state_dict().items()}
        result.seconds += time.perf_counter() - started
        if self.state is not None:
            self.state.write(self.model, self.optimizers, self.best, result)
        return result.curve[-1]

    def finish(self, progress: bool = False) -> Result:
        """Train all epochs that are left, with a bar if asked; the model ends with its best weights, in evaluation."""
        done, result = len(self.result.curve), self.result
        with tqdm(total=self.epochs, initial=done, disable=not progress, desc=result.model, unit="epoch") as bar:
            while not self.done:
                line = self.step()
                bar.set_postfix(loss=f"{line['train_loss']:.4f}", **{self.monitor: f"{line[self.monitor]:.4f}"})
                bar.update()
        self.model.load_state_dict(self.best)
        self.model.eval()
        return result

    def _validated(self) -> dict[str, float]:
        metrics = self.validate()
        if self.monitor not in metrics:
            raise ValueError(f"training: unknown metric {self.monitor!r}; there are {sorted(metrics)}")
        return metrics


def run_epochs(
    model: nn.Module, result: Result, optimizers: Optimizers, *, progress: bool = True, **settings: Any
) -> None:  # fmt: skip
    """All epochs of a run at once; ``settings`` are those of :class:`Steps`."""
    Steps(model, result, optimizers, **settings).finish(progress)


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
