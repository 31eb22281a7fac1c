"""The search for settings: the same number of trials for all, and no best value on an edge of what was tried."""

import pytest

from bench.retrieval.climb import best, propose

LADDERS = {"lr": [1, 2, 3, 4, 5], "width": [8, 16, 32]}
START = {"lr": 1, "width": 32}


def searched(value, limit):
    tried = []
    while (one := propose(LADDERS, START, tried, limit)) is not None:
        tried.append((one, value(one)))
    return tried


def test_it_climbs_from_the_edge_to_the_best_and_stops_after_the_trials_that_are_allowed():
    tried = searched(lambda s: -abs(s["lr"] - 4) - abs(s["width"] - 16) / 8, 11)
    assert len(tried) == 11 and len({str(s) for s, _ in tried}) == 11
    assert tried[0][0] == START and best(tried) == {"lr": 4, "width": 16}
    known = [setting for setting, _ in tried]
    assert all({"lr": lr, "width": 16} in known for lr in (3, 5)) and {"lr": 4, "width": 8} in known


@pytest.mark.parametrize("limit", [1, 4, 15, 99])
def test_no_setting_is_tried_twice_and_all_at_most(limit):
    tried = searched(lambda s: s["lr"], limit)
    assert len(tried) == len({str(s) for s, _ in tried}) == min(limit, len(searched(lambda s: s["lr"], 1000)))
