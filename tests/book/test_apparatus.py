"""The pages to look things up on follow from their data, and what they name exists."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import pkgutil
import re
import sys
from pathlib import Path

import nbformat
import pytest
import torch

from recsys_lite import layers
from recsys_lite.layers.cross import CrossNet, CrossNetMix, CrossNetV2, GatedCrossNet
from recsys_lite.plots.diagrams import timeline_drawing

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import apparatus  # noqa: E402
import chapters as book  # noqa: E402
import lint_reference  # noqa: E402

NOTATION, GLOSSARY, TIMELINE, ERRATA = (
    book.read(f"{name}.json") for name in ("notation", "glossary", "timeline", "errata")
)
SLUGS = {c["slug"] for c in json.loads((ROOT / "recsys_lite" / "store" / "chapters.json").read_text(encoding="utf-8"))}

#: Papers of the primer by their titles, and its other sources by their addresses.
PRIMER = [
    "Wide & Deep Learning for Recommender Systems",
    "DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale Learning to Rank Systems",
    "Latent Cross: Making Use of Context in Recurrent Recommender Systems",
    "Factorization Machines",
    "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction",
    "Neural Collaborative Filtering",
    "Deep & Cross Network for Ad Click Predictions",
    "AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks",
    "Deep Learning Recommendation Model for Personalization and Recommendation Systems",
    "DHEN: A Deep and Hierarchical Ensemble Network for Large-Scale Click-Through Rate Prediction",
    "Towards Deeper, Lighter and Interpretable Cross Network for CTR Prediction",
    "PAL: A Position-bias Aware Learning Framework for CTR Prediction in Live Recommender Systems",
    "Recommending What Video to Watch Next: A Multitask Ranking System",
]
PRIMER_PAGES = [
    "https://aman.ai/recsys/architectures/",
    "https://aman.ai/recsys/GNN",
    "https://mlfrontiers.substack.com/p/a-tour-of-the-recommender-system",
    "https://medium.com/better-ml/recsys-model-serving-model-architectures-serving-1b5f038848bd",
    "https://blog.research.google/2016/06/wide-deep-learning-better-together-with.html",
    "https://ai.facebook.com/blog/dlrm-an-advanced-open-source-deep-learning-recommendation-model/",
    "https://www.tensorflow.org/recommenders/examples/dcn",
    "https://paperswithcode.com/sota/click-through-rate-prediction-on-criteo",
]


def bare(title: str) -> str:
    """A title without braces, case and punctuation."""
    return re.sub(r"[^a-z0-9]+", " ", title.replace("\\&", "&").lower()).strip()


def functions(path: Path) -> set[str]:
    """The names of a file's functions."""
    return {n.name for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.FunctionDef)}


# The pages


def test_pages_agree_with_their_data() -> None:
    assert apparatus.update(apparatus.pages(), check=True) == []


def test_check_tells_a_stale_page_and_the_command_mends_it(tmp_path: Path) -> None:
    for name in ("notation", "glossary", "timeline", "errata"):
        (tmp_path / "book").mkdir(exist_ok=True)
        (tmp_path / "book" / f"{name}.json").write_bytes((ROOT / "book" / f"{name}.json").read_bytes())
    (tmp_path / "book" / "primer").mkdir()
    (tmp_path / "book" / "primer" / "lines.json").write_bytes((ROOT / "book" / "primer" / "lines.json").read_bytes())
    (tmp_path / "book" / "references.bib").write_bytes((ROOT / "book" / "references.bib").read_bytes())
    (tmp_path / "book" / "run_times.json").write_bytes((ROOT / "book" / "run_times.json").read_bytes())
    (tmp_path / "requirements.txt").write_bytes((ROOT / "requirements.txt").read_bytes())
    (tmp_path / "recsys_lite" / "store").mkdir(parents=True)
    (tmp_path / "recsys_lite" / "store" / "chapters.json").write_bytes(
        (ROOT / "recsys_lite" / "store" / "chapters.json").read_bytes()
    )
    results = Path("recsys_lite") / "store" / "results" / "parity.json"
    (tmp_path / results).parent.mkdir()
    (tmp_path / results).write_bytes((ROOT / results).read_bytes())
    apparatus.main([], tmp_path)
    assert (tmp_path / "book" / "errata.md").read_text() == (ROOT / "book" / "errata.md").read_text()
    apparatus.main(["--check"], tmp_path)
    (tmp_path / "book" / "errata.md").write_text("stale")
    with pytest.raises(SystemExit, match=r"errata\.md"):
        apparatus.main(["--check"], tmp_path)


def test_chapters_that_are_not_written_get_no_link() -> None:
    assert apparatus.link("dcn", {"dcn": {"short": "DCN"}}) == "[DCN](dcn.ipynb)"
    assert apparatus.link("dcn", {}) == "dcn" and apparatus.link("dcn", {}, "DCN") == "DCN"


def test_the_first_page_leads_to_every_page() -> None:
    intro = (ROOT / "book" / "intro.md").read_text(encoding="utf-8")
    assert [name for name in apparatus.PAGES if f"]({name}.md)" not in intro] == []


def test_every_entry_names_chapters_of_the_list() -> None:
    named = {s for e in NOTATION for s in e.get("in", [])} | {e["chapter"] for e in TIMELINE if "chapter" in e}
    named |= {s for e in GLOSSARY for s in [*e["chapters"], *e.get("only", [])]}
    named |= {e["chapter"] for kind in ERRATA.values() for e in kind}
    assert named <= SLUGS


# Notation


def test_a_symbol_means_one_thing_in_a_chapter() -> None:
    apparatus.check_notation(NOTATION)
    one = {"symbols": ["x_0"], "means": "input", "in": ["dcn"]}
    apparatus.check_notation([one, one | {"in": ["gdcn"]}, {"symbols": ["x_0"], "means": "elsewhere"}])
    with pytest.raises(ValueError, match=r"x_0.*'input' and 'output'"):
        apparatus.check_notation([one, one | {"means": "output", "symbols": ["x_ 0"]}])
    with pytest.raises(ValueError, match="one meaning a chapter"):
        apparatus.check_notation([{"symbols": ["z"], "means": "a"}, {"symbols": ["z"], "means": "b"}])


def test_letters_are_found_under_hats_indices_and_bars() -> None:
    symbols = [r"\hat y", "W_{l,fg}", r"\alpha^{(h)}_{m,k}", r"|\theta|", "d'", r"\mathrm{NE}"]
    assert [apparatus.letter(s) for s in symbols] == ["y", "W", r"\alpha", r"\theta", "d", "NE"]


def test_a_letter_with_two_meanings_is_told() -> None:
    text = apparatus.notation().split("## Letters with more than one meaning")[1]
    row = next(line for line in text.splitlines() if line.startswith("| $G$ "))
    assert "shares of the experts" in row and "weights of the gate" in row and "hosts" in row


def test_names_in_code_are_names_in_code() -> None:
    sources = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "recsys_lite").rglob("*.py"))
    for path in (ROOT / "book").glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        sources += "".join(c.source for c in notebook.cells if c.cell_type == "code")
    known = set(re.findall(r"[A-Za-z_]\w*", sources))
    for entry in NOTATION:
        for name in re.findall(r"`([^`]+)`", entry.get("code", "")):
            assert set(re.findall(r"[A-Za-z_]\w+", name)) <= known, (entry["symbols"], name)


# Glossary


def test_terms_are_explained_once_in_a_sentence_or_two() -> None:
    terms = [t.lower() for e in GLOSSARY for t in [e["term"], *e.get("names", [])]]
    assert len(terms) == len(set(terms)) and len(GLOSSARY) >= 60
    for entry in GLOSSARY:
        assert entry["means"].endswith(".") and 15 <= len(entry["means"]) <= 220, entry["term"]
        assert entry["chapters"], entry["term"]
    forms = [f for e in GLOSSARY for f in e["match"]]
    assert len(forms) == len(set(forms)), "a form leads to one term"


# Timeline


def test_years_come_from_the_papers_and_rise() -> None:
    papers = apparatus.bibliography()
    years = re.findall(r"^\| (\d{4}) \|.*\{cite:p\}`(\w+)`", apparatus.timeline(), re.MULTILINE)
    assert len(years) == len(TIMELINE)
    assert [y for y, _ in years] == sorted(y for y, _ in years)
    assert all(papers[key].fields["year"] == year for year, key in years)


def test_the_drawing_of_time_is_text_and_says_a_year_once() -> None:
    drawn = timeline_drawing([("2016", "A & B", True), ("2016", "C", False), ("2017", "D", False)])
    assert drawn.startswith("<svg") and drawn.count(">2016<") == 1 and "A &amp; B" in drawn
    assert drawn.count('fill="var(--pst-color-background, Canvas)"') == 2 and "currentColor" in drawn


# References


def test_entries_are_whole_and_no_work_stands_twice() -> None:
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    keys = re.findall(r"^@\w+\{\s*([^,\s]+)", text, re.MULTILINE)
    assert len(keys) == len(set(keys))
    entries = apparatus.bibliography()
    for key, entry in entries.items():
        assert entry.persons.get("author") and entry.fields.get("title"), key
        year = entry.fields.get("year", "")
        assert re.fullmatch(r"(19|20)\d\d", year) or (year == "n.d." and "url" in entry.fields), key
    titles = [(bare(e.fields["title"]), e.fields["year"]) for e in entries.values()]
    assert sorted({t for t in titles if titles.count(t) > 1}) == []


def test_everything_the_primer_names_is_listed() -> None:
    entries = apparatus.bibliography().values()
    titles, pages = {bare(e.fields["title"]) for e in entries}, {e.fields.get("url") for e in entries}
    assert [t for t in PRIMER if bare(t) not in titles] == []
    assert [p for p in PRIMER_PAGES if p not in pages] == []


def test_everything_cited_is_listed() -> None:
    texts = [p.read_text(encoding="utf-8") for p in (ROOT / "book").glob("*.md")]
    texts += [lint_reference.text_of(nbformat.read(p, as_version=4)) for p in (ROOT / "book").glob("*.ipynb")]
    assert set().union(*map(lint_reference.cited, texts)) <= set(apparatus.bibliography())


# Errata


def test_every_test_named_in_the_errata_exists() -> None:
    for entry in [*ERRATA["primer"], *ERRATA["code"]]:
        for test in entry["tests"]:
            path, name = test.split("::")
            assert name.startswith("test_") and name in functions(ROOT / path), test
    assert all(e["tests"] for e in ERRATA["code"])


def test_examples_of_the_layers_run() -> None:
    """Examples in documentation rot unless they are run; these are those of all layers."""
    run = 0
    for module in pkgutil.iter_modules(layers.__path__):
        result = doctest.testmod(importlib.import_module(f"recsys_lite.layers.{module.name}"))
        assert not result.failed, module.name
        run += result.attempted
    assert run >= 20


@pytest.mark.parametrize("kind", [CrossNet, CrossNetV2, CrossNetMix, GatedCrossNet])
def test_biases_of_cross_layers_start_as_documented(kind: type[torch.nn.Module]) -> None:
    assert "at zero" in re.sub(r"\s+", " ", kind.__doc__ or "")
    assert not kind(4).bias.detach().any()
