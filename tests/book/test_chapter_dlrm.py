"""The chapter's own code: loops, vectors, module, shuffle and variants agree with each other and with the library."""

import pytest
import tiny
import torch
from notebook_code import definitions
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.testing import assert_close

from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.layers import dot_interaction
from recsys_lite.models import DLRM

chapter = definitions("book/dlrm.ipynb")


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 3, 2), (2, 8, 5)])
def test_loops_vectors_and_layer_agree(shape):
    torch.manual_seed(0)
    B, C, d = shape
    z0, e = torch.randn(B, d, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    slow = torch.stack([torch.stack(chapter.interact_loops(a, b)) for a, b in zip(z0, e, strict=True)])
    assert slow.shape == (B, C + C * (C - 1) // 2)
    assert_close(chapter.interact(z0, e), slow)
    assert_close(dot_interaction(torch.cat([z0.unsqueeze(1), e], 1)), slow)


@pytest.mark.parametrize(("sizes", "numbers", "d"), [([5], 1, 2), ([4, 6, 3], 2, 4), ([3, 3, 3, 9, 2], 5, 3)])
def test_the_module_with_copied_weights_is_the_librarys_model(sizes, numbers, d):
    torch.manual_seed(0)
    fields = [Field(f"I{k}", "numeric") for k in range(numbers)]
    fields += [
        Field(f"C{k}", "categorical", Vocabulary([f"v{i}" for i in range(size - 1)])) for k, size in enumerate(sizes)
    ]
    library, scratch = DLRM(fields, dim=d, bottom=(8,), top=(8,)), chapter.ScratchDLRM(sizes, numbers, d)
    ours, theirs = dict(scratch.named_parameters()), dict(library.named_parameters())
    first = [library.embedding.row(f"C{k}") for k in range(len(sizes))]
    part = lambda name: (  # noqa: E731
        theirs[name] if name in theirs else theirs["embedding.table.weight"],
        slice(None) if name in theirs else slice(first[int(name.split(".")[1])], None),
    )
    with torch.no_grad():
        for name, p in ours.items():
            whole, rows = part(name)
            p.copy_(whole[rows][: len(p)])
    ids = torch.stack([torch.randint(0, size, (30,)) for size in sizes], 1)
    rows = Rows(ids.int(), torch.randn(30, numbers))
    z, z_scratch = library(rows), scratch(ids, rows.numeric)
    assert_close(z, z_scratch)
    assert_close(library(rows[:1]), scratch(ids[:1], rows.numeric[:1]))
    z.square().sum().backward()
    z_scratch.square().sum().backward()
    for name, p in ours.items():
        whole, place = part(name)
        assert_close(p.grad, whole.grad[place][: len(p)], rtol=1e-4, atol=1e-5)


def test_the_shuffle_deals_rows_out_and_keeps_every_field():
    owners = [torch.arange(6)[:, None] + 100 * torch.tensor(own) for own in ([1, 2], [3], [4, 5, 6])]
    got = chapter.shuffle([e.unsqueeze(2) for e in owners], [3, 1, 2])
    assert_close(torch.cat(got).squeeze(2), torch.cat(owners, 1))
    assert [len(part) for part in got] == [3, 1, 2]


@pytest.mark.parametrize("shares", [[4, 4], [5, 3], [8, 0]])
def test_shares_of_the_loss_have_the_gradients_of_the_whole_and_own_means_have_not(shares):
    torch.manual_seed(0)
    model = chapter.ScratchDLRM([5, 6, 7, 8, 9], 3, 4).double()
    ids, x, y = torch.randint(0, 5, (8, 5)), torch.randn(8, 3).double(), torch.randint(0, 2, (8,)).double()
    weights = list(model.parameters())
    whole = torch.autograd.grad(bce(model(ids, x), y), weights)
    assert_close(torch.autograd.grad(sum(chapter.in_shares(model, ids, x, y, shares)), weights), whole)
    if shares == [4, 4]:  # equal parts: own means make everything twice as large, copies are then averaged, tables not
        slip = torch.autograd.grad(sum(chapter.in_shares(model, ids, x, y, shares, own_mean=True)), weights)
        assert_close([g / 2 for g in slip], list(whole))


@pytest.mark.parametrize("drop", [(), ("price",)])
def test_the_variant_with_all_inputs_is_the_librarys_model(drop):
    data = tiny.dataset(50).drop(*drop)
    torch.manual_seed(0)
    library, variant = DLRM(data.fields), chapter.Variant(data.fields)
    variant.load_state_dict(library.state_dict())
    assert_close(variant(data.train), library(data.train))


def test_a_variant_does_not_read_what_it_lacks():
    data = tiny.dataset(50)
    without = chapter.Variant(data.fields, without=("user", "item"))
    k = without.pairs().index(("user", "item"))
    assert without.keep.sum() == len(without.pairs()) - 1
    before = without(data.train)
    without.top[0].weight.data[:, 16 + k] += 1.0
    assert_close(without(data.train), before)
    without.top[0].weight.data[:, 16 + k - 1] += 1.0
    assert not torch.allclose(without(data.train), before)
    assert chapter.Variant(data.fields, reads=("dots",)).top[0].in_features == 10
    assert chapter.Variant(data.fields, reads=("z0", "vectors")).top[0].in_features == 16 + 4 * 16


def test_raw_counts_are_the_counts_of_the_file(criteo):
    raw = chapter.raw_counts(criteo)
    assert_close(raw.train.numeric.mean(0), torch.zeros(13), atol=1e-4, rtol=0)
    assert_close(raw.train.numeric.std(0), torch.ones(13), atol=1e-4, rtol=0)
    assert torch.equal(raw.test.ids, criteo.test.ids)
    for k in range(13):  # the same order of rows, other distances
        a, b = criteo.train.numeric[:, k], raw.train.numeric[:, k]
        assert (b[a.argsort()].diff() >= -1e-4).all()


@pytest.mark.parametrize(("d", "bottom", "top"), [(16, (64, 32), (64, 32)), (4, (), (8,)), (8, (5,), ())])
def test_the_share_of_tables_counts_every_parameter(criteo, d, bottom, top):
    sizes = [f.size for f in criteo.fields if f.kind == "categorical"]
    counted = chapter.share_of_tables(sizes, d, list(bottom), list(top), 13)
    model = DLRM(criteo.fields, dim=d, bottom=bottom, top=top)
    assert counted[0] == model.embedding.table.weight.numel() and sum(counted) == model.parameter_count


def test_the_planted_pairs_are_in_the_labels():
    fields = (Field("I1", "numeric"), Field("I2", "numeric"))
    fields += tuple(Field(n, "categorical", Vocabulary([f"{n}{k}" for k in range(10)])) for n in "ABCD")
    rows, coin = chapter.planted(3, fields).train, chapter.planted(3, fields, signal=False).train
    spread = lambda r, a, b: torch.stack(  # noqa: E731
        [r.label[(r.ids[:, a] == i) & (r.ids[:, b] == j)].mean() for i in range(1, 11) for j in range(1, 11)]
    ).std()
    assert spread(rows, 0, 2) > 0.3 and spread(rows, 0, 3) < 0.12 and spread(coin, 0, 2) < 0.12
    assert torch.equal(chapter.planted(3, fields).test.label, chapter.planted(3, fields).test.label)
