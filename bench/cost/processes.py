"""DLRM in one and two processes over loopback: processor seconds of a step and bytes sent; part of ``bench.speed``.

Every process reads 4096 rows of its own in a step. What runs here is the chapter's hand-written sharding by table.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from bench.cost.peers.ours import OPTIONS, columns
from bench.cost.peers.problem import BATCH, DIM, LR, drawn
from recsys_lite.distributed.sharded import ShardedDLRM
from recsys_lite.explain.training_cost import network_flops
from recsys_lite.fields import Rows
from recsys_lite.models import DLRM
from recsys_lite.store import read_json, write_json

PROCESSES, STEPS = (1, 2), 5


def process(rank: int, ranks: int, folder: str) -> None:
    """One of the processes; the first writes what all measured."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=ranks)
    task = drawn(BATCH * ranks)
    torch.manual_seed(0)
    model = ShardedDLRM(DLRM(columns(task), dim=DIM, **OPTIONS["dlrm"]))
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
    rows = Rows(task.ids.int(), task.numeric, label=task.label)
    seconds = []
    for turn in range(STEPS + 1):
        started = time.process_time()
        model.step(rows, optimizer)
        if turn:  # the first one warms up
            seconds.append(time.process_time() - started)
    sent = {name: count // (STEPS + 1) for name, count in model.sent.items()}
    rows_here = 0 if model.tables is None else len(model.tables.table.weight)
    mine = {"seconds": [float(f"{s:.4g}") for s in seconds], "sent": sent, "rows": rows_here}
    all_of_them: list[Any] = [None] * ranks
    dist.all_gather_object(all_of_them, mine)
    if rank == 0:
        networks = {
            "parameters": sum(p.numel() for p in model.networks.parameters()),
            "flops": sum(network_flops(*m.weight.T.shape) for m in model.modules() if isinstance(m, torch.nn.Linear)),
        }
        write_json(Path(folder) / "out.json", {"processes": ranks, **networks, "each": all_of_them})
    dist.destroy_process_group()


def measure(ranks: int) -> dict[str, Any]:
    """One number of processes: parameters and FLOPs of the networks, and what each process measured."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(process, (ranks, folder), ranks)
        return read_json(Path(folder) / "out.json")


def seconds(line: dict[str, Any]) -> float:
    """Median processor seconds of a step, mean over the processes."""
    return sum(median(each["seconds"]) for each in line["each"]) / len(line["each"])


def run(record: dict[str, Any], save: Callable[[], None]) -> None:
    """Fill what is missing."""
    for ranks in PROCESSES:
        if not any(line["processes"] == ranks for line in record["processes"]):
            record["processes"].append(measure(ranks))
            save()


if __name__ == "__main__":
    print([(n, seconds(measure(n))) for n in PROCESSES])
