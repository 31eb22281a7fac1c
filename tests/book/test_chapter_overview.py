"""The chapter's own code against the library, scikit-learn, planted truth and plain simulation."""

import re
import sys

import numpy as np
import pytest
import torch
from notebook_code import ROOT, definitions, read_back
from sklearn import metrics as sk
from tiny import dataset as tiny
from torch.nn.functional import binary_cross_entropy_with_logits

from recsys_lite.evaluation import compare_runs, compare_stored, metrics
from recsys_lite.models import LogisticRegression
from recsys_lite.notebook import told
from recsys_lite.store import RESULTS, load_results, read_json

sys.path.insert(0, str(ROOT / "tools"))


chapter = definitions("book/overview.ipynb")


@pytest.mark.parametrize(("count", "active", "size"), [(1, 1, 1), (1, 5, 9), (7, 3, 5), (64, 8, 200)])
def test_three_versions_of_the_logit_and_of_its_gradient(count, active, size):
    weight, index, value, label = chapter.random_rows(count, active, size, seed=count)
    model = chapter.ScratchLogisticRegression(size).double()
    model.load_state_dict({"bias": torch.tensor(-0.4), "weight": weight})
    logit = model(index, value)
    torch.testing.assert_close(chapter.logit_loops(model.bias.detach(), weight, index, value), logit.detach())
    torch.testing.assert_close(chapter.logit_vectorised(model.bias, weight, index, value), logit)
    binary_cross_entropy_with_logits(logit, label).backward()
    for gradient in (chapter.gradient_loops, chapter.gradient_vectorised):
        bias, by_hand = gradient(logit.detach(), label, index, value, size)
        torch.testing.assert_close(bias, model.bias.grad)
        torch.testing.assert_close(by_hand, model.weight.grad)


@pytest.mark.parametrize("name", ["tiny", "criteo"])
@pytest.mark.parametrize("count", [1, 2, 33])
def test_the_library_is_the_scratch_model(name, count, request):
    data = tiny() if name == "tiny" else request.getfixturevalue("criteo")
    library = LogisticRegression(data.fields)
    torch.manual_seed(count)
    torch.nn.init.normal_(library.weights.table.weight)
    torch.nn.init.normal_(library.bias)
    table, batch = library.weights.table.weight, data.train[:count]
    index, value = library.weights.active(batch)
    scratch = chapter.ScratchLogisticRegression(len(table))
    scratch.load_state_dict({"bias": library.bias.detach(), "weight": table[:, 0].detach()})
    mine, theirs = scratch(index, value), library(batch)
    torch.testing.assert_close(
        chapter.logit_loops(scratch.bias.detach(), scratch.weight.detach(), index, value), mine.detach()
    )
    torch.testing.assert_close(mine, theirs)
    for logit in (mine, theirs):
        binary_cross_entropy_with_logits(logit, batch.label).backward()
    torch.testing.assert_close(scratch.weight.grad, table.grad[:, 0])
    torch.testing.assert_close(scratch.bias.grad, library.bias.grad)
    torch.testing.assert_close(sum(library.parts(batch, fine=True).values()), theirs)


@pytest.mark.parametrize("seed", range(6))
def test_metrics_from_scratch(seed):
    random = np.random.default_rng(seed)
    score = random.uniform(0.02, 0.98, 151).round(1 if seed % 2 else 9).clip(0.02, 0.98)
    label = (random.random(151) < score).astype(float)
    for auc in (chapter.auc_pairs, chapter.auc_ranks, metrics.auc):
        assert auc(label, score) == pytest.approx(sk.roc_auc_score(label, score), abs=1e-12)
    for loss in (chapter.log_loss_loops, chapter.log_loss_vectorised, metrics.log_loss):
        assert loss(label, score) == pytest.approx(sk.log_loss(label, score), abs=1e-12)
    for entropy in (chapter.normalized_entropy_scratch, metrics.normalized_entropy):
        assert entropy(label, np.full(151, label.mean())) == pytest.approx(1, abs=1e-12)
        assert entropy(label, score) == pytest.approx(metrics.normalized_entropy(label, score), abs=1e-12)
    bins = chapter.calibration_bins(label, score, 7)
    assert np.mean([b[0] for b in bins]) == pytest.approx(score.mean(), abs=0.02)
    if not seed % 2:
        even = slice(0, 150)
        table = metrics.calibration_table(label[even], score[even], bins=6)
        np.testing.assert_allclose(
            chapter.calibration_bins(label[even], score[even], 6), table[["predicted", "observed"]]
        )


def test_the_wrong_code_of_the_chapter_is_wrong():
    label, constant = np.r_[np.zeros(30), np.ones(10)], np.full(40, 0.25)
    assert metrics.auc(label, constant) == 0.5 and chapter.auc_wrong(label, constant) == 1.0
    assert metrics.normalized_entropy(label, constant) == pytest.approx(1)
    assert chapter.entropy_wrong(label, constant, 0.5) != pytest.approx(1, abs=0.05)


def scores(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and two related scores."""
    label = (random.random(count) < 0.3).astype(float)
    common = label + random.normal(size=count)
    return label, common + 0.5 * random.normal(size=count), common + 0.5 * random.normal(size=count)


@pytest.mark.slow("draws thousands of samples")
def test_the_error_of_an_auc_is_the_spread_over_fresh_samples():
    random = np.random.default_rng(0)
    samples = [scores(random, 400) for _ in range(400)]
    spread = np.std([metrics.auc(y, a) for y, a, _ in samples])
    assert np.mean([chapter.auc_error(y, a) for y, a, _ in samples]) == pytest.approx(spread, rel=0.15)
    spread = np.std([metrics.auc(y, a) - metrics.auc(y, b) for y, a, b in samples])
    assert np.mean([chapter.auc_error(y, a, b) for y, a, b in samples]) == pytest.approx(spread, rel=0.15)


def test_placements_are_shares_of_pairs():
    label, score = np.array([1, 0, 0, 1.0]), np.array([0.7, 0.4, 0.5, 0.4])
    clicked, rest = chapter.placements(label, score)
    np.testing.assert_allclose(clicked, [1, 0.25])
    np.testing.assert_allclose(rest, [0.75, 0.5])
    assert clicked.mean() == rest.mean() == metrics.auc(label, score)
    assert chapter.auc_error(label, score, score) == 0


@pytest.mark.slow("draws thousands of samples")
def test_hanley_and_mcneil_is_exact_for_exponential_scores():
    random, mean = np.random.default_rng(1), 3.0
    auc = mean / (1 + mean)
    found = [
        metrics.auc(np.r_[np.ones(60), np.zeros(90)], np.r_[random.exponential(mean, 60), random.exponential(1, 90)])
        for _ in range(2000)
    ]
    assert np.mean(found) == pytest.approx(auc, abs=0.005)
    assert chapter.hanley_mcneil(auc, 60, 90) == pytest.approx(np.std(found), rel=0.06)


@pytest.mark.parametrize("seed", range(3))
def test_planted_weights_come_back_and_coin_flips_do_not(seed):
    namespace = chapter.planted.__globals__
    namespace |= {"FIELD_COUNT": 6, "VALUES": 5, "COUNTS": 2, "SIZE": 32}
    weight, index, value, _, label = chapter.planted(seed + 50)
    with torch.no_grad():
        found = chapter.centred(chapter.learn(index, value, label).weight)
        error = chapter.standard_errors(chapter.learn(index, value, label), index, value)
    assert np.corrcoef(found, weight)[0, 1] > 0.99
    assert 0.6 < ((found - weight) / error).square().mean().sqrt() < 1.5
    coin = torch.randint(0, 2, label.shape, generator=torch.Generator().manual_seed(seed)).float()
    with torch.no_grad():
        score = chapter.learn(index[:9000], value[:9000], coin[:9000])(index[9000:], value[9000:]).numpy()
    assert abs(metrics.auc(coin[9000:], score) - 0.5) < 4 * chapter.auc_error(coin[9000:].numpy(), score)


def test_popularity_is_the_click_rate_of_each_value(criteo):
    rates = chapter.value_rates(criteo, "C9", "train", shrink=0.0)
    ids, label = criteo.train.ids[:, 8].numpy(), criteo.train.label.numpy()
    for value in np.unique(ids):
        assert rates[ids == value] == pytest.approx(label[ids == value].mean(), abs=1e-6)
    assert chapter.value_rates(criteo, "C9", "test", shrink=1e12) == pytest.approx(label.mean(), abs=1e-5)


def test_the_log_ablation_gives_the_raw_counts_back(criteo):
    namespace = chapter.without_log.__globals__
    raw = (
        namespace["pd"].read_csv(chapter.criteo.SAMPLE, sep="\t", names=chapter.criteo.COLUMNS)["I5"].to_numpy()[:8000]
    )
    found = chapter.without_log(criteo).train.numeric[:, 4].double().numpy()
    known = ~np.isnan(raw)
    assert np.corrcoef(found[known], raw[known])[0, 1] == pytest.approx(1, abs=1e-6)


def test_a_list_of_ten():
    assert chapter.first_of(10, 0.5) == pytest.approx((0.1, 5.5), abs=1e-6)
    random, distance = np.random.default_rng(2), np.sqrt(2) * 0.8416212  # AUC 0.8
    others, clicked = random.normal(size=(40_000, 9)), random.normal(distance, 1, size=(40_000, 1))
    first, place = (others < clicked).all(1).mean(), 1 + (others > clicked).sum(1).mean()
    assert chapter.first_of(10, 0.8) == pytest.approx((first, place), rel=0.02)


def test_published_results_name_protocol_source_and_mark():
    published = read_json(RESULTS / "published.json")
    keys = set(re.findall(r"^@\w+\{([^,]+),", (ROOT / "book" / "references.bib").read_text(encoding="utf-8"), re.M))
    seen = set()
    for entry in published["entries"]:
        assert set(entry) == {"model", "year", "venue", "auc", "log_loss", "protocol", "source", "mark", "chapter"}
        assert 2007 <= entry["year"] <= 2023 and 0.78 < entry["auc"] < 0.82 and 0.43 < entry["log_loss"] < 0.46
        assert (
            entry["protocol"] in published["protocols"]
            and entry["mark"] in published["marks"]
            and entry["source"] in keys
        )
        assert (entry["model"], entry["protocol"]) not in seen
        seen.add((entry["model"], entry["protocol"]))
    one = [e for e in published["entries"] if e["protocol"] == "criteo_x4_001"]
    assert len(one) == 33 and {e["mark"] for e in one} == {"V"} and {e["source"] for e in one} == {"zhu2021bars"}
    assert sum(published["protocols"]["criteo_x4_001"]["rows"].values()) == 45_840_617


def verdict(values, against):
    return compare_runs(values, against, paired=True)


@pytest.mark.parametrize(("found", "claimed", "says"), [
    (verdict([0.82, 0.83, 0.84], [0.80, 0.81, 0.82]), 0.0152, "agrees"),
    (verdict([0.82, 0.83, 0.84], [0.80, 0.81, 0.82]), -0.01, "disagrees"),
    (verdict([0.8000, 0.8101, 0.8200], [0.8001, 0.8100, 0.8201]), 0.001, "agrees"),
    (verdict([0.8000, 0.8101, 0.8200], [0.8001, 0.8100, 0.8201]), 0.0152, "disagrees"),
    (verdict([0.82, 0.80, 0.84], [0.80, 0.81, 0.82]), 0.0152, "cannot be tested here: ≥ 0.057"),
])  # fmt: skip
def test_what_is_said_of_a_claim_follows_from_the_verdict(found, claimed, says):
    assert chapter.reading(found, claimed).startswith(says)


def test_an_interval_over_users_is_wider_where_users_differ():
    random, users = np.random.default_rng(0), np.repeat(np.arange(60), 20)
    skill = random.normal(1, 2, 60)[users]
    label = (random.random(1200) < 0.4).astype(float)
    score = random.normal(size=1200) + skill * label
    area, low, high = chapter.users_interval(label, score, users)
    _, over_rows, _ = metrics.auc_interval(label, score)
    assert area == pytest.approx(metrics.auc(label, score)) and low < over_rows < area < high


# What the reader sees


def test_sentences_hold_the_stored_results():
    _, text = read_back("overview")
    runs = load_results("movielens-100k", "click", "logistic_regression")
    assert f"AUC {runs[0]['test']['auc']:.4f}" in text, "run tools/execute.py book/overview.ipynb again"
    pair = compare_stored("movielens-100k", "click", "fm", ["logistic_regression"]).iloc[0]
    assert f"FM against logistic regression is {told(pair, brief=True)}" in " ".join(text.split())
    assert "no difference" not in text and "not told apart" not in text


def test_no_table_ranks_models_on_the_criteo_sample():
    notebook, _ = read_back("overview")
    source = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    assert 'load_results("criteo-sample"' not in source and 'compare_stored("criteo-sample"' not in source
