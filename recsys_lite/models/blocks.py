"""One small model for each neural building block: a network on fields, a filter over text, a reader of histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from ..data.interactions import Interactions
from ..fields import PADDING, Field, Rows, find_field, part_name
from ..layers.convolution import TextConvolution
from ..layers.embedding import FieldEmbedding
from ..layers.mlp import MLP
from ..layers.recurrent import Recurrent, oldest_first
from .base import Model


class FieldMLP(Model):
    r"""The vectors of all fields side by side, through hidden layers to one number.

    .. math:: z = b + w^\top h_L, \quad h_{l+1} = \mathrm{ReLU}(W_l h_l + b_l), \quad h_0 = [e_1, \dots, e_F]

    Args:
        fields: the columns.
        dim: d, length of an embedding. Default 16.
        hidden: widths of the hidden layers. Default (64, 32). Empty: z is linear in the embeddings, a sum over fields.
        dropout: share of hidden units dropped in training. Default 0.

    Shapes: rows -> logits (B,).

    Source: the deep part of Cheng et al., Wide & Deep, 2016, alone. Derived in the chapter *Building blocks*.
    """

    def __init__(
        self, fields: Sequence[Field], dim: int = 16, hidden: Sequence[int] = (64, 32), dropout: float = 0.0
    ):  # fmt: skip
        super().__init__(fields, dim=dim, hidden=list(hidden), dropout=dropout)
        self.embedding = FieldEmbedding(fields, dim=dim)
        self.mlp = MLP(len(self.fields) * dim, hidden, outputs=1, dropout=dropout, last_bias=False)
        self.bias = nn.Parameter(torch.zeros(()))

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        e = self.embedding(rows)  # (B, F, d)
        bias = {"bias": self.bias.expand(rows.ids.shape[0])}
        if fine and len(self.mlp) == 1:  # no hidden layer
            by_field = (e * self.mlp.get_parameter("0.weight").view(e.shape[1:])).sum(2)  # (B, F)
            return bias | {part_name(f.name): by_field[:, k] for k, f in enumerate(self.fields)}
        return bias | {"network": self.mlp(e.flatten(1)).squeeze(1)}


class TextCNN(Model):
    """A network on fields in which one field is a text, read by filters in the place of the mean of its symbols.

    Args:
        fields: the columns.
        text: name of the field whose symbols are read in order.
        dim, hidden: as in :class:`FieldMLP`.
        width: k, how many symbols a filter sees. Default 3.
        channels: how many filters. Default: ``dim``, so that everything after them is as in :class:`FieldMLP`.

    Shapes: rows -> logits (B,).

    Raises:
        ValueError: if the text is no field, or a field of single values.

    Source: Kim, EMNLP 2014; on characters Zhang et al., NIPS 2015. Derived in the chapter *Building blocks*.
    """

    def __init__(
        self, fields: Sequence[Field], text: str, dim: int = 16, hidden: Sequence[int] = (64, 32), width: int = 3,
        channels: int = 0,
    ):  # fmt: skip
        channels = channels or dim
        super().__init__(fields, text=text, dim=dim, hidden=list(hidden), width=width, channels=channels)
        self.text = find_field(fields, text)
        if not self.text.is_bag:
            raise ValueError(f"TextCNN: the text {text!r} is a {self.text.kind} field, expected a history or multi_hot")
        others = [f for f in self.fields if f.name != text]
        self.symbols = FieldEmbedding([self.text], dim=dim, share=False)
        self.others = FieldEmbedding(others, dim=dim) if others else None
        self.convolution = TextConvolution(dim, channels, (width,))
        self.mlp = MLP(len(others) * dim + channels, hidden, outputs=1, last_bias=False)
        self.bias = nn.Parameter(torch.zeros(()))

    def vector(self, bag: Tensor) -> Tensor:
        """Symbols of texts (B, L), padded with -1 -> (B, channels)."""
        return self.convolution(self.symbols.table(bag.long().clamp(min=0)), bag != PADDING)

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        x = self.vector(rows.bags[self.text.name])
        if self.others is not None:
            x = torch.cat([self.others(rows).flatten(1), x], 1)  # (B, (F - 1)·d + channels)
        return {"bias": self.bias.expand(rows.ids.shape[0]), "network": self.mlp(x).squeeze(1)}


class NextItem(nn.Module):
    r"""Who took these items takes which next: a vector of the history against the vector of every item.

    .. math:: s_i = \langle P h(x_1, \dots, x_n), v_i \rangle + b_i

    The items of the history and the candidates have the same vectors. h is the last state of a recurrent network, or
    the mean of the x, which does not know their order.

    Args:
        data: users, their histories and the candidates.
        dim: d, length of an item's vector. Default 32.
        reader: ``lstm`` (default), ``gru`` or ``mean``.
        hidden: length of h of a recurrent reader. Default: ``dim``.
        std: items' vectors start as N(0, std²). Default 0.05: small, so that where they end was learned.
        state: which history :meth:`scores` reads: ``known`` (default), after the training part, or ``fresh``, after the
            validation part. May be changed at any time.

    Shapes: ``scores``: numbers of users (B,) -> (B, I).

    Raises:
        ValueError: for another reader, a size below 1, or data without histories.

    Source: Hidasi et al., Session-based Recommendations with Recurrent Neural Networks (GRU4Rec), ICLR 2016, with
    a softmax over all items. Derived in the chapter *Building blocks*.
    """

    def __init__(
        self, data: Interactions, dim: int = 32, reader: Literal["lstm", "gru", "mean"] = "lstm", hidden: int = 0,
        std: float = 0.05, state: str = "known",
    ):  # fmt: skip
        super().__init__()
        if reader not in ("lstm", "gru", "mean") or dim < 1 or hidden < 0:
            raise ValueError(f"NextItem: expected lstm, gru or mean and sizes, got {reader=}, {dim=}, {hidden=}")
        film, history = find_field(data.candidate_fields, "item"), find_field(data.query_fields, "history")
        if film.vocabulary is None or history.size != film.size:
            raise ValueError(f"NextItem: history has {history.size} rows and item {film.size}, expected one vocabulary")
        hidden = hidden or dim
        self.config = {"dim": dim, "reader": reader, "hidden": hidden, "std": std}
        self.data, self.state = data, state
        column = [f.name for f in data.candidate_fields if f.kind == "categorical"].index("item")
        self.register_buffer("rows", data.candidates.ids[:, column].long(), persistent=False)  # (I,)
        self.items = nn.Embedding(film.size, dim)
        nn.init.normal_(self.items.weight, std=std)
        self.bias = nn.Parameter(torch.zeros(film.size))
        self.reader = None if reader == "mean" else Recurrent(dim, hidden, reader)
        self.project = nn.Linear(dim if reader == "mean" else hidden, dim)

    def query(self, history: Tensor) -> Tensor:
        """Histories (B, L), latest first, padded with -1 -> vectors (B, d)."""
        values, lengths = oldest_first(history.long())
        x = self.items(values.clamp(min=0))  # (B, L, d)
        if self.reader is not None:
            return self.project(self.reader(x, lengths))
        present = (values != PADDING)[..., None]
        return self.project((x * present).sum(1) / lengths.clamp(min=1)[:, None])

    def vectors(self) -> Tensor:
        """v of all items (I, d); items that training never showed have the same one."""
        return self.items(self.get_buffer("rows"))

    def scores_of(self, history: Tensor) -> Tensor:
        """Histories (B, L) -> scores of all items (B, I)."""
        history = history.to(self.bias.device)
        return self.query(history) @ self.vectors().T + self.bias[self.get_buffer("rows")]

    def scores(self, users: Tensor) -> Tensor:
        """Numbers of users (B,) -> scores of all items (B, I), from their history in the present state."""
        return self.scores_of(self.data.queries[self.state].bags["history"][users])


def shuffled_histories(data: Interactions, seed: int = 0) -> Interactions:
    """The same data with every history in random order, drawn once; the same items are in it."""
    generator = torch.Generator().manual_seed(seed)

    def mixed(bag: Tensor) -> Tensor:
        key = torch.rand(bag.shape, generator=generator) + (bag == PADDING) * 2.0  # padding stays last
        return bag.gather(1, key.argsort(1))

    queries = {
        state: replace(rows, bags={**rows.bags, "history": mixed(rows.bags["history"])})
        for state, rows in data.queries.items()
    }
    return replace(data, queries=queries)
