"""Train one DHEN in this process and sharded over several, step by step: how far apart, what is kept, what is sent.

On one machine, over loopback, two "hosts" of two processes::

    torchrun --standalone --nproc_per_node 4 -m recsys_lite.distributed.four_processes --out report.json
"""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from .. import data
from ..fields import Dataset
from ..models import DHEN
from ..training.loop import seed_everything
from .hybrid import HybridDHEN, Traffic, promised, whole
from .two_processes import OPTIMIZERS, options, process_group, steps_of_one, tell

MODULE = "recsys_lite.distributed.four_processes"
KINDS = ["dot", "attention", "convolution", "linear", "cross"]


def compare(
    dataset: Dataset, copies: int = 2, per_host: int = 2, optimizer: str = "adam", steps: int = 10, batch: int = 128,
    seed: int = 0, double: bool = True, **settings: Any,
) -> dict[str, Any]:  # fmt: skip
    """The same steps by one process and by all of the process group, from the same weights on the same batches.

    Args:
        dataset: its training rows, shuffled by ``seed``, give the batches.
        copies: of the weights; 1 is full sharding over all ranks.
        per_host: ranks that count as one host.
        optimizer: one of :data:`~recsys_lite.distributed.two_processes.OPTIMIZERS`.
        steps, batch: how many, and of how many rows.
        double: in float64 (default), where only rounding near 1e-16 can differ; otherwise float32.
        settings: of :class:`~recsys_lite.models.DHEN`. Default: all five modules.

    Returns:
        the same on every rank: ``losses`` (a list by one process, a list by all), ``loss_difference``,
        ``weight_difference`` (largest absolute) and ``differences`` (of each parameter), ``state_difference`` (of the
        optimiser's tensors), ``weights_moved`` (largest change since the start), ``bytes`` of a number, ``alone``
        (bytes that one process keeps), ``formula`` (bytes that one host sends in a step), and for each of the
        ``ranks`` what it keeps (``memory``), the largest tensor that it gathers (``gathered``) and the bytes that it
        ``sent`` in one step.
    """
    dtype = torch.float64 if double else torch.float32
    seed_everything(seed)
    alone = DHEN(dataset.fields, **{"modules": KINDS, **settings}).to(dtype)
    start = {name: value.clone() for name, value in alone.state_dict().items()}
    sharded = HybridDHEN(copy.deepcopy(alone), copies)
    kind, lr = OPTIMIZERS[optimizer]
    by_one, by_all = (kind(m.parameters(), lr=lr) for m in (alone, sharded.model))
    losses: tuple[list[float], list[float]] = ([], [])
    for rows, loss in steps_of_one(alone, by_one, dataset, steps, batch, seed):
        losses[0].append(loss)
        with Traffic(per_host) as traffic:
            part = torch.tensor(sharded.step(rows, by_all), dtype=dtype)
        dist.all_reduce(part)
        losses[1].append(part.item())
    gathered, now = sharded.gather(), alone.state_dict()
    differences = {name: (value - gathered[name]).abs().max().item() for name, value in now.items()}
    size = torch.finfo(dtype).bits // 8
    mine = {
        "memory": sharded.memory(by_all),
        "gathered": max(n for what, _, n in traffic.seen if what == "all-gather"),
        "sent": traffic.sent(sharded.rank),
    }
    ranks: list[Any] = [None] * sharded.ranks
    dist.all_gather_object(ranks, mine)
    formula = promised(sum(sharded.sizes), sharded.root, copies, sharded.ranks // per_host, per_host)
    return {
        "copies": copies, "optimizer": optimizer, "batch": batch, "dtype": str(dtype).removeprefix("torch."),
        "bytes": size, "numbers": alone.parameter_count, "moved": {"units": sharded.sizes, "root": sharded.root},
        "losses": list(losses), "loss_difference": max(abs(a - b) for a, b in zip(*losses, strict=True)),
        "weight_difference": max(differences.values()), "differences": differences,
        "weights_moved": max((value - start[name]).abs().max().item() for name, value in now.items()),
        "state_difference": state_difference(by_one, by_all), "alone": kept(alone, by_one),
        "formula": {where: size * n for where, n in formula.items()}, "ranks": ranks,
    }  # fmt: skip


def state_difference(by_one: torch.optim.Optimizer, by_all: torch.optim.Optimizer) -> float:
    """Largest absolute difference of what two optimisers remember of the same parameters, the second one sharded."""
    found = [0.0]
    for a, b in zip(by_one.param_groups[0]["params"], by_all.param_groups[0]["params"], strict=True):
        for name, value in by_one.state[a].items():
            found.append((value - whole(by_all.state[b][name])).abs().max().item())
    return max(found)


def kept(model: DHEN, optimizer: torch.optim.Optimizer) -> dict[str, int]:
    """Bytes that one process keeps between steps."""
    weights = sum(p.nbytes for p in model.parameters())
    tensors = [v for values in optimizer.state.values() for v in values.values() if torch.is_tensor(v)]
    return {"weights": weights, "gradients": weights, "optimizer": sum(v.nbytes for v in tensors if v.dim())}


def on_the_wire(size: int = 8_000_000) -> dict[str, float]:
    """Bytes that all ranks put on the loopback device for each collective, in units of the whole tensor (Linux).

    Other programs that talk over loopback meanwhile are counted, too. Empty where the system does not say.
    """
    counters = Path("/proc/net/dev")
    if not counters.exists():
        return {}

    def sent() -> int:
        dist.barrier()
        time.sleep(0.1)  # what is on its way arrives
        line = next(line for line in counters.read_text().splitlines() if line.strip().startswith("lo:"))
        return int(line.split()[9])

    whole_one, ranks, found = torch.ones(size // 4), dist.get_world_size(), {}
    part = torch.empty(len(whole_one) // ranks)
    for name, run in {
        "all-gather": lambda: dist.all_gather_into_tensor(whole_one, part),
        "reduce-scatter": lambda: dist.reduce_scatter_tensor(part, whole_one),
        "all-reduce": lambda: dist.all_reduce(whole_one),
    }.items():
        before = sent()
        run()
        found[name] = (sent() - before) / whole_one.nbytes
    return found


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--per-host", type=int, default=2, help="processes that count as one host, default 2")
    parser.add_argument("--optimizer", default="adam", choices=sorted(OPTIMIZERS))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--layers", type=int, default=2)
    given = parser.parse_args()
    with process_group(parser):
        dataset = data.load(given.dataset, path=given.path)
        settings = (given.per_host, given.optimizer, given.steps, given.batch, given.seed, not given.single)
        designs = {"hybrid": dist.get_world_size() // given.per_host, "full": 1}
        reports = {k: compare(dataset, copies, *settings, layers=given.layers) for k, copies in designs.items()}
        tell(reports, given.out, wire=on_the_wire())


if __name__ == "__main__":
    main()
