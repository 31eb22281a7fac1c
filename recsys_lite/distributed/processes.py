"""The processes of a training: their group, their devices, and what one must agree on with the others."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist

from ..layers import choose_device

WAIT = timedelta(seconds=300)  # for the slowest process, before the others give up


@contextmanager
def processes(device: str | torch.device = "auto") -> Iterator[torch.device]:
    """The group of the processes that ``torchrun`` started, or of this one alone, and the device of this process.

    NCCL and ``cuda:LOCAL_RANK`` where there is CUDA, else Gloo and one thread each on the CPU; over loopback on one
    machine.

    Args:
        device: ``"auto"`` (default), ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: for a device that the machine does not have, or fewer GPUs than processes.
    """
    device = choose_device(device)
    local = int(os.environ.get("LOCAL_RANK", 0))
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise ValueError(f"processes: process {local} has no GPU of its own, there are {torch.cuda.device_count()}")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    elif device.type != "cpu":
        raise ValueError(f"processes: {device.type!r} has no collectives; there are 'cpu' and 'cuda'")
    else:
        torch.set_num_threads(1)
    backend = "nccl" if device.type == "cuda" else "gloo"
    if os.environ.get("LOCAL_WORLD_SIZE") == os.environ.get("WORLD_SIZE"):
        names = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
        os.environ.setdefault("GLOO_SOCKET_IFNAME", names[0] if names else "")
    with TemporaryDirectory() as folder:
        if "RANK" in os.environ:
            dist.init_process_group(backend, timeout=WAIT)
        else:
            where = (Path(folder) / "alone").as_uri()
            dist.init_process_group(backend, init_method=where, rank=0, world_size=1, timeout=WAIT)
        try:
            yield device
        finally:
            dist.destroy_process_group()


def agreed(what: str, value: Any) -> None:
    """Compare a value with that of the other processes, before anybody waits for anybody.

    Raises:
        ValueError: on all of them, naming the first that differs from process 0.
    """
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    for rank, other in enumerate(values):
        if other != values[0]:
            raise ValueError(f"{what}: process 0 has {values[0]!r}, process {rank} has {other!r}")
