"""The chapter's own code: loops, hashed vectors and module agree with each other and with the library."""

import pytest
import torch
from notebook_code import definitions
from torch.testing import assert_close

from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.models import WideDeep
from recsys_lite.training import FTRL

chapter = definitions("book/wide_and_deep.ipynb")


@pytest.mark.parametrize("shape", [(1, 1, 1), (6, 4, 2), (3, 1, 7)])
def test_crosses_by_loops_and_by_vectors_agree(shape):
    torch.manual_seed(0)
    count, left_length, right_length = shape
    left, right = torch.randint(-1, 6, (count, left_length)), torch.randint(-1, 9, (count, right_length))
    weights = torch.randn(6 * 9)
    book = {(a, b): weights[a * 9 + b].item() for a in range(6) for b in range(9)}
    known = [[[v for v in row if v >= 0] for row in side.tolist()] for side in (left, right)]
    slow = torch.tensor([chapter.crosses_loops(a, b, book) for a, b in zip(*known, strict=True)])
    assert_close(chapter.crosses_fast(left, right, 9, weights), slow, rtol=1e-4, atol=1e-5)


def test_a_large_cross_is_hashed_into_its_buckets():
    a, b = torch.cartesian_prod(torch.arange(300), torch.arange(300)).T
    hashed = chapter.bucket(a, b, 300, 1000)
    assert hashed.min() >= 0 and hashed.max() < 1000 and len(hashed.unique()) > 950


@pytest.mark.parametrize("seed", range(3))
def test_the_module_with_copied_weights_is_the_librarys_model(seed):
    torch.manual_seed(seed)
    fields = [Field(n, "categorical", Vocabulary([f"{n}{k}" for k in range(s - 1)])) for n, s in (("a", 5), ("b", 6))]
    library, scratch = WideDeep(fields, [("a", "b")], dim=3, hidden=(4,)), chapter.ScratchWideDeep((5, 6), 3, 4)
    theirs = ["bias", "weights.table.weight", "crosses.weight", "embedding.table.weight"]
    theirs += [f"mlp.{k}.{part}" for k in (0, 2) for part in ("weight", "bias")]
    ours = ["bias", "linear", "cross", "table"] + [f"network.{k}.{part}" for k in (0, 2) for part in ("weight", "bias")]
    a, b = dict(library.named_parameters()), dict(scratch.named_parameters())
    with torch.no_grad():
        for t, o in zip(theirs, ours, strict=True):
            a[t].normal_()
            b[o].copy_(a[t].reshape(b[o].shape))
    ids = torch.stack([torch.randint(1, 5, (30,)), torch.randint(1, 6, (30,))], 1)
    z, z_scratch = library(Rows(ids.int(), torch.zeros(30, 0))), scratch(ids)
    assert_close(z, z_scratch, rtol=1e-4, atol=1e-4)
    z.sum().backward()
    z_scratch.sum().backward()
    for t, o in zip(theirs, ours, strict=True):
        assert_close(a[t].grad.flatten(), b[o].grad.flatten(), rtol=1e-4, atol=1e-4)


def test_ftrl_from_scratch_is_the_librarys():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(40, dtype=torch.float64))
    optimizer = FTRL([weight], lr=0.2, beta=0.7, l1=0.3)
    w, z, n = (torch.zeros(40, dtype=torch.float64) for _ in range(3))
    for _ in range(25):
        weight.grad = torch.randn(40, dtype=torch.float64) * (torch.rand(40) < 0.3)
        optimizer.step()
        w, z, n = chapter.ftrl_step(w, weight.grad, z, n, 0.2, 0.7, 0.3)
        assert_close(weight.data, w)
    assert 0 < (w == 0).sum() < 40


def test_the_guard_tells_a_real_wide_part_from_a_linear_term():
    fields = [Field(n, "categorical", Vocabulary(["0", "1"])) for n in "ab"]
    assert not chapter.is_really_wide(WideDeep(fields, [], use_deep=False))
    assert chapter.is_really_wide(WideDeep(fields, [("a", "b")], use_deep=False))
