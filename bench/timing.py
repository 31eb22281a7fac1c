"""Times of training steps, measured in turns so that what else the machine does falls on all alike."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping
from typing import TypeVar

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from recsys_lite.fields import Rows

Name = TypeVar("Name", bound=Hashable)


def step_seconds(models: Mapping[Name, nn.Module], batch: Rows, repeats: int) -> dict[Name, float]:
    """The best of several forward and backward passes of each model over one batch, on one thread."""
    torch.set_num_threads(1)
    best = dict.fromkeys(models, float("inf"))
    for name in [name for _ in range(repeats) for name in models]:
        start = time.perf_counter()
        bce(models[name](batch), batch.label).backward()  # type: ignore[arg-type]
        best[name] = min(best[name], time.perf_counter() - start)
    return best
