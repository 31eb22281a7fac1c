"""Trainings, each in a process of its own: whose turn it is, how far it is, and its end when its visitor leaves."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from recsys_lite.lab.worker import Worker

from .names import name, plain

BUSY = "Another training is running on this server. Wait some seconds, then press the button again."
MOST_LIVE = 3  # processes of paused or playing races; each holds some hundred megabytes


@st.cache_resource(max_entries=1)
def lock() -> threading.Lock:
    """Held while models train: one session trains at a time, so that a processor is left for all others."""
    return threading.Lock()


@st.cache_resource(max_entries=1)
def _live() -> weakref.WeakSet[Worker]:
    return weakref.WeakSet()


def live(job: str, *arguments: Any, **options: Any) -> Worker | None:
    """A process that waits to be asked for its steps, or nothing where there are enough of them."""
    if sum(worker.alive for worker in list(_live())) >= MOST_LIVE:
        return None
    worker = Worker(job, *arguments, **options)
    _live().add(worker)
    return worker


@contextmanager
def turn(first: str) -> Iterator[DeltaGenerator | None]:
    """A turn to train: its progress bar, or nothing and a warning while another session trains.

    A ``ValueError`` within, and an end of the process, are told to the reader and end there.

    Args:
        first: what the bar says at first.
    """
    if not lock().acquire(blocking=False):
        st.warning(BUSY)
        yield None
        return
    bar = st.progress(0.0, first)
    try:
        yield bar
    except (ValueError, RuntimeError) as error:
        st.error(f"**Nothing was trained.** {plain(str(error))}")
    finally:
        lock().release()
        bar.empty()


def train(
    bar: DeltaGenerator, first: str, models: Sequence[str], most: int, job: str, *arguments: Any,
    words: Callable[[str], str] = name, **options: Any,
) -> Any:  # fmt: skip
    """The result of a job, made in a process of its own; the bar tells of each epoch.

    While the process works, the bar is told the same again: there Streamlit stops a run whose visitor has left or has
    changed a control, and the process ends with it.

    Args:
        bar: of :func:`turn`.
        first: what the bar says until the first epoch is done.
        models: those that train, one after the other.
        most: how many epochs a model has at most.
        job: see :class:`~recsys_lite.lab.worker.Worker`; it yields model and epoch, and ``""`` when all are trained.
        words: a model in words.
    """
    last = [(0.0, first)]

    def told(step: tuple[str, int]) -> None:
        model, epoch = step
        if model:
            share = (models.index(model) + epoch / most) / len(models)
            last[0] = (share, f"{words(model)}: epoch {epoch}, at most {most}")
        else:
            last[0] = (1.0, "Looking at the test rows …")
        bar.progress(*last[0])

    return Worker(job, *arguments, **options).run(told, lambda: bar.progress(*last[0]))
