"""Our side of the comparison: modules with drawn parameters and rows, and the same modules under a rule of others."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from recsys_lite.fields import PADDING, Field, Rows, Vocabulary
from recsys_lite.layers import MLP, CrossNet, CrossNetMix, CrossNetV2, InteractingLayer, add_batch_norm
from recsys_lite.layers.dot import dot_interaction
from recsys_lite.layers.fm import fm_interaction
from recsys_lite.models import (
    DCN,
    DCNV2,
    DLRM,
    FM,
    AutoInt,
    DeepFM,
    FieldMLP,
    LightGCN,
    LogisticRegression,
    MatrixFactorisation,
    NeuMF,
    NextItem,
    TwoTowers,
    WideDeep,
)  # fmt: skip

from . import rules
from .measure import ROWS, Case, drawn

WIDTH, FIELDS, DIM = 6, 3, 4  # of the layers' inputs
HIDDEN = (5, 3)
SIZES = {"user": 6, "item": 8, "genre": 5}
PLAIN = [Field(name, "categorical", Vocabulary(range(size - 1))) for name, size in SIZES.items()]
MIXED = [*PLAIN, Field("price", "numeric"), Field("age", "numeric")]
BY_FIELD = {"user": 3, "item": 4, "genre": 2}  # sizes of embeddings that differ
USERS, ITEMS = 9, 12  # of the graph
ONE: dict[str, Any] = {"dim": DIM, "hidden": HIDDEN}


def numbers(*shape: int, seed: int = 7) -> Tensor:
    """Fixed normal numbers in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rows(fields: list[Field]) -> Rows:
    """Rows of the fields; row 0 of every vocabulary, which is for unseen values, is among them."""
    g = torch.Generator().manual_seed(8)
    ids = [torch.randint(f.size, (ROWS,), generator=g) for f in fields if f.kind == "categorical"]
    numeric = sum(f.kind == "numeric" for f in fields)
    return Rows(torch.stack(ids, 1).int(), numbers(ROWS, numeric, seed=9))


def edges() -> Tensor:
    """Interactions (E, 2) of users and items from 0; every user and item has one."""
    taken = torch.rand(USERS, ITEMS, generator=torch.Generator().manual_seed(10)) < 0.3
    taken[torch.arange(ITEMS) % USERS, torch.arange(ITEMS)] = True
    return taken.nonzero()


def pairs() -> Tensor:
    """Users and items whose scores are compared, (ROWS, 2)."""
    g = torch.Generator().manual_seed(11)
    return torch.stack([torch.randint(n, (ROWS,), generator=g) for n in (USERS, ITEMS)], 1)


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.forward = function  # type: ignore[method-assign]


def layer(build: Callable[[], nn.Module], *shape: int) -> Callable[[], Case]:
    return lambda: Case(drawn(build()), numbers(ROWS, *shape), kind="layer")


def model(build: Callable[[list[Field]], nn.Module], fields: list[Field]) -> Callable[[], Case]:
    return lambda: Case(drawn(build(fields)), rows(fields))


def retriever(build: Callable[..., nn.Module]) -> Callable[[], Case]:
    call = lambda m, x: m(x[:, 0], x[:, 1])  # noqa: E731
    return lambda: Case(drawn(build((edges(), USERS, ITEMS))), pairs(), call)


def sequences() -> Any:
    """What NextItem asks of a data set: items from 1, and a history in their vocabulary."""
    films = Vocabulary(range(ITEMS))
    item, past = Field("item", "categorical", films), Field("history", "history", films, 4, table="item")
    candidates = Rows(torch.arange(1, ITEMS + 1).int()[:, None], torch.zeros(ITEMS, 0))
    return SimpleNamespace(candidate_fields=(item,), query_fields=(past,), candidates=candidates, queries={})


def histories() -> Tensor:
    """Histories (ROWS, 4), latest first, one to four items, padded with -1."""
    g = torch.Generator().manual_seed(12)
    items = torch.randint(1, ITEMS + 1, (ROWS, 4), generator=g)
    return items.where(torch.arange(4) < torch.randint(1, 5, (ROWS, 1), generator=g), PADDING)


def read(model: Any, history: Tensor) -> Tensor:
    """Scores of all items after each history."""
    return model.scores_of(history)


def towers(kind: Callable[..., nn.Module] = TwoTowers) -> Callable[[list[Field]], nn.Module]:
    sides: dict[str, Any] = {"query": ["user", "genre"], "candidate": ["item"], "similarity": "cosine"}
    return lambda f: kind(f, **sides, dim=DIM, hidden=(5,), out=3)


VECTORS = (WIDTH,)
CROSSES = [("user", "genre")]
#: name -> case; names of models start with those of ``recsys_lite.models``
CASES: dict[str, Callable[[], Case]] = {
    "CrossNet": layer(lambda: CrossNet(WIDTH, 3), WIDTH),
    "CrossNetV2": layer(lambda: CrossNetV2(WIDTH, 3), WIDTH),
    "CrossNetMix": layer(lambda: CrossNetMix(WIDTH, 3, 2, 3), WIDTH),
    "CrossNetMix, one layer": layer(lambda: CrossNetMix(WIDTH, 1, 2, 3), WIDTH),
    "fm_interaction": layer(lambda: Function(fm_interaction), FIELDS, DIM),
    "dot_interaction": layer(lambda: Function(dot_interaction), FIELDS, DIM),
    "InteractingLayer": layer(lambda: InteractingLayer(DIM, DIM // 2, 2), FIELDS, DIM),
    "MLP": layer(lambda: MLP(WIDTH, HIDDEN, outputs=1), WIDTH),
    "MLP, batch norm": layer(lambda: add_batch_norm(MLP(WIDTH, HIDDEN, outputs=1)), WIDTH),
    "LogisticRegression": model(LogisticRegression, PLAIN),
    "FM": model(lambda f: FM(f, dim=DIM), PLAIN),
    "FM, with numbers": model(lambda f: FM(f, dim=DIM), MIXED),
    "WideDeep": model(lambda f: WideDeep(f, CROSSES, **ONE), PLAIN),
    "WideDeep, no crosses": model(lambda f: WideDeep(f, **ONE), PLAIN),
    "WideDeep, no crosses, batch norm": model(lambda f: add_batch_norm(WideDeep(f, **ONE)), PLAIN),
    "DeepFM": model(lambda f: DeepFM(f, **ONE), PLAIN),
    "DeepFM, batch norm": model(lambda f: add_batch_norm(DeepFM(f, **ONE)), PLAIN),
    "FieldMLP": model(lambda f: FieldMLP(f, **ONE), PLAIN),
    "NeuMF, output_bias=True": model(lambda f: NeuMF(f, dim=DIM, side=3, hidden=HIDDEN, output_bias=True), PLAIN),
    "DCN": model(lambda f: DCN(f, **ONE), PLAIN),
    "DCN, with numbers": model(lambda f: DCN(f, **ONE), MIXED),
    "DCN, batch norm": model(lambda f: add_batch_norm(DCN(f, **ONE)), PLAIN),
    "DCNV2, parallel": model(lambda f: DCNV2(f, structure="parallel", **ONE), PLAIN),
    "DCNV2, parallel, with numbers": model(lambda f: DCNV2(f, structure="parallel", **ONE), MIXED),
    "DCNV2, parallel, sizes by field": model(
        lambda f: DCNV2(f, dim=BY_FIELD, structure="parallel", hidden=HIDDEN), PLAIN
    ),
    "DCNV2, stacked": model(lambda f: DCNV2(f, **ONE), PLAIN),
    "DCNV2, parallel, batch norm": model(lambda f: add_batch_norm(DCNV2(f, structure="parallel", **ONE)), PLAIN),
    "DCNV2, stacked, batch norm": model(lambda f: add_batch_norm(DCNV2(f, **ONE)), PLAIN),
    "DCNV2, experts": model(lambda f: DCNV2(f, rank=2, experts=3, structure="parallel", **ONE), PLAIN),
    "DCNV2, experts, batch norm": model(
        lambda f: add_batch_norm(DCNV2(f, rank=2, experts=3, structure="parallel", **ONE)), PLAIN
    ),
    "AutoInt": model(lambda f: AutoInt(f, dim=DIM, layers=2, heads=2, units=DIM // 2), PLAIN),
    "AutoInt+": model(lambda f: AutoInt(f, dim=DIM, layers=2, heads=2, units=DIM // 2, hidden=HIDDEN), PLAIN),
    "AutoInt+, batch norm": model(
        lambda f: add_batch_norm(AutoInt(f, dim=DIM, layers=2, heads=2, units=DIM // 2, hidden=HIDDEN)), PLAIN
    ),
    "DLRM": model(lambda f: DLRM(f, dim=DIM, bottom=(5,), top=(5,)), MIXED),
    "TwoTowers, batch norm": model(lambda f: add_batch_norm(towers()(f)), PLAIN),
    "NextItem, GRU": lambda: Case(drawn(NextItem(sequences(), dim=DIM, reader="gru", hidden=3)), histories(), read),
    "LightGCN": retriever(lambda data: LightGCN(data, dim=DIM, layers=2)),
    "MatrixFactorisation": retriever(lambda data: MatrixFactorisation(data, dim=DIM)),
    # ours under a rule of another library, which shows that the rule is the whole difference
    "CrossNetV2, bias outside": layer(lambda: rules.BiasOutside(WIDTH, 3), WIDTH),
    "CrossNetMix, gates shared": layer(lambda: rules.SharedGates(WIDTH, 3, 2, 3), WIDTH),
    "InteractingLayer, scaled": layer(lambda: rules.Scaled(DIM, DIM // 2, 2), FIELDS, DIM),
    "DCNV2, bias outside": model(lambda f: add_batch_norm(rules.dcn_v2_bias_outside(f, **ONE)), PLAIN),
    "DCNV2, gates shared": model(lambda f: rules.dcn_v2_shared_gates(f, 2, 3, **ONE), PLAIN),
    "DCNV2, gates shared, batch norm": model(
        lambda f: add_batch_norm(rules.dcn_v2_shared_gates(f, 2, 3, **ONE)), PLAIN
    ),
    "AutoInt, residual at the end": model(lambda f: rules.ResidualAtEnd(f, DIM, 2), PLAIN),
    "AutoInt, scaled": model(lambda f: rules.scaled_autoint(f, DIM, 2, HIDDEN), PLAIN),
    "WideDeep, linear on vectors": model(lambda f: rules.LinearOnVectors(f, DIM, HIDDEN, pairs=False), PLAIN),
    "DeepFM, linear on vectors": model(lambda f: rules.LinearOnVectors(f, DIM, HIDDEN, pairs=True), PLAIN),
    "TwoTowers, ReLU at the end": model(towers(rules.relu_towers), PLAIN),
    "TwoTowers, tanh": model(towers(rules.tanh_towers), PLAIN),
}
