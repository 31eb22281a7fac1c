"""Two towers: a network for the query, a network for the candidate, and a product of what they say."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ..data.interactions import Interactions
from ..fields import Field, Rows, choose_columns, choose_fields
from ..layers import MLP, FieldEmbedding, device_of
from .base import Model


class Tower(nn.Module):
    r"""Some fields -> one vector, :math:`u = \mathrm{MLP}([e_1, \dots, e_F])`.

    Args:
        fields: the columns that it reads.
        dim: d, length of an embedding. Default 16.
        hidden: widths of the hidden layers. Default (64,). Empty: one linear layer.
        out: length of the vector. Default 32.
        dropout: share of hidden units dropped in training. Default 0.

    Shapes: rows of these fields, and no others -> (B, out).
    """

    def __init__(
        self,
        fields: Sequence[Field],
        dim: int = 16,
        hidden: Sequence[int] = (64,),
        out: int = 32,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.embedding = FieldEmbedding(fields, dim=dim)
        self.mlp = MLP(len(fields) * dim, hidden, outputs=out, dropout=dropout)

    def forward(self, rows: Rows) -> Tensor:
        return self.mlp(self.embedding(rows).flatten(1))  # (B, F·d) -> (B, out)


class TwoTowers(Model):
    r"""The score of a pair is a product of two vectors that were made without knowing of each other.

    .. math:: s(x, y) = \frac{\langle u(x), v(y) \rangle}{\tau}, \qquad z = b + s

    With ``similarity="cosine"`` both vectors have length 1. Nothing is shared between the towers: a history has rows of
    its own, not those of the candidate.

    Args:
        fields: the columns of both sides.
        query, candidate: names of the fields of each side; others are ignored.
        dim, hidden, out, dropout: of both towers, see :class:`Tower`.
        similarity: ``dot`` (default) or ``cosine`` (Yi et al. normalise).
        temperature: τ. Default 1; cosine lies within ±1 and needs a small one.

    Shapes: rows of all fields -> logits (B,); ``query`` and ``candidate``: rows of one side -> (B, out).

    Raises:
        ValueError: for a side without fields, a field on both sides or unknown, another similarity, or τ of 0 or less.

    Source: Huang et al. (DSSM), CIKM 2013; Yi et al., RecSys 2019, section 3. Derived in the chapter *Two towers*.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        query: Sequence[str] = ("user", "gender", "age", "occupation", "history"),
        candidate: Sequence[str] = ("item", "genres", "release_year"),
        dim: int = 16,
        hidden: Sequence[int] = (64,),
        out: int = 32,
        similarity: str = "dot",
        temperature: float = 1.0,
        dropout: float = 0.0,
    ):
        super().__init__(
            fields, query=list(query), candidate=list(candidate), dim=dim, hidden=list(hidden), out=out,
            similarity=similarity, temperature=temperature, dropout=dropout,
        )  # fmt: skip
        if not query or not candidate or set(query) & set(candidate):
            raise ValueError(f"TwoTowers: each side needs fields of its own, got {list(query)} and {list(candidate)}")
        if similarity not in ("dot", "cosine"):
            raise ValueError(f"TwoTowers: similarity must be 'dot' or 'cosine', got {similarity!r}")
        if temperature <= 0:
            raise ValueError(f"TwoTowers: temperature must be above 0, got {temperature}")
        self.query_names, self.candidate_names = tuple(query), tuple(candidate)
        self.similarity, self.temperature = similarity, temperature
        self.query_tower = Tower(choose_fields(fields, query), dim, hidden, out, dropout)
        self.candidate_tower = Tower(choose_fields(fields, candidate), dim, hidden, out, dropout)
        self.bias = nn.Parameter(torch.zeros(()))

    def query(self, rows: Rows) -> Tensor:
        """Rows of the query fields -> u (B, out)."""
        return self._side(self.query_tower(rows))

    def candidate(self, rows: Rows) -> Tensor:
        """Rows of the candidate fields -> v (B, out)."""
        return self._side(self.candidate_tower(rows))

    def _side(self, vectors: Tensor) -> Tensor:
        return normalize(vectors, dim=1) if self.similarity == "cosine" else vectors

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        u = self.query(choose_columns(self.fields, rows, self.query_names))
        v = self.candidate(choose_columns(self.fields, rows, self.candidate_names))
        products = u * v / self.temperature  # (B, out)
        bias = {"bias": self.bias.expand(rows.ids.shape[0])}
        if fine:
            return bias | {f"number {k + 1}": products[:, k] for k in range(products.shape[1])}
        return bias | {"dot": products.sum(1)}


class TowerRetriever(nn.Module):
    """Two towers as a retriever: the candidates' vectors are computed once and kept until the model is trained on.

    Args:
        model: the towers; it may still be trained, :func:`~recsys_lite.training.fit_retrieval` judges it through this.
        data: users and candidates.
        state: what is known of the users: ``known`` (default), after the training part, or ``fresh``, after the
            validation part.
        candidates: rows of ``data.candidate_fields`` in the place of the data's own.
    """

    def __init__(
        self, model: TwoTowers, data: Interactions, state: str = "known", candidates: Rows | None = None
    ):  # fmt: skip
        super().__init__()
        self.model, self.data = model, data
        self.queries = choose_columns(data.query_fields, data.queries[state], model.query_names)
        rows = data.candidates if candidates is None else candidates
        self.candidates = choose_columns(data.candidate_fields, rows, model.candidate_names)
        self._vectors: Tensor | None = None

    def train(self, mode: bool = True) -> TowerRetriever:
        """Training makes the kept vectors old, so they go."""
        if mode:
            self._vectors = None
        return super().train(mode)

    @torch.no_grad()
    def vectors(self) -> Tensor:
        """v of all candidates (I, out), kept while in evaluation mode."""
        device = device_of(self.model)
        if self._vectors is None or self._vectors.device != device or self.training:
            made = [self.model.candidate(batch) for batch in self.candidates.batches(8192, device=device)]
            self._vectors = torch.cat(made)
        return self._vectors

    @torch.no_grad()
    def scores_of(self, queries: Rows) -> Tensor:
        """Rows of the query fields -> scores of all candidates (B, I)."""
        queries = queries.to(device_of(self.model))
        return self.model.query(queries) @ self.vectors().T / self.model.temperature

    def scores(self, users: Tensor) -> Tensor:
        """Numbers of users (B,) -> scores of all candidates (B, I)."""
        return self.scores_of(self.queries[users])
