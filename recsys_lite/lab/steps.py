"""A training that is a generator, run to its end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

R = TypeVar("R")


def drained(steps: Generator[tuple[str, int], None, R], told: Callable[[str, int], None] | None = None) -> R:
    """What a training returns; ``told`` is called with the model and the epoch that each step yields.

    Example:
        >>> def steps():
        ...     yield "fm", 1
        ...     return "trained"
        >>> drained(steps(), print)
        fm 1
        'trained'
    """
    while True:
        try:
            name, epoch = next(steps)
        except StopIteration as stop:
            result: R = stop.value
            return result
        if told is not None:
            told(name, epoch)
