"""Training an epoch at a time: the one loop of all kinds of training. What a kind adds to it is a :class:`Task`."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..layers.device import choose_device, device_of
from .checkpoint import Checkpoint, digest
from .record import Result
from .settings import Optimizers, Settings

#: steps after which an accelerator is asked for its losses; it is waited for then
WAIT = 100


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch. The same seed gives the same run on the same machine and versions."""
    seed = int(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed % 2**63)


class Task(Protocol):
    """What one kind of training adds to the loop: the batches of an epoch, the loss of a batch, the metrics of a part.

    ``dataset`` and ``name`` say what is trained on, ``options`` holds settings of this kind, for the record, and
    ``from_start`` says whether the weights at the start count as epoch 0, which may be the best.
    """

    dataset: str
    name: str
    options: dict[str, Any]
    from_start: bool

    def batches(
        self, epoch: int, settings: Settings, generator: torch.Generator, device: torch.device
    ) -> Iterator[Any]:  # fmt: skip
        """The batches of an epoch (from 1), each with a length; all that is drawn comes from the generator.

        ``device`` is the model's; rows come there, numbers of rows may stay on the CPU with what they count.
        """
        ...

    def loss(self, model: nn.Module, batch: Any, generator: torch.Generator) -> Tensor:
        """The mean loss of a batch."""
        ...

    def metrics(self, model: nn.Module, part: str) -> dict[str, float]:
        """What the ``validation`` or ``test`` part says of the weights as they are."""
        ...

    def defined(self) -> Collection[str]:
        """The metrics that the validation part defines, without a look at what a model says."""
        ...

    def higher(self, metric: str) -> bool:
        """Whether more of a metric is better."""
        ...

    def data_read(self) -> tuple[Any, ...]:
        """What is trained and validated on, rows or tensors: a checkpoint goes on with the same only."""
        ...


class Steps:
    """A training run that waits between its epochs: an epoch, its validation, the best weights kept, a stop when stale.

    Args:
        model: trained in place, on the device of the settings; ``finish`` puts it back where it lay.
        task: what it learns from, and how it is judged.
        settings: see :class:`Settings`.

    Attributes:
        result: the record so far: curve, best epoch, its validation metrics, seconds.
        done: whether all epochs ran, or none of the last ``patience`` was the best.
        device: where it trains.

    Raises:
        ValueError: for an unknown metric, or a checkpoint of other settings.
    """

    def __init__(self, model: nn.Module, task: Task, settings: Settings):
        self.model, self.task, self.settings = model, task, settings
        self.device = self._placed(model)  # before the optimisers are made
        self.sign = 1.0 if task.higher(settings.monitor) else -1.0
        recorded = {**settings.record(), **task.options, **getattr(model, "config", {})}
        self.result = Result(task.dataset, task.name, type(model).__name__, settings.seed, recorded)
        self.result.parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
        self.optimizers = self._optimizers()
        self.rates = [[group["lr"] for group in o.param_groups] for o in self.optimizers]  # of the first epoch
        self.best = {k: v.clone() for k, v in model.state_dict().items()}
        path = settings.checkpoint
        self.state = None if path is None else self._checkpoint(Path(path), *task.data_read())
        if self.state is not None and self.state.exists():
            self.best = self.state.restore(model, self.optimizers, self.result)
        elif task.from_start:
            self.result.validation = self._validated()
        else:
            self._check_monitor(task.defined())  # told before the first epoch

    def _placed(self, model: nn.Module) -> torch.device:
        """Move the model to where it trains; what a step calls, which may be the model compiled."""
        self.home, device = device_of(model), choose_device(self.settings.device, model)
        model.to(device)
        self.called = cast(nn.Module, torch.compile(model)) if self.settings.compile else model
        return device

    def _optimizers(self) -> Optimizers:
        return self.settings.optimizers(self.model)

    def _checkpoint(self, path: Path, *data: Any) -> Checkpoint:
        return Checkpoint(path, digest(*data))

    def _seed(self, seed: int) -> None:
        """Of dropout."""
        torch.manual_seed(seed)

    def _mean(self, epoch: int, every: int) -> Mean:
        return Mean(epoch, every)

    @property
    def done(self) -> bool:
        count = len(self.result.curve)
        stale = count > 0 and count - self.result.best_epoch >= self.settings.patience
        return count >= self.settings.epochs or stale

    def step(self) -> dict[str, float]:
        """Train one epoch; returns its line of the curve: epoch, train_loss and the validation metrics.

        Raises:
            ValueError: if the run is done, or for a loss that is not finite.
        """
        result, monitor = self.result, self.settings.monitor
        if self.done:
            raise ValueError(f"step: the run is done after {len(result.curve)} of {self.settings.epochs} epochs")
        started, epoch = time.perf_counter(), len(result.curve) + 1
        loss = self._epoch(epoch)
        validation = self._validated()
        result.curve.append({"epoch": epoch, "train_loss": loss, **validation})
        if not result.validation or self.sign * validation[monitor] > self.sign * result.validation[monitor]:
            result.best_epoch, result.validation = epoch, validation
            for name, value in self.model.state_dict().items():
                self.best[name].copy_(value)  # in place: one copy of the weights at any time, not two
        result.seconds += time.perf_counter() - started
        if self.state is not None:
            self.state.write(self.model, self.optimizers, self.best, result)
        return result.curve[-1]

    def finish(self, progress: bool = False, evaluate_test: bool = False) -> Result:
        """Train all epochs that are left; the model ends with its best weights, in evaluation.

        Args:
            progress: show a bar.
            evaluate_test: look at the test part at the end.
        """
        result, monitor, epochs = self.result, self.settings.monitor, self.settings.epochs
        initial = len(result.curve)
        with tqdm(total=epochs, initial=initial, disable=not progress, desc=result.model, unit="epoch") as bar:
            while not self.done:
                line = self.step()
                bar.set_postfix(loss=f"{line['train_loss']:.4f}", **{monitor: f"{line[monitor]:.4f}"})
                bar.update()
        self.model.load_state_dict(self.best)
        self.model.eval()
        if evaluate_test:
            result.test = self.task.metrics(self.model, "test")
        self.model.to(self.home)
        return result

    def _epoch(self, epoch: int) -> float:
        """One pass whose draws depend on seed and epoch only, so that a resumed run equals an unbroken one."""
        seed = (self.settings.seed * 100_003 + epoch) % 2**63
        self._seed(seed)
        generator = torch.Generator().manual_seed(seed)
        self._set_rates()
        self.model.train()
        mean = self._mean(epoch, every=1 if self.device.type == "cpu" else WAIT)
        for batch in self.task.batches(epoch, self.settings, generator, self.device):
            with self._precision():
                loss = self.task.loss(self.called, batch, generator)
            mean.add(loss.detach(), len(batch))
            for o in self.optimizers:
                o.zero_grad()
            loss.backward()
            for o in self.optimizers:
                o.step()
        return mean.value()

    def _precision(self) -> AbstractContextManager[Any]:
        if self.settings.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _set_rates(self) -> None:
        """The rates of the coming epoch, from the curve alone, so that a resumed run equals an unbroken one."""
        if self.settings.lr_decay == 1:
            return
        best, stale = -float("inf"), 0
        for line in self.result.curve:
            value = self.sign * line[self.settings.monitor]
            best, stale = (value, stale) if value > best else (best, stale + 1)
        for o, rates in zip(self.optimizers, self.rates, strict=True):
            for group, rate in zip(o.param_groups, rates, strict=True):
                group["lr"] = rate * self.settings.lr_decay**stale

    def _validated(self) -> dict[str, float]:
        metrics = self.task.metrics(self.model, "validation")
        self._check_monitor(metrics)
        return metrics

    def _check_monitor(self, metrics: Collection[str]) -> None:
        if self.settings.monitor not in metrics:
            raise ValueError(
                f"training: unknown metric {self.settings.monitor!r}, or one that the validation part does not define; "
                f"there are {sorted(metrics)}"
            )


class Mean:
    """The mean loss of an epoch's rows. Reading a number of an accelerator waits for it, so that is not every step."""

    def __init__(self, epoch: int, every: int):
        self.epoch, self.every = epoch, every
        self.total, self.rows, self.waiting = 0.0, 0, list[tuple[Tensor, int]]()

    def add(self, loss: Tensor, rows: int) -> None:
        self.waiting.append((loss, rows))
        if len(self.waiting) >= self.every:
            self._ask()

    def _ask(self) -> None:
        told = self.told(torch.stack([loss for loss, _ in self.waiting]))
        for loss, (_, rows) in zip(told, self.waiting, strict=True):
            if not math.isfinite(loss):
                raise ValueError(f"training: the loss is {loss} in epoch {self.epoch}; try a smaller lr")
            self.total, self.rows = self.total + loss * rows, self.rows + rows
        self.waiting = []

    def told(self, losses: Tensor) -> list[float]:
        """Losses as numbers."""
        return losses.tolist()

    def value(self) -> float:
        if self.waiting:
            self._ask()
        return self.total / self.rows
