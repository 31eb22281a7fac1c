"""The chapter's own code: loops, vectors and modules agree with each other and with the library."""

import pytest
import torch
from notebook_code import definitions
from tiny import FIELDS, rows
from torch import nn
from torch.testing import assert_close

from recsys_lite.evaluation import auc
from recsys_lite.fields import Field, Vocabulary
from recsys_lite.layers import InteractingLayer
from recsys_lite.models import AutoInt

chapter = definitions("book/autoint.ipynb")


@pytest.mark.parametrize("shape", [(1, 1, 2, 1, 1), (3, 4, 5, 2, 3), (2, 6, 4, 3, 1)])
def test_loops_and_vectors_agree_in_value_weights_and_gradient(shape):
    torch.manual_seed(0)
    B, F, d, H, u = shape
    e = torch.randn(B, F, d, dtype=torch.float64)
    layer = chapter.ScratchInteracting(d, u, H).double()
    leaves = list(layer.parameters())
    slow = [torch.stack(p) for p in zip(*(chapter.interacting_loops(row, *leaves) for row in e), strict=True)]
    fast = layer(e)
    assert_close(list(fast), slow)
    one, two = (torch.autograd.grad(sum((o**2).sum() for o in out), leaves) for out in (fast, slow))
    assert_close(one, two)


@pytest.mark.parametrize(("d", "u", "H"), [(16, 32, 2), (5, 3, 1), (4, 1, 4)])
def test_the_layer_with_copied_weights_is_the_librarys(d, u, H):
    torch.manual_seed(d)
    library = InteractingLayer(d, units=u, heads=H)
    e = torch.randn(6, 9, d)
    assert_close(chapter.ScratchInteracting(d, u, H).copy(library)(e), library.attend(e))


def test_the_authors_variant_is_the_librarys_option():
    torch.manual_seed(0)
    library = InteractingLayer(6, units=4, heads=2, variant="code")
    for name in ("query", "key", "value", "residual"):
        nn.init.normal_(getattr(library, name).bias)
    e = torch.randn(6, 9, 6)
    assert_close(chapter.interacting_code(e, library), library(e), rtol=1e-4, atol=1e-4)


def copied(library):
    config = library.config
    scratch = chapter.ScratchAutoInt(FIELDS, config["dim"], config["units"], config["heads"], config["layers"])
    scratch.embedding.load_state_dict(library.embedding.state_dict())
    for mine, its in zip(scratch.layers, library.layers, strict=True):
        mine.copy(its)
    with torch.no_grad():
        scratch.w.copy_(library.combine.weight.view_as(scratch.w))
    return scratch


@pytest.mark.parametrize("seed", range(3))
def test_the_model_with_copied_weights_is_the_librarys(seed):
    torch.manual_seed(seed)
    library = AutoInt(FIELDS, dim=6, units=3, heads=2, layers=3, std=0.5)
    scratch, batch = copied(library), rows(20, seed)
    z, maps = scratch(batch)
    assert_close(z, library(batch), rtol=1e-4, atol=1e-5)
    assert_close(maps, library.attention(batch))
    z.sum().backward()
    library(batch).sum().backward()
    ours, theirs = scratch.embedding.table.weight.grad, library.embedding.table.weight.grad
    assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_replacing_the_weights_by_themselves_changes_nothing_and_by_others_does():
    torch.manual_seed(0)
    library, batch = AutoInt(FIELDS, dim=6, units=3, std=1.0), rows(300)
    own = auc(batch.label, library(batch).detach())
    assert chapter.replaced(library, batch, lambda m: m) == pytest.approx(own, abs=1e-3)
    z = copied(library)(batch, [m.mean(0, keepdim=True) for m in library.attention(batch)])[0]
    assert (z - library(batch)).abs().max() > 1e-3


def test_right_code_has_all_properties_and_each_slip_lacks_one():
    assert chapter.broken(chapter.stack) == []
    lacks = {
        "softmax over lookers": "weights sum to 1",
        "scale": "numbers by hand",
        "projection after heads": "no Q: the plain mean",
        "identity residual": "no V: ReLU(W e) each layer",
        "residual once": "no V: ReLU(W e) each layer",
        "LayerNorm before ReLU": "no V: ReLU(W e) each layer",
        "position": "fields may be exchanged",
    }
    for slip, name in lacks.items():
        for seed in range(3):
            assert name in chapter.broken(lambda e, layers, slip=slip: chapter.stack(e, layers, slip), seed)


def test_the_librarys_layers_have_all_properties():
    def forward(e, layers):
        maps = []
        for q, k, v, r in layers:
            layer = InteractingLayer(e.shape[-1], units=q.shape[1], heads=q.shape[0])
            with torch.no_grad():
                for name, w in zip(("query", "key", "value", "residual"), (q, k, v, r), strict=True):
                    getattr(layer, name).weight.copy_(w.flatten(0, -2))
            e, weights = layer.attend(e)
            maps.append(weights)
        return e, maps

    assert chapter.broken(forward) == []


@pytest.mark.parametrize(("layers", "heads", "units", "dim"), [(1, 1, 4, 16), (3, 2, 32, 16), (2, 3, 5, 7)])
def test_the_parameter_formula_counts_the_librarys(layers, heads, units, dim):
    model = AutoInt(FIELDS, dim=dim, layers=layers, heads=heads, units=units)
    features = model.embedding.table.num_embeddings
    assert model.parameter_count == chapter.parameters(features, len(FIELDS), dim, layers, heads, units)


def test_no_planted_field_alone_says_anything():
    sizes = {n: 2 if n == "S" else 10 for n in "ABCDS"}
    fields = tuple(Field(n, "categorical", Vocabulary([f"{n}{k}" for k in range(s)])) for n, s in sizes.items())
    for kind in ("pair", "switch", "coin"):
        data = chapter.planted(fields, 0, kind)
        label, ids = data.train.label, data.train.ids
        alone = [label[ids[:, k] == v].mean() - label.mean() for k in range(5) for v in ids[:, k].unique()]
        assert torch.stack(alone).abs().max() < 0.25
    pairs = {kind: planted_signs(chapter.planted(fields, 0, kind).train) for kind in ("pair", "coin")}
    assert pairs["pair"] > 0.3 > 0.1 > pairs["coin"]


def planted_signs(rows):
    """Mean distance from one half of the click rate of each combination of A and C."""
    cell = rows.ids[:, 0].long() * 11 + rows.ids[:, 2].long()
    return torch.stack([(rows.label[cell == c].mean() - 0.5).abs() for c in cell.unique()]).mean()
