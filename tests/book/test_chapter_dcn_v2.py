"""The chapter's own code: loops, vectors, experts, module and views agree with each other and with the library."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from notebook_code import definitions, read_back
from tiny import FIELDS
from tiny import rows as tiny_rows
from torch.testing import assert_close

from recsys_lite.data.simulated.planted import planted
from recsys_lite.evaluation import compare_runs, compare_stored
from recsys_lite.explain.crosses import gate_shares
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.layers import CrossNetMix, CrossNetV2
from recsys_lite.models import DCN, DCNV2
from recsys_lite.notebook import told
from recsys_lite.store import RESULTS, read_json

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))


chapter = definitions("book/dcn_v2.ipynb")


def weights_of(layer, names):
    torch.manual_seed(1)
    with torch.no_grad():
        for p in layer.parameters():
            p.normal_(std=0.5)
    return [getattr(layer, n) for n in names]


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 3), (5, 6, 2)])
def test_loops_vectors_and_layer_agree(shape):
    count, width, layers = shape
    cross = CrossNetV2(width, layers).double()
    W, b = weights_of(cross, ["weight", "bias"])
    x0 = torch.randn(count, width, dtype=torch.float64)
    slow = torch.stack([torch.stack(chapter.cross_loops(list(row), W, b)[-1]) for row in x0])
    assert_close(chapter.cross_fast(x0, W, b), slow)
    assert_close(cross(x0), slow)


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("activation", ["tanh", "relu", "identity"])
def test_low_rank_and_experts_are_the_librarys(count, activation):
    x0 = torch.randn(count, 7)
    low = CrossNetV2(7, 2, rank=3)
    assert_close(chapter.cross_low(x0, *weights_of(low, ["u", "v", "bias"])), low(x0))
    mix = CrossNetMix(7, 2, rank=3, experts=4, activation=activation)
    g = {"tanh": torch.tanh, "relu": torch.relu, "identity": lambda t: t}[activation]
    assert_close(chapter.cross_mix(x0, *weights_of(mix, ["u", "v", "c", "gate", "bias"]), g=g), mix(x0))


def test_the_check_of_a_layer_finds_wrong_code():
    x0 = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert chapter.agree(CrossNetV2(5, 2, rank=2), chapter.cross_low, ["u", "v", "bias"], x0)
    with pytest.raises(AssertionError):
        chapter.agree(CrossNetV2(5, 2, rank=2), chapter.exchanged, ["u", "v", "bias"], x0)


@pytest.mark.parametrize("structure", ["stacked", "parallel", "cross"])
@pytest.mark.parametrize(("values", "dims", "numbers"), [([5], [2], 1), ([4, 6, 3], [4, 1, 3], 2), ([3, 9], [2, 2], 3)])
def test_the_module_with_copied_weights_is_the_librarys_model(structure, values, dims, numbers):
    torch.manual_seed(0)
    fields = [Field(f"I{k}", "numeric") for k in range(numbers)]
    named = [Field(f"C{k}", "categorical", Vocabulary([f"v{i}" for i in range(n - 1)])) for k, n in enumerate(values)]
    sizes = {f.name: d for f, d in zip(named, dims, strict=True)}
    library = DCNV2([*fields, *named], dim=sizes, cross_layers=2, hidden=(6,), structure=structure)
    scratch = chapter.ScratchDCNV2(values, dims, numbers, 2, 6, structure)
    pairs = chapter.same_rows(library, scratch, named)
    assert sum(ours.numel() for _, _, ours in pairs) == library.parameter_count
    assert sum(p.numel() for p in scratch.parameters()) == library.parameter_count
    with torch.no_grad():
        for theirs, part, ours in pairs:
            ours.copy_(theirs[part].normal_(std=0.4))
    ids = torch.stack([torch.randint(0, n, (20,)) for n in values], 1)
    rows = Rows(ids.int(), torch.randn(20, numbers))
    assert_close(library(rows), scratch(ids, rows.numeric), rtol=1e-4, atol=1e-4)
    assert_close(library(rows[:1]), scratch(ids[:1], rows.numeric[:1]), rtol=1e-4, atol=1e-4)


def test_each_mistake_passes_the_lazy_question_and_not_the_sharp_one():
    full, mix = [(2, 4, 4), (2, 4)], lambda n: [(n, 3, 4, 2), (n, 3, 4, 2), (n, 3, 2, 2), (n, 3, 4), (n, 4)]
    right, c = chapter.is_right, chapter
    assert right(c.bias_outside, c.cross_fast, full, zero=[1]) and not right(c.bias_outside, c.cross_fast, full)
    assert right(c.shared_gates, c.cross_mix, mix(1)) and not right(c.shared_gates, c.cross_mix, mix(2))
    assert right(c.squeezed, c.cross_mix, mix(2)) and not right(c.squeezed, c.cross_mix, mix(2), count=1)
    assert right(c.cross_mix, c.cross_mix, mix(2), count=1)


def test_the_map_sums_both_orders_and_leaves_the_diagonal_empty():
    data = planted(2, 0, crosses=3)
    model = DCNV2(data.fields, dim=2, cross_layers=1, structure="cross")
    a, b = model.input.blocks["A"], model.input.blocks["C"]
    with torch.no_grad():
        model.cross.weight.zero_()
        model.cross.weight[0, a, b], model.cross.weight[0, b, a], model.cross.weight[0, a, a] = 3.0, 0.5, 9.0
    table = chapter.pair_map(model)
    assert table.loc["A", "C"] == table.loc["C", "A"] == pytest.approx(6.0 + 1.0)
    assert table.isna().sum().sum() == 6 and table.fillna(0).to_numpy().sum() == pytest.approx(14.0)


@pytest.mark.parametrize(("pairs", "rank", "fits"), [(2, 1, True), (3, 1, False), (4, 2, True), (5, 2, False)])
def test_a_rank_holds_twice_as_many_pairs(pairs, rank, fits):
    left = chapter.missed(pairs, rank)
    assert left < 0.01 if fits else left > 0.1


def test_fixed_gates_are_the_means_and_the_model_is_as_before():
    torch.manual_seed(0)
    model, rows = DCNV2(FIELDS, dim=4, rank=2, experts=3, std=1.0), tiny_rows(40)
    before = model(rows)
    fixed = chapter.FixedGates(model, rows)
    one = fixed(rows[:1])
    assert_close(fixed(rows)[:1], one, rtol=1e-4, atol=1e-5)
    assert_close(model(rows), before)
    assert not torch.allclose(fixed(rows), before)
    for layer, mean in enumerate(fixed.means):
        assert_close(mean, torch.tensor(gate_shares(model, rows, layer).mean().to_numpy()))
    with torch.no_grad():
        model.cross.gate.zero_()  # all shares are equal: fixing them changes nothing
    assert_close(chapter.FixedGates(model, rows)(rows), model(rows))


def test_a_model_cut_to_full_rank_is_itself_and_to_less_is_not():
    torch.manual_seed(0)
    model, rows = DCNV2(FIELDS, dim=4, std=1.0), tiny_rows(30)
    width = model.input.width
    assert_close(chapter.cut_to(model, width)(rows), model(rows), rtol=1e-4, atol=1e-4)
    cut = chapter.cut_to(model, 2)
    assert torch.linalg.matrix_rank(cut.cross.weight.detach(), atol=1e-4).tolist() == [2, 2]


@pytest.mark.parametrize(("width", "rank", "experts"), [(10, 0, 0), (10, 3, 0), (12, 2, 4)])
def test_parameters_of_a_layer(width, rank, experts):
    layer = CrossNetMix(width, 1, rank, experts) if experts else CrossNetV2(width, 1, rank)
    assert chapter.layer_parameters(width, rank, experts) == sum(p.numel() for p in layer.parameters())


def test_a_pair_is_cut_in_both_orders_and_all_layers():
    torch.manual_seed(0)
    model, rows = DCNV2(FIELDS, dim=4, std=1.0), tiny_rows(30)
    cut = chapter.without(model, "user", "item")
    a, b = model.input.blocks["user"], model.input.blocks["item"]
    gone = cut.cross.weight == 0
    assert gone[:, a, b].all() and gone[:, b, a].all()
    assert int(gone.sum()) == 2 * 2 * 4 * 4 and not torch.allclose(cut(rows), model(rows))


def test_the_factors_of_dcn_are_one_number_a_row_and_those_of_dcn_v2_are_not():
    torch.manual_seed(0)
    dcn, v2, rows = DCN(FIELDS, dim=4, std=1.0), DCNV2(FIELDS, dim=4, std=1.0), tiny_rows(6)
    with torch.no_grad():
        dcn.cross.bias.normal_()
    one = chapter.factors(dcn, rows, dcn.cross.bias[0]).to_numpy()
    scales = dcn.cross.scales(dcn.input(rows))[0][:, 0].detach()
    seen = ~np.isnan(one)  # a value that training never showed is a vector of zeros
    assert seen.mean() > 0.5
    assert_close(torch.tensor(one)[seen], scales[:, None].expand(one.shape)[seen], rtol=1e-3, atol=1e-3)
    assert np.nanstd(chapter.factors(v2, rows).to_numpy(), axis=1).min() > 0.1


def test_a_rank_correlation_and_its_interval_by_hand():
    x, y = range(20), [*range(10), *reversed(range(10, 20))]
    r, low, high = chapter.rank_correlation(x, y)
    assert r == pytest.approx(1 - 6 * 330 / (20 * 399))  # Spearman's formula: the last ten are reversed, 330 = Σ d²
    half = 1.96 * ((1 + r**2 / 2) / 17) ** 0.5
    assert (low, high) == pytest.approx(tuple(float(np.tanh(np.arctanh(r) + k * half)) for k in (-1, 1)))


def verdict(values, against):
    return compare_runs(values, against, paired=True)


@pytest.mark.parametrize(("found", "claimed", "says"), [
    (verdict([0.82, 0.83, 0.84], [0.80, 0.81, 0.82]), 0.0015, "agrees"),
    (verdict([0.82, 0.83, 0.84], [0.80, 0.81, 0.82]), -1.0, "disagrees"),
    (verdict([0.82, 0.83, 0.84], [0.80, 0.81, 0.82]), 0.0, "disagrees"),
    (verdict([0.8000, 0.8101, 0.8200], [0.8001, 0.8100, 0.8201]), 0.0, "agrees"),
    (verdict([0.8000, 0.8101, 0.8200], [0.8001, 0.8100, 0.8201]), 1.0, "disagrees"),
    (verdict([0.82, 0.80, 0.84], [0.80, 0.81, 0.82]), 0.0015, "cannot be tested here: ≥ 0.057"),
])  # fmt: skip
def test_what_is_said_of_a_claim_follows_from_the_verdict(found, claimed, says):
    assert chapter.reading(found, claimed).startswith(says)


# What the reader sees


def test_sentences_hold_the_stored_results():
    _, text = read_back("dcn_v2")
    for task in ("click", "like"):
        v = compare_stored("movielens-100k", task, "dcn_v2", ["dcn", "deepfm", "fm", "logistic_regression"]).iloc[0]
        assert f"MovieLens, {task}: {told(v)}" in text, "run tools/execute.py book/dcn_v2.ipynb again"
    runs = pd.DataFrame(read_json(RESULTS / "dcn_v2.json")["planted"]).query("task == 'pairs' and signal")
    lost = (runs["best"] - runs["auc"]).groupby(runs["model"]).mean()
    assert f"loses {lost['dcn']:.3f} AUC" in text and f"loses {lost['full']:.3f}" in text
    assert "no difference" not in text
