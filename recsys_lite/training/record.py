"""The record of a training run, as results files hold it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


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
