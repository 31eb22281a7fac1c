"""The stored click models are those of the stored runs."""

import pytest

from recsys_lite import store
from recsys_lite.evaluation.clicks import against_truth
from recsys_lite.store import files
from recsys_lite.store import trained_clicks as stored


@pytest.fixture(scope="module")
def log():
    return stored.log()


@pytest.mark.parametrize("name", stored.NAMES)
def test_they_rank_as_the_stored_run_of_their_seed(name, log):
    (run,) = (
        r for r in store.read_json(store.RESULTS / "position.json")["runs"]
        if (r["model"], r["condition"], r["seed"]) == (name, stored.ORDER, stored.SEED)
    )  # fmt: skip
    found = against_truth(stored.load(name, log).served, log)
    assert found == pytest.approx(run["test"], abs=1e-6)


def test_they_are_saved_and_only_fit_their_log(tmp_path, monkeypatch, log):
    model = stored.load("pal", log)
    monkeypatch.setattr(files, "WEIGHTS", tmp_path)
    stored.save(model, "pal", log)
    again = stored.load("pal", log)
    assert (again(log.dataset.test[:9]) == model(log.dataset.test[:9])).all()
    path = store.weights_path("movielens-100k", "places", "pal")
    store.write_json(path.with_name(path.name + ".json"), {"model": "pal", "fields": "of another log"})
    with pytest.raises(ValueError, match="trained on other fields"):
        stored.load("pal", log)
    with pytest.raises(ValueError, match="unknown name 'naive'; there are pal, watch_next"):
        stored.load("naive", log)
