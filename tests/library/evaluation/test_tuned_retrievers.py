"""Stored runs of tuned retrievers: the chosen setting is that of validation, the values are those of its seeds."""

import numpy as np
import pytest

from recsys_lite.evaluation.tuned_retrievers import chosen, mean_of, of_users, open_ends, runs_of


def served(validation, values=None):
    out = {"validation": validation}
    if values:
        text = " ".join(map(str, values))
        out |= {"ndcg_by_user": {"fresh": text}, "test": {"fresh": {"ndcg@20": float(np.mean(values))}}}
    return out


RECORD = {
    "tuning": [
        {"arm": "dot", "setting": {"lr": 1}, "served": {"plain": served(0.2), "log q added": served(0.4)}},
        {"arm": "dot", "setting": {"lr": 2}, "served": {"plain": served(0.3), "log q added": served(0.1)}},
    ],
    "runs": [
        {"arm": "dot", "setting": {"lr": 2}, "served": {"plain": served(0.3, [0.5, 0.25])}},
        {
            "arm": "dot",
            "setting": {"lr": 1},
            "served": {"plain": served(0.9, [1, 1]), "log q added": served(0, [0, 1])},
        },
        {"arm": "dot", "setting": {"lr": 2}, "served": {"plain": served(0.2, [0.5, 0.75])}},
    ],
}


def test_validation_chooses_for_each_way_to_serve():
    assert chosen(RECORD, "dot") == {"lr": 2} and chosen(RECORD, "dot", "log q added") == {"lr": 1}
    assert len(runs_of(RECORD, "dot")) == 2
    assert of_users(RECORD, "dot").tolist() == [[0.5, 0.25], [0.5, 0.75]]
    assert mean_of(RECORD, "dot") == 0.5 and of_users(RECORD, "dot", "log q added").tolist() == [[0, 1]]


def test_what_is_not_stored_is_named():
    with pytest.raises(ValueError, match=r"no trials of 'cosine'.*\['dot'\]"):
        chosen(RECORD, "cosine")
    with pytest.raises(ValueError, match="no runs of 'dot' with"):
        runs_of({**RECORD, "runs": []}, "dot")


def test_a_chosen_value_without_one_on_each_side_is_named():
    ladders = {"dot": {"lr": [1, 2, 3], "penalty": [0, 1]}}
    trials = [({"lr": 2, "penalty": 0}, 0.9), ({"lr": 1, "penalty": 0}, 0.1), ({"lr": 2, "penalty": 1}, 0.2)]
    tuning = [{"arm": "dot", "setting": s, "served": {"plain": served(v)}} for s, v in trials]
    record = {"ladders": ladders, "tuning": tuning}
    assert open_ends(record, "dot") == ["lr"]  # nothing above 2; a penalty of 0 needs nothing below
    tuning.append({"arm": "dot", "setting": {"lr": 3, "penalty": 0}, "served": {"plain": served(0.3)}})
    assert open_ends(record, "dot") == []
