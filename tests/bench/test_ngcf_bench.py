"""The ablation of NGCF: equal effort, a search that goes on where it stopped, and what its record holds."""

import json

import pytest
from bench_pool import here
from small import small

from bench.retrieval import ngcf as bench
from recsys_lite.store import RESULTS, read_json


def filled(monkeypatch, record, save=lambda: None):
    monkeypatch.setattr(bench, "load", small)
    monkeypatch.setattr(bench, "FIXED", bench.FIXED | {"epochs": 2, "batch_size": 16, "device": "cpu"})
    here(monkeypatch, bench.work)
    bench.run(record, save, 1)
    return record


def test_every_model_has_the_same_search_and_seeds(monkeypatch):
    record = filled(monkeypatch, {"about": {}, "tuning": [], "edge": [], "runs": []})
    own = [name for name in bench.MODELS if name not in bench.PARENT]
    for name in own:
        tried = [t["setting"] for t in record["tuning"] if t["model"] == name]
        assert len(tried) == bench.TRIALS == 4
        assert len({json.dumps(s, sort_keys=True) for s in tried}) == 4
    for name in bench.MODELS:
        runs = [r for r in record["runs"] if r["model"] == name]
        assert [r["seed"] for r in runs] == [0, 1, 2]
        parent = [t for t in record["tuning"] if t["model"] == bench.PARENT.get(name, name)]
        best = max(parent, key=lambda t: t["validation"]["ndcg@20"])
        assert all(r["setting"] == best["setting"] for r in runs)
        assert len(runs[0]["ndcg_by_user"].split()) == len(runs[0]["recall_by_user"].split()) == 12
    assert [(t["model"], t["setting"]["lr"]) for t in record["edge"]] == [*bench.EDGE.items()]
    assert min(bench.EDGE.values()) < min(bench.SEARCH["lr"])
    again = json.loads(json.dumps(record, sort_keys=True))
    assert bench.missing(again) == []


@pytest.mark.parametrize("kept", range(8))
def test_an_interrupted_search_goes_on(monkeypatch, kept):
    whole = filled(monkeypatch, {"about": {}, "tuning": [], "edge": [], "runs": []})
    part = json.loads(
        json.dumps({"about": {}, "tuning": whole["tuning"][:kept], "edge": [], "runs": []}, sort_keys=True)
    )
    again = filled(monkeypatch, part)
    drop = lambda lines: [{k: v for k, v in line.items() if k != "seconds"} for line in lines]  # noqa: E731
    assert drop(again["tuning"]) == drop(whole["tuning"]) and drop(again["runs"]) == drop(whole["runs"])


def test_a_wider_search_makes_the_runs_of_a_new_best_anew(monkeypatch):
    record = filled(monkeypatch, {"about": {}, "tuning": [], "edge": [], "runs": []})
    worst = min((t for t in record["tuning"] if t["model"] == "ngcf"), key=lambda t: t["validation"]["ndcg@20"])
    worst["validation"]["ndcg@20"] = 1.0
    filled(monkeypatch, record)
    runs = [r["setting"] for r in record["runs"] if r["model"] == "ngcf"]
    assert runs == [worst["setting"]] * 3 and len(record["runs"]) == 18


def test_the_stored_record_is_whole():
    record = read_json(RESULTS / "ngcf.json")
    assert bench.missing(record) == []
    cap = bench.FIXED["epochs"]
    best = {name: [r for r in record["runs"] if r["model"] == name] for name in bench.MODELS}
    assert all(len(runs) == 3 for runs in best.values())
    assert all(r["epochs"] <= cap and r["best_epoch"] < r["epochs"] for r in record["runs"])
