"""Metrics against their definitions as loops, numbers worked by hand, and scikit-learn where it has them."""

from math import log, log2

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn import metrics as sk
from small import of_pairs

from recsys_lite.evaluation import (
    auc,
    calibration_table,
    grouped_auc,
    hit_rate,
    log_loss,
    ndcg,
    normalized_entropy,
    per_user,
    place,
)
from recsys_lite.evaluation.resampling import Part


def clicks(seed: int, count: int = 60):
    """Labels, probabilities on a coarse grid, so that many are equal, and users, of whom some have one class only."""
    rng = np.random.default_rng(seed)
    p = rng.integers(1, 10, count) / 10
    return (rng.random(count) < p).astype(float), p, rng.integers(0, 12, count)


def pairs(y, s, *_):
    """P(s⁺ > s⁻) + ½ P(s⁺ = s⁻). Hanley & McNeil, Radiology 1982."""
    better = [
        (a > b) + 0.5 * (a == b) for a, i in zip(s, y, strict=True) if i for b, j in zip(s, y, strict=True) if not j
    ]
    return sum(better) / len(better)


def by_user(y, s, g):
    """Σ_u n_u AUC_u / Σ_u n_u over users with both classes. Zhou et al., DIN, KDD 2018, eq. 4."""
    total = rows = 0.0
    for user in set(g):
        mine = g == user
        if 0 < y[mine].sum() < mine.sum():
            total, rows = total + mine.sum() * pairs(y[mine], s[mine]), rows + mine.sum()
    return total / rows


def entropy(y, p, *_):
    """-1/n Σ y ln p + (1 - y) ln (1 - p)."""
    return -sum(log(a) if i else log(1 - a) for a, i in zip(p, y, strict=True)) / len(y)


def normalized(y, p, *_):
    """He et al., ADKDD 2014, eq. 1: by the entropy of the average rate of these labels."""
    rate = sum(y) / len(y)
    return entropy(y, p) / -(rate * log(rate) + (1 - rate) * log(1 - rate))


@pytest.mark.parametrize("seed", range(4))
def test_metrics_of_probabilities(seed):
    y, p, g = clicks(seed)
    assert_allclose(auc(y, p), pairs(y, p), rtol=1e-12)
    assert_allclose(auc(y, p), sk.roc_auc_score(y, p), rtol=1e-12)
    assert_allclose(grouped_auc(y, p, g), by_user(y, p, g), rtol=1e-12)
    assert_allclose(log_loss(y, p), entropy(y, p), rtol=1e-12)
    assert_allclose(log_loss(y, p), sk.log_loss(y, p), rtol=1e-12)
    assert_allclose(normalized_entropy(y, p), normalized(y, p), rtol=1e-12)


@pytest.mark.parametrize("metric, loop", [
    ("auc", pairs), ("grouped_auc", by_user), ("log_loss", entropy),
    ("normalized_entropy", normalized),
])  # fmt: skip
def test_metrics_of_resampled_users(metric, loop):
    """A draw's weights, by rows that are repeated: a user drawn twice is two users."""
    y, p, g = clicks(7)
    g = np.unique(g, return_inverse=True)[1]
    users = g.max() + 1
    found = Part.of({"model": p[None]}, y, g, metric).resampled("model", draws=100, seed=3)
    assert_allclose(found[0, 0], loop(y, p, g), rtol=1e-12)
    rng = np.random.default_rng(3)
    for line in range(1, 6):
        drawn = rng.integers(0, users, users)
        index = np.concatenate([np.flatnonzero(g == user) for user in drawn])
        again = np.concatenate([np.full((g == user).sum(), k) for k, user in enumerate(drawn)])
        assert_allclose(found[line, 0], loop(y[index], p[index], again), rtol=1e-12)


def test_calibration_by_hand():
    """Six rows in two bins: (0.1 + 0.2 + 0.3) / 3 against 1/3, (0.6 + 0.7 + 0.8) / 3 against 2/3."""
    table = calibration_table([0, 1, 0, 1, 0, 1], [0.1, 0.2, 0.3, 0.6, 0.7, 0.8], bins=2)
    assert_allclose(table["predicted"], [0.2, 0.7])
    assert_allclose(table["observed"], [1 / 3, 2 / 3])
    assert table["rows"].tolist() == [3, 3]


def test_calibration_bins_are_scikit_learns_where_all_probabilities_differ():
    rng = np.random.default_rng(0)
    p = rng.permutation(np.linspace(0.01, 0.99, 40))
    y = (rng.random(40) < p).astype(float)
    observed, predicted = sk_curve(y, p)
    table = calibration_table(y, p, bins=5)
    assert_allclose(table["observed"], observed)
    assert_allclose(table["predicted"], predicted)


def sk_curve(y, p):
    from sklearn.calibration import calibration_curve

    return calibration_curve(y, p, n_bins=5, strategy="quantile")


@pytest.mark.parametrize("k", [1, 3, 10])
def test_one_held_out_item(k):
    """He et al., NCF, WWW 2017, section 4.1: hit and NDCG of one item, averaged over the orders of equal scores."""
    for above in range(6):
        for tied in range(5):
            places = range(above, above + tied + 1)
            a, t = torch.tensor([above]), torch.tensor([tied])
            assert_allclose(hit_rate(a, t, k).item(), np.mean([p < k for p in places]), rtol=1e-6)
            gains = [1 / log2(p + 2) if p < k else 0.0 for p in places]
            assert_allclose(ndcg(a, t, k).item(), np.mean(gains), rtol=1e-6)


def test_ndcg_and_recall_of_full_ranking():
    """He et al., LightGCN: recall@k and NDCG@k with items of training masked; NDCG is also scikit-learn's."""
    rng = np.random.default_rng(1)
    users, items, k = 9, 12, 4
    scores = torch.from_numpy(rng.permutation(users * items).reshape(users, items).astype(np.float32))
    part = rng.integers(0, 5, (users, items))  # 0: training, 1: validation, 2: test
    train, validation, test = (np.argwhere(part == n) for n in range(3))
    data = of_pairs(train, validation, test, users, items)
    retriever = type("Fixed", (), {"scores": lambda self, some: scores[some]})()
    table = per_user(retriever, data, "test", k).set_index("user")
    assert set(table.index) == set(test[:, 0])
    for user, row in table.iterrows():
        left = [i for i in range(items) if part[user, i] > 1]
        order = sorted(left, key=lambda i: -scores[user, i].item())
        wanted = [part[user, i] == 2 for i in order]
        found = wanted[:k]
        best = sum(1 / log2(n + 2) for n in range(min(k, sum(wanted))))
        assert row["items"] == sum(wanted)
        assert_allclose(row["recall"], sum(found) / sum(wanted), rtol=1e-6)
        assert_allclose(row["ndcg"], sum(hit / log2(n + 2) for n, hit in enumerate(found)) / best, rtol=1e-6)
        relevant = np.array([[part[user, i] == 2 for i in left]])
        if len(left) > 1:
            assert_allclose(row["ndcg"], sk.ndcg_score(relevant, scores[user, left][None].numpy(), k=k), rtol=1e-6)


def test_the_place_of_an_item():
    scores = torch.tensor([[0.5, 0.9, 0.5, 0.1, 0.7]])
    above, tied = place(scores, torch.tensor([0.5]), torch.tensor([[False, True, True, True, False]]))
    assert (above.item(), tied.item()) == (1, 1)  # 0.9 above, the other 0.5 tied; 0.7 is no rival
