"""The weights in the package load in any process and are those behind the stored numbers."""

import numpy as np
import pytest
from tiny import FIELDS

from recsys_lite import data
from recsys_lite.data.interactions import interactions
from recsys_lite.data.simulated.planted import PAIRS, planted
from recsys_lite.evaluation import evaluate, evaluate_retrieval, predict
from recsys_lite.fields import Field, Vocabulary
from recsys_lite.store import WEIGHTS, fingerprint, load_model, load_retriever, read_json

pytestmark = pytest.mark.slow("scores the test part with every stored model")


def test_a_fingerprint_depends_on_values_and_not_on_how_they_lie_in_memory():
    layouts = [["a", "bb"], np.array(["a", "bb"], object), np.array(["a", "bb"], "U40")]
    assert len({fingerprint([Field("x", "categorical", Vocabulary(v))]) for v in layouts}) == 1
    assert fingerprint([Field("x", "categorical", Vocabulary(["ab", "b"]))]) != fingerprint(
        [Field("x", "categorical", Vocabulary(layouts[0]))]
    )
    assert (
        fingerprint(FIELDS) == "add4a14ee1060ed3fa0e6d2a48ce122bb5faa99046afa9f96383f2f0d5057805"
    )  # of another process


STEMS = sorted(f.stem for f in WEIGHTS.glob("*.json") if ".places." not in f.stem)  # those: test_stored_clicks.py


@pytest.mark.parametrize("stem", STEMS)
def test_stored_weights_give_their_stored_numbers(stem):
    name, task, model = stem.split(".")
    if task == "retrieval":
        films = interactions()
        found = evaluate_retrieval(load_retriever(model, films), films, "validation")
        assert found == pytest.approx(read_json(WEIGHTS / f"{stem}.json")["about"]["validation"], abs=1e-4)
        return
    dataset = planted(**PAIRS) if name == "planted" else data.load(name, task=task)
    got = evaluate(dataset.test.label, predict(load_model(WEIGHTS / stem, dataset.fields), dataset.test))
    stored = read_json(WEIGHTS / f"{stem}.json")["about"]["test"]
    assert got["auc"] == pytest.approx(stored["auc"], abs=1e-4)
    assert got["log_loss"] == pytest.approx(stored["log_loss"], abs=1e-4)
