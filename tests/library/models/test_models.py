"""What every model promises, and the identities between models."""

import pytest
import torch
from tiny import FIELDS, dataset, rows
from torch.testing import assert_close

from recsys_lite.evaluation import log_loss
from recsys_lite.explain import (
    attention,
    cross_strength,
    interactions,
    logit_parts,
    neighbours,
    pair_strength,
    readable,
    square,
    top_crosses,
)
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.models import FM, MODELS, LogisticRegression, WideDeep
from recsys_lite.training import wide_deep_optimizers

CROSSES = [("user", "genres"), ("history", "item")]


def build(name):
    torch.manual_seed(3)
    sides = {"query": ("user", "price", "history"), "candidate": ("item", "genres")}
    more = {"wide_deep": {"crosses": CROSSES}, "two_towers": sides, "split_network": sides}
    model = MODELS[name](FIELDS, **more.get(name, {}))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.3)
    return model.eval()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("count", [1, 17])
def test_logit_is_the_sum_of_its_parts_coarse_and_fine(name, count):
    model, batch = build(name), rows(count)
    logit = model(batch)
    assert logit.shape == (count,)
    for fine in (False, True):
        assert_close(sum(model.parts(batch, fine).values()), logit, rtol=1e-4, atol=1e-5)
        assert_close(torch.tensor(logit_parts(model, batch, fine)["logit"].to_numpy()), logit)


@pytest.mark.parametrize("name", MODELS)
def test_a_row_scores_the_same_alone_and_in_a_batch(name):
    model, batch = build(name), rows(9)
    assert_close(torch.cat([model(batch[i]) for i in range(9)]), model(batch))


def test_parts_that_do_not_add_up_are_refused():
    class Liar(FM):
        def parts(self, rows, fine=False):
            parts = super().parts(rows, fine)
            return {**parts, "pairs": parts["pairs"] * 2} if not self._honest else parts

        def forward(self, rows):
            self._honest = True
            logit = super().forward(rows)
            self._honest = False
            return logit

    model = Liar(FIELDS, std=1.0)
    model._honest = False
    with pytest.raises(ValueError, match="Liar: the parts do not sum"):
        logit_parts(model, rows(5))


def test_fm_is_the_explicit_double_loop_over_features():
    model, batch = build("fm"), rows(6)
    index, x = model.embedding.active(batch)
    own, _ = model.weights.active(batch)  # linear weights of a history are not its items'
    w, v = model.weights.table.weight[:, 0], model.embedding.table.weight
    for b in range(6):
        z = model.bias + sum(w[i] * x[b, k] for k, i in enumerate(own[b]))
        for k in range(index.shape[1]):
            for j in range(k + 1, index.shape[1]):
                z = z + (v[index[b, k]] @ v[index[b, j]]) * x[b, k] * x[b, j]
        assert_close(model(batch)[b], z, rtol=1e-4, atol=1e-5)


def test_fm_of_user_and_item_is_biased_matrix_factorisation():
    fields = FIELDS[:2]
    model = FM(fields, dim=4, std=0.5)
    batch = Rows(rows(12).ids, torch.zeros(12, 0))
    p = model.embedding.table.weight[batch.ids[:, 0].long()]
    q = model.embedding.table.weight[batch.ids[:, 1].long() + 9]
    b_u = model.weights.table.weight[batch.ids[:, 0].long(), 0]
    b_i = model.weights.table.weight[batch.ids[:, 1].long() + 9, 0]
    assert_close(model(batch), model.bias + b_u + b_i + (p * q).sum(-1))


def test_fm_squares_the_numeric_value_in_both_terms():
    """x enters squared in Σx²v² too: a numeric feature must not interact with itself."""
    model = FM([Field("price", "numeric")], dim=4, std=1.0)
    batch = Rows(torch.zeros(3, 0, dtype=torch.int32), torch.tensor([[0.5], [2.0], [-3.0]]))
    assert_close(model.parts(batch)["pairs"], torch.zeros(3), atol=1e-5, rtol=0)


def test_wide_deep_with_the_deep_part_zeroed_is_logistic_regression_on_features_and_crosses():
    model, batch = build("wide_deep"), rows(8)
    with torch.no_grad():
        for p in model.mlp[-1].parameters():
            p.zero_()
    linear = LogisticRegression(FIELDS)
    linear.load_state_dict({"bias": model.bias, "weights.table.weight": model.weights.table.weight})
    assert_close(model(batch), linear(batch) + model.crosses(batch).sum(1))


def test_wide_deep_sums_wide_and_deep_and_either_can_be_off():
    with pytest.raises(ValueError, match="at least one"):
        WideDeep(FIELDS, use_wide=False, use_deep=False)
    assert "deep" not in WideDeep(FIELDS, CROSSES, use_deep=False).parts(rows(2))
    assert set(WideDeep(FIELDS, CROSSES, use_wide=False).parts(rows(2))) == {"bias", "deep"}
    wide, deep = wide_deep_optimizers(WideDeep(FIELDS, CROSSES, hidden=(4,)))
    assert type(wide).__name__ == "FTRL" and isinstance(deep, torch.optim.Adagrad)


def test_without_crosses_no_wide_model_can_represent_an_exclusive_or():
    """The mistake of calling a plain linear term 'wide'."""
    fields = [Field(n, "categorical", Vocabulary(["0", "1"])) for n in "ab"]
    batch = Rows(torch.cartesian_prod(torch.tensor([1, 2]), torch.tensor([1, 2])).int(), torch.zeros(4, 0))
    plain = WideDeep(fields, use_deep=False)
    with torch.no_grad():
        for p in plain.parameters():
            p.normal_()
    z = plain(batch)
    assert_close(z[0] + z[3], z[1] + z[2])  # so z cannot be high at (0,1), (1,0) and low at the others
    crossed = WideDeep(fields, [("a", "b")], use_deep=False)
    with torch.no_grad():
        values, _ = crossed.crosses.combinations(batch, 0)
        crossed.crosses.weight[crossed.crosses.bucket(0, values)] = torch.tensor([[-1.0], [1.0], [1.0], [-1.0]])
    assert crossed(batch).tolist() == [-1, 1, 1, -1]


def test_pair_strength_is_symmetric_and_names_fields():
    table = pair_strength(build("fm"), rows(20))
    assert (table.values == table.values.T).all() and list(table.index) == [f.name for f in FIELDS]
    assert table.loc["user", "user"] == 0 and table.loc["history", "history"] > 0


def test_top_crosses_are_in_words_and_sorted():
    table = top_crosses(build("wide_deep"), dataset(), rows(50), count=5)
    assert len(table) == 5 and table["weight"].abs().is_monotonic_decreasing
    assert table["condition"].str.match(r"AND\(\w+=\w+, \w+=\w+\)").all() and (table["rows"] > 0).all()


def test_neighbours_exclude_the_value_itself_and_the_unseen_row():
    table = neighbours(build("fm"), "user", 2, count=20)
    assert len(table) == 7 and "u1" not in set(table["label"]) and "<unseen>" not in set(table["label"])
    with pytest.raises(ValueError, match="no value number 99"):
        neighbours(build("fm"), "user", 99)


def test_readable_rows_name_their_values():
    words = readable(dataset(), dataset().test, 0)
    assert set(words) == {f.name for f in FIELDS}


def test_the_mixed_difference_of_an_fm_is_the_product_of_differences():
    model, batch = build("fm"), rows(40)
    table = interactions(model, batch, ["user", "item", "price"], seed=5)
    other = batch[torch.randperm(40, generator=torch.Generator().manual_seed(5))]
    own, theirs = model.embedding(batch), model.embedding(other)
    expected = ((own - theirs)[:, 0] * (own - theirs)[:, 1]).sum(1).detach()
    found = table.set_index(["a", "b"]).loc[("user", "item")]
    assert found["strength"] == pytest.approx(expected.abs().mean().item(), rel=1e-4)
    z = model(batch).detach()
    change = log_loss(batch.label, torch.sigmoid(z - expected)) - log_loss(batch.label, torch.sigmoid(z))
    assert found["log_loss"] == pytest.approx(change, abs=1e-5)


def test_fields_that_only_add_do_not_interact():
    table = interactions(build("logistic_regression"), rows(60))
    assert len(table) == 10 and table["strength"].max() < 1e-5
    pairs = square(interactions(build("fm"), rows(60)), "strength")
    assert (pairs.fillna(0).values == pairs.fillna(0).values.T).all() and pairs.isna().values.diagonal().all()


def test_attention_tables_sum_to_one_and_average_heads_and_layers():
    model, batch = build("autoint"), rows(12)
    whole = attention(model, batch)
    assert list(whole.columns) == [f.name for f in FIELDS]
    assert whole.sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
    parts = [attention(model, batch, layer, head) for layer in range(3) for head in range(2)]
    assert_close(torch.tensor(sum(parts).to_numpy() / 6), torch.tensor(whole.to_numpy()))
    with pytest.raises(ValueError, match="layer 3 of 3"):
        attention(model, batch, layer=3)
    with pytest.raises(ValueError, match="head 2 of 2"):
        attention(model, batch, head=2)


def test_cross_strength_is_the_frobenius_norm_of_a_block():
    model = build("dcn")
    table = cross_strength(model, 1)
    w, v = model.combine.weight[0, : model.input.width], model.cross.weight[1]
    a, b = model.input.blocks["user"], model.input.blocks["history"]
    assert table.loc["user", "history"] == pytest.approx(torch.outer(w[a], v[b]).norm().item(), rel=1e-5)
