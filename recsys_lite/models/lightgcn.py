"""LightGCN: vectors of users and items that spread over the graph of interactions."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ..data.interactions import Interactions
from ..layers.graph import BipartiteGraph


class Propagated(nn.Module):
    """A retriever whose vectors are made of the whole graph: a score is the dot product of two of them.

    A subclass has ``table``, ``num_users`` and ``propagate``; training reads ``penalise``.
    """

    table: nn.Parameter
    num_users: int
    penalise: str = "start"

    def propagate(self) -> Tensor:
        """E (U + I, d'): the vectors of all users, then of all items. Once for a step, however many rows it has."""
        raise NotImplementedError

    def scores(self, users: Tensor) -> Tensor:
        """(B,) users -> (B, I), one spread for all of them."""
        everything = self.propagate()
        return everything[users] @ everything[self.num_users :].T

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores (B,) of pairs."""
        everything = self.propagate()
        return (everything[users] * everything[self.num_users + items]).sum(1)


class LightGCN(Propagated):
    r"""Matrix factorisation whose vectors are first averaged along the graph's edges.

    .. math:: E = \sum_{k=0}^{K} \alpha_k \hat A^k E^{(0)}, \qquad \hat y_{ui} = e_u^\top e_i

    with :math:`\hat A` of :class:`~recsys_lite.layers.graph.BipartiteGraph`. The table :math:`E^{(0)}` is all that is
    learned: no self loops, no weights between layers, no nonlinearity. K = 0 is matrix factorisation. A node without
    edges keeps :math:`\alpha_0 e^{(0)}`.

    Args:
        data: anything with ``train``, ``num_users`` and ``num_items``, or these three as a tuple.
        dim: d. Default 64 (paper).
        layers: K. Default 3 (paper).
        combine: ``mean`` (default, paper) is :math:`\alpha_k = 1 / (K + 1)`; ``last`` keeps only layer K; ``sum`` is
            :math:`\alpha_k = 1`: the same order of items, scores :math:`(K+1)^2` times as large.
        std: :math:`E^{(0)}` starts as N(0, std²). Default 0.1 (authors' PyTorch code; their TensorFlow code starts
            Xavier-uniform).
        penalise: whose rows of the batch the penalty of :meth:`loss` reads: ``start`` (default, paper and code) the
            table :math:`E^{(0)}`, ``end`` the vectors E after the spread.

    Shapes: ``scores``: (B,) -> (B, I).

    Raises:
        ValueError: if ``dim`` is below 1, ``layers`` below 0, or a name is unknown.

    Source: He et al., LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation, SIGIR 2020,
    eqs. 3 to 8 and 15. Derived in the chapter *LightGCN*.
    """

    def __init__(
        self,
        data: Interactions | tuple[Tensor, int, int],
        dim: int = 64,
        layers: int = 3,
        combine: Literal["mean", "last", "sum"] = "mean",
        std: float = 0.1,
        penalise: Literal["start", "end"] = "start",
    ):
        super().__init__()
        if dim < 1 or layers < 0:
            raise ValueError(f"LightGCN: dim must be at least 1 and layers at least 0, got {dim=}, {layers=}")
        if combine not in ("mean", "last", "sum") or penalise not in ("start", "end"):
            raise ValueError(
                f"LightGCN: expected combine 'mean', 'last' or 'sum' and penalise 'start' or 'end', "
                f"got {combine!r} and {penalise!r}"
            )
        triple = data if isinstance(data, tuple) else (data.train, data.num_users, data.num_items)
        self.graph = BipartiteGraph(*triple)
        self.config = {"dim": dim, "layers": layers, "combine": combine, "std": std, "penalise": penalise}
        self.num_users, self.num_items, self.layers, self.penalise = triple[1], triple[2], layers, penalise
        last = [0.0] * layers + [1.0]
        self.alpha = {"mean": [1 / (layers + 1)] * (layers + 1), "last": last, "sum": [1.0] * (layers + 1)}[combine]
        self.table = nn.Parameter(torch.randn(self.graph.num_nodes, dim) * std)  # E⁰: users, then items

    def propagate(self) -> Tensor:
        """E (U + I, d): the vectors of all users, then of all items. Once for a step, however many rows it has."""
        return self.graph(self.table, self.alpha)

    @torch.no_grad()
    def layer_vectors(self) -> list[Tensor]:
        r""":math:`E^{(0)}, \dots, E^{(K)}`, each (U + I, d)."""
        return self.graph.states(self.table, self.layers)
