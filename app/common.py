"""What all pages share: stored things, loaded once; names in words; tables, downloads and links."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import torch
from recsys_lite.planted import PAIRS, planted
from recsys_lite.train import predict

from recsys_lite import data, diagrams, store
from recsys_lite.fields import Dataset
from recsys_lite.models import MODELS, Model

ROOT = Path(__file__).resolve().parents[1]

#: (data set, task) -> in words
TASKS = {
    ("movielens-100k", "click"): "MovieLens: click on a film?",
    ("movielens-100k", "like"): "MovieLens: like the film?",
    ("criteo-sample", "click"): "Criteo: click on the ad?",
}
#: the data set that only the look inside has: its truth is known
PLANTED = ("planted", "pairs")
DONE = {"click": "clicked", "like": "liked"}
NAMES = {c["models"][0]: c["short"] for c in diagrams.CHAPTERS if c.get("models")} | {
    "logistic_regression": "Logistic regression", "fm": "Factorization machine", "gbdt": "Boosted trees",
    "popularity": "Popularity", "item_knn": "Item neighbours", "ease": "EASE", "mf": "Matrix factorisation",
    "pal": "PAL", "watch_next": "Watch Next",
}  # fmt: skip
CHAPTERS = {m: c["slug"] for c in diagrams.CHAPTERS if "planned" not in c for m in c["models"]}  # model -> chapter
IMAGES = ["png", "svg"]  # what a chart can be saved as
METRICS = {
    "auc": "AUC (higher is better)",
    "log_loss": "log loss (lower is better)",
    "normalized_entropy": "normalized entropy (lower is better)",
    "grouped_auc": "per-user AUC (higher is better)",
}


def name(model: str) -> str:
    """A model in words."""
    return NAMES.get(model, model.replace("_", " "))


@st.cache_resource(show_spinner="Reading the data …", max_entries=4)
def load_dataset(dataset: str, task: str) -> Dataset:
    """A data set, read once for all sessions."""
    torch.set_num_threads(1)  # rows are scored one at a time here
    if (dataset, task) == PLANTED:
        return planted(**PAIRS)
    return data.load(dataset, task=task)


@st.cache_resource(show_spinner="Reading stored weights …", max_entries=64)
def load_model(dataset: str, task: str, model: str) -> Model:
    """A trained model, read once for all sessions."""
    return store.load_model(store.weights_path(dataset, task, model), load_dataset(dataset, task).fields)


@st.cache_data(show_spinner="Scoring the test part …", max_entries=64)
def test_predictions(dataset: str, task: str, model: str) -> np.ndarray:
    """Probabilities of all test rows."""
    return predict(load_model(dataset, task, model), load_dataset(dataset, task).test).numpy()


@st.cache_data(show_spinner=False, max_entries=4)
def results(dataset: str, task: str) -> list[dict[str, Any]]:
    """The committed runs; none if there is no results file yet."""
    try:
        return store.load_results(dataset, task)
    except ValueError:
        return []


@st.cache_resource(max_entries=1)
def turn() -> threading.Lock:
    """Held while models train: PyTorch has one random generator, so one session of the server trains at a time."""
    return threading.Lock()


def trained(dataset: str, task: str) -> list[str]:
    """The models whose weights are stored, in the order of the book."""
    paths = {m: store.weights_path(dataset, task, m) for m in MODELS}
    return [m for m, path in paths.items() if path.with_name(path.name + ".safetensors").is_file()]


@st.cache_data(show_spinner=False, max_entries=1)
def site() -> str:
    """The book's address: the environment's, or the one in ``book/site.json``, or nothing."""
    file = ROOT / "book" / "site.json"
    stored = json.loads(file.read_text(encoding="utf-8")).get("site", "") if file.is_file() else ""
    return (os.environ.get("RECSYS_LITE_BOOK") or stored).rstrip("/")


def chapter(model: str) -> str:
    """Where a model is derived, see :func:`link`; nothing for a model without a chapter."""
    slug = CHAPTERS.get(model)
    return "" if slug is None else link(slug)


def link(slug: str) -> str:
    """A chapter as markdown: a link if the book has an address, its file otherwise."""
    return f"[Chapter]({site()}/book/{slug}.html)" if site() else f"Chapter: `book/{slug}.ipynb`"


def chart(figure: go.Figure, alt: str, key: str, on_select: Callable[[], None] | None = None) -> None:
    """A figure over the full width, with a text for those who do not see it; its camera saves PNG or SVG.

    ``on_select`` is called when marks are clicked; ``st.session_state[key]`` then holds them.
    """
    config = {
        "displaylogo": False,
        "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
        "toImageButtonOptions": {"format": st.session_state.get("images", IMAGES[0]), "filename": key, "scale": 2},
    }
    more: dict[str, Any] = {"on_select": on_select, "selection_mode": "points"} if on_select else {}
    st.plotly_chart(figure, width="stretch", key=key, alt=alt, config=config, **more)


def table_and_downloads(
    table: pd.DataFrame, figures: Sequence[go.Figure], file: str, sentence: str, label: str, cell: str
) -> None:
    """The table behind a chart, folded, with all that can be taken away.

    Args:
        table: what the chart shows, in numbers.
        figures: the charts, for the page to take away.
        file: name of the files, without ending; unique on a page.
        sentence: what one sees, for the page to take away.
        label: what the folded part is called.
        cell: Python that makes ``table`` in a notebook from the library alone; the tests run it and compare.
    """
    with st.expander(label):
        st.dataframe(table, hide_index=True, width="stretch")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            csv = table.to_csv(index=False).encode()
            st.download_button("Table as CSV", csv, f"{file}.csv", "text/csv", on_click="ignore", key=f"{file}.csv")
            st.download_button(
                "Charts as HTML", lambda: as_page(table, figures, sentence), f"{file}.html", "text/html",
                on_click="ignore", key=f"{file}.html", help="One file with everything in it; opens without a network.",
            )  # fmt: skip
            place = f"{file}.images"
            st.segmented_control(
                "The camera above a chart saves", IMAGES, format_func=str.upper, required=True,
                key=hold(place, st.session_state.get("images", IMAGES[0])), on_change=_save_as, args=(place,),
            )  # fmt: skip
        st.caption("The notebook cell that makes this table:")
        st.code(cell.strip(), language="python")


def _save_as(place: str) -> None:
    st.session_state["images"] = st.session_state[place]


def as_page(table: pd.DataFrame, figures: Sequence[go.Figure], sentence: str) -> bytes:
    """Charts and table as one HTML page that needs nothing else."""
    charts = [f.to_html(full_html=False, include_plotlyjs=not i) for i, f in enumerate(figures)]
    text = sentence.replace("&", "&amp;").replace("<", "&lt;").replace("**", "").replace("*", "")
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>recsys-lite</title>'
    style = "<style>body{font-family:sans-serif;max-width:60rem;margin:2rem auto}td,th{padding:.2rem .6rem}</style>"
    return "".join([head, style, f"<p>{text}</p>", *charts, table.to_html(index=False, border=0), "</html>"]).encode()


def hold(key: str, value: Any) -> str:
    """Let the widget of a key show a value of the state; returns the key."""
    if st.session_state.get(key, ...) != value:
        st.session_state[key] = value
    return key


def keep(state: Any, attribute: str, key: str) -> None:
    """A widget's callback: put its value into the state."""
    if (value := st.session_state[key]) is not None:
        setattr(state, attribute, value)
