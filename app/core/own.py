"""The reader's own table and the models trained on it, on the stage like any other, in this session alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import streamlit as st

from recsys_lite.fields import Dataset
from recsys_lite.models import Model

OWN = "own"  # in place of a data set's name; a training's key stands in place of the task
HELD = "own.trained"  # in the state of the session

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Own:
    """A training on a reader's table.

    Attributes:
        key: of this training, drawn by chance.
        words: what the data are called on the stage.
        dataset: the encoded table.
        models: name -> trained model.
        code: the notebook lines that make ``dataset`` and ``trials`` of the file.
    """

    key: str
    words: str
    dataset: Dataset
    models: Mapping[str, Model]
    code: str


def held(key: str) -> Own:
    """The training of a key.

    Raises:
        ValueError: if this session holds none, or another one by now.
    """
    own: Own | None = st.session_state.get(HELD)
    if own is None or own.key != key:
        raise ValueError("this session holds no such training: open “Your data” and train there")
    return own


def listed() -> dict[tuple[str, str], str]:
    """The session's training as data and task, in words; empty without one."""
    own: Own | None = st.session_state.get(HELD)
    return {} if own is None else {(OWN, own.key): own.words}


def cached(cache: Callable[..., Any], **options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A cache of a function of (data, …): shared by all sessions, but for the reader's own data, which stay in theirs.

    Args:
        cache: ``st.cache_data`` or ``st.cache_resource``.
        options: of it.
    """

    def made(function: Callable[P, R]) -> Callable[P, R]:
        for_all, for_one = cache(**options)(function), cache(scope="session", **options)(function)

        @functools.wraps(function)
        def chosen(*arguments: P.args, **more: P.kwargs) -> R:
            result: R = (for_one if arguments[0] == OWN else for_all)(*arguments, **more)
            return result

        return chosen

    return made
