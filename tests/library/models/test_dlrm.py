"""DLRM: its dots and sizes, the mistakes that others make, and what its ablation says."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from notebook_code import definitions
from torch import nn
from torch.testing import assert_close

from recsys_lite.data.criteo import log_transform, scale
from recsys_lite.evaluation import auc, log_loss
from recsys_lite.explain.dots import agreement, dot_ablation, mean_ablation, table_bytes
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.layers import dot_interaction, fm_interaction
from recsys_lite.models import DLRM
from recsys_lite.training import seed_everything

chapter = definitions("book/dlrm.ipynb")


def made_of(categories: int, numbers: int, size: int = 6) -> list[Field]:
    fields = [Field(f"I{k}", "numeric") for k in range(numbers)]
    vocabulary = Vocabulary([f"v{k}" for k in range(size - 1)])
    return [*fields, *(Field(f"C{k}", "categorical", vocabulary) for k in range(categories))]


def random_rows(categories: int, numbers: int, count: int = 9, size: int = 6) -> Rows:
    return Rows(torch.randint(0, size, (count, categories)).int(), torch.randn(count, numbers))


def test_the_dots_of_the_chapters_hand_worked_vectors():
    t = torch.tensor([[[1.0, 2.0], [3.0, -1.0], [0.5, 1.0]]])
    assert dot_interaction(t).tolist() == [[1.0, 2.5, 0.5]]


@pytest.mark.parametrize("shape", [(1, 2, 1), (5, 3, 4), (2, 9, 3), (3, 1, 2)])
def test_each_pair_of_different_vectors_once_in_value_and_gradient(shape):
    torch.manual_seed(0)
    t = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    dots = dot_interaction(t)
    slow = [(t[:, i] * t[:, j]).sum(1) for i in range(shape[1]) for j in range(i)]
    slow = torch.stack(slow, 1) if slow else t.new_zeros(shape[0], 0)
    assert dots.shape == (shape[0], shape[1] * (shape[1] - 1) // 2)
    assert_close(dots, slow)
    assert torch.autograd.gradcheck(dot_interaction, t)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4, 5)])
def test_a_wrong_shape_is_named(shape):
    with pytest.raises(ValueError, match="expected a tensor of shape"):
        dot_interaction(torch.zeros(shape))


@pytest.mark.parametrize("categories", [1, 2, 5, 26])
@pytest.mark.parametrize("numbers", [0, 1, 13])
@pytest.mark.parametrize("dim", [1, 16])
def test_it_has_c_plus_c_over_2_dots_and_a_top_network_of_d_more(categories, numbers, dim):
    model = DLRM(made_of(categories, numbers), dim=dim)
    dots = categories + len(list(combinations(range(categories), 2)))
    assert len(model.pairs()) == dots
    assert model.top[0].in_features == dim + dots
    z0, found = model.interact(random_rows(categories, numbers))
    assert z0.shape == (9, dim) and found.shape == (9, dots)


def test_criteo_has_351_dots_and_367_inputs(criteo):
    model = DLRM(criteo.fields, dim=16)
    assert (len(model.pairs()), model.top[0].in_features) == (351, 367)


def test_pairs_name_the_vectors_of_each_dot():
    torch.manual_seed(0)
    model, rows = DLRM(made_of(4, 2), dim=3), random_rows(4, 2)
    z0, dots = model.interact(rows)
    vectors = dict(zip(model.vectors, [z0, *model.embedding(rows).unbind(1)], strict=True))
    for k, (a, b) in enumerate(model.pairs()):
        assert_close(dots[:, k], (vectors[a] * vectors[b]).sum(1))
    assert len(set(model.pairs())) == len(model.pairs()) and all(a != b for a, b in model.pairs())


def test_no_dot_is_a_square():
    """Twice the vectors of one field: its dots double; a square, kept by mistake, would grow fourfold."""
    model, rows = DLRM(made_of(3, 1), dim=4), random_rows(3, 1)
    before = model.interact(rows)[1]
    first = model.embedding.row("C1")
    model.embedding.table.weight.data[first : first + 6] *= 2
    after = model.interact(rows)[1]
    for k, pair in enumerate(model.pairs()):
        assert_close(after[:, k], before[:, k] * (2 if "C1" in pair else 1))


def test_the_numbers_reach_the_top_network_without_the_dots():
    assert chapter.sees_numbers_alone(DLRM(made_of(3, 2), dim=4), random_rows(3, 2))
    assert not chapter.sees_numbers_alone(chapter.Blind(made_of(3, 2), dim=4), random_rows(3, 2))


def test_numbers_arrive_as_logarithms(criteo):
    assert log_transform(np.array([0.0, np.e - 1]))[1] == pytest.approx(1)
    for mean, sd in criteo.extras["numeric"].values():
        assert chapter.equal_steps(lambda n, m=mean, s=sd: scale(n, m, s))
        assert not chapter.equal_steps(lambda n, m=mean, s=sd: (n - m) / s)
    assert criteo.train.numeric.abs().max() < chapter.raw_counts(criteo).train.numeric.abs().max() / 5


def test_relu_follows_the_last_layer_of_the_bottom_network():
    torch.manual_seed(0)
    model = DLRM(made_of(2, 3), dim=8)
    z0 = model.interact(random_rows(2, 3, 200))[0]
    assert (z0 >= 0).all() and (z0 == 0).any() and isinstance(model.bottom[-1], nn.ReLU)


def test_the_start_is_the_authors():
    seed_everything(0)
    model = DLRM(made_of(3, 40, size=500), dim=64, bottom=(300,), top=(200,))
    for layer, m, n in ((model.bottom[0], 40, 300), (model.top[0], 64 + 6, 200)):
        assert layer.weight.shape == (n, m)
        assert layer.weight.std().item() == pytest.approx((2 / (m + n)) ** 0.5, rel=0.05)
        assert layer.bias.std().item() == pytest.approx((1 / n) ** 0.5, rel=0.2)
    first = model.embedding.row("C0")
    block = model.embedding.table.weight[first : first + 500]
    assert block.abs().max() <= 500**-0.5 and block[1:].std().item() == pytest.approx((1 / 500 / 3) ** 0.5, rel=0.05)
    assert (block[0] == 0).all()


def test_a_linear_top_network_is_the_pair_term_of_fm():
    torch.manual_seed(0)
    model, rows = DLRM(made_of(4, 2), dim=5, top=()), random_rows(4, 2)
    with torch.no_grad():
        model.top[0].weight[:] = 1
        model.top[0].weight[:, :5] = 0
        model.top[0].bias[:] = 0
    z0, _ = model.interact(rows)
    assert_close(model(rows), fm_interaction(torch.cat([z0.unsqueeze(1), model.embedding(rows)], 1)))


def test_every_kind_of_field_a_batch_of_one_and_no_numbers():
    rows, seen = tiny.rows(40), tiny.dataset(40).drop("price")
    model, wordless = DLRM(tiny.FIELDS, dim=4), DLRM(seen.fields, dim=4)
    assert model.vectors == ["numbers", "user", "item", "genres", "history"]
    assert wordless.vectors == ["constant", "user", "item", "genres", "history"]
    for m, r in ((model, rows), (wordless, seen.train)):
        assert_close(m(r)[3:4], m(r[3:4]))
        m(r).sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in m.parameters())
    assert wordless.constant.grad.abs().sum() > 0


def test_a_bag_is_the_mean_of_its_values():
    model, rows = DLRM(tiny.FIELDS, dim=4), tiny.rows(30)
    dots = model.interact(rows)[1]
    place = model.pairs().index(("item", "history"))
    first, table = model.embedding.row("item"), model.embedding.table.weight
    for k in range(30):
        films = rows.bags["history"][k][rows.bags["history"][k] >= 0].long()
        mean = table[first + films].mean(0) if len(films) else torch.zeros(4)
        assert_close(dots[k, place], table[first + int(rows.ids[k, 1])] @ mean)


def test_without_categories_there_is_nothing_to_look_up():
    with pytest.raises(ValueError, match="at least one categorical"):
        DLRM(made_of(0, 3))


def test_ablation_is_the_loss_with_one_dot_at_its_mean():
    torch.manual_seed(0)
    model, rows = DLRM(tiny.FIELDS, dim=4).eval(), tiny.rows(300)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    table = dot_ablation(model, rows)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert len(table) == 10 and table["log_loss"].is_monotonic_decreasing
    z0, dots = model.interact(rows)
    p = torch.sigmoid(model(rows)).detach()
    for line in table.itertuples():
        k = model.pairs().index((line.a, line.b))
        held = dots.clone()
        held[:, k] = dots[:, k].mean()
        q = torch.sigmoid(model.top(torch.cat([z0, held], 1)).squeeze(-1)).detach()
        assert line.log_loss == pytest.approx(log_loss(rows.label, q) - log_loss(rows.label, p), abs=1e-7)
        assert line.auc == pytest.approx(auc(rows.label, q) - auc(rows.label, p), abs=1e-7)
        assert line.spread == pytest.approx(dots[:, k].std().item(), rel=1e-5)


def test_a_dot_that_the_top_network_does_not_read_is_worth_nothing():
    model, rows = DLRM(tiny.FIELDS, dim=4).eval(), tiny.rows(300)
    k = model.pairs().index(("user", "item"))
    model.top[0].weight.data[:, 4 + k] = 0
    table = dot_ablation(model, rows).set_index(["a", "b"])
    assert table.loc[("user", "item"), "log_loss"] == pytest.approx(0, abs=1e-9)
    assert (table["log_loss"].abs() > 1e-7).sum() >= 5  # the others are read


def test_ablation_needs_labels():
    with pytest.raises(ValueError, match="no labels"):
        dot_ablation(DLRM(made_of(2, 1)), random_rows(2, 1))


@pytest.mark.parametrize("seed", [11, 12, 13])  # not the chapter's
def test_the_planted_dot_comes_first_and_coin_labels_give_nothing(seed):
    fields = (Field("I1", "numeric"), Field("I2", "numeric"))
    fields += tuple(Field(n, "categorical", Vocabulary([f"{n}{k}" for k in range(10)])) for n in "ABCD")
    planted, coin = (chapter.rank_dots(fields, seed, signal, 8, 16)[0] for signal in (True, False))
    assert (planted["a"][0], planted["b"][0]) == ("A", "C") and planted["log_loss"][0] > 0.1
    place = [(a, b) for a, b in zip(planted["a"], planted["b"], strict=True)].index(("numbers", "B"))
    assert place <= 2 and planted["log_loss"][place] > 0.02
    assert coin["log_loss"].max() < 0.01


def test_seeds_are_joined_by_pair():
    one = pd.DataFrame({"a": ["x", "x"], "b": ["y", "z"], "log_loss": [1.0, 3.0], "auc": [0.0, -1.0]})
    two = pd.DataFrame({"a": ["x", "x"], "b": ["z", "y"], "log_loss": [5.0, 0.0], "auc": [-2.0, 0.0]})
    joined = mean_ablation([one, two])
    assert joined["pair"].tolist() == ["x × z", "x × y"]
    assert joined[["mean", "low", "high"]].to_numpy().tolist() == [[4.0, 3.0, 5.0], [0.5, 0.0, 1.0]]
    assert mean_ablation([one, two], "auc")["mean"].tolist() == [0.0, -1.5]


def test_agreement_is_the_mean_rank_correlation():
    a = pd.Series([1.0, 2, 3, 4], list("wxyz"))
    assert agreement([a, -a]) == pytest.approx(-1)
    assert agreement([a, a.iloc[::-1]]) == pytest.approx(1)  # another order of the same values
    assert agreement([a, a, -a]) == pytest.approx((1 - 1 - 1) / 3)


def test_bytes_of_tables_count_shared_ones_once():
    table = table_bytes(tiny.FIELDS, dim=8, number=4, copies=3)
    assert dict(zip(table["table"], table["rows"], strict=True)) == {"user": 9, "item": 7, "genres": 4}
    assert table["bytes"].tolist() == [9 * 8 * 12, 7 * 8 * 12, 4 * 8 * 12]
    assert table["share"].sum() == pytest.approx(1)
    model = DLRM(tiny.FIELDS, dim=8)
    assert table_bytes(tiny.FIELDS, dim=8)["parameters"].sum() == model.embedding.table.weight.numel()
