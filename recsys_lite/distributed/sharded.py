"""DLRM in several processes: tables shared out, networks copied, the same training as in one process.

``python -m recsys_lite.distributed.two_processes --help`` says how to see both side by side.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from ..fields import Rows
from ..layers import FieldEmbedding
from ..models import DLRM


def place(sizes: Mapping[str, int], ranks: int) -> dict[str, int]:
    """Which rank owns which table: the largest table first, each to the rank that holds the fewest rows so far.

    Example:
        >>> place({"item": 7, "user": 9, "hour": 3, "day": 2}, 2)
        {'user': 0, 'item': 1, 'hour': 1, 'day': 0}
    """
    owner, load = {}, [0] * ranks
    for name in sorted(sizes, key=lambda n: (-sizes[n], n)):
        owner[name] = load.index(min(load))
        load[owner[name]] += sizes[name]
    return owner


class Shuffle(torch.autograd.Function):
    """Whole batch of my tables -> my rows of all tables; the gradients go the same way back.

    Rank r looks up its F_r fields for all B rows, (B, F_r, d), keeps its own B_r rows and sends rank q the B_q rows of
    q. It gets (B_r, F_q, d) from every q, side by side (B_r, C, d). A permutation's gradient is the inverse one.

    Gloo has ``all_to_all_single``, with uneven and empty pieces, in every PyTorch that we support (2.6 and newer), but
    no gradient goes through it; hence this function.

    Source: Naumov et al., arXiv 1906.00091, section 3 (butterfly shuffle). Derived in the chapter *DLRM*.
    """

    @staticmethod
    def forward(ctx: Any, e: Tensor, counts: list[int], fields: list[int], sent: dict[str, int]) -> Tensor:
        me, d = dist.get_rank(), e.shape[2]
        there, here = [b * fields[me] * d for b in counts], [counts[me] * f * d for f in fields]
        ctx.plan = there, here, fields, e.shape, sent
        out = e.new_empty(sum(here))
        dist.all_to_all_single(out, e.contiguous().flatten(), here, there)
        sent["embeddings"] += (sum(there) - there[me]) * e.element_size()
        return torch.cat([p.view(counts[me], f, d) for p, f in zip(out.split(here), fields, strict=True)], 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        there, here, fields, shape, sent = ctx.plan
        pieces = torch.cat([g.flatten() for g in gradients[0].split(fields, 1)])
        out = pieces.new_empty(sum(there))
        dist.all_to_all_single(out, pieces, there, here)
        me = dist.get_rank()
        sent["gradients of embeddings"] += (sum(here) - here[me]) * pieces.element_size()
        return out.view(shape), None, None, None


class ShardedDLRM(nn.Module):
    r"""A DLRM whose tables are shared out by field and whose networks are copied to every rank.

    .. math:: \nabla_{\text{networks}} \mathcal{L} = \sum_r \nabla \mathcal{L}_r, \qquad
        \mathcal{L}_r = \frac{1}{B} \sum_{i \in \text{rows of } r} \ell(z_i, y_i)

    All ranks are given the same batch. Each looks up its own tables for all rows (:class:`Shuffle` brings the vectors
    to the ranks of the rows) and runs the networks on its own rows. The divisor is the whole B: then gradients of the
    copied networks add up by one all-reduce, and those of a table are whole as they come back to its only owner.
    Fields that share a table (a history, its item) share its rank. With dropout, each rank draws its own.

    Args:
        model: the same weights on every rank, the start; each rank keeps its part. Needs a process group.

    Shapes: B rows -> logits of this rank's B/R rows. ``sent`` counts bytes that left this rank.

    Source: Naumov et al., DLRM, arXiv 1906.00091, section 3. Derived in the chapter *DLRM*.
    """

    def __init__(self, model: DLRM):
        super().__init__()
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        whole, fields = model.embedding, model.embedding.fields
        self.sizes = {f.table: f.size for f in fields}
        self.owner = place(self.sizes, self.ranks)
        shares = [[k for k, f in enumerate(fields) if self.owner[f.table] == r] for r in range(self.ranks)]
        self.counts = [len(share) for share in shares]
        self.order = torch.tensor([k for share in shares for k in share]).argsort()  # back to the model's order
        self.sent = {"embeddings": 0, "gradients of embeddings": 0, "gradients of networks": 0}
        self.mine = [fields[k] for k in shares[self.rank]]
        columns = [f.name for f in fields if f.kind == "categorical"]
        self.columns = [columns.index(f.name) for f in self.mine if f.kind == "categorical"]
        self.tables = FieldEmbedding(self.mine, whole.dim).to(whole.table.weight) if self.mine else None
        for f in self.mine:
            self.block(f.table).data.copy_(whole.table.weight[whole.offsets[f.table] :][: f.size])
        self.first = dict(whole.offsets)
        # all but the table: deepcopy takes what its memo holds as already copied
        self.networks = copy.deepcopy(model, {id(whole): None, id(model.fields): model.fields})

    def block(self, table: str) -> Tensor:
        """The rows (V, d) of a table of this rank."""
        assert self.tables is not None
        return self.tables.table.weight[self.tables.offsets[table] :][: self.sizes[table]]

    def shares(self, rows: int) -> list[int]:
        """How many rows of a batch each rank gets: equal, or one more for the first ranks."""
        return [rows // self.ranks + (r < rows % self.ranks) for r in range(self.ranks)]

    def part(self, rows: Rows) -> Rows:
        """This rank's rows of a batch."""
        shares = self.shares(len(rows))
        return rows[sum(shares[: self.rank]) :][: shares[self.rank]]

    def look_up(self, rows: Rows) -> Tensor:
        """The vectors of all rows from this rank's tables, (B, F_r, d)."""
        if self.tables is None:  # it takes part in the shuffle, backwards too
            example = next(self.networks.parameters())
            return example.new_zeros(len(rows), 0, self.networks.config["dim"]).requires_grad_()
        bags = {f.name: rows.bags[f.name] for f in self.mine if f.is_bag}
        return self.tables(Rows(rows.ids[:, self.columns], rows.numeric[:, :0], bags))

    def forward(self, rows: Rows) -> Tensor:
        e = Shuffle.apply(self.look_up(rows), self.shares(len(rows)), self.counts, self.sent)  # (B_r, C, d)
        z0, dots = self.networks.dots(self.part(rows), e[:, self.order])
        return self.networks.top(torch.cat([z0, dots], 1)).squeeze(-1)  # (B_r,)

    def step(self, rows: Rows, optimizer: torch.optim.Optimizer) -> float:
        """One step of training on a batch of B rows; returns its mean loss over all ranks."""
        loss = bce(self(rows), self.part(rows).label, reduction="sum") / len(rows)  # type: ignore[arg-type]
        optimizer.zero_grad()
        loss.backward()
        gradients = [p.grad for p in self.networks.parameters() if p.grad is not None]
        flat = torch.cat([*(g.flatten() for g in gradients), loss.detach().view(1)])
        dist.all_reduce(flat)
        self.sent["gradients of networks"] += flat.nbytes
        for g, total in zip(gradients, flat.split([g.numel() for g in gradients] + [1])[:-1], strict=True):
            g.copy_(total.view_as(g))
        optimizer.step()
        return flat[-1].item()

    @torch.no_grad()
    def gather(self) -> dict[str, Tensor]:
        """The state of one DLRM with these weights, on every rank."""
        state = {name: value.clone() for name, value in self.networks.state_dict().items()}
        example = next(self.networks.parameters())
        whole = example.new_empty(sum(self.sizes.values()), self.networks.config["dim"])
        for table, owner in self.owner.items():
            rows = whole[self.first[table] :][: self.sizes[table]]
            if owner == self.rank:
                rows.copy_(self.block(table))
            dist.broadcast(rows, owner)
        return {**state, "embedding.table.weight": whole}
