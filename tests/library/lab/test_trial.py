"""Models trained alike on a table and compared on its test part."""

import numpy as np
import pytest
import torch

from recsys_lite.data import table
from recsys_lite.evaluation import metrics, predict
from recsys_lite.fields import Field, Vocabulary
from recsys_lite.lab import trial
from recsys_lite.training import fit, seed_everything

NAMES = ["logistic_regression", "fm"]


@pytest.fixture(scope="module")
def cafe():
    return table.read_csv(table.example(), table.EXAMPLE)


@pytest.fixture(scope="module")
def trials(cafe):
    return trial.run(cafe, NAMES)


def test_pairs_are_found_by_the_model_that_can_and_the_verdict_says_so(cafe, trials):
    quality = trial.quality(cafe, trials).set_index("model")
    assert quality.loc["fm", "auc low"] > 0.7 > quality.loc["logistic_regression", "auc high"]
    for name in NAMES:
        label, p = cafe.test.label.numpy(), trials[name].test
        assert quality.loc[name, ["auc", "auc low", "auc high"]].tolist() == list(metrics.auc_interval(label, p))
        assert quality.loc[name, "log_loss"] == pytest.approx(metrics.log_loss(label, p))
        assert quality.loc[name, "log_loss low"] < quality.loc[name, "log_loss"] < quality.loc[name, "log_loss high"]
    gaps = trial.gaps(cafe, trials).set_index("metric")
    assert gaps["verdict"].tolist() == ["fm", "fm"]
    for metric in ("auc", "log_loss"):
        assert gaps.loc[metric, "difference"] == pytest.approx(
            quality.loc["fm", metric] - quality.loc["logistic_regression", metric]
        )
        assert gaps.loc[metric, "low"] < gaps.loc[metric, "difference"] < gaps.loc[metric, "high"]
    turned = trial.gaps(cafe, dict(reversed(trials.items()))).set_index("metric")
    assert turned["verdict"].tolist() == ["fm", "fm"]
    assert turned.loc["log_loss", "difference"] == pytest.approx(-gaps.loc["log_loss", "difference"])


def test_a_model_does_not_differ_from_itself(cafe, trials):
    gaps = trial.gaps(cafe, {"fm": trials["fm"], "again": trials["fm"]})
    assert gaps["verdict"].tolist() == ["equal within 0.002"] * 2 and gaps["difference"].tolist() == [0, 0]
    with pytest.raises(ValueError, match="expected two models, got \\['fm'\\]"):
        trial.gaps(cafe, {"fm": trials["fm"]})


def test_a_trial_trains_as_fit_does_and_tells_its_epochs(cafe):
    told = []
    made = trial.run(cafe, ["fm"], seed=2, epochs=3, lr=0.01, progress=lambda *a: told.append(a))["fm"]
    assert told == [("fm", 1), ("fm", 2), ("fm", 3)]
    seed_everything(2)
    model = trial.MODELS["fm"](cafe.fields)
    result = fit(model, cafe, epochs=3, batch_size=60, lr=0.01, patience=trial.PATIENCE, seed=2, progress=False)
    assert result.curve == made.result.curve and (predict(model, cafe.test).numpy() == made.test).all()
    with pytest.raises(ValueError, match="unknown model 'gbdt'"):
        trial.run(cafe, ["gbdt"])


def test_what_a_column_is_worth(cafe, trials):
    worth = trial.worth(cafe, trials).set_index(["model", "field"])
    assert worth.loc["fm"]["worth"].idxmax() == "weather" and worth.loc[("fm", "weather"), "low"] > 0.1
    assert worth.loc[("fm", "weekday"), "low"] < 0 < worth.loc[("fm", "weekday"), "high"]  # truly nothing
    order = list(dict.fromkeys(trial.worth(cafe, trials)["field"]))
    assert order == list(worth.groupby("field")["worth"].max().sort_values(ascending=False).index)
    fm = trials["fm"].model
    seen = fm.embedding.offsets["weather"], fm.embedding.offsets["weather"] + cafe.field("weather").size
    deaf = trial.MODELS["fm"](cafe.fields)
    deaf.load_state_dict(fm.state_dict())
    with torch.no_grad():  # a model that does not hear the weather loses nothing without it
        for layer in (deaf.weights, deaf.embedding):
            layer.table.weight[seen[0] : seen[1]] = 0
    alone = trial.Trial(deaf, trials["fm"].result, predict(deaf, cafe.test).numpy())
    lines = trial.worth(cafe, {"deaf": alone}).set_index("field")
    assert lines.loc["weather", "worth"] == pytest.approx(0, abs=1e-7) and lines.loc["age", "worth"] != 0


def test_worth_is_the_mean_rise_of_the_loss(cafe, trials):
    one = trial.worth(cafe, {"fm": trials["fm"]}, draws=1, seed=5).set_index("field").loc["age", "worth"]
    order = torch.randperm(len(cafe.test), generator=torch.Generator().manual_seed(5))
    moved = cafe.test[torch.arange(len(cafe.test))]
    moved.numeric = moved.numeric[order]  # age is the only number
    p, label = predict(trials["fm"].model, moved), cafe.test.label
    assert one == pytest.approx(metrics.log_loss(label, p) - metrics.log_loss(label, trials["fm"].test), abs=1e-9)


def test_losses_of_rows_average_to_the_log_loss():
    y, p = np.array([1, 0, 1]), np.array([0.9, 0.2, 0.0])
    assert trial.row_losses(y, p).mean() == pytest.approx(metrics.log_loss(y, p))


def test_the_models_that_fields_fit():
    number, colour = Field("n", "numeric"), Field("c", "categorical", Vocabulary(["r", "g"]))
    pair = [Field(n, "categorical", Vocabulary(["a"])) for n in ("user", "item")]
    assert {"dlrm", "ncf", "two_towers", "split_network"}.isdisjoint(trial.possible([number]))
    assert "dlrm" in trial.possible([number, colour]) and "ncf" in trial.possible(pair)
    assert "two_towers" not in trial.possible(pair)


def test_curves_and_bins_are_of_each_model(cafe, trials):
    curve = trial.curves(trials)
    assert list(dict.fromkeys(curve["model"])) == NAMES and len(curve) == sum(
        len(t.result.curve) for t in trials.values()
    )
    bins = trial.calibration(cafe, trials, bins=4)
    assert bins["model"].tolist() == [NAMES[0]] * 4 + [NAMES[1]] * 4
    assert bins.groupby("model")["rows"].sum().tolist() == [len(cafe.test)] * 2
