"""Metrics against scikit-learn, against plain loops and against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics as sk

from recsys_lite.evaluation import evaluate, predict
from recsys_lite.evaluation import metrics as m
from recsys_lite.fields import Dataset, Field, Rows
from recsys_lite.training.pointwise import Labelled


def predictions(seed: int, count: int = 300, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities; with ties only eleven distinct probabilities, 0 and 1 among them."""
    random = np.random.default_rng(seed)
    p = random.random(count)
    y = (random.random(count) < p).astype(float)
    return y, np.round(p, 1) if ties else p


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ties", [False, True])
def test_auc_is_scikit_learns_and_a_count_of_pairs(seed, ties):
    y, p = predictions(seed, ties=ties)
    wins = [(a > b) + 0.5 * (a == b) for a in p[y == 1] for b in p[y == 0]]
    assert m.auc(y, p) == pytest.approx(np.mean(wins), abs=1e-12)
    assert m.auc(y, p) == pytest.approx(sk.roc_auc_score(y, p), abs=1e-12)


def test_auc_by_hand():
    y = [1, 0, 0, 1]
    assert m.auc(y, [0.7, 0.4, 0.5, 0.4]) == 2.5 / 4  # win, win, tie, loss
    assert m.auc(y, [3.0, -1.0, 0.0, 2.0]) == 1.0  # any score will do
    assert m.auc(y, [0.1, 0.2, 0.2, 0.1]) == 0.0
    assert m.auc(y, [0.3] * 4) == 0.5


def test_auc_sees_only_the_order():
    y, p = predictions(1)
    assert m.auc(y, np.log(p) * 7 - 3) == m.auc(y, p)
    assert m.auc(y, -p) == pytest.approx(1 - m.auc(y, p), abs=1e-12)
    assert m.auc(1 - y, p) == pytest.approx(1 - m.auc(y, p), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ties", [False, True])
def test_log_loss_is_scikit_learns(seed, ties):
    y, p = predictions(seed, ties=ties)
    p = p.clip(1e-12, 1 - 1e-12)  # scikit-learn clips elsewhere
    assert m.log_loss(y, p) == pytest.approx(sk.log_loss(y, p), rel=1e-9)


def test_log_loss_by_hand():
    assert m.log_loss([1, 0], [0.8, 0.4]) == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2, abs=1e-12)
    assert m.log_loss([1, 0, 1], [0.5] * 3) == pytest.approx(math.log(2), abs=1e-12)
    assert m.log_loss([1, 0], [1.0, 0.0]) == pytest.approx(0, abs=1e-11)
    assert m.log_loss([1], [0.0]) == pytest.approx(-math.log(1e-12))  # certain and wrong: large, not infinite


@pytest.mark.parametrize("clicks", [1, 7, 50, 99])
def test_normalized_entropy_of_the_base_rate_is_one(clicks):
    y = np.arange(100) < clicks
    assert m.normalized_entropy(y, np.full(100, clicks / 100)) == pytest.approx(1, abs=1e-12)


def test_normalized_entropy_by_hand():
    y, p = [1, 0, 0, 0], [0.5, 0.25, 0.25, 0.25]
    top = -(math.log(0.5) + 3 * math.log(0.75)) / 4
    base = -(math.log(0.25) + 3 * math.log(0.75)) / 4
    assert m.normalized_entropy(y, p) == pytest.approx(top / base, abs=1e-12)
    assert m.normalized_entropy(y, [0.3] * 4) > 1  # another constant is worse than the base rate
    y, p = predictions(2)
    other = sk.log_loss(y, p) / sk.log_loss(y, np.full(len(y), y.mean()))
    assert m.normalized_entropy(y, p) == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ties", [False, True])
def test_grouped_auc_is_a_loop_over_groups(seed, ties):
    y, p = predictions(seed, ties=ties)
    group = np.random.default_rng(seed + 100).integers(0, 40, len(y))
    y[group == 3], y[group == 5] = 1, 0  # one class only: left out
    aucs, sizes = [], []
    for g in np.unique(group):
        part = group == g
        if 0 < y[part].mean() < 1:
            aucs.append(sk.roc_auc_score(y[part], p[part]))
            sizes.append(part.sum())
    assert m.grouped_auc(y, p, group) == pytest.approx(np.average(aucs, weights=sizes), abs=1e-12)


def test_grouped_auc_by_hand():
    y, s, g = [1, 0, 1, 0, 0], [0.2, 0.1, 0.8, 0.9, 0.1], [7, 7, 8, 8, 8]
    assert m.grouped_auc(y, s, g) == pytest.approx((2 * 1 + 3 * 0.5) / 5, abs=1e-12)
    assert m.grouped_auc([*y, 1], [*s, 0.0], [*g, 9]) == m.grouped_auc(y, s, g)  # user 9 only clicked
    assert m.grouped_auc([1, 0], [0.4, 0.4], [1, 1]) == 0.5
    y, p = predictions(3)
    assert m.grouped_auc(y, p, np.zeros(len(y), int)) == pytest.approx(m.auc(y, p), abs=1e-12)


def test_grouped_auc_does_not_see_the_level_of_a_user():
    y, p = predictions(4)
    group = np.arange(len(y)) % 10
    assert m.grouped_auc(y, p + group, group) == pytest.approx(m.grouped_auc(y, p, group), abs=1e-12)


def test_calibration_table_is_a_loop_over_bins():
    y, p = predictions(6, count=103)
    table = m.calibration_table(y, p, bins=10)
    order, start = np.argsort(p), 0
    assert table["rows"].sum() == 103 and table["rows"].max() - table["rows"].min() <= 1
    for row in table.itertuples():
        part = order[start : start + row.rows]
        start += row.rows
        assert row.predicted == pytest.approx(p[part].mean())
        assert row.observed == pytest.approx(y[part].mean())
    assert table["predicted"].is_monotonic_increasing
    assert len(m.calibration_table([1, 0], [0.4, 0.6], bins=10)) == 2


def test_calibration_interval_is_wilsons_by_hand():
    y = np.r_[np.ones(3), np.zeros(7)]
    row = m.calibration_table(y, np.full(10, 0.3), bins=1).iloc[0]
    z, n, rate = stats.norm.ppf(0.975), 10, 0.3
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    assert (row.low, row.high) == pytest.approx((centre - half, centre + half), abs=1e-9)


def test_evaluate_is_the_single_metrics():
    y, p = predictions(7)
    group = np.arange(len(y)) % 20
    plain = {"auc": m.auc(y, p), "log_loss": m.log_loss(y, p), "normalized_entropy": m.normalized_entropy(y, p)}
    assert m.evaluate(y, p) == plain
    assert m.evaluate(y, p, group) == {**plain, "grouped_auc": m.grouped_auc(y, p, group)}
    assert m.evaluate(y, p, np.full(len(y), -1)) == plain  # nobody: no per-user metric


def test_interval_is_students_by_hand_and_by_scipy():
    values = [0.70, 0.72, 0.71]
    assert m.interval(values) == pytest.approx((0.71, 0.71 - 4.302653 * 0.01 / 3**0.5, 0.71 + 4.302653 * 0.01 / 3**0.5))
    for confidence in (0.9, 0.95, 0.99):
        low, high = stats.t.interval(confidence, 2, loc=np.mean(values), scale=stats.sem(values))
        assert m.interval(values, confidence) == pytest.approx((np.mean(values), low, high), abs=1e-12)
    assert m.interval([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5)


PAIR_METRICS = [m.auc, m.log_loss, m.normalized_entropy, m.calibration_table, m.evaluate]


@pytest.mark.parametrize("metric", [*PAIR_METRICS, lambda y, p: m.grouped_auc(y, p, np.zeros(len(y)))])
@pytest.mark.parametrize(
    ("label", "probability", "message"),
    [
        ([1, 0, 1], [0.5, 0.5], "same length"),
        ([], [], "same length"),
        ([[1, 0]], [[0.5, 0.5]], "two vectors"),
        ([1, float("nan")], [0.5, 0.5], "labels hold NaN"),
        ([1, 0], [0.5, float("nan")], "predictions hold NaN"),
        ([1, 2], [0.5, 0.5], r"labels must be 0 or 1, got \[2.0\]"),
    ],
)
def test_bad_vectors_are_named(metric, label, probability, message):
    with pytest.raises(ValueError, match=message):
        metric(label, probability)


@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_log_loss_needs_probabilities(value):
    for metric in (m.log_loss, m.normalized_entropy):
        with pytest.raises(ValueError, match=r"within \[0, 1\]"):
            metric([1, 0], [0.5, value])


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_auc_and_no_entropy(label):
    with pytest.raises(ValueError, match=f"both classes, all 2 labels are {label}"):
        m.auc([label, label], [0.1, 0.2])
    with pytest.raises(ValueError, match=f"both classes, all 2 labels are {label}"):
        m.normalized_entropy([label, label], [0.1, 0.2])
    with pytest.raises(ValueError, match="no group has both classes"):
        m.grouped_auc([1, 0], [0.1, 0.2], [1, 2])


@pytest.mark.parametrize("values", [[], [0.7]])
def test_an_interval_needs_two_seeds(values):
    with pytest.raises(ValueError, match=f"at least two seeds, got {len(values)}"):
        m.interval(values)


def test_the_interval_of_an_auc_by_hand():
    # positives .35, .8 lie above 1 and 2 of the two negatives: v = (.5, 1); negatives .1, .4 lie below 2 and 1
    # positives: v = (1, .5); each variance is .125, so se = sqrt(.125 / 2 + .125 / 2)
    area, low, high = m.auc_interval([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    assert area == 0.75 and high == 1.0
    assert low == pytest.approx(0.75 - 1.959964 * np.sqrt(0.125))


def test_the_interval_of_an_auc_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    truth, covered = 0.7602, 0  # of normals one standard deviation apart: Phi(1 / sqrt 2)
    for _ in range(400):
        label = rng.integers(0, 2, 200)
        _, low, high = m.auc_interval(label, rng.normal(size=200) + label)
        covered += low <= truth <= high
    assert 0.92 < covered / 400 < 0.98


def test_an_interval_needs_two_rows_of_each_class():
    with pytest.raises(ValueError, match="two rows of each class"):
        m.auc_interval([0, 0, 1], [0.1, 0.2, 0.3])


@pytest.mark.parametrize("size", [17, 40, 800])
def test_large_logits_are_neither_ties_nor_cut(size):
    """Logits of 17 to 40 that rank perfectly: float32 makes 1 of all of them, float64 of those above 37."""
    z = torch.linspace(size, size + 3, 64)
    label = (torch.arange(64) >= 32).float()

    class Given(torch.nn.Module):
        def forward(self, rows):
            return rows.numeric[:, 0]

    rows = Rows(torch.zeros(64, 0, dtype=torch.int32), z[:, None], {}, label)
    logits = predict(Given(), rows, logits=True)
    found = evaluate(label, logits, logits=True)
    assert found["auc"] == 1
    x = z.double().numpy()
    exact = float(np.mean(np.log1p(np.exp(-x)) + np.where(label == 1, 0, x)))
    assert found["log_loss"] == pytest.approx(exact, rel=1e-9)
    data = Dataset("d", "t", (Field("n", "numeric"),), rows, rows, rows)
    assert Labelled(data).metrics(Given(), "test") == found
    if size < 30:
        p = predict(Given(), rows)
        assert p.dtype == torch.float64 and evaluate(label, p)["auc"] == 1
