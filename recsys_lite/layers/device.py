"""Devices: where a module's numbers lie, where they may lie, and how rows get there."""

from __future__ import annotations

import copy
from itertools import chain
from typing import TypeVar

import torch
from torch import nn

from ..fields import Rows

M = TypeVar("M")


def devices() -> list[str]:
    """The devices of this machine, the fastest first; the CPU is always the last.

    Example:
        >>> devices()[-1]
        'cpu'
    """
    cuda = [f"cuda:{k}" for k in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return [*cuda, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def device_of(module: object) -> torch.device:
    """The device of a module's parameters and buffers; the CPU for anything without them.

    Example:
        >>> device_of(nn.Linear(2, 1, device="meta"))
        device(type='meta')
    """
    if not isinstance(module, nn.Module):
        return torch.device("cpu")
    first = next(chain(module.parameters(), module.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def choose_device(wanted: str | torch.device, module: object = None) -> torch.device:
    """The device that is meant, checked before anything is moved.

    Args:
        wanted: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` or a :class:`torch.device`. ``"auto"`` is
            where the module lies, if that is not the CPU, and else the first of :func:`devices`.
        module: what is to be moved there.

    Raises:
        ValueError: for a device that this machine does not have, listing those that it has.

    Example:
        >>> choose_device("cpu")
        device(type='cpu')
    """
    there = devices()
    if wanted == "auto":
        here = device_of(module)
        return here if here.type != "cpu" else torch.device(there[0])
    try:
        device = torch.device(wanted)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device: {wanted!r} is no device; there are {there}, or 'auto'") from error
    if str(device) in there:
        return device
    if device.index is None and f"{device.type}:0" in there:
        return device
    if device.index == 0 and device.type in there:  # "cpu:0"
        return torch.device(device.type)
    raise ValueError(f"device: this machine has no {str(wanted)!r}; there are {there}, or 'auto'")


def fits(rows: Rows, device: str | torch.device) -> bool:
    """Whether rows may be moved to a device once and for all: they take at most a quarter of its free memory."""
    device = torch.device(device)
    if device.type == "cuda":
        return 4 * rows.nbytes <= torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return 4 * rows.nbytes <= torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return True


def on_cpu(module: M) -> M:
    """The module itself if it lies on the CPU, else a copy there: what reads single numbers reads them here."""
    if device_of(module).type == "cpu":
        return module
    assert isinstance(module, nn.Module)
    return copy.deepcopy(module).cpu()  # type: ignore[return-value]
