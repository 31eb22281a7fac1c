"""What a model becomes where part of it is zero, equal or without end, and with which numbers it starts."""

import pytest
import torch
from examples import randomise
from small import Largest, of_pairs
from test_model_equations import FIELDS, few
from torch.testing import assert_close

from recsys_lite.layers import (
    CrossNet,
    CrossNetMix,
    CrossNetV2,
    EnsembleLayer,
    GatedCrossNet,
    InteractingLayer,
    fm_interaction,
)
from recsys_lite.layers.graph import BipartiteGraph
from recsys_lite.models import (
    DCN,
    DCNV2,
    EASE,
    GDCN,
    PAL,
    AutoInt,
    DeepFM,
    FieldMLP,
    LightGCN,
    LogisticRegression,
    NeuMF,
    TwoTowers,
)


def double(module):
    return randomise(module.double().eval(), 3)


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def same(found, expected):
    assert_close(found, expected, rtol=1e-10, atol=1e-10)


# --- special cases ----------------------------------------------------------------------------------------------------


def test_a_gate_without_weights_is_one_half():
    gated, plain = double(GatedCrossNet(4, 3)), CrossNetV2(4, 3).double()
    gated.gate_weight.data.zero_()
    plain.load_state_dict({"weight": gated.weight / 2, "bias": gated.bias / 2})
    same(gated(random(5, 4)), plain(random(5, 4)))


def test_equal_experts_are_one_whatever_the_gates_say():
    mix, one = double(CrossNetMix(4, 2, rank=2, experts=3)), CrossNetMix(4, 2, rank=2, experts=1).double()
    for name in ("u", "v", "c"):
        getattr(mix, name).data.copy_(getattr(mix, name).data[:, :1].expand_as(getattr(mix, name)))
        getattr(one, name).data.copy_(getattr(mix, name).data[:, :1])
    one.bias.data.copy_(mix.bias.data)
    same(mix(random(5, 4)), one(random(5, 4)))


def test_a_gate_without_end_chooses_one_expert():
    mix, one = double(CrossNetMix(4, 1, rank=2, experts=3)), CrossNetMix(4, 1, rank=2, experts=1).double()
    x = random(5, 4)
    x[:, 0] = 1.0
    mix.gate.data.zero_()
    mix.gate.data[0, 1, 0] = 1e4
    one.load_state_dict({k: v if k == "bias" else v[:, 1:2] for k, v in mix.state_dict().items()})
    same(mix(x), one(x))


@pytest.mark.parametrize("layer", [CrossNet(4), CrossNetV2(4), CrossNetV2(4, rank=2), CrossNetMix(4), GatedCrossNet(4)])
def test_cross_layers_without_numbers_are_the_identity(layer):
    for name, p in layer.named_parameters():
        if name in ("weight", "u", "bias"):
            torch.nn.init.zeros_(p)
    assert torch.equal(layer(torch.ones(3, 4)), torch.ones(3, 4))


def test_dcn_and_its_followers_without_crosses_are_logistic_regressions_of_vectors():
    """What is left is w^T x_0 + b, as of a network without hidden layers."""
    for kind, options in ((DCN, {}), (DCNV2, {"structure": "cross"}), (GDCN, {})):
        model = double(kind(FIELDS, dim=2, hidden=(), **options))
        for name in ("weight", "bias"):
            getattr(model.cross, name).data.zero_()
        same(model(few()), model.combine(model.input(few())).squeeze(1))


def test_one_field_attends_to_itself():
    layer = double(InteractingLayer(3, units=2, heads=2))
    e = random(4, 1, 3)
    same(layer(e), torch.relu(e @ (layer.value.weight + layer.residual.weight).T))


def test_equal_fields_share_their_attention():
    layer = double(InteractingLayer(3, units=2, heads=2))
    out, attention = layer.attend(random(4, 1, 3).expand(4, 5, 3))
    same(attention, torch.full_like(attention, 1 / 5))
    same(out, out[:, :1].expand_as(out))


def test_a_sum_with_all_weight_on_one_module_is_that_module():
    layer, one = double(EnsembleLayer(4, 3, ["linear", "cross"], 4, "sum")), EnsembleLayer(4, 3, ["cross"], 4, "sum")
    layer.weights.data = torch.tensor([0.0, 1.0], dtype=torch.float64)
    one.double().interactions[0].load_state_dict(layer.interactions[1].state_dict())
    one.norm.load_state_dict(layer.norm.state_dict())
    same(layer(random(2, 4, 3)), one(random(2, 4, 3)))


def test_a_network_without_hidden_layers_on_numbers_of_one_place_is_logistic_regression():
    model, linear = double(FieldMLP(FIELDS, dim=1, hidden=())), LogisticRegression(FIELDS).double()
    weights = model.embedding.table.weight
    with torch.no_grad():
        linear.bias.copy_(model.bias)
        for k, f in enumerate(FIELDS):
            ours, theirs = model.embedding.row(f.name), linear.weights.row(f.name)
            block = weights[ours : ours + f.size] * model.mlp[0].weight[0, k]
            linear.weights.table.weight[theirs : theirs + f.size] = block
    same(linear(few()), model(few()))


def test_deepfm_with_vectors_of_zero_is_logistic_regression_and_a_constant():
    model, linear = double(DeepFM(FIELDS, dim=2, hidden=(3,))), LogisticRegression(FIELDS).double()
    model.embedding.table.weight.data.zero_()
    linear.load_state_dict({k: v for k, v in model.state_dict().items() if k in linear.state_dict()})
    rest = model(few()) - linear(few())
    same(rest, rest[:1].expand(8))


def test_autoint_without_residuals_and_values_knows_no_field():
    model = double(AutoInt(FIELDS, dim=2, layers=2, units=2))
    for layer in model.layers:
        layer.value.weight.data.zero_()
        layer.residual.weight.data.zero_()
    same(model(few()), model.combine.bias.expand(8))


def test_towers_score_the_same_at_another_scale():
    """A cosine does not know the lengths of vectors; a dot product of towers grows with both."""
    sides = {"query": ["user"], "candidate": ["item"], "hidden": ()}
    for similarity, factor in (("cosine", 1.0), ("dot", 6.0)):
        model = double(TwoTowers(FIELDS, **sides, similarity=similarity))
        model.bias.data.zero_()
        before = model(few())
        for tower, scale in ((model.query_tower, 2.0), (model.candidate_tower, 3.0)):
            for p in tower.mlp.parameters():
                p.data.mul_(scale)
        same(model(few()), factor * before)


def test_gmf_turned_by_a_rotation_of_equal_weights_ranks_the_same():
    """With h = 1 the score is ⟨p, q⟩, which no common rotation changes; with another h it does."""
    model = double(NeuMF(FIELDS, dim=2, hidden=()))
    turn = torch.linalg.qr(random(2, 2)).Q
    for h, equal in ((torch.ones(2), True), (torch.tensor([1.0, -3.0]), False)):
        model.h.data.copy_(h)
        before = model(few()).detach()
        model.gmf.table.weight.data @= turn
        assert torch.allclose(model(few()), before) == equal


def test_pal_where_everything_is_seen_is_its_inner_model():
    from test_model_equations import CLICKS

    model = double(PAL(CLICKS, LogisticRegression(FIELDS)))
    model.tower.weight.data.fill_(800.0)
    same(model(few(CLICKS)), model.served(few(CLICKS)))


# --- graphs -----------------------------------------------------------------------------------------------------------

EDGES = torch.tensor([[0, 0], [0, 1], [1, 1], [2, 1], [2, 3]])  # item 2 has none


def test_the_roots_of_the_degrees_stay_as_they_are():
    r""":math:`\hat A D^{1/2} 1 = D^{1/2} 1`: the eigenvector of 1, and why vectors of deep spreads differ by degree."""
    graph = BipartiteGraph(EDGES, 3, 4).double()
    root = graph.degree.double().sqrt()[:, None]
    same(graph.hop(root), root)
    same(graph(root, [0.2, 0.3, 0.5]), root)
    side = root.clone()
    side[3:] *= -1  # users against items: the eigenvector of -1
    same(graph.hop(side), -side)


def test_where_everybody_has_everything_two_hops_are_the_mean():
    graph = BipartiteGraph(torch.cartesian_prod(torch.arange(3), torch.arange(4)), 3, 4).double()
    x = random(7, 2)
    mean = torch.cat([x[:3].mean(0).expand(3, 2), x[3:].mean(0).expand(4, 2)])
    same(graph.hop(graph.hop(x)), mean)


def test_lightgcn_of_the_last_layer_of_one_is_an_exchange():
    """A user's vector is made of items alone, an item's of users alone."""
    model = double(LightGCN((EDGES, 3, 4), dim=2, layers=1, combine="last"))
    expected = model.graph.dense() @ model.table
    same(model.propagate(), expected)
    model.table.data[3:] = 0
    assert not model.propagate()[:3].any()


def test_ease_with_a_strong_penalty_counts_common_users():
    """B → XᵀX / λ off the diagonal, as λ grows."""
    data = of_pairs(EDGES, [[1, 0]], [[1, 2]], users=3, items=4)
    x = data.mask("train").double()
    both = x.T @ x
    both.fill_diagonal_(0)
    found = 1e5 * EASE(data, l2=1e5).scores(torch.arange(3)).double()
    assert_close(found, x @ both, rtol=1e-3, atol=1e-3)


# --- cost and start ---------------------------------------------------------------------------------------------------


def test_the_sum_over_pairs_is_made_without_the_pairs():
    """O(n d): nothing is larger than what comes in."""
    e = torch.randn(2, 50, 3)
    with Largest() as largest:
        fm_interaction(e)
    assert largest.size <= e.numel()


def spread(make, count=40):
    torch.manual_seed(0)
    return torch.cat([make().detach().flatten() for _ in range(count)])


@pytest.mark.parametrize("make, fan", [
    (lambda: CrossNet(60, 2).weight, 60 + 1),
    (lambda: CrossNetV2(30, 2).weight, 30 + 30),
    (lambda: CrossNetV2(60, 2, rank=5).u, 60 + 5),
    (lambda: CrossNetV2(60, 2, rank=5).v, 60 + 5),
    (lambda: CrossNetMix(60, 2, rank=5, experts=3).u, 60 + 5),
    (lambda: CrossNetMix(60, 2, rank=5, experts=3).c, 5 + 5),
    (lambda: CrossNetMix(60, 2, rank=5, experts=3).gate, 60 + 3),
    (lambda: GatedCrossNet(30, 2).gate_weight, 30 + 30),
])  # fmt: skip
def test_cross_layers_start_xavier_normal(make, fan):
    """Glorot & Bengio, AISTATS 2010, eq. 12, as a normal law: variance 2 / (inputs + outputs) of each matrix."""
    values = spread(make)
    assert values.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.03)
    assert values.abs().max() > (6 / fan) ** 0.5  # no uniform law


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_interacting_layers_start_xavier_uniform(variant):
    layer = InteractingLayer(20, 10, 3, variant)
    for part in (layer.query, layer.key, layer.value, layer.residual):
        bound = (6 / (20 + 30)) ** 0.5
        assert 0.95 * bound < part.weight.abs().max() <= bound
        assert part.bias is None or not part.bias.any()


def test_h_of_neumf_starts_lecun_uniform():
    values = spread(lambda: NeuMF(FIELDS, dim=8, hidden=(32, 16, 8)).h)
    bound = (3 / 16) ** 0.5
    assert 0.95 * bound < values.abs().max() <= bound
