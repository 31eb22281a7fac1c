"""Every step of a model on one row, with its own numbers: what the chapters and the explorer step through."""

from __future__ import annotations

from .registry import TRACES, trace
from .steps import Step

__all__ = ["TRACES", "Step", "trace"]
