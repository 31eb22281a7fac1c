"""The study: every setting of every space is a model, an interrupted study proposes what an unbroken one does."""

import json

import numpy as np
import optuna
import pytest
import torch

from bench.ranking import study
from bench.ranking.entries import ENTRIES, build, penalty, suggest
from recsys_lite.fields import Dataset, Field, Rows, Vocabulary
from recsys_lite.store import load_model

KEY = ("movielens-100k.click", "fm")
ITEMS = Vocabulary([f"i{k}" for k in range(6)])
SIZES = {"user": 8, "item": 6, "gender": 2, "age": 3, "occupation": 4, "genres": 3, "hour": 5, "weekday": 7}
FIELDS = (
    *(Field(n, "categorical", Vocabulary(range(k))) for n, k in SIZES.items() if n not in ("item", "genres")),
    Field("item", "categorical", ITEMS),
    Field("genres", "multi_hot", Vocabulary(["a", "b", "c"]), length=2),
    Field("history", "history", ITEMS, length=3, table="item"),
)


def rows(count, seed=0):
    g = torch.Generator().manual_seed(seed)
    sizes = [f.size for f in FIELDS if f.kind == "categorical"]
    ids = torch.stack([torch.randint(0, s, (count,), generator=g) for s in sizes], 1).int()
    bags = {"genres": torch.randint(-1, 4, (count, 2), generator=g).int(),
            "history": torch.randint(-1, 7, (count, 3), generator=g).int()}  # fmt: skip
    label = ((ids[:, 0] + ids[:, -1]) % 2).float()
    return Rows(ids, torch.zeros(count, 0), bags, label, ids[:, 0].clone())


@pytest.fixture(scope="module")
def tiny():
    return Dataset("movielens-100k", "click", FIELDS, rows(400, 1), rows(120, 2), rows(120, 3), {"data_sha256": "x"})


@pytest.mark.parametrize("name", [n for n, e in ENTRIES.items() if e.kind != "trees"])
def test_every_setting_of_the_space_is_a_model(name, tiny):
    source = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(4):
        trial = source.ask()
        suggest(name, trial)
        model = build(name, tiny, trial.params)
        assert model(tiny.train[:8]).shape == (8,)
        source.tell(trial, 0.0)
    assert set(source.trials[0].params) >= {"lr", "embedding_penalty"}


def test_a_setting_that_is_chosen_reaches_the_model(tiny):
    chosen = {"dim": 8, "cross_layers": 4, "form": "rank 32", "structure": "stacked", "hidden_layers": 2, "width": 64,
              "dropout": 0.3, "batch_norm": True, "lr": 1e-3, "embedding_penalty": 5e-7}  # fmt: skip
    model = build("dcn_v2", tiny, chosen)
    wanted = {"dim": 8, "cross_layers": 4, "rank": 32, "structure": "stacked", "hidden": [64, 64], "dropout": 0.3}
    assert {k: model.config[k] for k in wanted} == wanted
    assert sum(isinstance(m, torch.nn.BatchNorm1d) for m in model.modules()) == 2
    assert penalty(chosen) == 0 and penalty({"embedding_penalty": 1e-3}) == 1e-3
    alone = build("cross_net_v2", tiny, {"dim": 8, "cross_layers": 2, "form": "full"})
    assert alone.config["structure"] == "cross" and alone.mlp is None


def run_trials(count, trials):
    """A study of an objective that is known: the AUC is highest at a rate of 1e-3."""
    for number in range(len(trials), count):
        trial = study.study_of(KEY, trials).ask()
        suggest(KEY[1], trial)
        auc = 0.9 - 0.05 * abs(np.log10(trial.params["lr"]) + 3)
        trials.append({"number": number, "params": trial.params, "state": "complete", "auc": [float(f"{auc:.6f}")]})
        trials = json.loads(json.dumps(trials))  # as a file gives them back
    return trials


def test_an_interrupted_study_proposes_what_an_unbroken_one_does():
    whole = run_trials(14, [])
    assert run_trials(14, run_trials(9, [])) == whole
    assert len({t["params"]["lr"] for t in whole}) == 14
    later = [abs(np.log10(t["params"]["lr"]) + 3) for t in whole[study.STARTUP :]]
    assert np.mean(later) < np.mean([abs(np.log10(t["params"]["lr"]) + 3) for t in whole[: study.STARTUP]])


def test_a_trial_not_among_the_best_of_its_elders_is_stopped(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "load", lambda task: tiny)
    file = tmp_path / "study.json"
    params = {"lr": 1e-3, "embedding_penalty": 1e-4, "dim": 8}
    unreachable = [{"number": k, "params": params, "state": "complete", "auc": [0.9, 0.999, 1.0]} for k in range(4)]
    file.write_text(json.dumps({"trials": {".".join(KEY): unreachable}}))
    stopped = study.tried(KEY, 4, str(file))
    assert stopped["state"] == "pruned" and len(stopped["auc"]) == 2 and stopped["number"] == 4
    file.write_text(json.dumps({"trials": {".".join(KEY): [{**t, "auc": [0.1, 0.1, 0.1]} for t in unreachable]}}))
    ended = study.tried(KEY, 4, str(file))
    assert ended["state"] == "complete" and ended["params"] != params


def test_all_models_have_the_same_effort_and_the_best_is_chosen_on_validation(tmp_path):
    trial = lambda auc, state="complete": {"params": {"lr": auc}, "state": state, "auc": [auc]}  # noqa: E731
    record = {"trials": {".".join(KEY): [trial(0.7), trial(0.9, "pruned"), trial(0.8)]}, "runs": []}
    assert list(study.missing(record, KEY, 4, tmp_path / "f")) == [(KEY, "trial", 3, str(tmp_path / "f"))]
    seeds = list(study.missing(record, KEY, 3, tmp_path / "f"))
    assert [job[2] for job in seeds] == list(range(10)) and {job[3]["lr"] for job in seeds} == {0.8}
    assert study.TUNING_SEED not in range(10) and study.lacking(record, KEY, 4) == 11
    published = ("frappe.published", "fm")  # has no trials of its own: it waits for those of the other protocol
    assert not list(study.missing(record, published, 3, tmp_path / "f")) and study.lacking(record, published, 3) == 3
    record["trials"]["frappe.click.fm"] = record["trials"][".".join(KEY)]
    assert [job[3]["lr"] for job in study.missing(record, published, 3, tmp_path / "f")] == [0.8] * 3
    record["runs"] = [{"dataset": "movielens-100k", "task": "click", "model": KEY[1], "seed": 3}]
    assert 3 not in [job[2] for job in study.missing(record, KEY, 3, tmp_path / "f")]


def test_a_seed_gives_the_logits_of_the_model_that_is_judged_and_kept(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(study, "load", lambda task: tiny)
    monkeypatch.setattr(study, "weights_path", lambda *of: tmp_path / ".".join(of))
    chosen = {"lr": 1e-2, "embedding_penalty": 1e-4, "dim": 8, "dropout": 0.1, "hidden_layers": 1, "width": 32,
              "batch_norm": True}  # fmt: skip
    line, logits = study.run_seed((KEY[0], "mlp"), chosen, 0)
    order = np.argsort(logits)
    label = tiny.test.label.numpy()
    positive, negative = logits[label == 1], logits[label == 0]
    by_hand = (positive[:, None] > negative).mean() + 0.5 * (positive[:, None] == negative).mean()
    assert line["test"]["auc"] == pytest.approx(by_hand) and len(order) == 120
    assert study.run_seed((KEY[0], "mlp"), chosen, 0)[0]["test"] == line["test"]
    assert line["settings"].items() >= {**chosen, "monitor": "auc"}.items()
    assert study.key_of(line) == (KEY[0], "mlp")
    kept = load_model(tmp_path / "movielens-100k.click.mlp", tiny.fields)
    assert torch.equal(torch.cat([kept(b) for b in tiny.test.batches(8192)]).double(), torch.from_numpy(logits))
    trees, of_trees = study.run_seed((KEY[0], "gbdt"), {"learning_rate": 0.1, "max_leaf_nodes": 7}, 0)
    assert trees["test"]["log_loss"] == pytest.approx(
        np.mean(np.log1p(np.exp(-of_trees)) * label + np.log1p(np.exp(of_trees)) * (1 - label)), rel=1e-5
    )


def test_best_values_on_an_edge_are_told():
    trial = {"params": {"lr": 2.9e-2, "embedding_penalty": 1e-3, "dim": 32}, "state": "complete", "auc": [0.8]}
    assert study.edges({"trials": {".".join(KEY): [trial]}}) == [
        (".".join(KEY), "lr", 2.9e-2), (".".join(KEY), "dim", 32)
    ]  # fmt: skip
