"""Columns may be called as models call parts of their own: every part, trace and map still says the truth."""

import pytest
import torch
from tiny import filled, rows

from recsys_lite import explain
from recsys_lite.explain import own_maps
from recsys_lite.explain.swapping import interactions
from recsys_lite.explain.traces import TRACES
from recsys_lite.fields import Field, Vocabulary, part_name
from recsys_lite.models import MODELS, PAL, LogisticRegression

ITEMS = Vocabulary([f"i{k}" for k in range(6)])
NAMES = [
    ("bias", "item", "deep", "genres", "history"),
    ("logit", "numbers", "cross layer 1", "bias", "label"),
    ("a × b", "a AND b", "b", "numeric", "ids"),
    ("position", "linear", "pairs", "crosses", "user × user"),
    ("number 1", "factor 1", "constant", "network", "0 seen"),
]


def fields(names):
    a, b, c, d, e = names
    return (
        Field(a, "categorical", Vocabulary([f"u{k}" for k in range(8)])), Field(b, "categorical", ITEMS),
        Field(c, "numeric"), Field(d, "multi_hot", Vocabulary(["a", "b", "c"]), length=3),
        Field(e, "history", ITEMS, length=4, table=b),
    )  # fmt: skip


def renamed(names, count=5):
    made = rows(count)
    made.bags = {names[3]: made.bags["genres"], names[4]: made.bags["history"]}
    return made


def options(name, names):
    return {
        "wide_deep": {"crosses": [list(names[:2])]}, "ncf": {"user": names[0], "item": names[1]},
        "two_towers": {"query": [names[0]], "candidate": [names[1]]},
        "split_network": {"query": [names[0]], "candidate": [names[1]]},
    }.get(name, {})  # fmt: skip


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("name", MODELS)
def test_parts_add_up_and_traces_and_maps_are_made(name, names):
    model, given = filled(MODELS[name](fields(names), **options(name, names))), renamed(names)
    for fine in (False, True):
        table = explain.logit_parts(model, given, fine=fine)
        assert list(table)[-1] == "logit" and table.columns.is_unique
        torch.testing.assert_close(
            torch.tensor(table.drop(columns="logit").sum(axis=1).to_numpy(), dtype=torch.float32), model(given).detach()
        )
    if name in TRACES:
        assert TRACES[name](model, given[0], {})
    if name in ("fm", "deepfm", "dlrm"):
        assert own_maps.pair_strength(model, given).index.is_unique


@pytest.mark.parametrize("names", NAMES)
def test_the_part_of_a_column_is_its_own(names):
    model, given = filled(LogisticRegression(fields(names))), renamed(names)
    parts = model.parts(given, fine=True)
    for k, name in enumerate(names):
        torch.testing.assert_close(parts[part_name(name)], model.weights(given)[:, k, 0])
    assert set(interactions(model, given)["a"]) <= set(names)


def test_a_column_called_position_beside_that_of_pal():
    names = ("shelf", "position", "price", "genres", "history")
    whole = fields(names)
    model = filled(PAL(whole, LogisticRegression(whole[1:]), bias=["shelf"]))
    given = renamed(names)
    for fine in (False, True):
        torch.testing.assert_close(sum(model.parts(given, fine).values()), model(given))
    assert {"position", "position bias"} <= set(model.parts(given, fine=True))
