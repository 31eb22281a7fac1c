"""Train one DLRM in this process and in several, step by step, and say how far they are apart.

On one machine, over loopback::

    torchrun --standalone --nproc_per_node 2 -m recsys_lite.distributed.two_processes --out report.json
"""

from __future__ import annotations

import argparse
import copy
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from .. import data
from ..fields import Dataset, Rows
from ..models import DLRM, Model
from ..store.files import read_json, write_json
from ..training.loop import seed_everything
from .processes import processes
from .sharded import ShardedDLRM

#: name -> class and learning rate; SGD with 0.1 is the authors' script
OPTIMIZERS = {"sgd": (torch.optim.SGD, 0.1), "adagrad": (torch.optim.Adagrad, 0.01), "adam": (torch.optim.Adam, 0.01)}


def compare(
    dataset: Dataset, optimizer: str = "sgd", steps: int = 20, batch: int = 128, seed: int = 0, double: bool = True,
    **settings: Any,
) -> dict[str, Any]:  # fmt: skip
    """The same steps by one process and by all of the process group, from the same weights on the same batches.

    Args:
        dataset: its training rows, shuffled by ``seed``, give the batches.
        optimizer: one of :data:`OPTIMIZERS`.
        steps, batch: how many, and of how many rows.
        double: in float64 (default), where only rounding near 1e-16 can differ; otherwise float32.
        settings: of :class:`~recsys_lite.models.DLRM`.

    Returns:
        the same on every rank: ``losses`` (a list by one process, a list by all), ``loss_difference`` and
        ``weight_difference`` (largest absolute), ``copies_difference`` (of the copied networks between ranks),
        ``weights_moved`` (largest change since the start), ``owner`` of each table, and for each rank its ``fields``,
        ``table_parameters``, ``network_parameters`` and the bytes ``sent``.
    """
    dtype = torch.float64 if double else torch.float32
    seed_everything(seed)
    alone = DLRM(dataset.fields, **settings).to(dtype)
    sharded, start = ShardedDLRM(alone), copy.deepcopy(alone.state_dict())
    kind, lr = OPTIMIZERS[optimizer]
    by_one, by_all = (kind(m.parameters(), lr=lr) for m in (alone, sharded))
    losses: tuple[list[float], list[float]] = ([], [])
    for rows, loss in steps_of_one(alone, by_one, dataset, steps, batch, seed):
        losses[0].append(loss)
        losses[1].append(sharded.step(rows, by_all))
    state, gathered = alone.state_dict(), sharded.gather()
    networks = torch.cat([p.detach().flatten() for p in sharded.networks.parameters()])
    first = networks.clone()
    dist.broadcast(first, 0)
    tables = sharded.tables
    mine = {
        "fields": [f.name for f in sharded.mine],
        "table_parameters": 0 if tables is None else tables.table.weight.numel(),
        "network_parameters": len(networks),
        "sent": dict(sharded.sent),
        "copies_difference": (networks - first).abs().max().item(),
    }
    ranks: list[Any] = [None] * sharded.ranks
    dist.all_gather_object(ranks, mine)
    apart = lambda a, b: max((a[k] - b[k]).abs().max().item() for k in state)  # noqa: E731
    return {
        "optimizer": optimizer, "dtype": str(dtype).removeprefix("torch."), "batch": batch, "dim": alone.config["dim"],
        "losses": list(losses),
        "loss_difference": max(abs(a - b) for a, b in zip(*losses, strict=True)),
        "weight_difference": apart(state, gathered),
        "weights_moved": apart(state, start),
        "copies_difference": max(r.pop("copies_difference") for r in ranks),
        "owner": sharded.owner,
        "ranks": ranks,
    }  # fmt: skip


def steps_of_one(
    model: Model, optimizer: torch.optim.Optimizer, dataset: Dataset, steps: int, batch: int, seed: int
) -> Iterator[tuple[Rows, float]]:
    """Train in one process: each batch, in the model's precision, and its loss before the step that it was used for."""
    dtype = next(model.parameters()).dtype
    for rows in islice(dataset.train.batches(batch, generator=torch.Generator().manual_seed(seed)), steps):
        rows = Rows(rows.ids, rows.numeric.to(dtype), rows.bags, rows.label.to(dtype))  # type: ignore[union-attr]
        loss = bce(model(rows), rows.label)  # type: ignore[arg-type]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield rows, loss.item()


def command(processes: int, *options: str, module: str = "recsys_lite.distributed.two_processes") -> list[str]:
    """What starts a module in several processes; a free port of the loopback address is found by torchrun."""
    meet = ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]  # no host name is looked up
    run = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}", *meet]
    return [*run, "-m", module, *options]


def launch(
    processes: int = 2, *options: str, timeout: float = 600, module: str = "recsys_lite.distributed.two_processes"
) -> dict[str, Any]:
    """The report of a module with these options, run in several processes on this machine: optimiser -> report.

    The module writes its report to the path after ``--out``, as :func:`main` does.

    Raises:
        RuntimeError: with the end of what they wrote, if they fail. subprocess.TimeoutExpired: after ``timeout`` s.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        environment = {"OMP_NUM_THREADS": "1", **os.environ}
        line = command(processes, "--out", str(out), *options, module=module)
        done = subprocess.run(line, capture_output=True, text=True, timeout=timeout, env=environment)
        if done.returncode:
            raise RuntimeError(f"{processes} processes failed:\n{(done.stdout + done.stderr)[-3000:]}")
        return read_json(out)


@contextmanager
def process_group(parser: argparse.ArgumentParser) -> Iterator[None]:
    """The group of the processes that torchrun started, on gloo, one thread each; over loopback on one machine."""
    if "RANK" not in os.environ:
        parser.error("start me with torchrun, as shown above")
    with processes("cpu"):
        yield


def options(doc: str) -> argparse.ArgumentParser:
    """The arguments that both such commands have: which data, how they are shared out, where the report goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="criteo-sample", choices=sorted(data.DATASETS))
    parser.add_argument("--path", help="of your own copy of the data")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--single", action="store_true", help="float32 in place of float64")
    parser.add_argument("--out", type=Path, help="a JSON file for the whole report")
    return parser


def tell(reports: dict[str, dict[str, Any]], out: Path | None, **more: Any) -> None:
    """On the first rank: print how far apart, and write the reports and what else there is to a file."""
    if dist.get_rank() == 0:
        for name, report in reports.items():
            print(name, {k: report[k] for k in ("loss_difference", "weight_difference", "weights_moved")})
        if out:
            write_json(out, {**reports, **more})


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--optimizers", nargs="+", default=["sgd"], choices=sorted(OPTIMIZERS))
    parser.add_argument("--steps", type=int, default=20)
    given = parser.parse_args()
    with process_group(parser):
        dataset = data.load(given.dataset, path=given.path)
        settings = (given.steps, given.batch, given.seed, not given.single)
        reports = {name: compare(dataset, name, *settings) for name in given.optimizers}
        tell(reports, given.out)


if __name__ == "__main__":
    main()
