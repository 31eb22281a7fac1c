"""The chapter's own code: loops, vectors, module and mistakes against the library; switch, readings, what is said."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from notebook_code import definitions, read_back
from torch.testing import assert_close

from recsys_lite.data.simulated.planted import planted
from recsys_lite.evaluation import compare_runs, compare_stored
from recsys_lite.explain.gates import alive
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.layers import GatedCrossNet
from recsys_lite.models import GDCN
from recsys_lite.notebook import told
from recsys_lite.store import RESULTS, load_model, read_json, weights_path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))


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


def test_readings_are_what_they_say(model):
    rows = tiny.rows(9)
    read = chapter.readings(model, rows)
    assert list(read.columns) == ["mean gate", "movement", "what passes"] and list(read.index) == list(
        model.input.blocks
    )
    gate = chapter.gate_by_field(model, rows).mean(1).numpy()
    assert read["mean gate"].to_numpy() == pytest.approx(gate.mean(0))
    with torch.no_grad():
        states, w = model.cross.states(model.input(rows)), model.combine.weight[0, : model.input.width]
        size = sum(((states[k + 1] - states[k]) * w).abs() for k in range(3))[:, model.input.blocks["user"]]
    assert read.loc["user", "what passes"] == pytest.approx(size.sum(1).mean().item(), rel=1e-5)


def test_frozen_gates_are_means_and_the_model_is_left_as_it_was(model):
    rows = tiny.rows(200)
    before = model(rows).detach()
    still = chapter.frozen(model, rows)
    assert_close(model(rows).detach(), before)
    assert not torch.allclose(still, before)
    with torch.no_grad():
        model.cross.gate_weight.zero_()  # gates that do not move lose nothing
        assert_close(chapter.frozen(model, rows), model(rows))


def test_the_network_of_the_switch_has_the_size_of_a_gated_layer_and_starts_as_large():
    data = planted(order=3, seed=0)
    torch.manual_seed(0)
    plain, gated = chapter.network(data.fields), GDCN(data.fields, dim=4, cross_layers=1, structure="cross", std=0.1)
    counts = [m.parameter_count - 6 * 11 * 4 for m in (plain, gated)]
    assert counts[0] == pytest.approx(counts[1], rel=0.01)
    starts = [
        t.weight.detach()[t.weight != 0].std().item() for t in (plain.embedding.table, gated.input.embedding.table)
    ]
    assert starts[0] == pytest.approx(starts[1], rel=0.25)


def test_a_correlation_and_its_interval_by_hand():
    x, y = range(10), [1, 0, 2, 3, 4, 5, 6, 7, 9, 8]
    r, low, high = chapter.correlation(x, y)
    assert r == pytest.approx(1 - 6 * 4 / (10 * 99))  # Spearman's formula, two neighbours exchanged twice
    half = 1.96 * ((1 + r**2 / 2) / 7) ** 0.5
    assert (low, high) == pytest.approx(tuple(float(np.tanh(np.arctanh(r) + k * half)) for k in (-1, 1)))
    line = chapter.correlation(x, x, "pearson")
    assert line[0] == pytest.approx(0.9999) and line[1] > 0.99  # never an infinite z


def test_counts_have_exact_intervals():
    assert chapter.of(5, 5) == "5 of 5 [48%, 100%]"


@pytest.mark.parametrize(("a", "b", "claimed", "says"), [
    ([0.82, 0.83, 0.84], [0.80, 0.81, 0.82], 0.0015, "agrees"),
    ([0.82, 0.83, 0.84], [0.80, 0.81, 0.82], -1.0, "disagrees"),
    ([0.8000, 0.8101, 0.8200], [0.8001, 0.8100, 0.8201], 0.0003, "agrees"),
    ([0.8000, 0.8101, 0.8200], [0.8001, 0.8100, 0.8201], 1.0, "disagrees"),
    ([0.82, 0.80, 0.84], [0.80, 0.81, 0.82], 0.0015, "cannot be tested here: ≥ 0.057"),
])  # fmt: skip
def test_what_is_said_of_a_claim_follows_from_the_verdict(a, b, claimed, says):
    assert chapter.reading(compare_runs(a, b, paired=True), claimed).startswith(says)


@pytest.mark.parametrize(("found", "says"), [
    ((0.7, 0.2, 0.9), "agrees"), ((0.1, -0.6, 0.7), "disagrees"), ((0.5, -0.2, 0.9), "cannot be tested")
])  # fmt: skip
def test_what_is_said_of_a_correlation_follows_from_its_interval(found, says):
    assert chapter.reading_of_correlation(found, 0.82).startswith(says)


# What the reader sees


def test_sentences_hold_the_stored_results():
    _, text = read_back("gdcn")
    again = "run tools/execute.py book/gdcn.ipynb again"
    for task in ("click", "like"):
        v = compare_stored("movielens-100k", task, "gdcn", ["dcn_v2", "dhen", "deepfm", "fm", "logistic_regression"])
        assert f"MovieLens, {task}: {told(v.iloc[0])}" in text, again
    depth = pd.DataFrame(read_json(RESULTS / "gdcn.json")["depth"]).query("layers == 3").sort_values("seed")
    with_gates, without = (depth[depth["gates"] == g]["auc"].tolist() for g in (True, False))
    assert told(compare_runs(with_gates, without, paired=True)) in text, again
    assert "no difference" not in text


def test_the_network_of_the_stored_model_is_told_as_it_is(movielens):
    life = alive(load_model(weights_path("movielens-100k", "click", "gdcn"), movielens.fields), movielens.test)
    text = " ".join(read_back("gdcn")[1].split())
    assert f"Of the {life.units} last hidden units of the stored model, {life.firing} fire" in text


def test_every_line_of_the_primers_section_is_answered_under_a_heading_of_the_chapter():
    notebook, _ = read_back("gdcn")
    headings = re.findall(r"^## (.+)$", "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown"), re.M)
    claims = read_json(ROOT / "book" / "primer" / "gdcn.json")
    assert [c["lines"][0] for c in claims] == [741, 743, 744, 745, 747, 749, 750, 751, 752, 754, 756, 758, 760, 761]
    assert {c["where"] for c in claims} <= set(headings)
    assert {c["answer"] for c in claims} <= {"explained", "measured", "corrected", "cited"}
