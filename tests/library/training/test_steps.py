"""Training an epoch at a time, alone and side by side on planted rows."""

import inspect
import json
import sys

import pytest
import torch
from bench_pool import here
from small import small
from tiny import FIELDS, dataset
from torch.testing import assert_close

from bench.ranking import race as bench
from recsys_lite import store
from recsys_lite.data.simulated.planted import planted
from recsys_lite.fields import Dataset
from recsys_lite.lab.race import RUNNERS, Race, alone, best, found_pairs, shares, truth
from recsys_lite.models import FM, MODELS, LightGCN, LogisticRegression, WideDeep
from recsys_lite.training import bpr_step, fit, fit_in_steps, fit_retrieval, seed_everything

QUICK = {"epochs": 4, "batch_size": 64, "lr": 0.02, "patience": 9, "seed": 3}


def fresh():
    seed_everything(5)
    return WideDeep(FIELDS, [("user", "item")], hidden=(8,), dropout=0.3)


def test_fit_and_its_steps_have_the_same_settings():
    whole, steps = (dict(inspect.signature(f).parameters) for f in (fit, fit_in_steps))
    assert {k: v for k, v in whole.items() if k not in ("progress", "evaluate_test")} == steps


def test_steps_by_hand_are_the_run_of_fit():
    model, whole = fresh(), fresh()
    result = fit(whole, dataset(), **QUICK, progress=False)
    steps = fit_in_steps(model, dataset(), **QUICK)
    assert not steps.done and steps.result.curve == []
    lines = [steps.step() for _ in range(4)]
    assert lines == result.curve and [line["epoch"] for line in lines] == [1, 2, 3, 4] and steps.done
    again = steps.finish()
    assert (again.best_epoch, again.validation) == (result.best_epoch, result.validation) and not model.training
    for a, b in zip(whole.state_dict().values(), model.state_dict().values(), strict=True):
        assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["rows", "candidates"])
def test_the_test_part_is_looked_at_at_the_end_unless_it_must_not(kind, capsys):
    """Once, by default; never while settings are chosen. The bar has nothing to do with it."""

    def run(**options):
        seed_everything(0)
        if kind == "rows":
            return fit(FM(FIELDS), dataset(), epochs=1, **options)
        pairs = small()
        return fit_retrieval(LightGCN(pairs, dim=2), pairs, bpr_step(pairs), epochs=1, **options)

    for options in ({"progress": False}, {"progress": True}, {}):
        assert run(**options).test
        assert not run(**options, evaluate_test=False).test
    capsys.readouterr()
    run(progress=False)
    assert not capsys.readouterr().err
    run()
    assert "epoch" in capsys.readouterr().err


def test_a_run_that_is_done_takes_no_step():
    steps = fit_in_steps(fresh(), dataset(), **(QUICK | {"epochs": 1}))
    steps.step()
    with pytest.raises(ValueError, match=r"done after 1 of 1 epochs"):
        steps.step()


def test_steps_stop_when_nothing_gets_better():
    steps = fit_in_steps(FM(FIELDS, dim=8), dataset(120), epochs=200, batch_size=16, lr=0.1, patience=2)
    while not steps.done:
        steps.step()
    assert len(steps.result.curve) == steps.result.best_epoch + 2 < 200


def test_finish_trains_what_is_left_and_shows_a_bar_when_asked(capsys):
    steps = fit_in_steps(fresh(), dataset(), **QUICK)
    steps.step()
    assert len(steps.finish(progress=True).curve) == 4
    assert "WideDeep" in capsys.readouterr().err


@pytest.mark.parametrize("models", [("fm", "deepfm"), ("dhen", "logistic_regression")])
def test_the_curve_of_a_race_is_that_of_fit(models):
    ran = Race(models, seed=2, noise=0.2, rows=600, lr=0.03, epochs=3)
    while not ran.done:
        ran.step()
    data, table = planted(2, seed=2, rows=600, noise=0.2), ran.table()
    for name in models:
        seed_everything(2)
        model = MODELS[name](data.fields)
        result = fit(model, data, epochs=3, batch_size=256, lr=0.03, patience=3, seed=2, progress=False)
        assert ran.steps[name].result.curve == result.curve
        own = table[table["model"] == name]
        assert own["epoch"].tolist() == [1, 2, 3]
        assert own["validation auc"].tolist() == [line["auc"] for line in result.curve]
        assert own["validation log loss"].tolist() == [line["log_loss"] for line in result.curve]


def test_a_race_never_stops_early_and_counts_its_batches():
    ran = Race(["gdcn"], rows=500, lr=0.03, epochs=8)
    while not ran.done:
        ran.step()
    losses = ran.table()["validation log loss"].tolist()
    assert min(losses) < losses[-1] and len(losses) == 8 == ran.epoch
    assert ran.batches == 2  # 500 rows are 256 and 244
    assert Race(["fm"], rows=512).batches == 2 and Race(["fm"], rows=513).batches == 3


def test_pairs_are_of_the_weights_as_they_are():
    ran = Race(["fm", "logistic_regression"], rows=500, epochs=2)
    ran.step()
    first = ran.pairs()
    assert ran.pairs() is first and first["model"].value_counts().to_dict() == {"fm": 15, "logistic_regression": 15}
    ran.step()
    assert not ran.pairs().equals(first)


def test_all_models_run_but_those_that_ask_for_a_user():
    fields = planted(2, seed=0, rows=8).fields
    fits = []
    for name, model in MODELS.items():
        try:
            model(fields)
            fits.append(name)
        except ValueError as error:
            assert "'user'" in str(error)
    assert fits == RUNNERS


@pytest.mark.parametrize("models", [[], ["fm", "fm"], ["fm", "ncf"], ["svm"]])
def test_a_race_names_models_that_do_not_fit(models):
    with pytest.raises(ValueError, match=r"Race: expected different models among .*got"):
        Race(models)


def test_an_epoch_that_fails_for_one_model_counts_for_none():
    ran = Race(["logistic_regression", "fm"], rows=500)
    ran.step()
    with torch.no_grad():
        ran.models["fm"].bias.fill_(float("nan"))
    with pytest.raises(ValueError, match="the loss is nan in epoch 2"):
        ran.step()
    assert ran.epoch == 1 and ran.table()["epoch"].tolist() == [1, 1]


def test_the_truth_is_what_planted_drew_from():
    data = planted(2, seed=4, rows=400, noise=0.05, crosses=2)
    assert_close(truth(data, data.test, 0.05), data.extras["probability"], rtol=0, atol=0)
    assert truth(data, data.train, 0.05).unique().tolist() == pytest.approx([0.05, 0.5, 0.95])
    with pytest.raises(ValueError, match="tiny holds no planted crosses"):
        truth(dataset(), dataset().test, 0.1)


def test_without_noise_the_truth_makes_no_mistake_and_with_noise_as_many_as_planted():
    clean = planted(2, seed=0, rows=400, noise=0)
    assert best(clean, clean.validation, 0) == pytest.approx({"auc": 1, "log loss": 0}, abs=1e-9)
    noisy = planted(2, seed=0, rows=40_000, noise=0.2)
    entropy = -(0.2 * torch.tensor(0.2).log() + 0.8 * torch.tensor(0.8).log()).item()
    assert best(noisy, noisy.validation, 0.2) == pytest.approx({"auc": 0.8, "log loss": entropy}, abs=0.02)


def test_shares_show_the_signs_and_single_fields_do_not():
    data = planted(2, seed=1, rows=400, fields=2, values=4, noise=0)
    table = shares(data, "A", "B")
    assert table.to_numpy().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    label = data.field("A").vocabulary.label
    assert list(table.index) == [
        label(v) for sign in (-1, 1) for v in range(1, 5) if data.extras["signs"]["A"][v] == sign
    ]
    assert (table.index.name, table.columns.name) == ("A", "B")
    small = Dataset(data.name, data.task, data.fields, data.train[:1], data.validation, data.test, extras=data.extras)
    assert shares(small, "A", "B").shape == (4, 4) and shares(small, "A", "B").notna().sum().sum() == 1
    four = data.train[:4]
    four.ids[:, 0], four.label = torch.tensor([1, 1, 1, 3]), torch.tensor([1.0, 0.0, 0.0, 1.0])
    few = Dataset(data.name, data.task, data.fields, four, data.validation, data.test)
    assert alone(few, "A") == pytest.approx([1 / 3, 1])


def test_found_pairs_are_those_that_a_model_multiplies():
    data = planted(2, seed=0, rows=200)
    model = FM(data.fields, dim=2, std=0)
    with torch.no_grad():
        for field in "AD":
            start = model.embedding.row(field)
            model.embedding.table.weight[start : start + 11] = torch.randn(11, 2)
    table = found_pairs(model, data)
    assert len(table) == 15 and table[table["strength"] > 1e-4][["a", "b"]].to_numpy().tolist() == [["A", "D"]]
    assert table[table["planted"] == 1][["a", "b"]].to_numpy().tolist() == [list(data.extras["crosses"][0])]
    assert found_pairs(LogisticRegression(data.fields), data)["strength"].max() == 0


def test_the_stored_races_are_complete_and_can_be_run_again():
    record = store.read_json(bench.FILE)
    assert record["about"] == {"settings": bench.SETTINGS}
    assert [(r["model"], r["seed"]) for r in record["runs"]] == [(m, s) for m in RUNNERS for s in range(5)]
    assert {len(r["curve"]) for r in record["runs"]} == {20} and {len(r["pairs"]) for r in record["runs"]} == {15}
    stored = next(r for r in record["runs"] if (r["model"], r["seed"]) == ("fm", 1))
    again = bench.work("fm", 1)
    for part in ("curve", "pairs"):
        for old, new in zip(stored[part], again[part], strict=True):
            assert old == pytest.approx(new, abs=0.01)


def test_the_benchmark_fills_in_what_is_missing(monkeypatch, tmp_path):
    here(monkeypatch)
    file = tmp_path / "race.json"
    monkeypatch.setattr(bench, "FILE", file)
    monkeypatch.setattr(bench, "SEEDS", range(2))
    monkeypatch.setattr(bench, "RUNNERS", ["logistic_regression", "fm"])
    monkeypatch.setattr(bench, "SETTINGS", {"noise": 0.1, "rows": 200, "lr": 0.01, "epochs": 1})
    monkeypatch.setattr(sys, "argv", ["race"])
    kept = {"model": "fm", "seed": 0, "curve": [], "pairs": []}
    file.write_text(json.dumps({"about": {}, "runs": [kept]}))
    bench.main()
    runs = json.loads(file.read_text())["runs"]
    assert [(r["model"], r["seed"]) for r in runs] == [
        ("logistic_regression", 0), ("logistic_regression", 1), ("fm", 0), ("fm", 1),
    ]  # fmt: skip
    assert runs[2] == kept and len(runs[3]["curve"]) == 1
