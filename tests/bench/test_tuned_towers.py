"""The study of tuned towers: its loss is the library's, and what is run next follows from the record."""

import pytest
import torch
from torch.testing import assert_close

from bench.retrieval import tuned_towers as study
from recsys_lite.training import in_batch_softmax


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_the_loss_in_fewer_passes_is_the_librarys_in_value_and_gradient(temperature):
    g = torch.Generator().manual_seed(0)
    u, v = (torch.randn(9, 4, generator=g, dtype=torch.float64).requires_grad_() for _ in "uv")
    items, log_q = torch.randint(4, (9,), generator=g), torch.randn(9, generator=g).double()
    ours = study.loss(u, v, items, log_q, temperature)
    theirs = in_batch_softmax(u @ v.T, items, log_q, temperature)
    assert_close(ours, theirs)
    assert_close(torch.autograd.grad(ours, (u, v)), torch.autograd.grad(theirs, (u, v)))


def trial(arm, setting, plain, added=0.0, **more):
    served = {"plain": {"validation": plain}, "log q added": {"validation": added}}
    return {"arm": arm, "setting": setting, "seed": study.TUNING_SEED, "served": served} | more


def test_every_arm_is_searched_then_the_uncorrected_training_then_the_seeds():
    record = {"tuning": [], "runs": []}
    assert {(part, arm) for part, arm, *_ in study.missing(record)} == {("tuning", arm) for arm in study.ARMS}
    for arm, (*_, limit) in study.ARMS.items():
        for k in range(limit):
            record["tuning"].append(trial(arm, study.search(record, arm), k == 0, k == 1))
    first = study.ARMS["cosine"][1]
    jobs = study.missing(record)
    assert ("tuning", study.PLAIN, first, study.TUNING_SEED) in jobs
    assert len(study.chosen(record, "cosine")) == 2 and len(study.chosen(record, "dot")) == 1
    assert sum(arm == "ease" for _, arm, *_ in jobs) == 1  # a closed form has one run
    assert sum(arm == "cosine" for _, arm, *_ in jobs) == 2 * len(study.SEEDS)
    for _ in range(study.PLAIN_TRIALS):
        record["tuning"].append(trial(study.PLAIN, study.search(record, study.PLAIN), 0.5, 0.5))
    jobs = study.missing(record)
    assert {part for part, *_ in jobs} == {"runs"} and any(arm == study.PLAIN for _, arm, *_ in jobs)
    record["runs"] = [trial(arm, setting, 0.5) | {"seed": seed} for _, arm, setting, seed in jobs]
    assert study.missing(record) == []


def test_what_is_added_at_serving_moves_every_users_scores_alike():
    class Zero:
        def scores(self, users):
            return torch.zeros(len(users), 3)

    assert study.Shifted(Zero(), torch.tensor([1.0, 2.0, 3.0])).scores(torch.arange(2)).tolist() == [[1, 2, 3]] * 2
