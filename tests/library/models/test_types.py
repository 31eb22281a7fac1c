"""Every ranking model in every floating type, on a device without numbers, compiled whole, and under DDP's rules."""

import pytest
import tiny
import torch
from torch.testing import assert_close

from recsys_lite.models import MODELS

SIDES = {"query": ["user", "history"], "candidate": ["item", "genres"]}
OPTIONS = {
    "two_towers": SIDES,
    "split_network": SIDES,
    "wide_deep": {"crosses": [("user", "item"), ("genres", "item")]},
}


def model(name):
    torch.manual_seed(0)
    return MODELS[name](tiny.FIELDS, **OPTIONS.get(name, {}))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", MODELS)
def test_every_floating_type_trains(name, dtype):
    made, rows = model(name).to(dtype), tiny.rows(6)
    logits = made(rows)
    assert logits.dtype == dtype
    logits.sum().backward()
    assert all(p.grad is None or p.grad.dtype == dtype for p in made.parameters())
    assert_close(logits.double(), model(name)(rows).double(), rtol=0.1, atol=0.05)


@pytest.mark.parametrize("name", MODELS)
def test_no_tensor_is_made_on_another_device(name):
    with torch.device("meta"):
        made = MODELS[name](tiny.FIELDS, **OPTIONS.get(name, {}))
    assert made.to("meta")(tiny.rows(6).to("meta")).device.type == "meta"


@pytest.mark.slow("traces every model with TorchDynamo")
@pytest.mark.parametrize("name", MODELS)
def test_compiles_without_a_break(name):
    torch._dynamo.reset()
    made, rows = model(name), tiny.rows(6)
    assert_close(torch.compile(made, fullgraph=True, backend="eager")(rows), made(rows))


@pytest.mark.parametrize("name", MODELS)
def test_no_parameter_is_empty(name):
    options = SIDES if name in ("two_towers", "split_network") else {}
    assert all(p.numel() for p in MODELS[name](tiny.FIELDS, **options).parameters())  # DDP cannot reduce an empty one
