"""What every worker speaks: a line of JSON in, a line of JSON out, so that rounds of several libraries interleave.

    {"model": "fm", "optimizer": "adam", "task": {"rows": 32768}}   build     -> {"parameters": …, "base": …}
    {"do": "step", "times": 3}              training steps                    -> {"seconds": …, "value": the loss}
    {"do": "score", "times": 3}             forward passes                    -> {"seconds": …}
    {"do": "epoch"}                         all rows in the library's loop    -> {"seconds": …}
    {"do": "peak"}                          largest memory so far             -> {"peak": …}
    {"do": "close"}                         forget the model                  -> {}

Seconds are processor seconds of the process (one thread), of one step, pass or epoch; memory is in MB. Every model
lives in a forked process of its own, so that its memory is its own and libraries are imported once. An exception is
answered as {"error": "…"}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import torch

from .problem import drawn, graph


class Runner(Protocol):
    """A model of one library with its optimiser and its data. Its methods are what a command may time."""

    model: torch.nn.Module

    def step(self) -> float:
        """A training step on the next batch; its mean loss."""
        ...

    def score(self) -> Any:
        """A forward pass of a batch without gradients."""
        ...

    def epoch(self) -> Any:
        """All rows once, through the loop that the library gives its users."""
        ...


def megabytes(key: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (the peak) of this process; Linux only."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key)) / 1024


def seconds(call: Callable[[], Any], times: int = 1) -> tuple[float, Any]:
    """Mean processor seconds of a call, and what the last one gave."""
    started = time.process_time()
    for _ in range(times):
        value = call()
    return (time.process_time() - started) / times, value


def answer(runner: Runner, do: str, times: int = 1) -> dict[str, Any]:
    """What a command gives."""
    if do == "peak":
        return {"peak": megabytes("VmHWM")}
    taken, value = seconds(getattr(runner, do), times)
    return {"seconds": taken} | ({"value": value} if isinstance(value, float) else {})


def serve(build: Callable[..., Runner]) -> None:
    """Answer the commands on standard input until it ends.

    Args:
        build: (model, optimizer, :class:`~.problem.Task`, for LightGCN :class:`~.problem.Graph`) -> :class:`Runner`; a
            ``NotImplementedError`` for a model that the library lacks.
    """
    torch.set_num_threads(1)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to standard error

    def say(value: dict[str, Any]) -> None:
        out.write(json.dumps(value) + "\n")
        out.flush()

    def one(model: str, optimizer: str, task: dict[str, Any]) -> None:
        base = megabytes("VmRSS")
        try:
            torch.manual_seed(0)
            runner = build(model, optimizer, graph(**task) if model == "lightgcn" else drawn(**task))
            say({"parameters": sum(p.numel() for p in runner.model.parameters() if p.requires_grad), "base": base})
        except Exception as error:
            return say({"error": f"{type(error).__name__}: {error}"})
        for line in iter(sys.stdin.readline, ""):
            command = json.loads(line)
            if command["do"] == "close":
                return say({})
            try:
                say(answer(runner, **command))
            except Exception as error:
                say({"error": f"{type(error).__name__}: {error}"})

    say({"torch": torch.__version__})
    for line in iter(sys.stdin.readline, ""):  # lines come one at a time, each after the answer to the one before
        if child := os.fork():
            os.waitpid(child, 0)
        else:
            one(**json.loads(line))
            os._exit(0)
