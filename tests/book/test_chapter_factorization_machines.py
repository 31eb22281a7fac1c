"""The chapter's own code: three steps agree with each other, with a plain double loop and with the library."""

import pytest
import torch
from notebook_code import definitions
from tiny import FIELDS, rows
from torch.testing import assert_close

from recsys_lite.models import FM

chapter = definitions("book/factorization_machines.ipynb")


@pytest.mark.parametrize("shape", [(1, 2, 1), (5, 9, 4), (3, 17, 8)])
@pytest.mark.parametrize("seed", range(3))
def test_loops_vectors_and_module_agree_in_value_and_gradient(shape, seed):
    torch.manual_seed(seed)
    count, n, d = shape
    x = torch.randn(count, n, dtype=torch.float64)
    parameters = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in [(), (n,), (n, d)]]
    loops = torch.stack([chapter.fm_loops(row, *parameters) for row in x])
    fast = chapter.fm_fast(x, *parameters)
    module = chapter.FactorizationMachine(n, d).double()
    module.load_state_dict(dict(zip(("w0", "w", "v"), (p.detach() for p in parameters), strict=True)))
    assert_close(loops, fast)
    assert_close(fast, module(x))
    expected = torch.autograd.grad(loops.sum(), parameters)
    assert_close(torch.autograd.grad(fast.sum(), parameters), expected)
    module(x).sum().backward()
    assert_close((module.w0.grad, module.w.grad, module.v.grad), expected)


def test_the_module_with_copied_weights_is_the_librarys_model():
    torch.manual_seed(0)
    library, batch = FM(FIELDS[:4], dim=3, std=0.4), rows(15)
    batch.bags = {"genres": torch.tensor([[1, 3, -1]]).repeat(15, 1)}  # x = 1/2 for two genres each
    index, value = library.embedding.active(batch)
    x = torch.zeros(15, library.embedding.table.num_embeddings).scatter_add_(1, index, value)
    scratch = chapter.FactorizationMachine(x.shape[1], 3)
    with torch.no_grad():
        scratch.v.copy_(library.embedding.table.weight)
        library.weights.table.weight.normal_()
        scratch.w.copy_(library.weights.table.weight[:, 0])
    assert_close(scratch(x), library(batch), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong", ["without_half", "without_square"])
def test_the_guard_catches_each_wrong_form(wrong):
    torch.manual_seed(1)
    arguments = [torch.randn(s, dtype=torch.float64) for s in [(4, 6), (), (6,), (6, 3)]]
    assert not torch.allclose(getattr(chapter, wrong)(*arguments), chapter.fm_fast(*arguments))


def test_the_plain_pair_form_of_the_timing_is_the_same_number():
    from recsys_lite.layers import fm_interaction

    e = torch.randn(6, 11, 4)
    assert_close(chapter.all_pairs(e), fm_interaction(e), rtol=1e-4, atol=1e-4)
