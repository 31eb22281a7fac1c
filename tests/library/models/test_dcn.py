"""DCN's cross layers: the formula, their degree, what they cannot say; and planted crosses against their truth."""

from itertools import combinations, product

import pandas as pd
import pytest
import torch
from tiny import FIELDS, filled, rows
from torch.testing import assert_close

from bench.ranking.planted_crosses import NAMES, ORDERS, PLANTED, SEEDS, SETTINGS, VERSIONS, build, chosen, wanted
from recsys_lite.data.simulated.planted import planted
from recsys_lite.evaluation import auc
from recsys_lite.fields import Field
from recsys_lite.layers import CrossNet
from recsys_lite.models import DCN
from recsys_lite.store import RESULTS, load_results, read_json


def whole_numbers(inputs, layers):
    """A cross network with weights 1 to 3 and biases -3 to 3 in float64, in which small whole numbers are exact."""
    torch.manual_seed(layers)
    cross = CrossNet(inputs, layers).double()
    with torch.no_grad():
        cross.weight.copy_(torch.randint(1, 4, (layers, inputs)))
        cross.bias.copy_(torch.randint(-3, 4, (layers, inputs)))
    return cross


def by_outer_product(cross, x0):
    """The formula as the paper prints it: x_0 x_lᵀ w_l + b_l + x_l with the N × N product of each row."""
    x = x0
    for w, b in zip(cross.weight, cross.bias, strict=True):
        x = torch.einsum("bi,bj->bij", x0, x) @ w + b + x
    return x


def test_two_layers_by_hand():
    cross = CrossNet(2, layers=2)
    cross.weight.data = torch.tensor([[1.0, -1.0], [2.0, -3.0]])
    cross.bias.data = torch.tensor([[0.5, 0.0], [0.0, 1.0]])
    # x0 = (2, 1), x0·w = 1: x1 = (2, 1) + (0.5, 0) + (2, 1); x1·w = 9 - 6 = 3: x2 = (6, 3) + (0, 1) + x1
    states = cross.states(torch.tensor([[2.0, 1.0]]))
    assert [s.tolist() for s in states] == [[[2.0, 1.0]], [[4.5, 2.0]], [[10.5, 6.0]]]


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 4, 3), (3, 9, 6)])
def test_the_layers_are_the_explicit_outer_product_in_value_and_gradient(shape):
    count, inputs, layers = shape
    cross = filled(CrossNet(inputs, layers)).double()
    x0 = torch.randn(count, inputs, dtype=torch.float64, requires_grad=True)
    leaves = [x0, cross.weight, cross.bias]
    ours, explicit = cross(x0), by_outer_product(cross, x0)
    assert_close(ours, explicit)
    assert_close(torch.autograd.grad(ours.sum(), leaves), torch.autograd.grad(explicit.sum(), leaves))


def test_the_outer_product_is_never_built():
    """The largest tensor that the backward pass keeps is B·N, not B·N²."""
    kept = []
    x0 = torch.randn(3, 50, requires_grad=True)
    cross = CrossNet(50, 2)
    for function in (cross, lambda x: by_outer_product(cross, x)):
        sizes = [0]
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t):
            function(x0)
        kept.append(max(sizes))
    assert kept == [3 * 50, 3 * 50 * 50]


def test_the_bias_is_outside_of_the_product():
    """The mistake x0 (xᵀw + b) + x gives x0 ⊙ b + x here."""
    cross = CrossNet(3, layers=1)
    cross.weight.data.zero_()
    cross.bias.data.copy_(torch.tensor([[1.0, -2.0, 0.5]]))
    x = torch.randn(4, 3)
    assert_close(cross(x), cross.bias + x)


def test_every_layer_has_a_weight_of_its_own_and_multiplies_the_first_state():
    cross = filled(CrossNet(4, 3))
    x0 = torch.randn(6, 4)
    given = x0.clone()
    before = cross.states(x0)
    assert_close(x0, given)  # no layer writes into its input
    for layer in range(3):
        added = before[layer + 1] - before[layer] - cross.bias[layer]
        assert_close(added, x0 * (before[layer] @ cross.weight[layer])[:, None])
    with torch.no_grad():
        cross.weight[2].neg_()
    after = cross.states(x0)
    assert_close(after[2], before[2])
    assert not torch.allclose(after[3], before[3])


@pytest.mark.parametrize("layers", range(1, 7))
def test_l_layers_are_a_polynomial_of_degree_l_plus_one(layers):
    """Exact: on a line t·x the k-th difference of a polynomial of degree k is a constant that is not zero."""
    cross = whole_numbers(3, layers)
    t = torch.arange(layers + 4, dtype=torch.float64)
    values = cross(t[:, None] * torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)).sum(1)
    top = values.diff(n=layers + 1)
    assert (top == top[0]).all() and top[0] > 0
    assert (top.diff() == 0).all()


def test_the_output_is_a_multiple_of_the_input_plus_the_biases_and_the_multiple_is_a_product():
    """x_L = α x_0 + Σ b_l; without biases α is the product of 1 + w_lᵀ x_0."""
    cross = filled(CrossNet(5, 4)).double()
    x0 = torch.randn(7, 5, dtype=torch.float64)
    line = cross(x0) - cross.bias.sum(0)
    assert_close(line / x0, (line[:, :1] / x0[:, :1]).expand(7, 5))
    with torch.no_grad():
        cross.bias.zero_()
    assert_close(cross(x0), x0 * (1 + x0 @ cross.weight.T).prod(1, keepdim=True))
    scales, last = cross.scales(x0)
    assert scales.shape == (7, 4)
    assert_close(last, x0 * (1 + scales.sum(1, keepdim=True)))


@pytest.mark.parametrize("hidden", [(), (6,), (8, 4)])
def test_dcn_is_one_linear_layer_over_both_networks(hidden):
    model, batch = filled(DCN(FIELDS, dim=3, cross_layers=2, hidden=hidden)), rows(9)
    x0 = model.input(batch)
    assert x0.shape == (9, 4 * 3 + 1)
    assert_close(x0[:, 12:], batch.numeric)  # numbers as they are, one place each
    both = [by_outer_product(model.cross, x0)] + ([model.mlp(x0)] if hidden else [])
    assert_close(model(batch), model.combine(torch.cat(both, 1)).squeeze(1), rtol=1e-4, atol=1e-5)
    assert (model.mlp is None) == (not hidden)


def test_without_products_dcn_is_a_linear_model_of_its_input():
    model, batch = filled(DCN(FIELDS, dim=3, hidden=())), rows(9)
    with torch.no_grad():
        model.cross.weight.zero_()
    expected = model.combine(model.input(batch) + model.cross.bias.sum(0)).squeeze(1)
    assert_close(model(batch), expected)


def test_parameters_are_two_n_a_layer():
    counts = [DCN(FIELDS, dim=3, cross_layers=k).parameter_count for k in (1, 2, 3)]
    assert counts[1] - counts[0] == counts[2] - counts[1] == 2 * (4 * 3 + 1)


def test_the_block_map_is_an_outer_product_of_two_lists():
    model = filled(DCN(FIELDS, dim=3, cross_layers=2))
    w, places = model.combine.weight[0], model.input.blocks.values()
    left = torch.stack([w[p].norm() for p in places])
    for layer in range(2):
        right = torch.stack([model.cross.weight[layer][p].norm() for p in places])
        assert_close(model.block_norms(layer), torch.outer(left, right))
    with pytest.raises(ValueError, match="layer 2 of 2"):
        model.block_norms(2)


def test_a_batch_of_one_works_and_other_widths_are_named():
    assert CrossNet(4)(torch.randn(1, 4)).shape == (1, 4)
    with pytest.raises(ValueError, match=r"expected \(B, 4\), got \(2, 5\)"):
        CrossNet(4)(torch.randn(2, 5))
    with pytest.raises(ValueError, match="must be at least 1"):
        CrossNet(4, layers=0)
    with pytest.raises(ValueError, match="no fields given"):
        DCN([])
    assert DCN([Field("price", "numeric")]).input.width == 1


@pytest.mark.parametrize(("order", "crosses"), [(1, 1), (2, 1), (3, 1), (4, 1), (2, 2), (3, 2)])
def test_planted_labels_follow_the_truth_in_the_extras(order, crosses):
    data = planted(order, seed=order, rows=4000, noise=0.2, crosses=crosses)
    names = [f.name for f in data.fields]
    found = data.extras["crosses"]
    assert len(found) == crosses and all(len(c) == order and list(c) == sorted(c) for c in found)
    assert len({n for c in found for n in c}) == order * crosses  # disjoint
    sign = {n: s[data.test.ids[:, names.index(n)].long()] for n, s in data.extras["signs"].items()}
    mean = torch.stack([torch.stack([sign[n] for n in c]).prod(0) for c in found]).mean(0)
    assert_close(data.extras["probability"], 0.5 + 0.3 * mean)
    assert auc(data.test.label, data.extras["probability"]) == pytest.approx(0.8 if crosses == 1 else 0.71, abs=0.03)
    assert (len(data.train), len(data.validation), len(data.test)) == (4000, 1000, 1000)
    assert int(data.train.ids.min()) >= 1 and int(data.train.ids.max()) <= 10


@pytest.mark.parametrize("order", [2, 3, 4])
def test_no_smaller_set_of_fields_tells_anything(order):
    """Exact: over all values of a cross's fields the product of signs has mean zero once any of them is left open."""
    data = planted(order, seed=7, values=4)
    signs = [data.extras["signs"][n][1:] for n in data.extras["crosses"][0]]
    table = torch.stack([torch.stack(list(v)).prod() for v in product(*signs)]).reshape([4] * order)
    assert table.abs().min() == 1
    for count in range(1, order + 1):
        for left_open in combinations(range(order), count):
            assert table.mean(dim=left_open).abs().max() == 0


def test_planted_rows_depend_on_the_seed_alone_and_the_control_only_changes_labels():
    a, b, other = planted(3, 5), planted(3, 5), planted(3, 6)
    assert torch.equal(a.train.ids, b.train.ids) and torch.equal(a.train.label, b.train.label)
    assert not torch.equal(a.train.ids, other.train.ids)
    coin = planted(3, 5, signal=False)
    assert torch.equal(coin.train.ids, a.train.ids) and (coin.extras["probability"] == 0.5).all()
    assert coin.extras["crosses"] == a.extras["crosses"] and 0.47 < coin.train.label.mean() < 0.53
    exact = planted(3, 5, noise=0)
    assert torch.equal(exact.test.label, exact.extras["probability"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"order": 7}, "1 crosses of order 7 do not fit 6 fields"),
        ({"order": 3, "crosses": 3}, "3 crosses of order 3 do not fit 6 fields"),
        ({"order": 0}, "of order 0"),
        ({"order": 2, "fields": 27}, "do not fit 27 fields"),
        ({"order": 2, "values": 5}, "values=5"),
        ({"order": 2, "noise": 0.5}, "noise=0.5"),
        ({"order": 2, "rows": 3}, "rows=3"),
    ],
)
def test_planted_names_what_does_not_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        planted(seed=0, **settings)


STORED = read_json(RESULTS / "planted_crosses.json")


def test_stored_runs_are_complete_and_of_equal_effort():
    runs, tried, control = (pd.DataFrame(STORED[k]) for k in ("planted", "tuning", "control"))
    assert wanted(STORED) == []
    assert (runs.groupby(["order", "model"]).size() == len(SEEDS)).all() and len(runs) == len(ORDERS) * len(NAMES) * 5
    assert (tried.groupby(["order", "model"]).size() == 3 * len(SETTINGS)).all()
    assert not set(tried["seed"]) & set(runs["seed"])
    mean = tried.groupby(["order", "model", "std", "lr"])["log_loss"].mean()
    for (order, name), part in runs.groupby(["order", "model"]):
        best = chosen(STORED, order, name)
        assert mean[order, name].idxmin() == (best["std"], best["lr"])
        assert (part[["std", "lr"]] == [best["std"], best["lr"]]).all(axis=None)
    assert len(control) == len(NAMES) * len(SEEDS) and set(control["order"]) == {3}
    assert {r["model"] for r in STORED["movielens"]} == set(VERSIONS)
    assert load_results("movielens-100k", "click", "dcn")  # whose settings the MovieLens runs use


@pytest.mark.parametrize("order", ORDERS)
def test_the_equal_network_has_at_least_the_cross_networks_parameters_and_few_more(order):
    data = planted(order, 0, **PLANTED)
    count = {name: build(name, data, order).parameter_count for name in NAMES}
    cross = count[f"cross {order - 1}"]
    assert cross <= count["network, equal"] < 1.1 * cross < count["network, large"]
    runs = [r for r in STORED["planted"] if r["order"] == order]
    assert {r["model"]: r["parameters"] for r in runs} == count


def test_stored_runs_with_too_low_a_degree_found_nothing():
    for r in STORED["planted"]:
        layers = int(r["model"][-1]) if r["model"].startswith("cross ") else 99
        if (r["model"] == "fm" and r["order"] > 2) or layers < r["order"] - 1:
            assert 0.44 < r["auc"] < 0.56, r
    assert all(0.44 < r["auc"] < 0.56 for r in STORED["control"])
