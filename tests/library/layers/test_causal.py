"""Causal attention: PyTorch's Transformer layer, no look into the future, padding, distances."""

import pytest
import torch
from tiny import filled
from torch import nn
from torch.testing import assert_close

from recsys_lite.layers.causal import CausalAttention, CausalBlock


def test_a_block_is_pytorchs_layer_without_projection_and_biases():
    torch.manual_seed(0)
    ours, theirs = filled(CausalBlock(4)), nn.TransformerEncoderLayer(4, 1, 4, 0.0, norm_first=True, batch_first=True)
    attention = theirs.self_attn
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.cat([m.weight for m in (ours.query, ours.key, ours.value)]))
        attention.in_proj_bias.zero_(), attention.out_proj.bias.zero_(), attention.out_proj.weight.copy_(torch.eye(4))
    for mine, name in (
        (ours.inner, "linear1"),
        (ours.outer, "linear2"),
        (ours.before, "norm1"),
        (ours.between, "norm2"),
    ):
        theirs.get_submodule(name).load_state_dict(mine.state_dict())
    x = torch.randn(3, 5, 4)
    assert_close(ours(x), theirs(x, nn.Transformer.generate_square_subsequent_mask(5)), rtol=1e-4, atol=1e-5)
    weights = ours.attention(x)
    assert_close(weights.sum(2), torch.ones(3, 5))
    assert (weights.triu(1) == 0).all() and (weights.tril() > 0).sum() == 3 * 15
    n = ours.before(x)
    assert_close(x + weights @ ours.value(n), ours(x) - ours.outer(torch.relu(ours.inner(ours.between(
        x + weights @ ours.value(n))))), rtol=1e-4, atol=1e-5)  # fmt: skip


def test_a_later_item_changes_no_earlier_state_and_padding_changes_nothing():
    torch.manual_seed(1)
    model, x, lengths = filled(CausalAttention(4, 9)), torch.randn(6, 5, 4), torch.tensor([0, 1, 2, 3, 4, 5])
    block = model.blocks[0]
    other = torch.cat([x[:, :3], torch.randn(6, 2, 4)], 1)
    assert_close(block(x)[:, :3], block(other)[:, :3])
    assert not torch.allclose(block(x)[:, 3:], block(other)[:, 3:])
    state = model(x, lengths)
    more = torch.cat([x, torch.full((6, 4, 4), 1e3)], 1)
    assert_close(model(more, lengths), state)
    assert (state[0] == 0).all()
    for row, n in enumerate(lengths[1:].tolist(), 1):
        assert_close(model(x[row : row + 1, :n], torch.tensor([n]))[0], state[row])


def test_positions_count_from_the_latest_item():
    model = CausalAttention(2, 6, blocks=1)
    x = torch.zeros(2, 4, 2)
    placed = model.placed(x, torch.tensor([4, 2]))
    assert_close(placed[0], model.distance.weight[[3, 2, 1, 0]])
    assert_close(placed[1, :2], model.distance.weight[[1, 0]])


def test_without_positions_the_order_of_earlier_items_is_lost_in_one_block():
    torch.manual_seed(2)
    model, x, n = filled(CausalAttention(4, 5, blocks=1)), torch.randn(3, 5, 4), torch.full((3,), 5)
    turned = x[:, [2, 0, 3, 1, 4]]
    assert not torch.allclose(model(x, n), model(turned, n), atol=1e-4)
    nn.init.zeros_(model.distance.weight)
    assert_close(model(x, n), model(turned, n), rtol=1e-4, atol=1e-5)


def test_sizes_and_inputs_that_do_not_fit_are_refused():
    for sizes in ((0, 3), (3, 0), (3, 3, 0)):
        with pytest.raises(ValueError, match="sizes must be at least 1"):
            CausalAttention(*sizes)
    model = CausalAttention(3, length=4)
    for x, n in ((torch.ones(2, 5, 3), [5, 5]), (torch.ones(2, 4, 2), [1, 1]), (torch.ones(2, 4, 3), [1, 1, 1])):
        with pytest.raises(ValueError, match="expected x"):
            model(x, torch.tensor(n))
    for n in ([-1, 2], [2, 5]):
        with pytest.raises(ValueError, match="lengths must lie within 0 and 4"):
            model(torch.ones(2, 4, 3), torch.tensor(n))
