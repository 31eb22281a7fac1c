"""One DLRM trained three ways, step for step: by one process, by whole tables by hand, by rows with the engine.

On one machine, over loopback::

    torchrun --standalone --nproc_per_node 2 -m recsys_lite.distributed.two_ways --out report.json
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

from .. import data
from ..fields import Dataset, Rows
from ..models import DLRM
from ..store.files import write_json
from ..training import fit as fit_alone
from ..training.loop import seed_everything
from .engine import fit, gathered
from .sharded import ShardedDLRM
from .two_processes import options, process_group


def compare(
    dataset: Dataset, batch: int = 400, lr: float = 0.01, seed: int = 0, double: bool = True, **settings: Any
) -> dict[str, Any]:
    """One epoch with Adam from the same weights on the same batches, in float64; call it on every process of a group.

    Args:
        dataset: its training rows, shuffled as :func:`recsys_lite.training.fit` shuffles them.
        batch: rows of all processes together.
        lr: of Adam.
        double: in float64 (default), where only rounding differs; otherwise float32.
        settings: of :class:`~recsys_lite.models.DLRM`.

    Returns:
        ``apart``: the largest absolute difference of a weight for ``by hand, one process``, ``engine, one process`` and
        ``by hand, engine``; ``moved``, the largest change of a weight since the start; ``steps``; ``losses``, the mean
        of the epoch's batches for each way; and for each process ``ranks``, the numbers of tables and of networks that
        it holds either way and the bytes that it ``sent`` by hand.
    """
    dataset = copy.copy(dataset)
    dataset.train, dataset.validation = _in(dataset.train, double), _in(dataset.validation, double)
    seed_everything(seed)
    start = DLRM(dataset.fields, **settings).to(torch.float64 if double else torch.float32)
    alone, shared, hand = copy.deepcopy(start), copy.deepcopy(start), ShardedDLRM(start)
    how: dict[str, Any] = {"epochs": 1, "batch_size": batch, "lr": lr, "seed": seed, "device": "cpu"}
    results = [
        f(m, dataset, **how, progress=False, evaluate_test=False) for f, m in ((fit_alone, alone), (fit, shared))
    ]
    losses = [r.curve[0]["train_loss"] for r in results]
    total, steps = 0.0, 0
    optimizer = torch.optim.Adam(hand.parameters(), lr=lr)
    order = torch.Generator().manual_seed(seed * 100_003 + 1)  # of the first epoch, as in training.loop
    for rows in dataset.train.batches(batch, generator=order):
        total += hand.step(rows, optimizer) * len(rows)
        steps += 1
    states = {"one process": alone.state_dict(), "engine": gathered(shared), "by hand": hand.gather()}
    pairs = [("by hand", "one process"), ("engine", "one process"), ("by hand", "engine")]
    local = [p.to_local() if isinstance(p, DTensor) else p for p in shared.parameters()]
    tables = [p for p, whole in zip(local, shared.parameters(), strict=True) if isinstance(whole, DTensor)]
    mine = {
        "by hand": 0 if hand.tables is None else hand.tables.table.weight.numel(),
        "engine": sum(p.numel() for p in tables),
        "networks": sum(p.numel() for p in hand.networks.parameters()),
        "tables": len({f.table for f in hand.mine}),
        "sent": dict(hand.sent),
    }
    ranks: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(ranks, mine)
    return {
        "apart": {f"{a}, {b}": _apart(states[a], states[b]) for a, b in pairs},
        "moved": _apart(states["one process"], start.state_dict()),
        "losses": dict(zip(("one process", "engine"), losses, strict=True)) | {"by hand": total / len(dataset.train)},
        "steps": steps, "batch": batch, "dim": start.config["dim"], "ranks": ranks,
    }  # fmt: skip


def _in(rows: Rows, double: bool) -> Rows:
    """Rows in the precision of the model."""
    kind = torch.float64 if double else torch.float32
    assert rows.label is not None
    return Rows(rows.ids, rows.numeric.to(kind), rows.bags, rows.label.to(kind))


def _apart(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    return max((a[name] - b[name]).abs().max().item() for name in a)


def main() -> None:
    parser = options(__doc__ or "")
    parser.set_defaults(batch=400)
    given = parser.parse_args()
    with process_group(parser):
        report = compare(
            data.load(given.dataset, path=given.path), given.batch, seed=given.seed, double=not given.single
        )
        if dist.get_rank() == 0:
            print(report["apart"])
            if given.out:
                write_json(given.out, report)


if __name__ == "__main__":
    main()
