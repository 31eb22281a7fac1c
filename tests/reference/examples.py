"""Examples for Hypothesis: fields of every kind in any order, rows that fit them, and models of a few numbers."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from recsys_lite.fields import PADDING, Field, Rows, Vocabulary
from recsys_lite.models import DCN, DCNV2, DHEN, DLRM, FM, GDCN, AutoInt, DeepFM, FieldMLP, LogisticRegression, WideDeep

#: models that read any fields, some of them only if one is no number
BUILD = {
    "logistic regression": LogisticRegression,
    "FM": lambda f: FM(f, dim=2),
    "Wide & Deep": lambda f: WideDeep(f, crosses_of(f), dim=2, hidden=(3,)),
    "DeepFM": lambda f: DeepFM(f, dim=2, hidden=(3,)),
    "FieldMLP": lambda f: FieldMLP(f, dim=2, hidden=(3,)),
    "DCN": lambda f: DCN(f, dim=2, hidden=(3,)),
    "DCN V2": lambda f: DCNV2(f, dim=2, hidden=(3,)),
    "DCN V2 with experts": lambda f: DCNV2(f, dim=2, rank=1, experts=2, structure="cross"),
    "GDCN": lambda f: GDCN(f, dim=2, hidden=(3,), structure="stacked"),
    "AutoInt": lambda f: AutoInt(f, dim=2, layers=2, units=2),
    "AutoInt code": lambda f: AutoInt(f, dim=2, layers=1, units=2, variant="code", hidden=(3,)),
    "DLRM": lambda f: DLRM(f, dim=2, bottom=(3,), top=(3,)),
    "DHEN": lambda f: DHEN(f, dim=2, modules=["dot", "attention", "convolution", "cross"], out=1, bottom=(2,)),
}
NEED_VECTORS = ("DLRM", "DHEN")


def crosses_of(fields):
    """The first two fields that can be crossed."""
    names = [f.name for f in fields if f.kind != "numeric"][:2]
    return [names] if len(names) == 2 else []


@st.composite
def some_fields(draw, most: int = 5, numbers_alone: bool = False):
    """Different fields in any order; a history may share the rows of ``item``."""
    kinds = draw(st.lists(st.sampled_from(["categorical", "numeric", "multi_hot", "history"]), max_size=most - 1))
    first = ["numeric", "categorical", "multi_hot"] if numbers_alone else ["categorical", "multi_hot"]
    kinds.append(draw(st.sampled_from(first)))
    fields = []
    for k, kind in enumerate(kinds):
        vocabulary = None if kind == "numeric" else Vocabulary(range(draw(st.integers(1, 4))))
        length = draw(st.integers(1, 3)) if kind in ("multi_hot", "history") else 1
        fields.append(Field(f"f{k}", kind, vocabulary, length))
    if draw(st.booleans()):
        items = Vocabulary(range(3))
        fields += [Field("item", "categorical", items), Field("past", "history", items, 2, table="item")]
    return tuple(draw(st.permutations(fields)))


@st.composite
def some_rows(draw, fields, least: int = 0, most: int = 4):
    """Rows of the fields: unseen values, empty bags and no rows at all among them."""
    B = draw(st.integers(least, most))
    number = lambda low, high: draw(  # noqa: E731
        st.lists(st.integers(low, high), min_size=B, max_size=B)
    )
    columns = [number(0, f.size - 1) for f in fields if f.kind == "categorical"]
    real = [number(-8, 8) for f in fields if f.kind == "numeric"]
    bags = {}
    for f in fields:
        if f.is_bag:
            bag = torch.tensor([number(PADDING, f.size - 1) for _ in range(f.length)]).reshape(f.length, B).T
            bags[f.name] = bag.to(torch.int32)
    ids = torch.tensor(columns, dtype=torch.int32).reshape(len(columns), B).T
    return Rows(ids, torch.tensor(real, dtype=torch.float32).reshape(len(real), B).T / 4, bags)


@st.composite
def model_and_rows(draw, names=tuple(BUILD), least: int = 0):
    """A model in float64 whose parameters are all random, its fields, and rows."""
    name = draw(st.sampled_from(sorted(names)))
    fields = draw(some_fields(numbers_alone=name not in NEED_VECTORS))
    model = BUILD[name](fields).double().eval()
    randomise(model, draw(st.integers(0, 9)))
    return model, fields, draw(some_rows(fields, least))


def randomise(model, seed: int = 0):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=g, dtype=torch.float64) / 2)
    return model
