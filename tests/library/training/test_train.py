"""Training, stopping, resuming; weights on disk."""

import json

import pytest
import torch
from tiny import FIELDS, dataset
from torch.testing import assert_close

from recsys_lite import store
from recsys_lite.evaluation import log_loss, predict
from recsys_lite.models import DCN, FM, LogisticRegression, WideDeep
from recsys_lite.training import FTRL, Steps, fit, seed_everything, wide_deep_optimizers

QUICK = {"epochs": 4, "batch_size": 64, "lr": 0.02, "progress": False, "patience": 9}


def fresh(dropout=0.0):
    seed_everything(5)
    return WideDeep(FIELDS, [("user", "item")], hidden=(8,), dropout=dropout)


def test_fit_learns_a_planted_cross_that_a_linear_model_cannot():
    data = dataset()
    seed_everything(0)
    wide = fit(fresh(), data, **(QUICK | {"epochs": 15}))
    linear = fit(LogisticRegression(FIELDS), data, **(QUICK | {"epochs": 15}))
    assert wide.test["auc"] > 0.95 > 0.75 > linear.test["auc"]


def test_what_is_minimised_is_log_loss_not_squared_error():
    data = dataset()
    model = DCN(FIELDS, cross_layers=1, hidden=(4,))
    before = log_loss(data.train.label, predict(model, data.train))
    told = fit(model, data, **(QUICK | {"epochs": 1, "lr": 1e-9})).curve[0]["train_loss"]
    assert told == pytest.approx(before, abs=1e-5)  # with steps of nothing it is that of the start
    p = predict(model, data.train)
    assert abs(told - ((p - data.train.label) ** 2).mean().item()) > 0.1


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    runs = [fit(fresh(0.2), dataset(), seed=s, **QUICK).curve for s in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("kind", ["adam", "ftrl", "lazy_adam", "rowwise_adagrad"])
def test_a_resumed_run_equals_an_unbroken_one(tmp_path, kind):
    def go(epochs, checkpoint=None):
        model = fresh(0.2)
        optimizer = (lambda m: wide_deep_optimizers(m, lr_deep=0.05)) if kind == "ftrl" else kind
        return model, fit(model, dataset(), **(QUICK | {"epochs": epochs}), optimizer=optimizer, checkpoint=checkpoint)

    whole_model, whole = go(4)
    go(2, tmp_path / "run")
    resumed_model, resumed = go(4, tmp_path / "run")
    assert resumed.curve == whole.curve and resumed.best_epoch == whole.best_epoch
    for a, b in zip(whole_model.state_dict().values(), resumed_model.state_dict().values(), strict=True):
        assert_close(a, b, rtol=0, atol=0)


def test_an_interrupt_between_two_epochs_loses_nothing(tmp_path, monkeypatch):
    whole = fit(fresh(), dataset(), **QUICK)
    original, calls = Steps._epoch, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(Steps, "_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(fresh(), dataset(), **QUICK, checkpoint=tmp_path / "run")
    monkeypatch.setattr(Steps, "_epoch", original)
    assert fit(fresh(), dataset(), **QUICK, checkpoint=tmp_path / "run").curve == whole.curve
    assert len(list(tmp_path.iterdir())) == 2  # no leftovers


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    fit(fresh(), dataset(), **QUICK, checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match=r"another run: settings"):
        fit(fresh(), dataset(), **(QUICK | {"lr": 0.5}), checkpoint=tmp_path / "run")


def test_training_stops_early_and_keeps_the_best_epoch():
    model = FM(FIELDS, dim=8)
    data = dataset(120)
    result = fit(model, data, epochs=200, batch_size=16, lr=0.1, patience=2, progress=False)
    losses = [c["log_loss"] for c in result.curve]
    assert len(losses) == result.best_epoch + 2 < 200
    assert min(losses) == losses[result.best_epoch - 1] == result.validation["log_loss"]
    from recsys_lite.evaluation import evaluate

    again = evaluate(data.validation.label, predict(model, data.validation), data.validation.group)
    assert again["log_loss"] == pytest.approx(result.validation["log_loss"], abs=1e-6)


def test_the_test_part_changes_nothing_but_the_test_metrics():
    a, b = dataset(), dataset()
    b.test.label = 1 - b.test.label
    ra, rb = fit(fresh(), a, **QUICK), fit(fresh(), b, **QUICK)
    assert ra.curve == rb.curve and ra.best_epoch == rb.best_epoch and ra.test != rb.test


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"lr": -1}, "lr=-1"),
        ({"monitor": "f1"}, "unknown metric 'f1'"),
        ({"lr": 1e30}, "loss is"),
    ],
)
def test_fit_names_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message):
        fit(fresh(), dataset(), **(QUICK | change))


def test_predict_leaves_the_mode_alone_and_batches_do_not_matter():
    model = fresh(0.5).train()
    p = predict(model, dataset().test, batch_size=7)
    assert model.training and p.min() >= 0 and p.max() <= 1
    assert_close(p, predict(model, dataset().test))


def test_ftrl_by_hand_over_two_steps():
    w = torch.nn.Parameter(torch.zeros(1))
    o = FTRL([w], lr=0.5, beta=1.0, l1=0.1, l2=0.2)
    w.grad = torch.tensor([2.0])
    o.step()  # n 4, σ = 2/.5 = 4, z = 2 - 4·0 = 2, w = -(2 - .1)/((1 + 2)/.5 + .2) = -1.9/6.2
    assert w.item() == pytest.approx(-1.9 / 6.2)
    w.grad = torch.tensor([-1.0])
    o.step()  # n 5, σ = (√5 - 2)/.5, z = 2 - 1 - σ·w
    sigma = (5**0.5 - 2) / 0.5
    z = 1 + sigma * 1.9 / 6.2
    assert w.item() == pytest.approx(-(z - 0.1) / ((1 + 5**0.5) / 0.5 + 0.2))


def test_ftrl_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="start at zero"):
        FTRL([torch.nn.Parameter(torch.ones(1))])
    with pytest.raises(ValueError, match="lr must be above 0"):
        FTRL([torch.nn.Parameter(torch.zeros(1))], lr=0)


def test_weights_come_back_and_only_fit_their_fields(tmp_path):
    model = fresh()
    store.save_model(model, tmp_path / "w", seed=5)
    again = store.load_model(tmp_path / "w", FIELDS)
    assert_close(again(dataset().test), model.eval()(dataset().test))
    assert not again.training
    with pytest.raises(ValueError, match="trained on other fields"):
        store.load_model(tmp_path / "w", FIELDS[:3])


def test_weights_of_another_size_are_named(tmp_path):
    store.save_model(fresh(), tmp_path / "w")
    record = json.loads((tmp_path / "w.json").read_text())
    record["config"]["dim"] += 1
    (tmp_path / "w.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"(?s)w: the weights do not fit .*size mismatch"):
        store.load_model(tmp_path / "w", FIELDS)


def test_damaged_files_are_named(tmp_path):
    store.save_model(fresh(), tmp_path / "w")
    (tmp_path / "w.safetensors").write_bytes(b"half a fi")
    with pytest.raises(ValueError, match=r"w\.safetensors is damaged"):
        store.load_model(tmp_path / "w", FIELDS)
    (tmp_path / "w.json").write_text("{")
    with pytest.raises(ValueError, match=r"w\.json is not valid JSON"):
        store.load_model(tmp_path / "w", FIELDS)
    with pytest.raises(ValueError, match=r"v\.json does not exist"):
        store.load_model(tmp_path / "v", FIELDS)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "r.json"
    store.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        store.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1} and len(list(tmp_path.iterdir())) == 1
