"""Data sets, models and metrics in words, links to chapters, and text that markdown shows as it is."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import streamlit as st

from recsys_lite.store import chapters

SITE = Path(__file__).resolve().parents[2] / "book" / "site.json"

#: (data set, task) -> in words
TASKS = {
    ("movielens-100k", "click"): "MovieLens: click on a film?",
    ("movielens-100k", "like"): "MovieLens: like the film?",
    ("criteo-sample", "click"): "Criteo: click on the ad?",
}
#: made-up data whose truth is known; here the explorer opens
PLANTED = ("planted", "pairs")
#: all that has rows and models that read them
ROWS = TASKS | {PLANTED: "Planted pairs: the truth is known"}
_DONE = {"click": "clicked", "like": "liked", "pairs": "labelled 1"}
_EVENTS = {"click": "a click", "like": "a like", "pairs": "the label 1"}
NAMES = {c["models"][0]: c["short"] for c in chapters.CHAPTERS if c.get("models")} | {
    "logistic_regression": "Logistic regression", "fm": "Factorization machine", "gbdt": "Boosted trees",
    "popularity": "Popularity", "item_knn": "Item neighbours", "ease": "EASE", "mf": "Matrix factorisation",
    "pal": "PAL", "watch_next": "Watch Next",
}  # fmt: skip
BRIEF = {
    "logistic_regression": "LR", "fm": "FM", "two_towers": "Towers", "split_network": "Split", "ncf": "NeuMF",
}  # fmt: skip
CHAPTERS = {m: c["slug"] for c in chapters.CHAPTERS if "planned" not in c for m in c["models"]}  # model -> chapter
METRICS = {
    "auc": "AUC (higher is better)",
    "log_loss": "log loss (lower is better)",
    "normalized_entropy": "normalized entropy (lower is better)",
    "grouped_auc": "per-user AUC (higher is better)",
}


def done(task: str) -> str:
    """What happened in a row with label 1; a reader's own data have a key in place of a task."""
    return _DONE.get(task, "labelled 1")


def event(task: str) -> str:
    """What a model's chance is one of."""
    return _EVENTS.get(task, "the label 1")


def name(model: str) -> str:
    """A model in words."""
    return NAMES.get(model, model.replace("_", " "))


def brief(model: str) -> str:
    """A model in at most a few letters, for the head of a narrow column."""
    return BRIEF.get(model, name(model))


def short_metric(metric: str) -> str:
    """A metric in words, without which way is better.

    Example:
        >>> short_metric("grouped_auc"), short_metric("log_loss")
        ('per-user AUC', 'log loss')
    """
    return METRICS.get(metric, metric.replace("_", " ")).split(" (")[0]


@st.cache_data(show_spinner=False, max_entries=1)
def site() -> str:
    """The book's address: the environment's, or the one in ``book/site.json``, or nothing."""
    stored = json.loads(SITE.read_text(encoding="utf-8")).get("site", "") if SITE.is_file() else ""
    return (os.environ.get("RECSYS_LITE_BOOK") or stored).rstrip("/")


def chapter(model: str) -> str:
    """Where a model is derived, see :func:`link`; nothing for a model without a chapter."""
    slug = CHAPTERS.get(model)
    return "" if slug is None else link(slug)


def link(slug: str) -> str:
    """A chapter as markdown: a link if the book has an address, its file otherwise."""
    return f"[Chapter]({site()}/book/{slug}.html)" if site() else f"Chapter: `book/{slug}.ipynb`"


def plain(text: str) -> str:
    """Text that markdown shows as it is, whatever a file or an address holds; what looks like an address is no link."""
    text = re.sub(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)", "\u2060", text, flags=re.IGNORECASE)  # a mark without width
    return re.sub(r"([\\`*_{}\[\]()<>#+.!|~$:&-])", r"\\\1", text.replace("\n", " "))
