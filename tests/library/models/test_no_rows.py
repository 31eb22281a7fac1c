"""A batch without rows gives no logits, and no error: the last part of a stream, a filter that leaves nothing."""

import pytest
import tiny
import torch
from structures import ALL

from recsys_lite import explain
from recsys_lite.evaluation import predict
from recsys_lite.models import MODELS, PAL, FieldMLP, LogisticRegression, TextCNN, WatchNext


def models():
    for name, options in ALL:
        yield pytest.param(MODELS[name](tiny.FIELDS, **options), id=f"{name} {options}")
    yield pytest.param(FieldMLP(tiny.FIELDS), id="field_mlp")
    yield pytest.param(FieldMLP(tiny.FIELDS, hidden=()), id="field_mlp linear")
    yield pytest.param(TextCNN(tiny.FIELDS, "history"), id="text_cnn")
    yield pytest.param(PAL(tiny.FIELDS, LogisticRegression(tiny.FIELDS[1:]), bias=["user"]), id="pal")
    yield pytest.param(WatchNext(tiny.FIELDS, LogisticRegression(tiny.FIELDS[1:]), bias=["user"]), id="watch_next")


@pytest.mark.parametrize("model", list(models()))
def test_no_rows(model):
    none = tiny.rows(4)[:0]
    for mode in (True, False):
        model.train(mode)
        logits = model(none)
        assert logits.shape == (0,)
        logits.sum().backward()
    for fine in (False, True):
        assert all(part.shape == (0,) for part in model.parts(none, fine).values())
        assert len(explain.logit_parts(model, none, fine)) == 0
    assert predict(model, none).shape == (0,)
    for maps in ("attention", "gates"):
        if hasattr(model, maps):
            assert all(len(found) == 0 for found in getattr(model, maps)(none))
    model.eval()
    one = tiny.rows(1)
    torch.testing.assert_close(model(one), torch.cat([model(none), model(one)]))
