"""The chapter's own code: collectives and steps on paper send what the formula promises and end with the sum."""

import pytest
import torch
from notebook_code import definitions
from torch.testing import assert_close

from recsys_lite.distributed.hybrid import promised
from recsys_lite.store import RESULTS, read_json

chapter = definitions("book/dhen_training.ipynb")


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_collectives_in_a_ring(ranks):
    torch.manual_seed(0)
    values, sent = [torch.randn(12, dtype=torch.float64) for _ in range(ranks)], {}
    pieces = chapter.reduce_scatter(values, list(range(ranks)), sent)
    assert_close(torch.cat(pieces), sum(values))
    assert set(sent) == {(r, (r + 1) % ranks) for r in range(ranks)}
    assert set(sent.values()) == {12 * (ranks - 1) // ranks}
    gathered = chapter.all_gather(pieces, list(range(ranks)), sent)
    assert all(torch.equal(g, gathered[0]) for g in gathered) and set(sent.values()) == {24 * (ranks - 1) // ranks}


@pytest.mark.parametrize(("step", "copies"), [("full_step", 1), ("hybrid_step", 2)])
def test_steps_on_paper_send_what_is_promised(step, copies):
    gradients, sent = [torch.randn(32, dtype=torch.float64) for _ in range(4)], {}
    pieces = getattr(chapter, step)(gradients, sent)
    assert_close(torch.cat(pieces), torch.cat([sum(gradients)] * copies))
    across = sum(n for (a, b), n in sent.items() if a // 2 != b // 2)
    assert across == 2 * promised(32, 0, copies, hosts=2, per_host=2)["between"]


def test_bytes_of_both_hosts_of_the_stored_report_are_equal():
    four = read_json(RESULTS / "dhen.json")["four"]
    for report in (four[o][d] for o in ("sgd", "adam") for d in ("hybrid", "full")):
        assert chapter.of_host(report, 0) == chapter.of_host(report, 1)


def test_the_kept_bytes_are_summed():
    report = {"ranks": [{"memory": {"weights": 1, "gradients": 2, "optimizer": 4}, "gathered": 9}]}
    assert chapter.kept(report) == [(1, 2, 4, 7, 9)]
