"""DHEN in several processes with PyTorch's FSDP2: sharded inside of a host and copied between hosts, bytes counted.

``python -m recsys_lite.distributed.four_processes --help`` says how to see it beside one process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.utils._python_dispatch import TorchDispatchMode

from ..fields import Rows
from ..models import DHEN

#: what PyTorch calls a collective -> what we call it, and which argument holds the smaller tensor
COLLECTIVES = {
    "c10d::_allgather_base_": ("all-gather", 1),
    "c10d::_reduce_scatter_base_": ("reduce-scatter", 0),
    "c10d::allreduce_": ("all-reduce", 0),
}


def ring(kind: str, ranks: int, size: int) -> int:
    r"""Bytes that one rank sends to the next when a tensor of ``size`` bytes goes round a ring of ``ranks``.

    .. math:: \text{all-gather, reduce-scatter: } \tfrac{R-1}{R} \cdot \text{size}, \qquad
        \text{all-reduce, which is one after the other: } 2\,\tfrac{R-1}{R} \cdot \text{size}

    ``size`` is that of the whole tensor. No algorithm sends less in total.

    Example:
        >>> ring("all-gather", 4, 1000), ring("all-reduce", 2, 1000)
        (750, 1000)
    """
    return (2 if kind == "all-reduce" else 1) * size * (ranks - 1) // ranks


class Traffic(TorchDispatchMode):
    """Writes down every collective that runs inside of the ``with`` block, as PyTorch hands it to the backend.

    Args:
        per_host: ranks 0 … per_host - 1 count as one host, the next ones as another, and so on.

    Attributes:
        seen: a list of (kind, ranks of the group, bytes of the whole tensor).
    """

    def __init__(self, per_host: int):
        super().__init__()
        self.per_host = per_host
        self.seen: list[tuple[str, tuple[int, ...], int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        if name in COLLECTIVES:
            kind, place = COLLECTIVES[name]
            group = next(dist.ProcessGroup.unbox(a) for a in args if isinstance(a, torch.ScriptObject))
            ranks = tuple(dist.get_process_group_ranks(group))
            part = args[place][0] if isinstance(args[place], list | tuple) else args[place]
            self.seen.append((kind, ranks, part.nbytes * (1 if kind == "all-reduce" else len(ranks))))
        elif name.startswith("c10d::") and not name.endswith("barrier"):
            raise NotImplementedError(f"Traffic does not know how to count {name}")
        return func(*args, **(kwargs or {}))

    def sent(self, rank: int) -> dict[str, dict[str, int]]:
        """Bytes that a rank sent by :func:`ring`, in order of rank: kind -> within its host, to another, and calls."""
        total = {kind: Counter(within=0, between=0, calls=0) for kind, _ in COLLECTIVES.values()}
        for kind, ranks, size in self.seen:
            following = ranks[(ranks.index(rank) + 1) % len(ranks)]
            where = "within" if following // self.per_host == rank // self.per_host else "between"
            total[kind][where] += ring(kind, len(ranks), size)
            total[kind]["calls"] += 1
        return {kind: dict(count) for kind, count in total.items()}


class HybridDHEN:
    r"""A DHEN whose parameters are sharded inside of each host and copied between hosts.

    .. math:: \mathcal{L} = \frac1R \sum_r \mathcal{L}_r, \qquad
        \mathcal{L}_r = \frac{R}{B} \sum_{i \in \text{rows of } r} \ell(z_i, y_i)

    FSDP2 averages the gradients of all R ranks; the factor R/B makes the average the gradient of the whole batch,
    whether its rows share out evenly or not. The table, the bottom network and each layer are units: gathered when
    they run, given back, gathered once more in the backward pass. What is left, the last linear layer, is the root's
    and stays gathered from forward to backward.

    Args:
        model: the same weights on every rank, the start. It is changed in place.
        copies: G. Neighbours by rank hold the shards of one copy, as the ranks of one host. Default 2; 1 shards over
            all ranks, which is *full sharding*. Needs a process group.

    Raises:
        ValueError: if the ranks do not share out over the copies.

    Source: Zhang et al., DHEN, arXiv 2203.11014, section 4 (HSDP), and ``torch.distributed.fsdp.fully_shard``. The
    paper gives the tables to their owners as in DLRM (:mod:`recsys_lite.distributed.sharded`); here they are sharded
    like the rest.
    Derived in the chapter *DHEN*.
    """

    def __init__(self, model: DHEN, copies: int = 2):
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        if copies < 1 or self.ranks % copies:
            raise ValueError(f"HybridDHEN: {self.ranks} ranks do not share out over {copies} copies")
        self.shards = self.ranks // copies
        shape = (self.ranks,) if copies == 1 else (copies, self.shards)
        over = init_device_mesh("cpu", shape, mesh_dim_names=("copy", "shard")[-len(shape) :])
        units = [m for m in (model.embedding, model.bottom, *model.layers) if m is not None]
        self.sizes = [padded(unit.parameters(), self.shards) for unit in units]
        self.root = padded(model.parameters(), self.shards) - sum(self.sizes)
        for unit in [*units, model]:
            fully_shard(unit, mesh=over)
        self.model = model

    def part(self, rows: Rows) -> Rows:
        """This rank's rows of a batch: equal shares, or one more for the first ranks."""
        each, more = divmod(len(rows), self.ranks)
        first = self.rank * each + min(self.rank, more)
        return rows[first : first + each + (self.rank < more)]

    def step(self, rows: Rows, optimizer: torch.optim.Optimizer) -> float:
        """One step of training on a batch of B rows, the same on every rank; returns this rank's part of the loss."""
        mine = self.part(rows)
        loss = bce(self.model(mine), mine.label, reduction="sum") / len(rows)  # type: ignore[arg-type]
        optimizer.zero_grad()
        (loss * self.ranks).backward()
        optimizer.step()
        return loss.item()

    def gather(self) -> dict[str, Tensor]:
        """The state of one DHEN with these weights, on every rank."""
        return {name: whole(value) for name, value in self.model.state_dict().items()}

    def memory(self, optimizer: torch.optim.Optimizer) -> dict[str, int]:
        """Bytes that this rank keeps between steps: weights, their gradients, the optimiser's tensors."""
        weights = list(self.model.parameters())
        state = [v for values in optimizer.state.values() for v in values.values() if isinstance(v, Tensor) and v.dim()]
        gradients = [p.grad for p in weights if p.grad is not None]
        return {"weights": held(weights), "gradients": held(gradients), "optimizer": held(state)}


def whole(value: Tensor) -> Tensor:
    """A tensor as it would be in one process."""
    return (value.full_tensor() if isinstance(value, DTensor) else value).detach()


def held(tensors: Iterable[Tensor]) -> int:
    """Bytes of the parts that lie in this process."""
    return sum((t.to_local() if isinstance(t, DTensor) else t).nbytes for t in tensors)


def padded(parameters: Iterable[Tensor], shards: int) -> int:
    """Numbers that FSDP2 moves for these: the first axis of each is filled up to a multiple of ``shards``.

    Example:
        >>> padded([torch.zeros(3, 5), torch.zeros(8)], 4)
        28
    """
    return sum(-(-p.shape[0] // shards) * shards * p.shape[1:].numel() for p in parameters)


def promised(units: int, root: int, copies: int, hosts: int, per_host: int) -> dict[str, int]:
    r"""Numbers that the ranks of one host send in a step, by the formula, in rings of neighbours.

    With N numbers in units and :math:`N_0` in the root, R = G·S ranks on G hosts of S:

    .. math:: \text{between hosts: } \tfrac{R-1}{R} (3N + 2N_0) \text{ with full sharding, } \quad
        2\,\tfrac{G-1}{G} (N + N_0) \text{ with a copy in each host;}

    within a host :math:`S - 1` times as much as full sharding sends between, and :math:`(S-1)(3N + 2N_0)`.

    Args:
        units, root: numbers, see :func:`padded`.
        copies: 1 for full sharding, or the number of hosts.
        hosts, per_host: G and S.

    Raises:
        ValueError: for another number of copies.
    """
    ranks, gathered = hosts * per_host, 3 * units + 2 * root
    if copies not in (1, hosts):
        raise ValueError(f"promised: 1 copy or {hosts}, one for each host; got {copies}")
    if copies == 1:
        each = (ranks - 1) * gathered // ranks
        return {"within": (per_host - 1 + (hosts == 1)) * each, "between": each * (hosts > 1)}
    return {"within": (per_host - 1) * gathered, "between": 2 * (hosts - 1) * (units + root) // hosts}
