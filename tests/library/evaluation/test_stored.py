"""Stored models by the one rule: which evidence is used, whom a word speaks of, and that many comparisons cost."""

import numpy as np
import pytest
from scipy import stats

from recsys_lite.data import load
from recsys_lite.evaluation import compare, compare_runs, compare_stored, stored, together
from recsys_lite.store import load_results
from recsys_lite.store.predictions import save_predictions

CRITEO = ("criteo-sample", "click")


def seeds(name):
    return [r["test"]["auc"] for r in load_results(*CRITEO, name)]


def test_without_predictions_the_seeds_are_compared_by_welchs_test():
    table = compare_stored(*CRITEO, "dcn_v2", ["dcn"])
    (line,) = table.to_dict("records")
    a, b = seeds("dcn_v2"), seeds("dcn")
    low, high = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert line["over"] == "seeds" and line["mean"] == pytest.approx(np.mean(a)) and line["other"] < 1
    assert (line["low"], line["high"]) == pytest.approx((low, high)) and line["word"] == compare_runs(a, b).word


def test_holms_correction_counts_the_rivals():
    names = ["dcn", "fm", "deepfm"]
    alone = [compare_stored(*CRITEO, "dcn_v2", [n])["p"].item() for n in names]
    table = compare_stored(*CRITEO, "dcn_v2", names)
    assert table["p"].min() == pytest.approx(min(1.0, 3 * min(alone))) and list(table["against"]) == names


def test_a_word_is_lost_to_the_number_of_comparisons_and_the_interval_is_not():
    clear = compare_runs([0.81, 0.83, 0.82], [0.79, 0.80, 0.79])
    assert clear.word == "better" and 0.01 < clear.p < 0.05
    first, *_ = together([clear] * 5)
    assert first.word == "undecided" and (first.low, first.high) == (clear.low, clear.high)
    assert together([clear])[0] == clear


def test_with_predictions_users_and_seeds_are_drawn_and_the_word_is_the_models(tmp_path, monkeypatch):
    dataset = load("criteo-sample")
    rng, label = np.random.default_rng(0), dataset.test.label.numpy()
    good, bad = (skill * label + rng.normal(size=(3, len(label))) for skill in (2.0, 0.5))
    for name, logits in (("dcn_v2", good), ("dcn", bad)):
        save_predictions(dataset, name, logits, range(3), folder=tmp_path)
    monkeypatch.setattr(stored.predictions, "PREDICTIONS", tmp_path)
    monkeypatch.setattr(stored.predictions.load_predictions, "__kwdefaults__", {"folder": tmp_path})
    (line,) = compare_stored(*CRITEO, "dcn_v2", ["dcn"], dataset=dataset).to_dict("records")
    direct = compare(good, bad, label)
    assert line["over"] == "users and seeds" and line["word"] == direct.word == "better"
    wanted = direct.difference, direct.low, direct.high, direct.error
    assert [line[k] for k in ("difference", "low", "high", "error")] == pytest.approx(wanted, rel=1e-3)
    assert line["mean"] - line["other"] == pytest.approx(direct.difference, rel=1e-3)
    assert compare_stored(*CRITEO, "dcn", ["dcn_v2"], dataset=dataset)["word"].item() == "worse"
    assert compare_stored(*CRITEO, "dcn_v2", ["fm"], dataset=dataset)["over"].item() == "seeds"  # fm predicts nothing


@pytest.mark.parametrize(("rivals", "said"), [([], "needs different rivals"), (["dcn_v2"], "needs different"),
                                              (["nobody"], "'nobody' has no two stored seeds")])  # fmt: skip
def test_bad_rivals_are_named(rivals, said):
    with pytest.raises(ValueError, match=said):
        compare_stored(*CRITEO, "dcn_v2", rivals)
