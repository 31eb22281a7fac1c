"""What every training takes, in one place: the settings, their defaults and their checks."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from ..layers import HashedCrosses, choose_device
from .tables import TABLE_OPTIMIZERS, sparse_gradients, table_optimizers

T = TypeVar("T")
Optimizers = Sequence[torch.optim.Optimizer]
PRECISIONS = ("float32", "bf16")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of :func:`fit`, :func:`fit_in_steps`, :func:`fit_ranking` and :func:`fit_retrieval`.

    Args:
        epochs: at most. Default 20.
        batch_size: Default 1024.
        lr, weight_decay: of Adam (fused; the penalty is added to the gradient of every row in every step). Default
            1e-3 and 0.
        embedding_penalty: λ of λ/2 · Σ‖v‖² over all rows of all embedding tables (linear weights and hashed crosses
            are tables of one column), added to the mean loss of each batch, in place of ``weight_decay`` there.
            Default 0.
        lr_decay: factor on the rates after each epoch that was not the best. Default 1.
        patience: stop after this many epochs without a better value. Default 2.
        monitor: the validation metric that chooses the epoch. Default ``log_loss``.
        seed: of the order of the rows, of drawn negatives and of dropout in each epoch.
        optimizer: ``"adam"`` (default: fused, over all rows of all tables), ``"lazy_adam"`` or ``"rowwise_adagrad"``
            (only the rows of the tables that a batch reads, see :mod:`recsys_lite.training.tables`; fused Adam for the
            rest; ``weight_decay`` then reaches the rows that are read), or a function model -> optimiser or list of
            optimisers.
        checkpoint: a path without suffix. After each epoch the whole state is written there, and a later call with the
            same settings goes on after the last finished epoch, on any device.
        device: ``"auto"`` (default), ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` or a :class:`torch.device`, see
            :func:`~recsys_lite.layers.choose_device`. The model is trained there and put back where it lay.
        precision: ``"float32"`` (default: the model's own type), or ``"bf16"``: forward and backward pass by
            ``torch.autocast`` to bfloat16, with weights, logits, loss and validation as they are without it.
        compile: whether the model's ``forward`` goes through ``torch.compile`` while it trains. Default no.

    Raises:
        ValueError: for a setting out of range.
    """

    epochs: int = 20
    batch_size: int = 1024
    lr: float = 1e-3
    weight_decay: float = 0.0
    embedding_penalty: float = 0.0
    lr_decay: float = 1.0
    patience: int = 2
    monitor: str = "log_loss"
    seed: int = 0
    optimizer: str | Callable[[nn.Module], torch.optim.Optimizer | Optimizers] = "adam"
    checkpoint: str | Path | None = None
    device: str | torch.device = "auto"
    precision: str = "float32"
    compile: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "seed"):  # as NumPy gives them, too
            object.__setattr__(self, name, int(getattr(self, name)))
        for name in ("lr", "weight_decay", "embedding_penalty", "lr_decay"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if min(self.epochs, self.batch_size, self.patience) < 1 or self.lr <= 0 or self.weight_decay < 0:
            raise ValueError(
                "training: epochs, batch_size and patience must be at least 1, lr above 0, weight_decay at least 0; "
                f"got epochs={self.epochs}, batch_size={self.batch_size}, patience={self.patience}, lr={self.lr}, "
                f"weight_decay={self.weight_decay}"
            )
        if self.embedding_penalty < 0 or not 0 < self.lr_decay <= 1:
            raise ValueError(
                "training: embedding_penalty must be at least 0 and lr_decay lie in (0, 1]; got "
                f"embedding_penalty={self.embedding_penalty}, lr_decay={self.lr_decay}"
            )
        if self.embedding_penalty and self.optimizer != "adam":
            raise ValueError(f"training: embedding_penalty needs optimizer='adam', got {self.optimizer!r}")
        if isinstance(self.optimizer, str) and self.optimizer not in ("adam", *TABLE_OPTIMIZERS):
            known = ["adam", *TABLE_OPTIMIZERS]
            raise ValueError(f"training: unknown optimizer {self.optimizer!r}; there are {known}, or a function")
        if self.precision not in PRECISIONS:
            raise ValueError(f"training: unknown precision {self.precision!r}; there are {list(PRECISIONS)}")
        choose_device(self.device)  # told before anything is built

    def optimizers(self, model: nn.Module) -> Optimizers:
        """Fused Adam over all parameters, or what ``optimizer`` makes of the model, as a list."""
        sparse_gradients(model, False)
        if self.optimizer == "adam":
            groups = self.penalised(model) if self.embedding_penalty else model.parameters()
            return [torch.optim.Adam(groups, lr=self.lr, weight_decay=self.weight_decay, fused=True)]
        if isinstance(self.optimizer, str):
            return table_optimizers(model, self.optimizer, self.lr, self.weight_decay)
        made = self.optimizer(model)
        return [made] if isinstance(made, torch.optim.Optimizer) else list(made)

    def penalised(self, model: nn.Module) -> list[dict[str, Any]]:
        """The tables with their penalty, and all else.

        Raises:
            ValueError: for a model without tables.
        """
        found = [m.weight for m in model.modules() if isinstance(m, nn.Embedding | HashedCrosses)]
        tables = [w for w in found if isinstance(w, nn.Parameter)]  # without crosses the weight is an empty buffer
        if not tables:
            raise ValueError(f"embedding_penalty: {type(model).__name__} has no embedding tables")
        inside = {id(table) for table in tables}
        rest = [p for p in model.parameters() if id(p) not in inside]
        return [{"params": tables, "weight_decay": self.embedding_penalty}, {"params": rest}]

    def record(self) -> dict[str, Any]:
        """What a :class:`~recsys_lite.training.record.Result` keeps of them."""
        kept = ["epochs", "batch_size", "lr", "weight_decay", "patience", "monitor"]
        kept += [k for k, default in (("embedding_penalty", 0.0), ("lr_decay", 1.0)) if getattr(self, k) != default]
        named = self.optimizer if isinstance(self.optimizer, str) else "custom"
        named = "Adam" if named == "adam" else named
        precision = {} if self.precision == "float32" else {"precision": self.precision}
        return {k: getattr(self, k) for k in kept} | {"optimizer": named, **precision}


def takes(**defaults: Any) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Let a function with a parameter ``settings`` take the fields of :class:`Settings` by keyword.

    Args:
        defaults: of the function's own, in place of those of :class:`Settings`.

    Example:
        >>> @takes(epochs=50)
        ... def train(name, settings, loud=False):
        ...     return name, settings.epochs, settings.lr
        >>> train("fm", lr=0.1)
        ('fm', 50, 0.1)
        >>> "epochs=50" in str(inspect.signature(train)).replace(": 'int' = ", "=")
        True
    """

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        @functools.wraps(function)
        def wrapper(*arguments: Any, **given: Any) -> T:
            mine = {f.name: given.pop(f.name) for f in fields(Settings) if f.name in given}
            return function(*arguments, settings=Settings(**{**defaults, **mine}), **given)

        own = [p for p in inspect.signature(function).parameters.values() if p.name != "settings"]
        keyword = inspect.Parameter.KEYWORD_ONLY
        shown = [
            inspect.Parameter(f.name, keyword, default=defaults.get(f.name, f.default), annotation=f.type)
            for f in fields(Settings)
        ]
        own = [p for p in own if p.kind != keyword] + shown + [p for p in own if p.kind == keyword]
        wrapper.__signature__ = inspect.signature(function).replace(parameters=own)  # type: ignore[attr-defined]
        return wrapper

    return decorate
