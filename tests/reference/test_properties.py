"""What must hold of every model, whatever its fields and rows: Hypothesis looks for rows of which it does not."""

from dataclasses import replace

import pytest
import torch
from examples import BUILD, NEED_VECTORS, model_and_rows, randomise, some_fields, some_rows
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from recsys_lite.fields import Rows, concatenate
from recsys_lite.layers import FieldEmbedding
from recsys_lite.models import AutoInt, WideDeep
from recsys_lite.models.cross_model import CrossModel

TYPES = [torch.int8, torch.int16, torch.int32, torch.int64]


def same(found, expected):
    assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", BUILD)
@given(data=st.data())
def test_logits_and_parts(name, data):
    """One finite logit a row, none for no rows, and parts that add up to it."""
    model, _, rows = data.draw(model_and_rows([name]))
    logits = model(rows)
    assert logits.shape == (len(rows),) and logits.dtype == torch.float64 and logits.isfinite().all()
    for fine in (False, True):
        parts = model.parts(rows, fine)
        assert all(p.shape == (len(rows),) for p in parts.values())
        same(sum(parts.values()), logits)


@pytest.mark.parametrize("name", BUILD)
@given(data=st.data())
def test_rows_do_not_know_of_each_other(name, data):
    """A row alone, in another order and beside others has the same logit."""
    model, _, rows = data.draw(model_and_rows([name], least=1))
    logits = model(rows)
    for k in range(len(rows)):
        same(model(rows[k]), logits[k : k + 1])
    order = torch.tensor(data.draw(st.permutations(range(len(rows)))))
    same(model(rows[order]), logits[order])
    same(model(concatenate([rows, rows])), torch.cat([logits, logits]))


@pytest.mark.parametrize("name", BUILD)
@given(data=st.data())
def test_types_of_whole_and_real_numbers(name, data):
    """Rows of any type of integers and reals give the same logits; a model in float32 gives them in float32."""
    model, _, rows = data.draw(model_and_rows([name]))
    logits = model(rows)
    kind = data.draw(st.sampled_from(TYPES))
    bags = {name: bag.to(kind) for name, bag in rows.bags.items()}
    same(model(Rows(rows.ids.to(kind), rows.numeric.double(), bags)), logits)
    single = model.float()(replace(rows, numeric=rows.numeric.double()))
    assert single.dtype == torch.float32
    assert_close(single.double(), logits, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", BUILD)
@given(data=st.data())
def test_gradients_of_any_batch(name, data):
    """Finite for every batch, and zero for no rows; so an empty last batch changes nothing."""
    model, _, rows = data.draw(model_and_rows([name]))
    model(rows).sum().backward()
    for parameter in model.parameters():
        if parameter.grad is not None:
            assert parameter.grad.isfinite().all()
            assert len(rows) or not parameter.grad.any()


@pytest.mark.parametrize("name", BUILD)
@given(data=st.data())
def test_a_bag_is_a_set(name, data):
    """Its order and the places of its padding change nothing."""
    model, fields, rows = data.draw(model_and_rows([name], least=1))
    order = {f.name: torch.tensor(data.draw(st.permutations(range(f.length)))) for f in fields if f.is_bag}
    turned = {name: bag[:, order[name]] for name, bag in rows.bags.items()}
    same(model(replace(rows, bags=turned)), model(rows))


@pytest.mark.parametrize("name", BUILD)
@given(data=st.data())
def test_all_unseen(name, data):
    """Values that training never showed say nothing at a model's start: an unseen value is as good as an empty bag."""
    fields = data.draw(some_fields())
    model = BUILD[name](fields).double()
    rows = data.draw(some_rows(fields, least=2))
    unseen = replace(rows, ids=torch.zeros_like(rows.ids), numeric=torch.zeros_like(rows.numeric))
    padded = {name: torch.full_like(bag, -1) for name, bag in rows.bags.items()}
    zeros = {name: torch.zeros_like(bag) for name, bag in rows.bags.items()}
    logits = model(replace(unseen, bags=padded))
    same(logits, logits[:1].expand(len(rows)))
    same(model(replace(unseen, bags=zeros)), logits)


def copied(source, target):
    """Give the tables of one model the rows of another's, table by table."""
    pairs = zip(source.modules(), target.modules(), strict=True)
    with torch.no_grad():
        for a, b in pairs:
            if isinstance(a, FieldEmbedding):
                for f in a.fields:
                    at, to = a.offsets[f.table], b.offsets[f.table]
                    b.table.weight[to : to + f.size] = a.table.weight[at : at + f.size]


def columns_of(fields, rows, order):
    """Rows of the same fields in another order."""
    ids = [f.name for f in fields if f.kind == "categorical"]
    numeric = [f.name for f in fields if f.kind == "numeric"]
    return Rows(
        rows.ids[:, [ids.index(f.name) for f in order if f.kind == "categorical"]],
        rows.numeric[:, [numeric.index(f.name) for f in order if f.kind == "numeric"]],
        rows.bags,
    )


def weights_in_order(model, fields, order):
    """The parameters beside the tables, for a model whose fields are in another order."""
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("table.weight")}
    if isinstance(model, CrossModel):
        ours = model.input.blocks
        index = torch.cat([torch.arange(model.input.width)[ours[k]] for k in type(model.input)(order, 2).blocks])
    else:
        width = 4 if isinstance(model, AutoInt) else 2  # behind the layers of AutoInt: heads · units
        place = {f.name: torch.arange(width * k, width * (k + 1)) for k, f in enumerate(fields)}
        index = torch.cat([place[f.name] for f in order])
    for key, value in state.items():
        if key == "mlp.0.weight":
            below = (
                index if not isinstance(model, AutoInt) else index[index % 4 < 2] // 4 * 2 + index[index % 4 < 2] % 4
            )
            state[key] = value[:, below]
        elif key in ("cross.u", "cross.v"):
            state[key] = value[..., index, :]
        elif key in ("cross.weight", "cross.gate_weight") and value.dim() == 3:
            state[key] = value[:, index][:, :, index]
        elif key.startswith("cross.") and key != "cross.c":
            state[key] = value[..., index]
        elif key == "combine.weight" and getattr(model, "structure", "") != "stacked":
            state[key] = torch.cat([value[:, index], value[:, len(index) :]], 1)
    return state


@pytest.mark.parametrize("name", [n for n in BUILD if n not in NEED_VECTORS])
@given(data=st.data())
def test_fields_in_another_order(name, data):
    """With their weights in that order, too, the logits are the same."""
    model, fields, rows = data.draw(model_and_rows([name]))
    order = tuple(data.draw(st.permutations(fields)))
    other = randomise(BUILD[name](order).double().eval(), 99)
    if isinstance(model, WideDeep):
        other.crosses = type(model.crosses)(order, model.crosses.crosses).double()
    other.load_state_dict(weights_in_order(model, fields, order), strict=False)
    copied(model, other)
    same(other(columns_of(fields, rows, order)), model(rows))


@given(data=st.data())
def test_fields_of_dlrm_in_another_order(data):
    """Its top network reads each pair of vectors once, whichever of the two comes first."""
    model, fields, rows = data.draw(model_and_rows(["DLRM"]))
    order = tuple(data.draw(st.permutations([f for f in fields if f.kind != "numeric"])))
    order += tuple(f for f in fields if f.kind == "numeric")
    other = randomise(BUILD["DLRM"](order).double().eval(), 99)
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("table.weight")}
    pairs = [set(pair) for pair in model.pairs()]
    index = torch.tensor([0, 1, *(2 + pairs.index(set(pair)) for pair in other.pairs())])
    state["top.0.weight"] = state["top.0.weight"][:, index]
    other.load_state_dict(state, strict=False)
    copied(model, other)
    same(other(columns_of(fields, rows, order)), model(rows))
