"""Who took what, as a graph: the normalised adjacency matrix and the spread of vectors over it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag


class BipartiteGraph(nn.Module):
    r"""Users and items as nodes, an edge for each interaction, and hops :math:`x \mapsto \hat A x` along the edges.

    .. math:: \hat A = D^{-1/2} A\, D^{-1/2}, \qquad (\hat A x)_u = \sum_{i \in N(u)} \frac{x_i}{\sqrt{d_u d_i}}

    with A the (U + I) × (U + I) matrix of zeros and ones, d the numbers of neighbours and D their diagonal. Node u is
    user u, node U + i is item i. There are no self loops, so the diagonal is zero, and a node without edges has a row
    of zeros (never :math:`1/\sqrt 0`). :math:`\hat A` is symmetric and its eigenvalues lie within [-1, 1].

    ``graph(x, weights)`` is the whole spread :math:`\sum_k w_k \hat A^k x` as **one** node of autograd. It is a
    polynomial of a symmetric matrix, hence symmetric itself, and so its gradient is the same spread of the gradient:
    nothing is kept from the forward pass, and no transposed matrix is needed.

    Args:
        pairs: (E, 2) numbers of user and item; a pair that comes twice is one edge.
        num_users, num_items: U and I.

    The matrix is held as compressed rows (CSR) with int32 indices: ``start`` (U + I + 1), ``neighbour`` (2E) and
    ``weight`` (2E), in no state dict, since they follow from the data.

    Shapes: (U + I, d) -> (U + I, d).

    Raises:
        ValueError: for pairs of a wrong shape, or numbers outside of the graph.

    Source: He et al., LightGCN, SIGIR 2020, eqs. 3, 7 and 8. Derived in the chapter *LightGCN*.

    Example:
        >>> graph = BipartiteGraph(torch.tensor([[0, 0], [0, 1]]), num_users=1, num_items=3)
        >>> graph.hop(torch.tensor([[1.0], [2.0], [4.0], [8.0]])).flatten()  # (2 + 4) / √2, 1 / √2, 1 / √2, 0
        tensor([4.2426, 0.7071, 0.7071, 0.0000])
    """

    start: Tensor
    neighbour: Tensor
    weight: Tensor

    def __init__(self, pairs: Tensor, num_users: int, num_items: int):
        super().__init__()
        if pairs.dim() != 2 or pairs.shape[1] != 2 or not len(pairs):
            raise ValueError(f"BipartiteGraph: expected pairs of shape (E, 2), E at least 1, got {tuple(pairs.shape)}")
        if (pairs < 0).any() or (pairs >= pairs.new_tensor([num_users, num_items])).any():
            got = [pairs.min(0).values.tolist(), pairs.max(0).values.tolist()]
            raise ValueError(f"BipartiteGraph: numbers go from {got[0]} to {got[1]}, expected 0 to below {num_users}, "
                             f"{num_items}")  # fmt: skip
        self.num_users, self.num_items = num_users, num_items
        self.num_nodes = num_users + num_items
        keys = (pairs[:, 0].long() * num_items + pairs[:, 1]).unique()  # (E,), by user and then by item
        user, item = keys // num_items, keys % num_items + num_users
        back = item.argsort(stable=True)
        neighbour = torch.cat([item, user[back]])  # rows of the users, then rows of the items
        row = torch.cat([user, item[back]])
        self._keep(torch.bincount(row, minlength=self.num_nodes), neighbour)

    def _keep(self, degree: Tensor, neighbour: Tensor) -> None:
        """Store the rows of the matrix, given how many neighbours each node has, and which."""
        self.num_edges = len(neighbour) // 2
        self.register_buffer("start", torch.cat([degree.new_zeros(1), degree.cumsum(0)]).int(), persistent=False)
        self.register_buffer("neighbour", neighbour.int(), persistent=False)
        self.register_buffer("weight", self._weights().float(), persistent=False)

    def _weights(self) -> Tensor:
        degree = self.degree
        row = torch.arange(self.num_nodes, device=degree.device).repeat_interleave(degree)
        return (degree[row].double() * degree[self.neighbour.long()]).rsqrt()  # of edges only: no degree here is zero

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> BipartiteGraph:
        """Another type gets weights of its own precision: those of float32, taken to float64, would be off by 1e-8."""
        before = self.weight.dtype
        super()._apply(fn, recurse)
        if self.weight.dtype != before:
            self.weight = self._weights().to(self.weight.dtype)
        return self

    @property
    def degree(self) -> Tensor:
        """(U + I,) neighbours of each node."""
        return self.start.long().diff()

    def neighbours(self, node: int) -> Tensor:
        """Numbers of the nodes next to one."""
        return self.neighbour[int(self.start[node]) : int(self.start[node + 1])].long()

    def hop(self, x: Tensor) -> Tensor:
        r""":math:`\hat A x`, (U + I, d) -> (U + I, d), without a gradient."""
        if x.dim() != 2 or len(x) != self.num_nodes:
            raise ValueError(f"BipartiteGraph: expected ({self.num_nodes}, d), got {tuple(x.shape)}")
        weight = self.weight.to(x.dtype)
        with torch.no_grad():
            return embedding_bag(
                self.neighbour, x, self.start, mode="sum", per_sample_weights=weight, include_last_offset=True
            )

    def states(self, x: Tensor, hops: int) -> list[Tensor]:
        r""":math:`x, \hat A x, \dots, \hat A^K x`, without gradients."""
        states = [x.detach()]
        for _ in range(hops):
            states.append(self.hop(states[-1]))
        return states

    def forward(self, x: Tensor, weights: Sequence[float]) -> Tensor:
        r""":math:`\sum_k w_k \hat A^k x`; k is the place in ``weights``, from 0."""
        if not len(weights):
            raise ValueError("BipartiteGraph: expected a weight for each hop from 0, got none")
        return _Spread.apply(x, self, tuple(map(float, weights)))

    def dense(self) -> Tensor:
        r""":math:`\hat A` as a matrix (U + I, U + I), for small graphs and tests."""
        row = torch.arange(self.num_nodes, device=self.weight.device).repeat_interleave(self.degree)
        empty = self.weight.new_zeros(self.num_nodes, self.num_nodes)
        return empty.index_put_((row, self.neighbour.long()), self.weight)

    def without(self, user: int, item: int) -> BipartiteGraph:
        """The graph without one edge, all else normalised anew. A ``ValueError`` tells if there is no such edge."""
        node = self.num_users + item
        kept = torch.ones_like(self.neighbour, dtype=torch.bool)
        for row, column in ((user, node), (node, user)):
            place = int(self.start[row]) + (self.neighbours(row) == column).nonzero().flatten()
            if not len(place):
                raise ValueError(f"BipartiteGraph: user {user} and item {item} have no edge")
            kept[place] = False
        degree = self.degree
        degree[[user, node]] -= 1
        other = copy.deepcopy(self)
        other._keep(degree, self.neighbour[kept].long())
        return other.to(self.weight.dtype)

    def extra_repr(self) -> str:
        return f"users={self.num_users}, items={self.num_items}, edges={self.num_edges}"


class _Spread(torch.autograd.Function):
    """A polynomial of the adjacency matrix times x; by symmetry it is its own backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, graph: BipartiteGraph, weights: tuple[float, ...]) -> Tensor:
        ctx.graph, ctx.weights = graph, weights
        total, state = weights[0] * x, x
        for weight in weights[1:]:
            state = graph.hop(state)
            if weight:
                total.add_(state, alpha=weight)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return _Spread.apply(grads[0].contiguous(), ctx.graph, ctx.weights), None, None
