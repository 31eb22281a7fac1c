"""Batch norm in a model's networks: by hand, and gone without a trace once it is folded."""

import copy

import pytest
import torch
from torch import nn

from recsys_lite.layers import MLP, add_batch_norm, fold_batch_norm
from recsys_lite.models import DCN, DLRM, FM, AutoInt, DeepFM, SplitNetwork, WideDeep
from recsys_lite.training import fit, seed_everything
from tests.tiny import FIELDS, dataset, rows

SIDES = {"query": ["user", "history"], "candidate": ["item"]}
MODELS = [
    lambda: DeepFM(FIELDS, hidden=(8, 4)), lambda: WideDeep(FIELDS, hidden=(8,)), lambda: DCN(FIELDS, hidden=(8, 4)),
    lambda: DLRM(FIELDS, top=(8, 4)), lambda: AutoInt(FIELDS, hidden=(8,)), lambda: SplitNetwork(FIELDS, **SIDES),
]  # fmt: skip


def test_a_unit_is_normalised_over_the_batch_by_hand():
    mlp = add_batch_norm(MLP(1, (1,), outputs=1))
    with torch.no_grad():
        mlp[0].weight.fill_(2.0)
        mlp[0].bias.fill_(5.0)
    # a = 5, 7, 9: mean 7, variance 8/3; (a - 7) / sqrt(8/3) = -1.2247, 0, 1.2247
    hidden = nn.Sequential(*list(mlp)[:3])(torch.tensor([[0.0], [1.0], [2.0]]))
    torch.testing.assert_close(hidden[:, 0], torch.tensor([0.0, 0.0, 1.5**0.5]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("make", MODELS)
def test_folded_it_is_a_model_that_never_had_it(make):
    seed_everything(0)
    model, plain = make(), make()
    keys = list(plain.state_dict())
    fit(add_batch_norm(model), dataset(), epochs=2, lr=0.01, progress=False)
    assert any(isinstance(m, nn.BatchNorm1d) for m in model.modules())
    few = rows(64, seed=7)
    before = copy.deepcopy(model)(few)
    folded = fold_batch_norm(model)
    assert list(folded.state_dict()) == keys
    torch.testing.assert_close(folded(few), before, atol=1e-5, rtol=1e-5)
    plain.load_state_dict(folded.state_dict())
    torch.testing.assert_close(plain.eval()(few), before, atol=1e-5, rtol=1e-5)
    assert float((before - make().eval()(few)).detach().abs().max()) > 1e-2  # the case is not trivial


def test_what_cannot_be_done_is_refused():
    with pytest.raises(ValueError, match="FM has no hidden layer"):
        add_batch_norm(FM(FIELDS))
    with pytest.raises(ValueError, match="no hidden layer without batch norm"):
        add_batch_norm(add_batch_norm(MLP(2, (3,))))
    with pytest.raises(ValueError, match="in training"):
        fold_batch_norm(add_batch_norm(MLP(2, (3,))))
