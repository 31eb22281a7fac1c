"""Serving a trained model: raw rows of a table in, probabilities out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ..data.table_text import read, rows_of
from ..fields import Encoder
from ..models import Model
from .inference import predict

Raw: TypeAlias = str | os.PathLike[str] | bytes | pd.DataFrame | Sequence[Mapping[str, Any]]


def score(model: Model, table: Raw, *, batch_size: int = 8192, **options: Any) -> np.ndarray:
    """What a trained model says of new rows, as they come: no label, no encoding by hand.

    Rows are encoded by the model's own fields, exactly as training encoded its rows: a value that training never
    showed goes to the reserved row, a missing number is the training part's median, numbers are scaled by its mean and
    deviation. Columns that the model does not read may be there; all that it reads must.

    Args:
        model: trained on a table, or loaded by :func:`~recsys_lite.store.load_model`.
        table: the path or the bytes of a CSV file, a DataFrame, or a list of dicts, one for each row.
        batch_size: how many rows go through the model at once. Default 8192.
        options: of a file, as in :func:`recsys_lite.data.table_text.read`: ``separator``, ``names``.

    Returns:
        float64 probabilities (B,), one for each row, in their order.

    Raises:
        TableError: naming row (or line) and column of all that is neither a value that may be new nor a number that may
            be missing. ValueError: for a column that is not there, or a model whose raw rows cannot be encoded.

    Example:
        >>> from recsys_lite.data import table
        >>> from recsys_lite.models import LogisticRegression
        >>> data = table.read_csv(table.example(), {"drink": "categorical", "age": "numeric", "taken": "label"})
        >>> score(LogisticRegression(data.fields), [{"drink": "cocoa", "age": 30}, {"drink": "new", "age": None}])
        array([0.5, 0.5])
    """
    if not isinstance(model, Model):
        raise ValueError(f"score: {type(model).__name__} reads no fields, so raw rows cannot be encoded for it")
    if isinstance(table, (str, os.PathLike)):
        table = Path(table).expanduser().read_bytes()
    frame = read(table, least=1, **options) if isinstance(table, bytes) else rows_of(table, model.fields)
    rows = Encoder(model.fields).rows(frame, "line" if frame.index.name == "line" else "row")
    return predict(model, rows, batch_size).numpy()
