"""DCN V2 against DCN, against its rank, its maps against ablation; and the stored sweeps."""

import pandas as pd
import pytest
import torch
from tiny import FIELDS, filled, rows
from torch.testing import assert_close

from bench.ranking.dcn_v2 import FILE, PLANTED_SEEDS, SEEDS, TASKS, VERSIONS, build, named, sizes, version, wanted
from recsys_lite import explain
from recsys_lite.data.simulated.planted import planted
from recsys_lite.evaluation import evaluate
from recsys_lite.explain.crosses import block_ablation, gate_shares, with_full_matrices
from recsys_lite.layers import CrossNet, CrossNetMix, CrossNetV2
from recsys_lite.models import DCNV2
from recsys_lite.store import load_results, read_json

SIZES = {"user": 3, "item": 5, "genres": 2, "history": 5}


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_dcn_is_a_dcn_v2_with_equal_rows_of_rank_one_up_to_a_constant(layers):
    """W_l = 1 w_lᵀ and b_l = (w_lᵀ β_l) 1 give x_l - β_l, where β_l sums the biases before layer l."""
    dcn, v2 = filled(CrossNet(5, layers)).double(), CrossNetV2(5, layers).double()
    before = torch.cat([torch.zeros(1, 5), dcn.bias.detach().cumsum(0)])
    v2.weight.data = dcn.weight.data[:, None, :].expand(layers, 5, 5).clone()
    v2.bias.data = (dcn.weight.data * before[:-1]).sum(1, keepdim=True).expand(layers, 5).clone()
    x = torch.randn(6, 5, dtype=torch.float64)
    for k, (a, b) in enumerate(zip(dcn.states(x), v2.states(x), strict=True)):
        assert_close(a, b + before[k])
    assert torch.linalg.matrix_rank(v2.weight.detach()).tolist() == [1] * layers


def test_a_diagonal_matrix_crosses_nothing():
    cross = filled(CrossNetV2(4, 3)).double()
    cross.weight.data *= torch.eye(4)
    slope = torch.func.jacrev(lambda x: cross(x[None])[0])(torch.randn(4, dtype=torch.float64))
    assert_close(slope, torch.diag(slope.diagonal()))


def test_one_layer_has_any_quadratic_form():
    torch.manual_seed(0)
    q, w = torch.randn(5, 5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    cross = CrossNetV2(5, 1).double()
    cross.weight.data = (q / w[:, None])[None]
    found = torch.func.hessian(lambda x: cross(x[None])[0] @ w)(torch.randn(5, dtype=torch.float64))
    assert_close(found, q + q.T)


@pytest.mark.parametrize("layers", range(1, 5))
def test_l_layers_are_a_polynomial_of_degree_l_plus_one(layers):
    torch.manual_seed(layers)
    cross = CrossNetV2(3, layers).double()
    cross.weight.data = torch.randint(1, 4, (layers, 3, 3)).double()
    cross.bias.data = torch.randint(-3, 4, (layers, 3)).double()
    t = torch.arange(layers + 4, dtype=torch.float64)
    top = cross(t[:, None] * torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)).sum(1).diff(n=layers + 1)
    assert (top == top[0]).all() and top[0] > 0


@pytest.mark.parametrize(("rank", "pairs", "fits"), [(1, 2, True), (1, 3, False), (2, 4, True), (2, 5, False)])
def test_a_rank_holds_twice_as_many_disjoint_pairs_and_no_more(rank, pairs, fits):
    """On all rows of signs, against the sum of products of disjoint pairs, from several starts."""
    places = 2 * pairs
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * places)
    truth = (signs[:, 0::2] * signs[:, 1::2]).sum(1)
    best = float("inf")
    for seed in range(4):
        torch.manual_seed(seed)
        cross, constant = CrossNetV2(places, 1, rank=rank), torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.Adam([*cross.parameters(), constant], lr=0.05)
        for _ in range(300):
            error = (cross(signs).sum(1) + constant - truth).square().mean() / pairs
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
        best = min(best, error.item())
    assert best < 0.01 if fits else best > 0.1


@pytest.mark.parametrize("structure", ["stacked", "parallel", "cross"])
def test_low_rank_multiplied_out_is_the_same_function(structure):
    model = filled(DCNV2(FIELDS, dim=SIZES, rank=2, structure=structure), 0.3)
    full = with_full_matrices(model)
    assert full.config == {**model.config, "rank": 0}
    assert_close(full(rows(9)), model(rows(9)), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="experts with gates have no matrix"):
        with_full_matrices(DCNV2(FIELDS, rank=2, experts=2))


@pytest.mark.parametrize("rank", [0, 2])
def test_block_ablation_takes_out_both_blocks_of_a_pair_and_leaves_the_model_as_it_was(rank):
    model, batch = filled(DCNV2(FIELDS, dim=4, rank=rank, cross_layers=2), 0.3), rows(80)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    cut = block_ablation(model, batch).set_index(["a", "b"])
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert len(cut) == 10 and cut["log_loss"].is_monotonic_decreasing
    weight = torch.stack([model.cross.matrices(k)[0].detach() for k in range(2)])
    a, b = model.input.blocks["user"], model.input.blocks["price"]
    weight[:, a, b] = weight[:, b, a] = 0
    x0 = x = model.input(batch)
    for W, bias in zip(weight, model.cross.bias, strict=True):
        x = x0 * (x @ W.T + bias) + x
    z = model.combine(model.mlp(x)).squeeze(1)
    expected = evaluate(batch.label, torch.sigmoid(z).detach())
    start = evaluate(batch.label, torch.sigmoid(model(batch)).detach())
    line = cut.loc["user", "price"] if ("user", "price") in cut.index else cut.loc["price", "user"]
    assert line["strength"] == pytest.approx((z - model(batch)).abs().mean().item(), rel=1e-3)
    assert line["log_loss"] == pytest.approx(expected["log_loss"] - start["log_loss"], abs=1e-4)
    assert line["auc"] == pytest.approx(expected["auc"] - start["auc"], abs=1e-3)
    assert explain.square(cut.reset_index(), "strength").shape == (5, 5)


def test_a_pair_without_weight_is_worth_nothing():
    model = filled(DCNV2(FIELDS, dim=4), 0.3)
    a, b = model.input.blocks["user"], model.input.blocks["item"]
    with torch.no_grad():
        model.cross.weight[:, a, b] = 0
        model.cross.weight[:, b, a] = 0
    cut = block_ablation(model, rows(50)).set_index(["a", "b"])
    assert (cut.loc["user", "item"].abs() < 1e-6).all() and cut.loc["user", "genres"]["strength"] > 1e-3
    with pytest.raises(ValueError, match="have no labels"):
        unlabelled = rows(5)
        unlabelled.label = None
        block_ablation(model, unlabelled)


def test_gate_shares_are_the_gates_of_each_row():
    model = filled(DCNV2(FIELDS, dim=4, rank=2, experts=3), 0.5)
    batch = rows(7)
    shares = [gate_shares(model, batch, layer) for layer in range(2)]
    assert list(shares[0].columns) == ["expert 1", "expert 2", "expert 3"] and len(shares[0]) == 7
    x = model.input(batch)
    for layer, table in enumerate(shares):
        assert_close(torch.tensor(table.to_numpy()), torch.softmax(x @ model.cross.gate[layer].T, 1).detach())
        x = model.cross.states(model.input(batch))[layer + 1]
    assert len(gate_shares(model, batch[:1])) == 1
    with pytest.raises(ValueError, match="layer 2 of 2"):
        gate_shares(model, batch, 2)
    with pytest.raises(ValueError, match="has no experts"):
        gate_shares(DCNV2(FIELDS), batch)


def test_counts_of_a_layer():
    count = lambda layer: sum(p.numel() for p in layer.parameters())  # noqa: E731
    assert count(CrossNetV2(10, 1)) == 10**2 + 10
    assert count(CrossNetV2(10, 1, rank=3)) == 2 * 10 * 3 + 10
    assert count(CrossNetV2(10, 1, rank=5)) == count(CrossNetV2(10, 1))  # at N/2 nothing is saved
    assert count(CrossNetMix(10, 1, rank=3, experts=4)) == 4 * (2 * 10 * 3 + 3**2 + 10) + 10


def test_sizes_by_vocabulary_follow_the_fourth_root_and_a_history_its_item():
    assert sizes(FIELDS) == {"user": 4, "item": 4, "genres": 4, "history": 4}
    assert sizes(FIELDS, factor=6) == {"user": 10, "item": 10, "genres": 8, "history": 10}
    assert version("sizes by vocabulary", planted(2, 0)).input.width == 6 * round(2.5 * 11**0.25)


def test_named_counts_planted_pairs_that_lead_the_map():
    data = planted(2, 0, crosses=3)
    model = build("full", data, 1)
    with torch.no_grad():
        model.cross.weight.zero_()
        for k, (a, b) in enumerate(data.extras["crosses"]):
            model.cross.weight[0, model.input.blocks[a if k else b], model.input.blocks[b if k else a]] = 1.0
    assert named(model, data) == 3
    with torch.no_grad():
        (a, b), (c, _), _ = data.extras["crosses"]
        model.cross.weight[0, model.input.blocks[a], model.input.blocks[b]] = 0
        model.cross.weight[0, model.input.blocks[b], model.input.blocks[a]] = 0
        model.cross.weight[0, model.input.blocks[a], model.input.blocks[c]] = 2.0
    assert named(model, data) == 2


STORED = read_json(FILE)


def test_stored_runs_are_complete_and_of_one_setting():
    assert wanted(STORED) == []
    movie, made = pd.DataFrame(STORED["movielens"]), pd.DataFrame(STORED["planted"])
    assert (movie.groupby("model").size() == len(SEEDS)).all() and set(movie["model"]) == set(VERSIONS)
    assert (made.query("signal").groupby(["task", "model"]).size() == len(PLANTED_SEEDS)).all()
    assert {t: set(p["model"]) for t, p in made.query("signal").groupby("task")} == {
        t: set(v[2]) for t, v in TASKS.items()
    }
    chosen = load_results("movielens-100k", "click", STORED["settings"]["of"])[0]["settings"]
    assert {k: chosen[k] for k in ("lr", "weight_decay")} == {k: STORED["settings"][k] for k in ("lr", "weight_decay")}
    assert set(STORED["time"]) == set(VERSIONS) and STORED["time"]["dcn"] == 1


def test_stored_planted_runs_keep_to_the_bound():
    """Rank 1 and DCN cannot hold three pairs, FM no three fields; coins say nothing."""
    made = pd.DataFrame(STORED["planted"])
    made["lost"] = made["best"] - made["auc"]
    pairs = made.query("task == 'pairs' and signal").groupby("model")["lost"]
    assert min(pairs.min()["dcn"], pairs.min()["rank 1"]) > 0.02 > pairs.max()["full"]
    assert made.query("task == 'three fields' and model == 'fm'")["auc"].between(0.44, 0.56).all()
    assert made.query("not signal")["auc"].between(0.44, 0.56).all()
    for r in STORED["planted"]:
        assert (
            r["parameters"]
            == build(r["model"], planted(seed=0, **TASKS[r["task"]][0]), TASKS[r["task"]][1]).parameter_count
        )
