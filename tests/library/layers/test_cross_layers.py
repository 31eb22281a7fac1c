"""DCN V2, its low ranks and experts, GDCN's gates, DHEN's layers: hand-worked numbers and what each reduces to."""

import pytest
import torch
from tiny import FIELDS, filled, rows
from torch.testing import assert_close

from recsys_lite.layers import CrossNetMix, CrossNetV2, EnsembleLayer, GatedCrossNet, SizedEmbedding, StackedInput
from recsys_lite.layers.ensemble import MODULES
from recsys_lite.models import DCNV2, DHEN, GDCN

SIZES = {"user": 3, "item": 5, "genres": 2, "history": 5}


def test_full_cross_layer_by_hand():
    cross = CrossNetV2(2, layers=1)
    cross.weight.data = torch.tensor([[[1.0, 2.0], [0.0, 3.0]]])
    cross.bias.data = torch.tensor([[1.0, -1.0]])
    # x = (2, 1): W x = (4, 3), + b = (5, 2), x0 ⊙ = (10, 2), + x = (12, 3)
    assert cross(torch.tensor([[2.0, 1.0]])).tolist() == [[12.0, 3.0]]


def test_the_bias_is_inside_the_product():
    """The mistake x0 ⊙ (W x) + b + x gives b + x here."""
    cross = CrossNetV2(3, layers=1)
    cross.weight.data.zero_()
    cross.bias.data.copy_(torch.tensor([[1.0, -2.0, 0.5]]))
    x = torch.randn(4, 3)
    assert_close(cross(x), x * cross.bias + x)


def test_low_rank_with_full_rank_and_v_identity_is_full():
    full, low = filled(CrossNetV2(5, 3)), CrossNetV2(5, 3, rank=5)
    low.load_state_dict({"u": full.weight, "v": torch.eye(5).expand(3, 5, 5), "bias": full.bias})
    x = torch.randn(7, 5)
    assert_close(low(x), full(x))
    assert_close(low.matrices(1), full.matrices(1))


def test_low_rank_applies_v_then_u_and_adds_the_bias_once():
    cross = CrossNetV2(2, 1, rank=1)
    cross.u.data = torch.tensor([[[1.0], [10.0]]])
    cross.v.data = torch.tensor([[[2.0], [3.0]]])
    cross.bias.data = torch.tensor([[1.0, 1.0]])
    # x = (1, 1): Vᵀx = 5, U 5 = (5, 50), + b = (6, 51), x0 ⊙, + x = (7, 52)
    assert cross(torch.ones(1, 2)).tolist() == [[7.0, 52.0]]


def test_one_expert_without_squashing_is_low_rank():
    low, mix = filled(CrossNetV2(6, 2, rank=3)), CrossNetMix(6, 2, rank=3, experts=1, activation="identity")
    mix.load_state_dict(
        {
            "u": low.u.unsqueeze(1), "v": low.v.unsqueeze(1), "c": torch.eye(3).expand(2, 1, 3, 3),
            "gate": torch.randn(2, 1, 6), "bias": low.bias,
        }
    )  # fmt: skip
    x = torch.randn(4, 6)
    assert_close(mix(x), low(x))


def test_experts_by_the_loop_of_the_formula():
    mix = filled(CrossNetMix(4, 2, rank=2, experts=3))
    x0 = x = torch.randn(5, 4)
    for k in range(2):
        gates = torch.softmax(x @ mix.gate[k].T, 1)
        total = x
        for i in range(3):
            inner = torch.tanh(torch.tanh(x @ mix.v[k, i]) @ mix.c[k, i].T)
            total = total + gates[:, i : i + 1] * x0 * (inner @ mix.u[k, i].T + mix.bias[k])
        x = total
    assert_close(mix(x0), x)


def test_every_layer_has_gates_of_its_own():
    mix = CrossNetMix(4, 3, rank=2, experts=2)
    assert mix.gate.shape == (3, 2, 4)
    mix = filled(mix)
    x = torch.randn(6, 4)
    before, last = mix.states(x)[1], mix(x)
    with torch.no_grad():
        mix.gate[2].neg_()
    assert_close(mix.states(x)[1], before)
    assert not torch.allclose(mix(x), last)


def test_an_experts_scale_does_not_depend_on_their_number():
    torch.manual_seed(0)
    for experts in (1, 32):
        std = torch.cat([CrossNetMix(64, 1, rank=16, experts=experts).v.flatten() for _ in range(32 // experts)]).std()
        assert std.item() == pytest.approx((2 / (64 + 16)) ** 0.5, rel=0.05)


@pytest.mark.parametrize("cross", [CrossNetV2(4), CrossNetV2(4, rank=2), CrossNetMix(4, rank=2), GatedCrossNet(4)])
def test_a_batch_of_one_works_and_other_widths_are_named(cross):
    assert cross(torch.randn(1, 4)).shape == (1, 4)
    with pytest.raises(ValueError, match=r"expected \(B, 4\), got \(2, 5\)"):
        cross(torch.randn(2, 5))


def test_gate_forced_to_one_is_dcn_v2_and_to_zero_is_the_identity(monkeypatch):
    gated, plain = filled(GatedCrossNet(5, 3)), CrossNetV2(5, 3)
    plain.load_state_dict({"weight": gated.weight, "bias": gated.bias})
    x = torch.randn(6, 5)
    assert not torch.allclose(gated(x), plain(x))
    monkeypatch.setattr(gated, "gate", lambda layer, c: torch.ones_like(c))
    assert_close(gated(x), plain(x))
    monkeypatch.setattr(gated, "gate", lambda layer, c: torch.zeros_like(c))
    assert_close(gated(x), x)


def test_gated_cross_layer_by_hand():
    gated = GatedCrossNet(1, layers=1)
    gated.weight.data.fill_(2.0)
    gated.bias.data.fill_(1.0)
    gated.gate_weight.data.fill_(0.0)
    # c = 3: (2·3 + 1) · 3 · σ(0) + 3 = 21/2 + 3
    assert gated(torch.tensor([[3.0]])).item() == 13.5


def test_the_gate_sees_the_layers_input_not_the_first():
    gated = filled(GatedCrossNet(4, 2))
    x0 = torch.randn(3, 4)
    x1 = x0 + x0 * (x0 @ gated.weight[0].T + gated.bias[0]) * torch.sigmoid(x0 @ gated.gate_weight[0].T)
    x2 = x1 + x0 * (x1 @ gated.weight[1].T + gated.bias[1]) * torch.sigmoid(x1 @ gated.gate_weight[1].T)
    assert_close(gated(x0), x2)


def test_sizes_that_differ_by_field():
    layer = SizedEmbedding([f for f in FIELDS if f.kind != "numeric"], SIZES)
    batch = rows(6)
    out = layer(batch)
    assert out.shape == (6, 15)
    five = next(t for t in layer.tables if t.dim == 5)
    assert_close(out[:, 3:8], five.table.weight[five.row("item", 0) + batch.ids[:, 1].long()])
    assert StackedInput(FIELDS, dim=SIZES).blocks["genres"] == slice(8, 10)
    with pytest.raises(ValueError, match="'history' looks in the rows of 'item', so it needs its length 5, not 4"):
        SizedEmbedding([f for f in FIELDS if f.kind != "numeric"], {**SIZES, "history": 4})
    with pytest.raises(ValueError, match="expected a length for each"):
        StackedInput(FIELDS, dim={"user": 3})


@pytest.mark.parametrize("structure", ["stacked", "parallel", "cross"])
@pytest.mark.parametrize("kind", [DCNV2, GDCN])
def test_structures_and_sizes(kind, structure):
    model = filled(kind(FIELDS, dim=SIZES, structure=structure), 0.3)
    batch = rows(9)
    for fine in (False, True):
        assert_close(sum(model.parts(batch, fine).values()), model(batch), rtol=1e-4, atol=1e-4)
    x = model.cross(model.input(batch))
    h = {"stacked": lambda: model.mlp(x), "cross": lambda: x}.get(
        structure, lambda: torch.cat([x, model.mlp(model.input(batch))], 1)
    )()
    assert_close(model.combine(h).squeeze(1), model(batch), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="unknown structure 'deep'"):
        kind(FIELDS, structure="deep")


def test_block_norms_are_frobenius_norms_of_blocks():
    model = filled(DCNV2(FIELDS, dim=SIZES))
    a, b = model.input.blocks["user"], model.input.blocks["item"]
    place = list(model.input.blocks)
    found = model.block_norms(1)[place.index("user"), place.index("item")]
    assert_close(found, model.cross.weight[1][a, b].norm())


@pytest.mark.parametrize("names", [[n] for n in MODULES] + [["dot", "cross"], ["linear", "linear"], list(MODULES)])
@pytest.mark.parametrize("join", ["concat", "sum"])
def test_every_module_alone_and_any_subset_runs(names, join):
    layer = EnsembleLayer(6, 8, names, out=3, join=join)
    for count in (1, 4):
        out = layer(torch.randn(count, 6, 8))
        assert out.shape == (count, layer.outputs, 8) == (count, 3 * (len(names) if join == "concat" else 1), 8)
    model = DHEN(FIELDS, dim=8, modules=names, join=join, layers=3)
    model(rows(5)).sum().backward()
    for fine in (False, True):
        assert_close(sum(model.parts(rows(5), fine).values()), model(rows(5)), rtol=1e-4, atol=1e-4)


def test_the_shortcut_is_the_identity_where_sizes_agree_and_a_projection_elsewhere():
    same, other = EnsembleLayer(6, 4, ["linear"], out=6), EnsembleLayer(5, 4, ["linear"], out=6)
    assert same.shortcut is None and other.shortcut.weight.shape == (6, 5)
    for p in same.interactions.parameters():
        torch.nn.init.zeros_(p)
    x = torch.randn(2, 6, 4)
    assert_close(same(x), torch.nn.functional.layer_norm(x, (4,)))


def test_linear_module_and_sum_by_hand():
    layer = EnsembleLayer(2, 1, ["linear", "linear"], out=2, join="sum")
    layer.norm = torch.nn.Identity()
    for module, w in zip(layer.interactions, ([[1.0, 2.0], [0.0, 1.0]], [[3.0, 0.0], [0.0, 3.0]]), strict=True):
        module.project.weight.data, module.project.bias.data = torch.tensor(w), torch.zeros(2)
    # x = (1, 10): (21, 10) and (3, 30), half of each: (12, 20), + x = (13, 30)
    assert layer(torch.tensor([[[1.0], [10.0]]])).flatten().tolist() == [13.0, 30.0]


def test_wrong_ensembles_are_named():
    with pytest.raises(ValueError, match="unknown module 'fm'"):
        EnsembleLayer(3, 4, ["fm"])
    with pytest.raises(ValueError, match="no modules given"):
        EnsembleLayer(3, 4, [])
    with pytest.raises(ValueError, match="unknown join 'max'"):
        DHEN(FIELDS, join="max")
    with pytest.raises(ValueError, match="experts need a rank"):
        DCNV2(FIELDS, experts=3)
