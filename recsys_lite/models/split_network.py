"""Split network: two towers, and a small network on what they say."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..fields import Field, Rows, choose_columns
from ..layers import MLP
from .base import Model
from .two_towers import TwoTowers


class SplitNetwork(Model):
    r"""A small network in the place of the towers' dot product; the towers' outputs can still be cached.

    .. math:: z = \mathrm{MLP}_{head}\big([u(x),\ v(y),\ u(x) \odot v(y)]\big)

    The product is what a network of this size finds hard to make by itself (the chapter *Neural Collaborative
    Filtering* measures it). A head without hidden layers whose weights are 0 on u and v and 1/τ on the product is the
    two towers exactly, see :meth:`from_towers`.

    Args:
        fields: the columns of both sides.
        head: hidden widths of the head. Default (32,). Empty: one linear layer.
        product: whether the head reads u ⊙ v. Default yes; without it the head reads [u, v].
        query, candidate, dim, hidden, out: of the towers, see :class:`~recsys_lite.models.TwoTowers`.
        dropout: share of hidden units dropped in training, of towers and head. Default 0.

    Shapes: rows of all fields -> logits (B,); ``score``: u (B, out) and v (B, out) or (N, out) -> (B,) or (B, N).

    Raises:
        ValueError: as :class:`~recsys_lite.models.TwoTowers` does.

    Source: no paper gives it this name. It stands between two towers (Huang et al., CIKM 2013) and pre-ranking by a
    whole network (Wang et al., COLD, 2020); Li et al., IntTower, CIKM 2022, let cached towers meet more richly, too.
    The head is ours. Derived in the chapter *Split network*.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        head: Sequence[int] = (32,),
        product: bool = True,
        query: Sequence[str] = ("user", "gender", "age", "occupation", "history"),
        candidate: Sequence[str] = ("item", "genres", "release_year"),
        dim: int = 16,
        hidden: Sequence[int] = (64,),
        out: int = 32,
        dropout: float = 0.0,
    ):
        super().__init__(
            fields, head=list(head), product=product, query=list(query), candidate=list(candidate), dim=dim,
            hidden=list(hidden), out=out, dropout=dropout,
        )  # fmt: skip
        self.towers = TwoTowers(fields, query, candidate, dim, hidden, out, dropout=dropout)
        self.towers.bias.requires_grad_(False)  # the head has one
        self.product = product
        self.head = MLP((3 if product else 2) * out, head, outputs=1, dropout=dropout)

    def query(self, rows: Rows) -> Tensor:
        """Rows of the query fields -> u (B, out)."""
        return self.towers.query(rows)

    def candidate(self, rows: Rows) -> Tensor:
        """Rows of the candidate fields -> v (B, out)."""
        return self.towers.candidate(rows)

    def _joined(self, u: Tensor, v: Tensor) -> Tensor:
        return torch.cat([u, v, u * v] if self.product else [u, v], -1)

    def score(self, u: Tensor, v: Tensor) -> Tensor:
        """Logits of cached vectors: u (B, out) with v (B, out), pair by pair.

        Example:
            >>> from recsys_lite.fields import Vocabulary
            >>> fields = [Field(n, "categorical", Vocabulary(["a", "b"])) for n in ("user", "item")]
            >>> model = SplitNetwork(fields, query=["user"], candidate=["item"], out=4)
            >>> u, v = torch.zeros(5, 4), torch.zeros(7, 4)
            >>> model.score(u, v[:5]).shape, model.score_all(u, v).shape
            (torch.Size([5]), torch.Size([5, 7]))
        """
        return self.head(self._joined(u, v)).squeeze(-1)

    def score_all(self, u: Tensor, v: Tensor) -> Tensor:
        r"""Logits of every pair: u (B, out), v (N, out) -> (B, N).

        The head's first layer is linear, so for one user it is a layer on v alone, made once:
        :math:`W [u, v, u \odot v] + b = (W_v + W_p \operatorname{diag}(u))\, v + (W_u u + b)`.
        """
        first, *rest = self.head
        assert isinstance(first, nn.Linear)
        of_u, of_v, *of_product = first.weight.split(u.shape[1], 1)  # (width, out) each
        shift = u @ of_u.T + first.bias  # (B, width)
        out = []
        for k in range(len(u)):
            own = of_v + of_product[0] * u[k] if of_product else of_v  # (width, out), this user's layer
            out.append(nn.Sequential(*rest)(torch.addmm(shift[k], v, own.T)).squeeze(-1))  # (N, width) -> (N,)
        return torch.stack(out) if out else v.new_zeros(0, len(v))

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        """One part: the head is not a sum. ``fine`` gives what u, v and their product add at this row, J_i x_i."""
        u = self.query(choose_columns(self.fields, rows, self.towers.query_names))
        v = self.candidate(choose_columns(self.fields, rows, self.towers.candidate_names))
        x = self._joined(u, v)
        if not fine:
            return {"head": self.head(x).squeeze(-1)}
        products, rest = self.head.linear_piece(x)
        names = ("query", "candidate", "query × candidate")
        return {"bias": rest} | {n: p.sum(1) for n, p in zip(names, products.split(u.shape[1], 1), strict=False)}

    @classmethod
    @torch.no_grad()
    def from_towers(cls, model: TwoTowers, head: Sequence[int] = ()) -> SplitNetwork:
        """A split network that equals two towers: 0 on u and v, 1/τ on the product, their bias.

        Args:
            model: towers with a dot product; their weights are copied.
            head: hidden widths, each at least 2. Default none, a linear head. Two units of each hidden layer carry the
                product s and -s, one of which the ReLU keeps; the others start as usual, with 0 in the last layer.

        Raises:
            ValueError: for towers with a cosine, or a hidden layer of one unit.
        """
        if model.similarity != "dot":
            raise ValueError(f"from_towers: expected towers with a dot product, got {model.similarity!r}")
        if min(head, default=2) < 2:
            raise ValueError(f"from_towers: hidden layers need at least 2 units, got {tuple(head)}")
        keys = ("query", "candidate", "dim", "hidden", "out", "dropout")
        split = cls(model.fields, head=head, **{k: model.config[k] for k in keys})
        split.towers.load_state_dict(model.state_dict())
        *hidden, last = [layer for layer in split.head if isinstance(layer, nn.Linear)]
        dot = torch.zeros((hidden or [last])[0].in_features)
        dot[-model.config["out"] :] = 1 / model.temperature
        last.weight.zero_()
        last.bias.copy_(model.bias)
        if not hidden:
            last.weight[0] = dot
            return split
        for layer in hidden:
            layer.weight[:2], layer.bias[:2] = 0, 0
            layer.weight[:2, :2] = torch.eye(2)  # s⁺ and s⁻ go on as they are
        hidden[0].weight[:2] = torch.stack([dot, -dot])
        last.weight[0, :2] = torch.tensor([1.0, -1.0])  # s = s⁺ - s⁻
        return split
