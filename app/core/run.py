"""One training at a time on a server: the lock, a turn, and the bar that tells how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import streamlit as st
import torch
from streamlit.delta_generator import DeltaGenerator

from .names import name, plain

BUSY = "Another training is running on this server. Wait some seconds, then press the button again."


@st.cache_resource(max_entries=1)
def lock() -> threading.Lock:
    """Held while models train: PyTorch has one random generator, so one session of the server trains at a time."""
    return threading.Lock()


@contextmanager
def turn(first: str) -> Iterator[DeltaGenerator | None]:
    """A turn to train: its progress bar, or nothing and a warning while another session trains.

    A ``ValueError`` within is told to the reader and ends there.

    Args:
        first: what the bar says at first.
    """
    if not lock().acquire(blocking=False):
        st.warning(BUSY)
        yield None
        return
    bar = st.progress(0.0, first)
    try:
        torch.set_num_threads(1)
        yield bar
    except ValueError as error:
        st.error(f"**Nothing was trained.** {plain(str(error))}")
    finally:
        lock().release()
        bar.empty()


def teller(
    bar: DeltaGenerator, models: Sequence[str], epochs: int, words: Callable[[str], str] = name
) -> Callable[[str, int], None]:
    """What a training calls after each epoch: it moves the bar.

    Args:
        bar: of :func:`turn`.
        models: those that train, one after the other.
        epochs: how many a model has at most.
        words: a model in words.
    """

    def told(model: str, epoch: int) -> None:
        share = (models.index(model) + epoch / epochs) / len(models)
        bar.progress(share, f"{words(model)}: epoch {epoch}, at most {epochs}")

    return told
