"""Data, trained models and stored results, each loaded once for all sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st
import torch

from recsys_lite import data, store
from recsys_lite.data.interactions import Interactions, interactions
from recsys_lite.data.simulated.clicks import Clicks
from recsys_lite.data.simulated.planted import PAIRS, planted
from recsys_lite.evaluation import Retriever, predict
from recsys_lite.fields import Dataset, Rows
from recsys_lite.models import MODELS, Model
from recsys_lite.store import load_retriever
from recsys_lite.store import trained_clicks as stored_clicks

from .address import edited, original
from .names import PLANTED
from .own import OWN, cached, held, listed

Edits = tuple[tuple[str, Any], ...]

# --- rows and the models that read them -----------------------------------------------------------------------------


def load_dataset(dataset: str, task: str) -> Dataset:
    """A data set: read once for all sessions, or the reader's own."""
    return held(task).dataset if dataset == OWN else _stored_dataset(dataset, task)


@st.cache_resource(show_spinner="Reading the data …", max_entries=4)
def _stored_dataset(dataset: str, task: str) -> Dataset:
    torch.set_num_threads(1)  # rows are scored one at a time here
    if (dataset, task) == PLANTED:
        return planted(**PAIRS)
    return data.load(dataset, task=task)


def trained(dataset: str, task: str) -> list[str]:
    """The models whose weights are stored, in the order of the book; of the reader's own data those trained there."""
    if dataset == OWN:
        return list(held(task).models) if (dataset, task) in listed() else []
    return list(_stored(dataset, task))


@st.cache_data(show_spinner=False, ttl=60, max_entries=16)
def _stored(dataset: str, task: str) -> list[str]:
    paths = {m: store.weights_path(dataset, task, m) for m in MODELS}
    return [m for m, path in paths.items() if path.with_name(path.name + ".safetensors").is_file()]


def load_model(dataset: str, task: str, model: str) -> Model:
    """A trained model: read once for all sessions, or the reader's own."""
    return held(task).models[model] if dataset == OWN else _stored_model(dataset, task, model)


@st.cache_resource(show_spinner="Reading stored weights …", max_entries=64)
def _stored_model(dataset: str, task: str, model: str) -> Model:
    return store.load_model(store.weights_path(dataset, task, model), load_dataset(dataset, task).fields)


def frozen(edits: Mapping[str, Any]) -> Edits:
    """Edits of a row as the key of a cache."""
    return tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in edits.items())


def edited_row(data: str, task: str, row: int, edits: Edits = ()) -> Rows:
    """A test row with edits, as models read it; without any it is the row itself, label and all."""
    return _encoded(data, task, row, edits) if edits else load_dataset(data, task).test[row]


@cached(st.cache_resource, show_spinner=False, max_entries=64)
def _encoded(data: str, task: str, row: int, edits: Edits) -> Rows:
    dataset = load_dataset(data, task)
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in edits}
    return dataset.encode(edited(dataset, original(dataset, row), values))


def raw_edits(data: str, task: str, row: int, edits: Mapping[str, Any]) -> dict[str, Any]:
    """Edits as the encoder takes them, of those fields that they change."""
    dataset = load_dataset(data, task)
    first = original(dataset, row)
    return {k: v for k, v in edited(dataset, first, edits).items() if v != first[k]}


@cached(st.cache_data, show_spinner="Scoring the test part …", max_entries=64)
def test_predictions(dataset: str, task: str, model: str) -> np.ndarray:
    """Probabilities of all test rows."""
    return predict(load_model(dataset, task, model), load_dataset(dataset, task).test).numpy()


# --- who took what, and retrievers ----------------------------------------------------------------------------------


@st.cache_resource(show_spinner="Reading the data …", max_entries=1)
def load_interactions() -> Interactions:
    """The interactions, read once for all sessions."""
    torch.set_num_threads(1)
    return interactions()


@st.cache_resource(show_spinner="Reading stored models …", max_entries=16)
def retriever(model: str) -> Retriever:
    """A tuned retriever, made once for all sessions."""
    return load_retriever(model, load_interactions())


# --- clicks at a place of a list ------------------------------------------------------------------------------------


@st.cache_resource(show_spinner="Simulating clicks …", max_entries=1)
def click_log() -> Clicks:
    """The log of the stored click models, simulated once for all sessions."""
    return stored_clicks.log()


@st.cache_resource(show_spinner="Reading stored weights …", max_entries=8)
def click_model(model: str) -> Model:
    """A stored click model, read once for all sessions."""
    return stored_clicks.load(model, click_log())


# --- results --------------------------------------------------------------------------------------------------------


@st.cache_data(show_spinner=False, max_entries=4)
def results(dataset: str, task: str) -> list[dict[str, Any]]:
    """The committed runs; none if there is no results file yet."""
    try:
        return store.load_results(dataset, task)
    except ValueError:
        return []


@st.cache_data(show_spinner=False, max_entries=8)
def record(file: str) -> dict[str, Any]:
    """A committed results file, by its name without ending; empty if there is none yet."""
    try:
        return store.read_json(store.RESULTS / f"{file}.json")
    except ValueError:
        return {}
