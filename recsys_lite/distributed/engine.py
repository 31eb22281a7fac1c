r"""Any ranking model in several processes: its tables shared out by rows, the rest copied, the training of one process.

.. math:: \mathcal{L} = \sum_r \mathcal{L}_r, \qquad
    \mathcal{L}_r = \frac{1}{B} \sum_{i \in \text{rows of } r} \ell(z_i, y_i), \qquad
    \nabla_{\text{copied}} \mathcal{L} = \sum_r \nabla \mathcal{L}_r

Process r holds :math:`\lceil V/R \rceil` rows of every table, from :math:`\lceil V/R \rceil\, r` on; a table too small
for all processes to have some is copied. A step of B rows: each process reads
its B/R rows; the numbers of all B rows go to all (all-gather); each looks up what lies in its part of the tables; the
vectors come back as sums, to each process those of its own rows (reduce-scatter). Gradients go the same way back, so
those of a table are whole where its rows lie and nobody adds up a table. Only the gradients of the copied parameters
are summed over the processes, by :class:`~torch.nn.parallel.DistributedDataParallel`.

PyTorch's ``RowwiseParallel`` sends the same, but its backward pass (2.13) makes the gradient of the whole table in
every process, so that no table could be larger than one of them holds; :func:`look_up` makes that of its own rows only.
:mod:`recsys_lite.distributed.sharded` shares out whole tables by hand, for DLRM.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Partial, Shard, distribute_tensor
from torch.nn.functional import binary_cross_entropy_with_logits, embedding
from torch.nn.parallel import DistributedDataParallel

from ..evaluation.metrics import evaluate
from ..fields import Dataset, Rows
from ..layers import FieldEmbedding, device_of
from ..training.checkpoint import digest
from ..training.loop import WAIT, Mean, Steps
from ..training.losses import logits
from ..training.pointwise import Labelled
from ..training.record import Result
from ..training.settings import Optimizers, Settings, takes
from ..training.tables import TABLE_OPTIMIZERS
from .checkpoint import SharedCheckpoint
from .hybrid import whole
from .processes import agreed


@takes()
def fit(
    model: nn.Module, dataset: Dataset, settings: Settings, *, mesh: DeviceMesh | None = None, progress: bool = True,
    evaluate_test: bool = True,
) -> Result:  # fmt: skip
    """:func:`recsys_lite.training.fit` by all processes of the group: the same batches, losses and weights as of one.

    Every process calls it with the same arguments, inside of :func:`~recsys_lite.distributed.processes.processes`, and
    each gets the same record. The model stays shared out; :func:`gathered` gives its weights whole. With dropout, each
    process draws its own.

    Args:
        model: rows -> logits (B,); the weights of process 0 are the start. It is changed in place.
        dataset: the same everywhere; of the training and validation rows a process reads only its own.
        mesh: of one axis, over all processes. Default: made of the group, on the device of its backend.
        progress: show a bar, on process 0.
        evaluate_test: look at the test part at the end.
        settings: each by its keyword, see :class:`~recsys_lite.training.Settings`. ``batch_size`` is that of all
            processes together. A checkpoint may be gone on with by another number of processes.

    Raises:
        ValueError: as :func:`recsys_lite.training.fit`; without a process group; for a mesh of several axes or of
            other than all processes, batches that do not share out, an optimizer or option that tables in several
            processes do not have, processes that were called differently, a checkpoint of other fields or weights.
    """
    mesh = _checked(mesh, settings)
    shown = progress and mesh.get_rank() == 0
    return SharedSteps(model, Shares(dataset, mesh), settings, mesh).finish(shown, evaluate_test)


def _checked(mesh: DeviceMesh | None, settings: Settings) -> DeviceMesh:
    """The mesh, and whether the settings fit it."""
    if not dist.is_initialized():
        raise ValueError("distributed.fit: no process group; call it within recsys_lite.distributed.processes()")
    ranks = dist.get_world_size()
    if mesh is None:
        mesh = init_device_mesh("cuda" if dist.get_backend() == "nccl" else "cpu", (ranks,))
    if mesh.ndim != 1 or mesh.size() != ranks:
        shape = tuple(mesh.mesh.shape)
        raise ValueError(
            f"distributed.fit: expected a mesh of shape ({ranks},), all processes on one axis, got {shape}"
        )
    if settings.device != "auto" and torch.device(settings.device).type != mesh.device_type:
        raise ValueError(f"distributed.fit: device {str(settings.device)!r} on a mesh of {mesh.device_type!r}")
    if settings.batch_size % ranks:
        raise ValueError(
            f"distributed.fit: batches of {settings.batch_size} rows do not share out over {ranks} processes"
        )
    if settings.optimizer in TABLE_OPTIMIZERS or settings.compile:
        what = "compile" if settings.compile else f"optimizer {settings.optimizer!r}"
        raise ValueError(
            f"distributed.fit: {what} is for one process; tables in several take whole gradients of their rows"
        )
    return mesh


def share_out(model: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """Give each process its rows of the tables of a model, in place, and tie the copies of all else together.

    Returns:
        what a training step calls: its backward pass sums the gradients of the copies over the processes.

    Raises:
        ValueError: for a model that is shared out already, or one with batch norm.
    """
    if any(isinstance(p, DTensor) for p in model.parameters()):
        raise ValueError(f"share_out: {type(model).__name__} is shared out already; build it anew")
    if any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in model.modules()):
        name = type(model).__name__
        raise ValueError(f"share_out: batch norm in {name} would take each process's rows for the batch")
    parts: dict[Tensor, nn.Parameter] = {}  # one for tables that share their weights
    for table in (part.table for part in model.modules() if isinstance(part, FieldEmbedding)):
        if everyone_has_rows(table.num_embeddings, mesh.size()):
            if (weight := table.weight) not in parts:
                rows = distribute_tensor(weight.detach(), mesh, [Shard(0)])
                parts[weight] = nn.Parameter(rows, requires_grad=weight.requires_grad)
            table.weight = parts[weight]
            table.forward = functools.partial(look_up, table, mesh)  # type: ignore[method-assign]
    ours = [name for name, p in model.named_parameters() if isinstance(p, DTensor)]
    ours += [name for name, _ in model.named_buffers()]  # which never change
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, ours)
    if not any(p.requires_grad and not isinstance(p, DTensor) for p in model.parameters()):
        return model
    called = DistributedDataParallel(model, process_group=mesh.get_group())
    called.register_comm_hook(mesh.get_group(), _summed)  # type: ignore[arg-type]
    return called


def look_up(table: nn.Embedding, mesh: DeviceMesh, index: Tensor) -> Tensor:
    """The rows of a table by number, (B/R, N) of this process -> (B/R, N, d), wherever they lie; all must call it."""
    weight = table.weight
    assert isinstance(weight, DTensor)
    every = DTensor.from_local(index, mesh, [Shard(0)], run_check=False).full_tensor()  # (B, N)
    mine = weight.to_local()  # rows from first on; its gradient is that of these rows
    at = every - mesh.get_local_rank() * -(-table.num_embeddings // mesh.size())
    inside = (at >= 0) & (at < len(mine))
    vectors = embedding(at.where(inside, 0), mine) * inside.unsqueeze(-1)  # (B, N, d), zero where another has the row
    part = DTensor.from_local(vectors, mesh, [Partial()], run_check=False).redistribute(mesh, [Shard(0)])
    return part.to_local()


def everyone_has_rows(rows: int, ranks: int) -> bool:
    """Whether each process gets a row when each takes ⌈V/R⌉ of them in turn; if not, the table is copied.

    Example:
        >>> everyone_has_rows(5, 4), everyone_has_rows(7, 4)  # 2, 2, 1, 0 and 2, 2, 2, 1
        (False, True)
    """
    return -(-rows // ranks) * (ranks - 1) < rows


def _summed(group, bucket):  # type: ignore[no-untyped-def]  # DDP reads annotations, and as text it refuses them
    """Gradients are summed, where DDP alone takes their mean: each loss is divided by the rows of the whole batch."""
    work = dist.all_reduce(bucket.buffer(), group=group, async_op=True)
    return work.get_future().then(lambda done: done.value()[0])


@dataclass
class Share:
    """The rows of one process of a batch. All processes run as many, so the last ones may be rows that count nothing.

    Args:
        rows: as many on every process. count: how many of them count, the first ones. batch: B, of all processes.
    """

    rows: Rows
    count: int
    batch: int

    def __len__(self) -> int:
        return self.batch


def share(rows: Rows, index: Tensor, mesh: DeviceMesh) -> Share:
    """The part of this process of the rows that are numbered, at most one row more than of another."""
    each = -(-len(index) // mesh.size())
    mine = index[mesh.get_local_rank() * each :][:each]
    filled = torch.cat([mine, index[:1].expand(each - len(mine))])
    return Share(rows[filled], len(mine), len(index))


@torch.no_grad()
def predict(model: nn.Module, rows: Rows, mesh: DeviceMesh, batch_size: int = 8192) -> Tensor:
    """:func:`recsys_lite.evaluation.predict` of a model that is shared out: by all processes, and all get all of it."""
    was_training, device, made = model.training, device_of(model), [torch.zeros(0, dtype=torch.float64)]
    model.eval()
    try:
        for index in torch.arange(len(rows)).split(batch_size):
            part = share(rows, index, mesh)
            mine = torch.sigmoid(model(part.rows.to(device, pinned=True)).double())
            every = [torch.empty_like(mine) for _ in range(mesh.size())]
            dist.all_gather(every, mine, group=mesh.get_group())
            made.append(torch.cat(every)[: len(index)].cpu())
        return torch.cat(made)
    finally:
        model.train(was_training)


def gathered(model: nn.Module) -> dict[str, Tensor]:
    """The weights of a model that is shared out as of one process, on the CPU of every process; all must call it."""
    return {name: whole(value).cpu() for name, value in model.state_dict().items()}


class Shares(Labelled):
    """The :class:`~recsys_lite.training.loop.Task` of a data set with labels, of which each process takes its rows."""

    def __init__(self, data: Dataset, mesh: DeviceMesh):
        super().__init__(data)
        self.mesh = mesh

    def batches(
        self, epoch: int, settings: Settings, generator: torch.Generator, device: torch.device
    ) -> Iterator[Any]:  # fmt: skip
        """The batches of one process, in the same order; of each its own rows."""
        for index in torch.randperm(len(self.data.train), generator=generator).split(settings.batch_size):
            part = share(self.data.train, index, self.mesh)
            part.rows = part.rows.to(device, pinned=True)
            yield part

    def loss(self, model: nn.Module, batch: Any, generator: torch.Generator) -> Tensor:
        """What the rows of this process add to the mean of the batch."""
        rows = batch.rows[: batch.count]
        weight = None if rows.weight is None else rows.weight / self.mean
        z = logits(model(batch.rows))[: batch.count]
        return binary_cross_entropy_with_logits(z, rows.label, weight, reduction="sum") / batch.batch

    def metrics(self, model: nn.Module, part: str) -> dict[str, float]:
        """Those of one process."""
        rows: Rows = getattr(self.data, part)
        return evaluate(rows.label, predict(model, rows, self.mesh), rows.group) if len(rows) else {}


class SharedSteps(Steps):
    """:class:`~recsys_lite.training.loop.Steps` of all processes."""

    def __init__(self, model: nn.Module, task: Shares, settings: Settings, mesh: DeviceMesh):
        self.mesh = mesh
        sizes = {name: tuple(p.shape) for name, p in model.named_parameters()}
        rows = [len(getattr(task.data, part)) for part in ("train", "validation", "test")]
        agreed("distributed.fit", (type(model).__name__, settings.record(), settings.seed, task.dataset, rows))
        agreed("distributed.fit, weights", sizes)
        super().__init__(model, task, settings)

    def _placed(self, model: nn.Module) -> torch.device:
        device = torch.device(self.mesh.device_type)
        device = torch.device("cuda", torch.cuda.current_device()) if device.type == "cuda" else device
        model.to(device)
        self.called = share_out(model, self.mesh)
        self.home = device  # what is shared out stays
        return device

    def _optimizers(self) -> Optimizers:
        """Tables in groups of their own: one call of an optimiser takes tensors of one kind."""
        made = super()._optimizers()
        for o in made:
            groups = o.param_groups[:]
            o.param_groups.clear()
            for group in groups:
                for kind in (True, False):
                    if some := [p for p in group["params"] if isinstance(p, DTensor) is kind]:
                        o.param_groups.append({**group, "params": some})
        return made

    def _checkpoint(self, path: Path, *data: Any) -> SharedCheckpoint:
        said = [digest(*data) if dist.get_rank() == 0 else None]  # one reads all rows, and tells
        dist.broadcast_object_list(said, 0)
        return SharedCheckpoint(path, str(said[0]), self.mesh)

    def _seed(self, seed: int) -> None:
        torch.manual_seed((seed + self.mesh.get_local_rank() * 1_000_003) % 2**63)

    def _mean(self, epoch: int, every: int) -> Mean:
        return MeanOfAll(epoch, WAIT, self.mesh)


class MeanOfAll(Mean):
    """The mean loss of the rows of all processes; all wait for each other when it is asked."""

    def __init__(self, epoch: int, every: int, mesh: DeviceMesh):
        super().__init__(epoch, every)
        self.mesh = mesh

    def told(self, losses: Tensor) -> list[float]:
        dist.all_reduce(losses, group=self.mesh.get_group())
        return super().told(losses)
