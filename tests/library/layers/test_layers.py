"""Layers against hand-worked tensors and explicit loops."""

import itertools

import pytest
import torch
from tiny import FIELDS, filled, rows
from torch.testing import assert_close

from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.layers import MLP, FieldEmbedding, HashedCrosses, fm_interaction


def pair_loop(e):
    total = torch.zeros(len(e), dtype=e.dtype)
    for i, j in itertools.combinations(range(e.shape[1]), 2):
        total = total + (e[:, i] * e[:, j]).sum(-1)
    return total


@pytest.mark.parametrize("shape", [(1, 2, 1), (3, 5, 4), (2, 30, 16)])
def test_fm_interaction_equals_the_pair_loop_in_value_and_gradient(shape):
    a = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    b = a.detach().clone().requires_grad_()
    fast, slow = fm_interaction(a), pair_loop(b)
    assert_close(fast, slow)
    (grad_fast,) = torch.autograd.grad(fast.sum(), a)
    (grad_slow,) = torch.autograd.grad(slow.sum(), b)
    assert_close(grad_fast, grad_slow)


def test_fm_interaction_by_hand():
    # (1,2)·(3,4) = 11, (1,2)·(.5,0) = .5, (3,4)·(.5,0) = 1.5
    assert fm_interaction(torch.tensor([[[1.0, 2.0], [3.0, 4.0], [0.5, 0.0]]])).item() == 13.0


def test_fm_interaction_names_a_wrong_shape():
    with pytest.raises(ValueError, match=r"\(B, n, d\), got \(3, 4\)"):
        fm_interaction(torch.zeros(3, 4))


def test_embedding_by_hand():
    fields = [
        Field("colour", "categorical", Vocabulary(["blue", "red"])),
        Field("price", "numeric"),
        Field("tags", "multi_hot", Vocabulary(["x", "y"]), length=3),
    ]
    layer = FieldEmbedding(fields, dim=2)
    # rows of the table: 0 unseen colour, 1 blue, 2 red | 3 price | 4 unseen tag, 5 x, 6 y
    layer.table.weight.data = torch.arange(14.0).reshape(7, 2)
    one = Rows(torch.tensor([[2]]), torch.tensor([[0.5]]), {"tags": torch.tensor([[1, 2, -1]])})
    expected = torch.tensor([[[4.0, 5.0], [3.0, 3.5], [11.0, 12.0]]])  # red; price/2; mean of x and y
    assert_close(layer(one), expected)
    assert layer.row("price") == 3 and layer.row("tags", 2) == 6


def test_embedding_of_an_empty_bag_is_zero_and_padding_gets_no_gradient():
    layer = FieldEmbedding(FIELDS, dim=3)
    batch = rows(5)
    batch.bags = {name: torch.full_like(bag, -1) for name, bag in batch.bags.items()}
    out = layer(batch)
    assert out[:, 3:].abs().max() == 0
    out[:, 3:].sum().backward()
    assert layer.table.weight.grad.abs().max() == 0


def test_history_shares_the_rows_of_its_item():
    layer = FieldEmbedding(FIELDS, dim=3)
    assert layer.row("history", 2) == layer.row("item", 2)
    assert layer.table.num_embeddings == 9 + 7 + 1 + 4
    swapped = FieldEmbedding(FIELDS[::-1], dim=3)  # a history listed before its item
    assert swapped.row("history", 2) == swapped.row("item", 2)


def test_linear_weights_of_a_history_are_its_own():
    layer = FieldEmbedding(FIELDS, dim=1, share=False)
    assert layer.row("history", 2) != layer.row("item", 2)
    assert layer.table.num_embeddings == 9 + 7 + 1 + 4 + 7


def test_unseen_values_start_at_zero():
    layer = FieldEmbedding(FIELDS, dim=3)
    for name in ("user", "item", "genres"):
        assert layer.table.weight[layer.row(name, 0)].abs().max() == 0
        assert layer.table.weight[layer.row(name, 1)].abs().max() > 0


def test_pool_is_the_sum_over_a_fields_features():
    layer = FieldEmbedding(FIELDS, dim=3)
    batch = rows(11)
    expanded = layer.expand(batch)
    assert expanded.shape == (11, 1 + 1 + 1 + 3 + 4, 3)
    pooled = layer.pool(expanded)
    assert_close(pooled[:, 3], expanded[:, 3:6].sum(1))
    assert_close(pooled[:, 4], expanded[:, 6:].sum(1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "no fields"),
        ((FIELDS, 0), "dim must be at least 1"),
        (([FIELDS[1], Field("h", "history", Vocabulary(["z"]), length=2, table="item")],), "shares the table 'item'"),
    ],
)
def test_embedding_names_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        FieldEmbedding(*arguments)


def test_mlp_is_relu_layers_and_a_linear_end():
    mlp = MLP(2, (3,), outputs=1)
    x = torch.tensor([[1.0, -2.0]])
    by_hand = torch.relu(x @ mlp[0].weight.T + mlp[0].bias) @ mlp[2].weight.T + mlp[2].bias
    assert_close(mlp(x), by_hand)
    with pytest.raises(ValueError, match="widths"):
        MLP(4, ())


def test_crosses_count_every_combination_of_a_bag():
    layer = HashedCrosses(FIELDS, [("user", "genres"), ("genres", "history")])
    one = Rows(
        torch.tensor([[3, 2]]),
        torch.zeros(1, 1),
        {"genres": torch.tensor([[1, 3, -1]]), "history": torch.tensor([[5, 0, 6, -1]])},
    )
    values, counts = layer.combinations(one, 0)
    assert values[0][counts[0]].tolist() == [[3, 1], [3, 3]]
    values, counts = layer.combinations(one, 1)  # the unseen item 0 and padding are left out
    assert values[0][counts[0]].tolist() == [[1, 5], [1, 6], [3, 5], [3, 6]]
    with torch.no_grad():
        for k, weight in ((0, 0.5), (1, 0.25)):
            values, counts = layer.combinations(one, k)
            layer.weight[layer.bucket(k, values)[counts]] = weight
    assert_close(layer(one), torch.tensor([[1.0, 1.0]]))  # 2 × 0.5 and 4 × 0.25


def test_a_cross_holds_only_where_all_of_its_conditions_do():
    """Wide & Deep's cross is a product of any number of conditions, not of two only."""
    layer = HashedCrosses(FIELDS, [("user", "item", "genres")])
    rows = Rows(
        torch.tensor([[3, 2], [3, 1], [4, 2], [3, 2]]),
        torch.zeros(4, 1),
        {"genres": torch.tensor([[1, -1, -1], [1, -1, -1], [1, -1, -1], [2, -1, -1]]),
         "history": torch.full((4, 4), -1)},
    )  # fmt: skip
    with torch.no_grad():
        values, counts = layer.combinations(rows[0], 0)
        layer.weight[layer.bucket(0, values)[counts]] = 1.0
    assert layer(rows).flatten().tolist() == [1.0, 0.0, 0.0, 0.0]  # one condition fails in each of the others


def test_small_crosses_have_a_weight_each_and_large_ones_stay_in_their_block():
    layer = HashedCrosses(FIELDS, [("user", "item"), ("user", "item", "genres")], buckets=70)
    grid = torch.cartesian_prod(torch.arange(1, 9), torch.arange(1, 7))
    assert len(layer.bucket(0, grid).unique()) == len(grid)
    grid = torch.cartesian_prod(torch.arange(1, 9), torch.arange(1, 7), torch.arange(1, 4))
    hashed = layer.bucket(1, grid)
    assert hashed.min() >= layer.offsets[1] and hashed.max() < len(layer.weight) == 63 + 70
    assert len(hashed.unique()) > 50  # 144 combinations over 70 buckets: most are in use


def exact_bucket(layer, k, values):
    """The bucket of one combination with Python's numbers, which never overflow."""
    prime, multipliers = 2**31 - 1, (1_640_531_527, 2_097_192_037, 1_181_783_497, 1_442_695_041)
    index = 0
    for value, multiplier in zip(values, multipliers, strict=False):
        index = (index + (max(value, 0) + 1) * multiplier) % prime
    return index * multipliers[0] % prime % layer.buckets + layer.offsets[k]


def test_hashed_buckets_are_those_that_stored_weights_were_trained_on():
    wide = [Field(n, "categorical", Vocabulary(range(40))) for n in "abcd"]
    layer = HashedCrosses(wide, [("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")], buckets=1000)
    g = torch.Generator().manual_seed(0)
    for k, width in enumerate((2, 3, 4)):
        largest = 2**31 - 1  # of int32
        ends = torch.tensor([[first] * (width - 1) + [last] for first in (-1, 0, largest) for last in (-1, 1, largest)])
        values = torch.cat([ends, torch.randint(0, largest, (500, width), generator=g)])
        found = layer.bucket(k, values)
        assert found.tolist() == [exact_bucket(layer, k, v) for v in values.tolist()]
        assert found.dtype == torch.int64 and found.min() >= layer.offsets[k] and found.max() < 1000 * (k + 1)
    assert layer.bucket(0, torch.tensor([[1, 2], [39, 7], [0, 0]])).tolist() == [814, 739, 447]
    assert layer.bucket(2, torch.tensor([[1, 2, 3, 4]])).tolist() == [2039]


def test_crosses_compile_without_a_break():
    layer = filled(HashedCrosses(FIELDS, [("user", "item"), ("user", "item", "genres")], buckets=70))
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    for count in (2, 7):
        assert_close(compiled(rows(count)), layer(rows(count)))


@pytest.mark.parametrize(
    ("cross", "message"),
    [(("user",), "two to four"), (("user", "price"), "'price' is numeric"), (("user", "x"), "unknown field 'x'")],
)
def test_crosses_name_what_is_wrong(cross, message):
    with pytest.raises(ValueError, match=message):
        HashedCrosses(FIELDS, [cross])
