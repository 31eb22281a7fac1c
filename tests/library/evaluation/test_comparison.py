"""The table of all systems: every word in its place, every number from the results."""

import json
import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from bench import comparison as bench
from recsys_lite.evaluation import comparison, decision, interval
from recsys_lite.models import MODELS
from recsys_lite.notebook.filter_table import filter_html
from recsys_lite.store import RESULTS, load_results, read_json
from recsys_lite.store.chapters import CHAPTERS

ROOT = Path(__file__).parents[3]


def test_every_system_has_its_line_and_a_chapter_that_exists():
    table = comparison.systems()
    assert set(MODELS) | {"gbdt", "lightgcn", "pal", "watch_next"} == set(table["model"])
    assert set(table["chapter"]) <= {c["slug"] for c in CHAPTERS}
    words = table[["features", "advantages", "limits", "use"]]
    assert (words.map(len) >= 10).all().all()
    typed = words.map(lambda text: bool(re.search(r"\d[.,]\d|\d ?%|\d{3}", text.replace("et al. 2020", ""))))
    assert not typed.any().any()  # a measured number is never typed


def test_an_unknown_phase_is_named(tmp_path, monkeypatch):
    listed = json.loads(comparison.FILE.read_text())
    listed[2]["phase"] = ["cooking"]
    (tmp_path / "systems.json").write_text(json.dumps(listed))
    monkeypatch.setattr(comparison, "FILE", tmp_path / "systems.json")
    with pytest.raises(ValueError, match=r"fm: unknown phase \['cooking'\]"):
        comparison.systems()


def test_measured_columns_are_the_results():
    table = comparison.measured().set_index("model")
    for model in ("fm", "dhen"):
        mean, low, high = interval([r["test"]["auc"] for r in load_results("movielens-100k", "click", model)])
        assert table.loc[model, ["auc", "auc low", "auc high"]].tolist() == [mean, low, high]
    ndcg = [r["test"]["ndcg@20"] for r in read_json(RESULTS / "retrieval.json")["runs"] if r["model"] == "lightgcn"]
    assert table.loc["lightgcn", "ndcg"] == interval(ndcg)[0]
    assert pd.isna(table.loc["lightgcn", "auc"]) and pd.isna(table.loc["fm", "ndcg"])
    gains = comparison.position_gains()["pal"]
    assert table.loc["pal", "gain"] == interval(gains)[0]


def test_every_ranking_model_was_timed():
    timed = read_json(RESULTS / "comparison.json")
    assert [line["model"] for line in timed["ranking"]] == list(MODELS)
    base = next(line for line in timed["ranking"] if line["model"] == "logistic_regression")
    assert base["ratio"] == base["low"] == base["high"] == 1


def test_turns_divide_by_the_one_named():
    with pytest.raises(ValueError, match="'c' is none of"):
        bench.in_turns({"a": lambda: 1}, "c")


def test_the_frontier_keeps_what_nothing_beats():
    table = pd.DataFrame({"model": list("abcd"), "auc": [0.8, 0.9, 0.9, None], "ms": [1.0, 3.0, 2.0, 0.1]})
    assert comparison.frontier(table, "auc", "ms") == ["a", "c"]


def test_values_without_an_interval_are_told_so():
    assert comparison.told({"ndcg": 0.5}, "ndcg") == "0.5000"
    assert comparison.told({}, "ndcg") == "–"


def test_every_step_of_the_path_is_measured_and_leads_to_a_section_that_exists():
    steps = decision.path()
    assert len(steps) >= 6
    for step in steps:
        assert re.search(r"\d", step.measured), step
        cells = nbformat.read(ROOT / "book" / f"{step.chapter}.ipynb", as_version=4).cells
        headings = [h for c in cells if c.cell_type == "markdown" for h in re.findall(r"^## (.+)$", c.source, re.M)]
        assert step.section in {re.sub(r"[^a-z0-9]+", "-", h.lower()).strip("-") for h in headings}, step
    page = decision.path_html(steps, {c["slug"]: c.get("title", "") for c in CHAPTERS})
    assert page.count("<li>") == len(steps) and f"{steps[0].chapter}.html#{steps[0].section}" in page


def test_the_path_tells_what_the_results_say():
    values = [r["test"]["auc"] for r in load_results("movielens-100k", "click", "deepfm")]
    mean, low, high = interval(values)
    assert f"DeepFM {mean:.4f} [{low:.4f}, {high:.4f}]" in decision.all_fields()
    cost = max(read_json(RESULTS / "serving.json")["cost"], key=lambda c: c["candidates"])
    assert f"{cost['measured']['every_pair'] / cost['measured']['cached']:.0f} times" in decision.many_items()


def test_a_filtered_table_names_its_choices_and_refuses_gaps():
    table = pd.DataFrame({"model": ["fm", "<b>"]})
    page = filter_html(table, {"phase": [["ranking"], ["ranking", "final"]]})
    assert page.count("<option>ranking</option>") == 1 and "<option>final</option>" in page
    assert "&lt;b&gt;" in page and "src=" not in page
    with pytest.raises(ValueError, match="'phase' has 1 entries for 2 rows"):
        filter_html(table, {"phase": [["ranking"]]})
