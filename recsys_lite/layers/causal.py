"""Causal self-attention over a history, as in SASRec."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from .recurrent import check_lengths


class CausalBlock(nn.Module):
    r"""One block: attention to the present and earlier items, then two linear layers at each item, both added.

    .. math:: y_t = x_t + \sum_{s \le t} \alpha_{ts} W_V \bar x_s, \qquad \alpha_{ts} = \mathrm{softmax}_{s \le t}
        \frac{\langle W_Q \bar x_t, W_K \bar x_s \rangle}{\sqrt d}, \qquad
        z_t = y_t + W_2\, \mathrm{ReLU}(W_1 \bar y_t + b_1) + b_2

    A bar is a layer normalisation of its own. One head.

    Args:
        dim: d, length of an item's vector.

    Shapes: (B, T, d) -> (B, T, d).
    """

    def __init__(self, dim: int):
        super().__init__()
        self.before, self.between = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query, self.key, self.value = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.inner, self.outer = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        n = self.before(x)
        y = x + scaled_dot_product_attention(self.query(n), self.key(n), self.value(n), is_causal=True)
        return y + self.outer(torch.relu(self.inner(self.between(y))))

    def attention(self, x: Tensor) -> Tensor:
        """The weights α (B, T, T) of each item (row) on earlier ones (column)."""
        n = self.before(x)
        scores = self.query(n) @ self.key(n).mT / x.shape[2] ** 0.5
        later = torch.ones(scores.shape[1:], dtype=torch.bool, device=x.device).triu(1)
        return scores.masked_fill(later, -torch.inf).softmax(2)


class CausalAttention(nn.Module):
    r"""The state of a stack of causal attention blocks at the last item of each history.

    .. math:: x^{(0)}_t = x_t + p_{n - t}, \qquad x^{(l)} = \mathrm{block}_l(x^{(l - 1)}), \qquad
        h_n = \mathrm{LayerNorm}(x^{(L)}_n)

    :math:`p_k` is a learned vector of the distance: how many items lie between this one and the latest. An item sees
    earlier ones only, so padding behind the last item cannot change the state there.

    Args:
        inputs: d, length of an item's vector, and of the state.
        length: the longest history.
        blocks: L. Default 2 (paper).

    Shapes: x (B, T, d), oldest first, T at most ``length``, and lengths (B,) from 0 to T -> (B, d); zeros for length 0.

    Raises:
        ValueError: for a size below 1, or an input that does not fit.

    Source: Kang and McAuley, Self-Attentive Sequential Recommendation (SASRec), ICDM 2018, eqs. 1-5, without dropout.
    The paper numbers positions in histories that are padded in front, which is the same as distances from the end.
    Derived in the chapter *Building blocks*.

    Example:
        >>> CausalAttention(4, length=6)(torch.ones(2, 5, 4), torch.tensor([5, 0])).shape
        torch.Size([2, 4])
    """

    def __init__(self, inputs: int, length: int, blocks: int = 2):
        super().__init__()
        if min(inputs, length, blocks) < 1:
            raise ValueError(f"CausalAttention: sizes must be at least 1, got {inputs=}, {length=}, {blocks=}")
        self.inputs, self.length, self.out_features = inputs, length, inputs
        self.distance = nn.Embedding(length, inputs)
        nn.init.normal_(self.distance.weight, std=0.05)
        self.blocks = nn.ModuleList(CausalBlock(inputs) for _ in range(blocks))
        self.last = nn.LayerNorm(inputs)

    def placed(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The items with the vectors of their distances (B, T, d)."""
        if x.dim() != 3 or x.shape[2] != self.inputs or x.shape[1] > self.length or lengths.shape != x.shape[:1]:
            raise ValueError(
                f"CausalAttention: expected x (B, T, {self.inputs}), T at most {self.length}, and lengths (B,), got "
                f"{tuple(x.shape)} and {tuple(lengths.shape)}"
            )
        check_lengths("CausalAttention", lengths, x.shape[1])
        ago = lengths[:, None] - 1 - torch.arange(x.shape[1], device=x.device)
        return x + self.distance(ago.clamp(min=0))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        x = self.placed(x, lengths)
        for block in self.blocks:
            x = block(x)
        last = x[torch.arange(len(x), device=x.device), (lengths - 1).clamp(min=0)]  # (B, d)
        return self.last(last) * (lengths > 0)[:, None]
