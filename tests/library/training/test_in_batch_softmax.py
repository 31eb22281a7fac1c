"""The softmax of a batch: its steps in order, what each mistake does, and the softmax over all that it stands for."""

import itertools
import math

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from recsys_lite.training import in_batch_softmax

A_A_B = torch.tensor([0, 0, 1])
Q = torch.tensor([2 / 3, 1 / 3])


def batch(rows=6, items=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    scores = torch.randn(rows, rows, generator=g, dtype=torch.float64)
    drawn = torch.randint(items, (rows,), generator=g)
    return scores, drawn, torch.rand(items, generator=g, dtype=torch.float64).add(0.1).log()[drawn]


def by_loops(scores, items, log_q, temperature, remove_hits, exact_positive):
    total = 0.0
    for i in range(len(items)):
        terms = {}
        for j in range(len(items)):
            if remove_hits and j != i and items[j] == items[i]:
                continue
            terms[j] = scores[i][j] / temperature
            if exact_positive:
                terms[j] -= 0 if j == i else log_q[j] + math.log(len(items) - 1)
            elif log_q is not None:
                terms[j] -= log_q[j]
        total -= terms[i] - math.log(sum(math.exp(t) for t in terms.values()))
    return total / len(items)


CASES = [c for c in itertools.product([True, False], repeat=3) if not c[1] or (c[0] and c[2])]


@pytest.mark.parametrize("remove_hits,exact,corrected", CASES)
@pytest.mark.parametrize("temperature", [1.0, 0.2])
@pytest.mark.parametrize("rows", [1, 2, 6])
def test_it_is_the_equation_written_as_loops(rows, temperature, remove_hits, exact, corrected):
    scores, items, log_q = batch(rows)
    given = log_q if corrected else None
    got = in_batch_softmax(scores, items, given, temperature, remove_hits, exact)
    if rows == 1 and exact:
        assert got == 0
        return
    expected = by_loops(
        scores.tolist(), items.tolist(), log_q.tolist() if corrected else None, temperature, remove_hits, exact
    )
    assert got.item() == pytest.approx(expected, abs=1e-9)


def test_by_hand():
    scores = torch.tensor([[0.0, 0.0, math.log(2)]] * 3)  # e^s: A 1, B 2; over all: A 1/3, B 2/3
    loss = in_batch_softmax(scores, A_A_B, Q.log()[A_A_B], remove_hits=False)
    assert loss.item() == pytest.approx(-(2 * math.log(1.5 / 9) + math.log(6 / 9)) / 3, abs=1e-6)
    removed = in_batch_softmax(scores, A_A_B, Q.log()[A_A_B])
    assert removed.item() == pytest.approx(-(2 * math.log(1.5 / 7.5) + math.log(6 / 9)) / 3, abs=1e-6)


def test_a_batch_that_is_as_the_whole_sums_to_the_true_softmax_by_item():
    corrected = torch.softmax(torch.tensor([0.0, 0.0, math.log(2)]) - Q.log()[A_A_B], 0)
    assert_close(torch.stack([corrected[:2].sum(), corrected[2]]), torch.tensor([1 / 3, 2 / 3]))
    plain = torch.softmax(torch.tensor([0.0, 0.0, math.log(2)]), 0)
    assert_close(torch.stack([plain[:2].sum(), plain[2]]), torch.tensor([1 / 2, 1 / 2]))


def test_the_exact_positive_makes_the_denominator_unbiased():
    g = torch.Generator().manual_seed(3)
    q = torch.tensor([0.5, 0.2, 0.2, 0.1], dtype=torch.float64)
    s = torch.randn(4, generator=g, dtype=torch.float64)
    own = 0
    expected = 0.0  # over all draws of two other columns
    for others in itertools.product(range(4), repeat=2):
        items = torch.tensor([own, *others])
        loss = in_batch_softmax(
            torch.stack([s[items]] * 3), items, q.log()[items], exact_positive=True
        )  # rows 1 and 2 are not looked at
        terms = [s[own], *(s[j] - q[j].log() - math.log(2) for j in others if j != own)]
        chance = q[others[0]] * q[others[1]]
        expected = expected + chance * sum(t.exp() for t in terms)
        assert loss.isfinite()
    assert_close(expected, s.exp().sum())


def test_a_constant_in_log_q_and_a_uniform_q_change_nothing():
    scores, items, log_q = batch()
    assert_close(in_batch_softmax(scores, items, log_q), in_batch_softmax(scores, items, log_q + 5))
    assert_close(in_batch_softmax(scores, items), in_batch_softmax(scores, items, torch.full_like(log_q, -2)))


def test_known_mistakes_change_the_loss():
    scores, items, log_q = batch()
    right = in_batch_softmax(scores, items, log_q, 0.3)
    assert not torch.isclose(right, in_batch_softmax(scores, items, -log_q, 0.3))  # added
    assert not torch.isclose(right, in_batch_softmax(scores - log_q, items, None, 0.3))  # corrected before the scale
    assert_close(right, in_batch_softmax(scores / 0.3, items, log_q))
    assert not torch.isclose(right, in_batch_softmax(scores, items, log_q, 0.3, remove_hits=False))
    assert_close(right * 6, cross_entropy(
        (scores / 0.3 - log_q).masked_fill((items[:, None] == items) & ~torch.eye(6, dtype=torch.bool), -torch.inf),
        torch.arange(6), reduction="sum",
    ))  # fmt: skip


def test_removed_hits_get_no_gradient():
    scores = torch.randn(3, 3, requires_grad=True)
    in_batch_softmax(scores, A_A_B).backward()
    assert scores.grad[0, 1] == scores.grad[1, 0] == 0 and scores.grad[0, 0] < 0 < scores.grad[0, 2]


def test_bad_input_is_refused():
    scores, items, log_q = batch()
    for arguments, message in (
        ((scores[:5], items), "expected scores"), ((scores, items[:5]), "expected scores"),
        ((scores, items, log_q[:5]), "expected scores"), ((scores[:0, :0], items[:0]), "expected scores"),
        ((scores, items, log_q, 0.0), "above 0, got 0.0"), ((scores, items, log_q * torch.inf), "not finite"),
        ((scores, items, None, 1.0, True, True), "exact_positive needs"),
        ((scores, items, log_q, 1.0, False, True), "exact_positive needs"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            in_batch_softmax(*arguments)
