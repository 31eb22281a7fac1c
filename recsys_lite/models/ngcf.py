"""NGCF: the graph network that LightGCN was simplified from."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, leaky_relu

from ..data.interactions import Interactions
from ..layers.graph import BipartiteGraph
from .lightgcn import Propagated

SLOPE = 0.2  # of LeakyReLU below zero: TensorFlow's default, which the authors' code uses


class NGCF(Propagated):
    r"""Neural graph collaborative filtering: hops with weights, products of neighbours, and a nonlinearity.

    .. math:: E^{(k+1)} = \mathrm{LeakyReLU}\bigl((\hat A + I)\, E^{(k)} W_1^{(k)}
        + (\hat A E^{(k)} \odot E^{(k)})\, W_2^{(k)}\bigr), \qquad
        E = [E^{(0)}, \dots, E^{(K)}], \qquad \hat y_{ui} = e_u^\top e_i

    with :math:`\hat A` of :class:`~recsys_lite.layers.graph.BipartiteGraph`. The options take parts away, as in the
    ablation of the LightGCN paper; without both, and without the product, the node itself and the concatenation, it
    would be LightGCN. K = 0 is matrix factorisation.

    Args:
        data: anything with ``train``, ``num_users`` and ``num_items``, or these three as a tuple.
        dim: d, of the table and of every layer. Default 64 (paper).
        layers: K. Default 3 (paper).
        weights: whether the hops have :math:`W_1, W_2` (Xavier-uniform at the start); else they are the identity.
        nonlinear: whether LeakyReLU (slope 0.2) acts; else the identity.
        combine: ``concat`` (default, paper) or ``sum`` of the layers; the LightGCN paper compares its variants by sums.
        drop: share of the entries of a layer that are set to 0 in training (message dropout). Default 0.1 (paper).
        std: :math:`E^{(0)}` starts as N(0, std²). Default 0.1, as our LightGCN; the authors start it Xavier-uniform.

    Shapes: ``scores``: (B,) -> (B, I).

    Raises:
        ValueError: if ``dim`` is below 1, ``layers`` below 0, ``drop`` outside [0, 1), or ``combine`` unknown.

    Source: Wang et al., Neural Graph Collaborative Filtering, SIGIR 2019, eqs. 1 to 10. The authors' code differs: a
    bias for each matrix, LeakyReLU on the two terms apart, rows of unit length in the concatenation, and
    :math:`D^{-1}(A + I)` as the matrix; none of these is offered here. Derived in the chapter *LightGCN*.

    Example:
        >>> model = NGCF((torch.tensor([[0, 0], [0, 1]]), 1, 2), dim=4, layers=2)
        >>> model.propagate().shape  # three nodes, three layers of 4 side by side
        torch.Size([3, 12])
    """

    def __init__(
        self,
        data: Interactions | tuple[Tensor, int, int],
        dim: int = 64,
        layers: int = 3,
        weights: bool = True,
        nonlinear: bool = True,
        combine: Literal["concat", "sum"] = "concat",
        drop: float = 0.1,
        std: float = 0.1,
    ):
        super().__init__()
        if dim < 1 or layers < 0 or not 0 <= drop < 1:
            raise ValueError(f"NGCF: expected dim at least 1, layers at least 0 and drop in [0, 1), "
                             f"got {dim=}, {layers=}, {drop=}")  # fmt: skip
        if combine not in ("concat", "sum"):
            raise ValueError(f"NGCF: expected combine 'concat' or 'sum', got {combine!r}")
        triple = data if isinstance(data, tuple) else (data.train, data.num_users, data.num_items)
        self.graph = BipartiteGraph(*triple)
        self.config = {"dim": dim, "layers": layers, "weights": weights, "nonlinear": nonlinear, "combine": combine,
                       "drop": drop, "std": std}  # fmt: skip
        self.num_users, self.num_items, self.layers = triple[1], triple[2], layers
        self.nonlinear, self.combine, self.drop = nonlinear, combine, drop
        self.table = nn.Parameter(torch.randn(self.graph.num_nodes, dim) * std)  # E⁰: users, then items
        made = layers if weights else 0
        self.first = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in range(made))  # W₁ of each hop
        self.second = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in range(made))
        for module in (*self.first, *self.second):
            nn.init.xavier_uniform_(module.weight)

    def propagate(self) -> Tensor:
        """E: the vectors of all users, then of all items, (U + I, (K + 1) d) or (U + I, d)."""
        states: list[Tensor] = [self.table]
        for k in range(self.layers):
            own = states[-1]
            near = self.graph(own, (0.0, 1.0))  # Â E
            plain, product = near + own, near * own
            if self.first:
                plain, product = self.first[k](plain), self.second[k](product)
            state = plain + product
            if self.nonlinear:
                state = leaky_relu(state, SLOPE)
            states.append(dropout(state, self.drop, self.training) if self.drop else state)
        return torch.cat(states, 1) if self.combine == "concat" else torch.stack(states).sum(0)
