"""Split network: a dot head is two towers, cached scores are the scores, its parts are exact."""

import pytest
import tiny
from torch.testing import assert_close

from recsys_lite import explain
from recsys_lite.fields import choose_columns
from recsys_lite.models import MODELS, SplitNetwork, TwoTowers
from recsys_lite.store import load_model, save_model

SIDES = {"query": ("user", "history"), "candidate": ("item", "genres"), "out": 6, "hidden": (8,), "dim": 4}


def split(**more) -> SplitNetwork:
    return tiny.filled(SplitNetwork(tiny.FIELDS, **SIDES, **more)).eval()


def sides(model, rows):
    towers = model.towers
    u = model.query(choose_columns(tiny.FIELDS, rows, towers.query_names))
    return u, model.candidate(choose_columns(tiny.FIELDS, rows, towers.candidate_names))


@pytest.mark.parametrize("temperature", [1.0, 0.1])
@pytest.mark.parametrize("head", [(), (2,), (5,), (7, 3)])
def test_a_dot_head_is_two_towers_in_value_and_gradient(temperature, head):
    towers = tiny.filled(TwoTowers(tiny.FIELDS, **SIDES, temperature=temperature))
    model, rows = SplitNetwork.from_towers(towers, head), tiny.rows(50)
    assert model.config["head"] == list(head)
    assert_close(model(rows), towers(rows))
    model(rows).square().sum().backward()
    towers(rows).square().sum().backward()
    for (name, ours), theirs in zip(model.towers.named_parameters(), towers.parameters(), strict=True):
        if name != "bias":  # it has become the head's
            assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4)
    assert_close(model.head[-1].bias.grad.squeeze(), towers.bias.grad)


def test_cosine_towers_have_no_dot_head():
    with pytest.raises(ValueError, match="expected towers with a dot product, got 'cosine'"):
        SplitNetwork.from_towers(TwoTowers(tiny.FIELDS, **SIDES, similarity="cosine"))
    with pytest.raises(ValueError, match=r"hidden layers need at least 2 units, got \(4, 1\)"):
        SplitNetwork.from_towers(TwoTowers(tiny.FIELDS, **SIDES), (4, 1))


@pytest.mark.parametrize("product", [True, False])
@pytest.mark.parametrize("head", [(), (5,), (7, 3)])
def test_cached_vectors_give_the_same_scores(head, product):
    model, rows = split(head=head, product=product), tiny.rows(9)
    u, v = sides(model, rows)
    assert_close(model.score(u, v), model(rows))
    table = model.score_all(u, v)
    assert table.shape == (9, 9)
    for k in range(9):  # every user with every item, one pair at a time
        assert_close(table[k], model.score(u[[k]].expand(9, -1), v), rtol=1e-4, atol=1e-4)


def test_parts_sum_and_name_the_two_sides():
    model, rows = split(), tiny.rows(40)
    table = explain.logit_parts(model, rows, fine=True)
    assert list(table) == ["bias", "query", "candidate", "query × candidate", "logit"]
    assert list(explain.logit_parts(split(product=False), rows, fine=True))[:3] == ["bias", "query", "candidate"]


def test_a_head_on_u_and_v_alone_without_layers_never_interacts():
    model, rows = split(head=(), product=False), tiny.rows(60)
    strength = explain.interactions(model, rows, ["user", "item"])["strength"]
    assert strength.max() < 1e-4
    assert explain.interactions(split(head=()), rows, ["user", "item"])["strength"].min() > 0.01


def test_it_stores_and_loads(tmp_path):
    model, rows = split(head=(5,), product=False), tiny.rows(5)
    save_model(model, tmp_path / "split")
    again = load_model(tmp_path / "split", tiny.FIELDS)
    assert_close(again(rows), model(rows))
    assert MODELS["split_network"] is SplitNetwork


def test_the_towers_own_bias_is_not_trained():
    assert not split().towers.bias.requires_grad
    with pytest.raises(ValueError):
        SplitNetwork(tiny.FIELDS, query=(), candidate=("item",))
