"""The chapter's own code: errors on paper, boosted stumps, planted truths, and the words that follow from verdicts."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from notebook_code import definitions, read_back
from torch.testing import assert_close

from recsys_lite import data
from recsys_lite.evaluation import auc, compare_runs, together
from recsys_lite.models import GradientBoostedTrees
from recsys_lite.notebook import told
from recsys_lite.store import RESULTS, read_json

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))


chapter = definitions("book/when_not.ipynb")


@pytest.mark.parametrize(("rows", "columns", "ties"), [(9, 1, False), (40, 4, True), (70, 2, False), (50, 3, True)])
def test_stumps_by_loops_and_by_running_sums_agree(rows, columns, ties):
    x, y = chapter.made_up(rows, columns, ties, seed=rows)
    p = torch.full_like(y, 0.4)
    for least in (1, 4):
        slow, fast = (f(x, p - y, p * (1 - p), least) for f in (chapter.best_stump_loops, chapter.best_stump))
        assert_close(torch.tensor(fast), torch.tensor(slow))
        left = int((x[:, fast[1]] <= fast[2]).sum())
        assert fast[0] == 0 or least <= left <= rows - least


def test_a_column_of_equal_values_gives_no_stump():
    x, y = torch.ones(20, 2, dtype=torch.float64), torch.arange(20, dtype=torch.float64) % 2
    g, h = 0.5 - y, torch.full_like(y, 0.25)
    assert chapter.best_stump(x, g, h)[0] == chapter.best_stump_loops(x, g, h)[0] == 0
    model = chapter.BoostedStumps(5).fit(x, y)
    assert model.stumps == [] and model.start == torch.logit(y.mean())


@pytest.mark.parametrize(("rate", "least", "ties"), [(0.1, 1, False), (0.3, 10, True), (1.0, 5, True)])
def test_boosted_stumps_are_scikit_learns(rate, least, ties):
    x, y = chapter.made_up(180, 3, ties, seed=7)
    new, _ = chapter.made_up(200, 3, ties, seed=8)
    theirs = chapter.sklearn_stumps(x, y, 15, rate, least)
    ours = chapter.BoostedStumps(15, rate, least).fit(x, y)
    assert_close(ours(new), torch.from_numpy(theirs.decision_function(new.numpy())), rtol=1e-4, atol=1e-4)


def test_each_wrong_version_differs_from_scikit_learn_where_values_repeat():
    x, y = chapter.made_up(200, 3, True, seed=3)
    theirs = torch.from_numpy(chapter.sklearn_stumps(x, y, 20, 0.3).decision_function(x.numpy()))
    same = lambda model: torch.allclose(model.fit(x, y)(x), theirs, rtol=1e-3, atol=1e-3)  # noqa: E731
    assert same(chapter.BoostedStumps(20, 0.3))
    assert not same(chapter.BoostedStumps(20, 0.3, find=chapter.plain_gain))
    assert not same(chapter.BoostedStumps(20, 0.3, find=chapter.parting))


def test_the_librarys_trees_with_two_leaves_on_one_column_are_the_chapters_stumps():
    one = data.load("criteo-sample").select(["I8"])
    library = GradientBoostedTrees(max_leaf_nodes=2, max_iter=15, seed=1)
    library.fit(one)
    x, y = one.train.numeric.double(), one.train.label.double()
    ours = chapter.BoostedStumps(library.trees.n_iter_, 0.1, 20).fit(x, y)
    found = torch.sigmoid(ours(one.test.numeric.double())).float()
    assert_close(found, library.predict(one.test), rtol=1e-4, atol=1e-5)
    assert found.unique().numel() > 2


@pytest.mark.parametrize("repeats", [1, 3, 16])
def test_expected_error_is_what_simulation_gives(repeats):
    g = torch.Generator().manual_seed(0)
    design = torch.randn(4, 3, generator=g, dtype=torch.float64).repeat(repeats, 1)
    truth = torch.randn(4, generator=g, dtype=torch.float64).repeat(repeats)
    noisy = truth + torch.randn(20_000, len(truth), generator=g, dtype=torch.float64)
    fitted = noisy @ torch.linalg.pinv(design).T @ design.T
    assert chapter.expected_error(design, truth) == pytest.approx((fitted - truth).square().mean().item(), rel=0.03)


@pytest.mark.parametrize("kind", ["additive", "crossed", "coin"])
def test_planted_truths_are_what_they_say(kind):
    made = chapter.with_truth(kind, 1, rows=4000)
    p, label = made.extras["probability"], made.test.label
    assert len(p) == len(label)
    names = "".join(made.extras["crosses"][0])
    columns = ["ABCD".index(n) for n in names]
    product = torch.stack(
        [made.extras["signs"][n][made.test.ids[:, c].long()] for n, c in zip(names, columns, strict=True)]
    ).prod(0)
    if kind == "coin":
        assert (p == 0.5).all() and abs(auc(label, product) - 0.5) < 0.06
        return
    assert auc(label, p) > 0.7 and abs(p.mean() - label.mean()) < 0.05
    rest = torch.logit(p.double()) - 2.5 * product * (kind == "crossed")
    one_hot = torch.cat([torch.nn.functional.one_hot(made.test.ids[:, f].long(), 11) for f in range(4)], 1).double()
    explained = one_hot @ torch.linalg.lstsq(one_hot, rest[:, None], driver="gelsd").solution
    assert_close(explained[:, 0], rest, rtol=1e-3, atol=1e-3)  # what is left is a sum over fields


@pytest.mark.slow("draws thousands of samples")
def test_standard_error_of_an_auc_is_that_of_drawn_scores():
    rng = np.random.default_rng(0)
    label = np.r_[np.ones(60), np.zeros(140)]
    draws = [auc(label, rng.normal(size=200) + label) for _ in range(1500)]
    assert chapter.auc_standard_error(np.mean(draws), 60, 140) == pytest.approx(np.std(draws), rel=0.1)


# Words that follow from verdicts


def words(*said):
    return [SimpleNamespace(word=w) for w in said]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (("better", "better", "better"), 100),
        (("worse", "better", "better"), 300),
        (("better", "better", "undecided"), None),
        (("better", "equal within δ", "better"), 1000),
    ],
)
def test_a_crossing_needs_better_at_all_larger_sizes(said, found):
    assert chapter.crossing([100, 300, 1000], words(*said)) == found
    assert chapter.crossing([1000, 300, 100], words(*reversed(said))) == found


def test_models_are_compared_over_the_seeds_that_both_have():
    values = {"a": [0.7, 0.72, 0.71, 0.9], "b": [0.6, 0.63, 0.61]}
    part = pd.DataFrame(
        [(m, s, v) for m, x in values.items() for s, v in enumerate(x)], columns=["model", "seed", "auc"]
    )
    assert chapter.best_of(part, ["b", "absent", "a"]) == "a"
    assert chapter.versus(part, "a", "b") == compare_runs([0.7, 0.72, 0.71], [0.6, 0.63, 0.61], paired=True)


@pytest.mark.parametrize(
    ("said", "wanted", "starts"),
    [
        (("worse", "worse"), {"worse"}, "agrees"),
        (("better",), {"worse"}, "disagrees"),
        (("equal within δ",), {"equal", "worse"}, "agrees"),
        (("undecided", "undecided"), {"worse"}, "undecided"),
        (("worse", "better", "undecided"), {"worse"}, "supported in 1 of 3, contradicted in 1"),
    ],
)
def test_a_claim_is_read_from_its_verdicts(said, wanted, starts):
    assert chapter.reading(words(*said), wanted) == starts


def test_a_papers_difference_is_read_from_the_verdict():
    up = compare_runs([0.82, 0.83, 0.84], [0.80, 0.81, 0.82], paired=True)
    open_one = compare_runs([0.82, 0.80, 0.84], [0.80, 0.81, 0.82], paired=True)
    assert (chapter.judged_as(up, 1), chapter.judged_as(up, -1)) == ("agrees", "disagrees")
    assert chapter.judged_as(open_one, 1) == f"cannot be tested here: ≥ {open_one.smallest_effect():.3f}"


def test_a_tally_names_each_word_that_was_found():
    assert (
        chapter.tally(words("worse", "undecided", "worse", "equal within δ")) == "2 × worse, 1 × equal, 1 × undecided"
    )


# What the reader sees


def test_sentences_hold_the_stored_results():
    _, text = read_back("when_not")
    runs = pd.DataFrame(read_json(RESULTS / "when_not.json")["runs"])
    curves = runs[runs["regime"] == "rows"]
    for key in ("movielens-100k.like", "movielens-100k.click"):
        points = [chapter_gap(p) for _, p in curves[curves["data"] == key].groupby("rows")]
        assert told(together(points)[-1]) in text, "run tools/execute.py book/when_not.ipynb again"
    for name in ("10 rows a person", "6 rows a film"):
        ranks = runs[runs["regime"] == name].groupby("model")["auc"].mean().rank(ascending=False)
        assert f"{ranks['mf']:.0f} of 6" in text
    assert "no difference" not in text


def chapter_gap(part):
    shallow = chapter.best_of(part, ["logistic_regression", "mf", "fm", "gbdt"])
    return chapter.versus(part, chapter.best_of(part, ["mlp", "deepfm"]), shallow)
