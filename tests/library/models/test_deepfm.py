"""DeepFM: numbers worked by hand, what it shares with FM, and the mistakes that are known of other libraries."""

from itertools import combinations

import pytest
import torch
from tiny import FIELDS, rows
from torch import nn
from torch.testing import assert_close

from recsys_lite.fields import Field, Rows, Vocabulary, swap
from recsys_lite.models import FM, DeepFM


def build(**settings):
    """A DeepFM of the tiny fields with all parameters drawn at random, so that no part is silent."""
    torch.manual_seed(0)
    model = DeepFM(FIELDS, **({"dim": 4, "hidden": (6, 3)} | settings))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.5)
    return model.eval()


def gradients(part, model):
    found = torch.autograd.grad(part.sum(), list(model.parameters()), retain_graph=True, allow_unused=True)
    return {name: g for (name, _), g in zip(model.named_parameters(), found, strict=True)}


@pytest.fixture
def by_hand():
    """e_1 = (1, 2), e_2 = (3, -1); hidden units 4 and ReLU(-3); output weights 0.25 and 1."""
    fields = [Field(n, "categorical", Vocabulary(["only"])) for n in ("user", "film")]
    model = DeepFM(fields, dim=2, hidden=(2,))
    with torch.no_grad():
        model.bias.fill_(0.1)
        model.weights.table.weight.copy_(torch.tensor([[9.0], [0.5], [9.0], [-0.2]]))  # rows 0 and 2 are the unseen
        model.embedding.table.weight.copy_(torch.tensor([[9.0, 9.0], [1.0, 2.0], [9.0, 9.0], [3.0, -1.0]]))
        model.mlp[0].weight.copy_(torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 1.0]]))
        model.mlp[0].bias.zero_()
        model.mlp[-1].weight.copy_(torch.tensor([[0.25, 1.0]]))
    return model, Rows(torch.tensor([[1, 1]], dtype=torch.int32), torch.zeros(1, 0))


def test_parts_and_logit_by_hand(by_hand):
    model, one = by_hand
    parts = {name: part.item() for name, part in model.parts(one).items()}
    assert parts == pytest.approx({"bias": 0.1, "linear": 0.3, "pairs": 1.0, "deep": 1.0})
    assert model(one).shape == (1,) and model(one).item() == pytest.approx(2.4)


def test_the_gradient_of_a_vector_by_hand_is_the_sum_of_both_parts(by_hand):
    model, one = by_hand
    model(one).backward()
    expected = torch.zeros(4, 2)
    expected[1] = torch.tensor([3.0 + 0.25, -1.0])  # e_2, and 0.25 times unit 1's weights
    expected[3] = torch.tensor([1.0 + 0.25, 2.0])  # e_1, and the same unit
    assert_close(model.embedding.table.weight.grad, expected)


def test_both_parts_read_one_table():
    model, batch = build(), rows(30)
    parts = model.parts(batch)
    pairs, deep = gradients(parts["pairs"], model), gradients(parts["deep"], model)
    name = "embedding.table.weight"
    assert [k for k in pairs if pairs[k] is not None and deep[k] is not None] == [name]
    assert pairs[name].norm() > 0 and deep[name].norm() > 0
    whole = gradients(model(batch), model)[name]
    assert_close(whole, pairs[name] + deep[name], rtol=1e-4, atol=1e-4)
    wide = [p for p in model.parameters() if p.dim() == 2 and p.shape == model.embedding.table.weight.shape]
    assert len(wide) == 1 and wide[0] is model.embedding.table.weight  # the same object, not a second table


def test_the_vectors_are_looked_up_once_for_both_parts():
    model, calls = build(), []
    model.embedding.table.register_forward_hook(lambda *_: calls.append(1))
    model(rows(5))
    assert len(calls) == 1


def test_with_the_deep_part_zeroed_it_is_fm_exactly():
    model, batch = build(), rows(40)
    nn.init.zeros_(model.mlp[-1].weight)
    fm = FM(FIELDS, dim=4)
    own = model.state_dict()
    fm.load_state_dict({name: own[name] for name in fm.state_dict()})
    assert_close(model(batch), fm(batch), rtol=0, atol=0)
    ours, theirs = gradients(model(batch), model), gradients(fm(batch), fm)
    for name, gradient in theirs.items():
        assert_close(ours[name], gradient, rtol=0, atol=0)
    fine, fine_fm = model.parts(batch, fine=True), fm.parts(batch, fine=True)
    assert set(fine) - set(fine_fm) == {"deep"} and (fine["deep"] == 0).all()
    for name, part in fine_fm.items():
        assert_close(fine[name], part, rtol=0, atol=0)


def test_there_is_one_bias_only():
    model, batch = build(), rows(12)
    assert model.mlp[-1].bias is None
    slopes = gradients(model(batch), model)
    constant = [name for name, p in model.named_parameters() if p.numel() == 1 and slopes[name].item() == len(batch)]
    assert constant == ["bias"]


def test_there_is_no_sigmoid_inside():
    """The logit has no bounds, and is linear in the bias and in the network's last layer."""
    model, batch = build(), rows(25)
    with torch.no_grad():
        before, deep = model(batch), model.parts(batch)["deep"]
        model.bias += 50
        assert_close(model(batch), before + 50)
        model.bias -= 100
        assert (model(batch) < 0).all()
        model.bias += 50
        model.mlp[-1].weight *= -3
        assert_close(model.parts(batch)["deep"], -3 * deep, rtol=1e-4, atol=1e-5)
        assert_close(model(batch), before - 4 * deep, rtol=1e-4, atol=1e-4)
    assert deep.min() < 0 < deep.max()  # a sigmoid would leave one sign only


@pytest.mark.parametrize("hidden", [(), (5,), (6, 3, 2)])
def test_a_batch_of_one_is_a_row_of_the_batch(hidden):
    model, batch = build(hidden=hidden), rows(7)
    whole = model(batch)
    assert whole.shape == (7,)
    for k in range(7):
        assert model(batch[k]).shape == (1,)
        assert all(part.shape == (1,) for part in model.parts(batch[k]).values())
        assert_close(model(batch[k])[0], whole[k])


def test_the_network_reads_the_pooled_vectors_side_by_side_in_the_fields_order():
    model, batch = build(), rows(9)
    e = model.embedding(batch)  # (B, F, d)
    assert e.shape == (9, len(FIELDS), 4) and model.mlp[0].in_features == len(FIELDS) * 4
    by_hand = torch.cat([e[:, k] for k in range(len(FIELDS))], 1)
    assert_close(model.parts(batch)["deep"], model.mlp(by_hand).squeeze(1))


def test_what_three_fields_say_together_is_all_in_the_deep_part():
    model, batch = build(std=1.0), rows(50, 1)
    other, names = rows(50, 2), ("user", "genres", "history")

    def third(score):
        subsets = [part for k in range(4) for part in combinations(names, k)]
        return sum((-1) ** len(s) * score(swap(FIELDS, batch, s, other)) for s in subsets)

    with torch.no_grad():
        whole = third(model)
        deep = third(lambda r: model.parts(r)["deep"])
        rest = third(lambda r: model.parts(r)["linear"] + model.parts(r)["pairs"])
    assert whole.abs().max() > 0.05
    assert_close(whole, deep, rtol=1e-3, atol=1e-4)
    assert rest.abs().max() < 1e-4


def test_zero_vectors_learn_through_the_network_where_a_unit_is_on_but_not_through_the_pairs():
    model, batch = build(hidden=(5,)), rows(30)
    nn.init.zeros_(model.embedding.table.weight)
    for bias, awake in ((1.0, True), (-1.0, False)):  # at zero vectors a unit is on if its bias is above zero
        nn.init.constant_(model.mlp[0].bias, bias)
        parts = model.parts(batch)
        pairs, deep = (gradients(parts[k], model)["embedding.table.weight"] for k in ("pairs", "deep"))
        assert pairs.abs().max() == 0 and (deep.abs().max() > 0) == awake


def test_parameters_are_counted_by_the_formula_and_the_settings_rebuild_the_model():
    model = build(dim=5, hidden=(7, 2), dropout=0.3, std=0.2)
    own, shared = sum(f.size for f in FIELDS), sum(f.size for f in FIELDS if f.table == f.name)  # weights, vectors
    network = len(FIELDS) * 5 * 7 + 7 + 7 * 2 + 2 + 2
    assert model.parameter_count == 1 + own + shared * 5 + network
    again = DeepFM(FIELDS, **model.config)
    again.load_state_dict(model.state_dict())
    assert_close(again.eval()(rows(4)), model(rows(4)))


def test_dropout_works_in_training_only():
    model, batch = build(hidden=(40, 20), dropout=0.5), rows(20)
    assert_close(model(batch), model(batch))
    model.train()
    one, two = model.parts(batch), model.parts(batch)
    assert not torch.equal(one["deep"], two["deep"])
    assert_close(one["pairs"], two["pairs"])  # the FM part has none
