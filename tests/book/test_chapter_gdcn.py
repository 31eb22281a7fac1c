"""The chapter's own code: loops, vectors, module and mistakes against the library; switch, gate maps and readings."""

import numpy as np
import pytest
import tiny
import torch
from notebook_code import definitions
from torch.testing import assert_close

from recsys_lite.data.simulated.planted import planted
from recsys_lite.evaluation import auc
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.layers import GatedCrossNet
from recsys_lite.models import DCNV2, GDCN

chapter = definitions("book/gdcn.ipynb")


def filled(model, std=0.3):
    torch.manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(std=std)
    return model.eval()


def as_function(c0, W, b, G, gate=torch.sigmoid):
    """The library's layer as a function of its weights and its gate."""
    layer = GatedCrossNet(c0.shape[1], len(W)).to(c0.dtype)
    layer.load_state_dict({"weight": W, "bias": b, "gate_weight": G})
    layer.gate = lambda k, c: gate(c @ G[k].T)
    return layer(c0)


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 4, 3), (3, 6, 2)])
def test_loops_vectors_and_layer_agree(shape):
    c0, W, b, G = (t.detach() for t in chapter.random_weights(*shape))
    slow = torch.stack([torch.stack(chapter.gated_loops(list(row), W, b, G)) for row in c0])
    assert_close(chapter.gated_fast(c0, W, b, G), slow)
    layer = GatedCrossNet(shape[1], shape[2]).double()
    layer.load_state_dict({"weight": W, "bias": b, "gate_weight": G})
    assert_close(layer(c0), slow)


def test_the_four_questions_pass_the_library_and_catch_each_mistake():
    assert chapter.answers(as_function) == (True, True, True, True)
    for mistake in (chapter.gate_added, chapter.gate_on_first, chapter.residual_gated):
        assert not all(chapter.answers(mistake))
    assert chapter.answers(chapter.gate_on_first) == (True, True, True, False)  # two layers are needed


@pytest.mark.parametrize("structure", ["stacked", "parallel"])
@pytest.mark.parametrize(("sizes", "numbers", "d"), [([5], 1, 2), ([4, 6, 3], 2, 3)])
def test_the_module_with_copied_weights_is_the_librarys_model(structure, sizes, numbers, d):
    fields = [Field(f"I{k}", "numeric") for k in range(numbers)]
    fields += [Field(f"C{k}", "categorical", Vocabulary([f"v{i}" for i in range(s - 1)])) for k, s in enumerate(sizes)]
    library = filled(GDCN(fields, dim=d, cross_layers=2, hidden=(8,), structure=structure))
    scratch = chapter.ScratchGDCN(sizes, numbers, d, 2, 8, stacked=structure == "stacked")
    names = {"table": "input.embedding.table.weight", "W": "cross.weight", "G": "cross.gate_weight", "b": "cross.bias"}
    theirs = dict(library.named_parameters())
    pairs = [(p, theirs[names.get(n, n.replace("deep", "mlp"))]) for n, p in scratch.named_parameters()]
    assert len(pairs) == len(theirs)
    with torch.no_grad():
        for ours, other in pairs:
            ours.copy_(other)
    ids = torch.stack([torch.randint(0, size, (20,)) for size in sizes], 1)
    rows = Rows(ids.int(), torch.randn(20, numbers))
    assert_close(scratch(ids, rows.numeric), library(rows))
    scratch(ids, rows.numeric).sin().sum().backward()
    library(rows).sin().sum().backward()
    for ours, other in pairs:
        assert_close(ours.grad, other.grad, rtol=1e-4, atol=1e-5)


def test_the_switch_tells_where_the_pair_counts_and_nothing_else_does():
    data = chapter.switched(5)
    assert torch.equal(data.train.ids, planted(order=3, seed=5).train.ids)
    a, b, c = chapter.signs_of(data, data.train, data.extras["crosses"][0]).T
    label = data.train.label
    rate = lambda mask: label[mask].mean().item()  # noqa: E731
    assert rate((c > 0) & (a * b > 0)) == pytest.approx(0.9, abs=0.04)
    assert rate((c > 0) & (a * b < 0)) == pytest.approx(0.1, abs=0.04)
    for mask in ((c < 0) & (a * b > 0), (c < 0) & (a * b < 0), a > 0, b > 0, c > 0):
        assert rate(mask) == pytest.approx(0.5, abs=0.05)
    assert data.extras["probability"].unique().tolist() == pytest.approx([0.1, 0.5, 0.9])
    assert (chapter.switched(5, signal=False).extras["probability"] == 0.5).all()


@pytest.fixture(params=["parallel", "cross"])
def model(request):
    return filled(GDCN(tiny.FIELDS, dim={"user": 3, "item": 2, "genres": 1, "history": 2}, structure=request.param))


def test_gates_by_field_are_means_over_the_fields_places(model):
    rows = tiny.rows(9)
    found = chapter.gate_by_field(model, rows)
    assert found.shape == (9, 3, 5)
    place = list(model.input.blocks).index("item")
    assert_close(found[4, 1, place], model.gates(rows)[1][4, model.input.blocks["item"]].mean())


@pytest.mark.parametrize("layer", [0, 2])
def test_pair_parts_sum_to_what_the_layer_adds(model, layer):
    rows = tiny.rows(9)
    before, after = chapter.pair_parts(model, rows, layer)
    assert before.shape == after.shape == (9, 5, 5)
    with torch.no_grad():
        states, w = model.cross.states(model.input(rows)), model.combine.weight[0, : model.input.width]
        gate, c, names = model.cross.gate(layer, states[layer]), states[layer], list(model.input.blocks)
        bias = (states[0] * model.cross.bias[layer] * gate) @ w
        assert_close(after.sum((1, 2)) + bias, (states[layer + 1] - c) @ w, rtol=1e-3, atol=1e-4)
        a, b = model.input.blocks["item"], model.input.blocks["user"]
        one = ((states[0] * w)[:, a] * (c[:, b] @ model.cross.weight[layer][a, b].T)).sum(1)
    assert_close(before[:, names.index("item"), names.index("user")], one)


def test_readings_are_what_they_say(model):
    rows = tiny.rows(9)
    read = chapter.readings(model, rows)
    assert list(read.columns) == ["mean gate", "movement", "passed"] and list(read.index) == list(model.input.blocks)
    gate = chapter.gate_by_field(model, rows).mean(1).numpy()
    assert read["mean gate"].to_numpy() == pytest.approx(gate.mean(0))
    with torch.no_grad():
        states, w = model.cross.states(model.input(rows)), model.combine.weight[0, : model.input.width]
        size = sum(((states[k + 1] - states[k]) * w).abs() for k in range(3))[:, model.input.blocks["user"]]
    assert read.loc["user", "passed"] == pytest.approx(size.sum(1).mean().item(), rel=1e-5)


def test_frozen_gates_are_means_and_the_model_is_left_as_it_was(model):
    rows = tiny.rows(200)
    before = model(rows).detach()
    frozen = chapter.frozen_auc(model, rows)
    assert_close(model(rows).detach(), before)
    assert frozen != auc(rows.label, before)
    with torch.no_grad():
        model.cross.gate_weight.zero_()  # gates that do not move lose nothing
        assert chapter.frozen_auc(model, rows) == pytest.approx(auc(rows.label, model(rows)))


def test_cross_only_has_no_deep_part_and_the_gate_is_all_that_differs():
    data = tiny.dataset(20)
    plain, gated = (chapter.cross_only(kind, 2)(data) for kind in (DCNV2, GDCN))
    assert plain.mlp is gated.mlp is None and plain.cross.depth == gated.cross.depth == 2
    assert gated.parameter_count - plain.parameter_count == 2 * gated.input.width**2


def test_paired_says_higher_lower_or_nothing():
    a = np.array([0.9, 0.91, 0.92])
    assert chapter.paired(a, a - 0.1 + np.array([0, 0.001, 0])).endswith("higher")
    assert chapter.paired(a - 0.1 + np.array([0, 0.001, 0]), a).endswith("lower")
    assert chapter.paired(a, a[::-1]).endswith("no difference")
