"""Power against scipy's noncentral t and by simulation; exact intervals and tests of counts by hand."""

import numpy as np
import pytest
from scipy import stats

from recsys_lite.evaluation import compare_counts, exact, smallest_effect
from recsys_lite.evaluation.power import power


@pytest.mark.parametrize("df", [2, 4, 8, 50])
@pytest.mark.parametrize("shift", [0.0, 1.0, 2.8, 4.0])
def test_power_is_that_of_the_noncentral_t(df, shift):
    bound = stats.t.ppf(0.975, df)
    wanted = stats.nct.sf(bound, df, shift) + stats.nct.cdf(-bound, df, shift) if shift else 0.05
    assert power(shift * 0.3, 0.3, df) == pytest.approx(wanted, abs=1e-3)
    assert power(-shift * 0.3, 0.3, df) == power(shift * 0.3, 0.3, df)


def test_power_of_a_normal_estimate_by_hand():
    assert power(1.96, 1.0) == pytest.approx(0.5, abs=1e-3)
    assert power(0.0, 1.0, level=0.01) == pytest.approx(0.01)


@pytest.mark.parametrize(("df", "level"), [(np.inf, 0.05), (30, 0.05), (3, 0.01), (1, 0.05)])
def test_the_smallest_effect_is_found_with_its_chance(df, level):
    found = smallest_effect(0.002, df, level=level)
    assert power(found, 0.002, df, level) == pytest.approx(0.8, abs=1e-4)
    assert smallest_effect(0.004, df, level=level) == pytest.approx(2 * found)


def test_the_smallest_effect_of_five_paired_seeds_is_that_of_textbooks():
    # a paired t test of five differences finds d = 1.68 standard deviations with power 0.8
    assert smallest_effect(1 / np.sqrt(5), df=4) == pytest.approx(1.68, abs=0.005)


@pytest.mark.parametrize("wrong", [{"error": 0.0}, {"error": float("nan")}, {"df": 0}, {"level": 1.0}])
def test_bad_settings_of_power_are_named(wrong):
    with pytest.raises(ValueError, match="power: got difference"):
        power(**{"difference": 1.0, "error": 1.0, **wrong})


def test_bad_settings_of_the_smallest_effect_are_named():
    with pytest.raises(ValueError, match=r"chance must lie between 0\.05 and 1, got 1"):
        smallest_effect(1.0, chance=1)
    with pytest.raises(ValueError, match="error 0"):
        smallest_effect(0.0)


def test_exact_intervals_by_hand():
    assert exact(0, 3) == pytest.approx((0, 0, 1 - 0.025 ** (1 / 3)))
    assert exact(3, 3) == pytest.approx((1, 0.025 ** (1 / 3), 1))
    share, low, high = exact(7, 10)  # the ends are where the tails have 2.5 %
    assert share == 0.7
    assert stats.binom.sf(6, 10, low) == pytest.approx(0.025) and stats.binom.cdf(7, 10, high) == pytest.approx(0.025)
    assert exact(7, 10, 0.5)[1] > low


def test_fishers_test_by_hand():
    # of 8 chosen 4 at random, all four recovered ones on one side: 2 / C(8, 4)
    assert compare_counts(4, 4, 0, 4) == ("better", pytest.approx(2 / 70))
    assert compare_counts(0, 4, 4, 4)[0] == "worse" and compare_counts(3, 4, 1, 4)[0] == "undecided"
    assert compare_counts(5, 5, 5, 5) == ("undecided", 1.0)
    assert compare_counts(1, 10, 90, 100)[0] == "worse"  # shares, not counts


@pytest.mark.parametrize("wrong", [(-1, 3), (4, 3), (0, 0), (1.5, 3)])
def test_counts_that_are_none_are_named(wrong):
    with pytest.raises(ValueError, match="a count must be k of n"):
        exact(*wrong)
    with pytest.raises(ValueError, match="a count must be k of n"):
        compare_counts(1, 3, *wrong)
