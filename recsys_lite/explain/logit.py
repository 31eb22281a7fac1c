"""What a model computed, as plain tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from ..fields import PADDING, UNSEEN, Dataset, Rows, find_field
from ..layers import on_cpu
from ..models import FM, Model, WideDeep


@torch.no_grad()
def logit_parts(model: Model, rows: Rows, fine: bool = False) -> pd.DataFrame:
    """The exact parts of each row's logit: a line per row, a column per part, and their sum in ``logit``.

    Raises:
        ValueError: if the parts do not sum to the model's logit (a model that does not say the truth about itself).
    """
    model, rows = on_cpu(model), rows.to("cpu")
    parts = pd.DataFrame({name: part.numpy() for name, part in model.parts(rows, fine).items()})
    logit = model(rows).numpy()
    if not np.allclose(parts.sum(axis=1), logit, rtol=1e-4, atol=1e-4):
        raise ValueError(f"{type(model).__name__}: the parts do not sum to the logit")
    return parts.assign(logit=logit)


@torch.no_grad()
def top_crosses(model: WideDeep, dataset: Dataset, rows: Rows, count: int = 10) -> pd.DataFrame:
    """The crosses of the wide part with the largest |weight| among those that occur in ``rows``, in words.

    Columns: cross, condition, weight, rows (in how many it holds), shared (how many combinations that occur in
    ``rows`` share its weight through hashing; 1 means it is its own).
    """
    model, rows, tables = on_cpu(model), rows.to("cpu"), []
    if model.crosses is None:
        raise ValueError("top_crosses: this model has no wide part")
    for k, cross in enumerate(model.crosses.crosses):
        values, counts = model.crosses.combinations(rows, k)
        unique, seen = torch.unique(values[counts], dim=0, return_counts=True)
        bucket = model.crosses.bucket(k, unique)
        _, inverse, shared = torch.unique(bucket, return_inverse=True, return_counts=True)
        weight = model.crosses.weight[bucket]
        best = weight.abs().topk(min(count, len(weight))).indices
        labels = [find_field(dataset.fields, name).vocabulary for name in cross]
        for i in best.tolist():
            words = ", ".join(
                f"{name}={v.label(int(unique[i, j]))}"  # type: ignore[union-attr]
                for j, (name, v) in enumerate(zip(cross, labels, strict=True))
            )
            tables.append(
                (" AND ".join(cross), f"AND({words})", weight[i].item(), int(seen[i]), int(shared[inverse[i]]))
            )
    frame = pd.DataFrame(tables, columns=["cross", "condition", "weight", "rows", "shared"])
    order = frame["weight"].abs().sort_values(ascending=False, kind="stable").index
    return frame.loc[order].head(count).reset_index(drop=True)


def neighbours(model: FM, field: str, value: int, count: int = 10) -> pd.DataFrame:
    """The values of a field whose embeddings point the same way as that of ``value``: label, cosine."""
    model, f = on_cpu(model), find_field(model.fields, field)
    if f.vocabulary is None or not UNSEEN < value < f.size:
        raise ValueError(f"neighbours: field {field!r} has no value number {value}")
    start = model.embedding.row(field)
    table = model.embedding.table.weight.detach()[start : start + f.size]
    cosine = torch.nn.functional.cosine_similarity(table, table[value : value + 1])
    cosine[UNSEEN] = cosine[value] = -2
    best = cosine.topk(min(count, f.size - 2)).indices.tolist()
    return pd.DataFrame([(f.vocabulary.label(i), cosine[i].item()) for i in best], columns=["label", "cosine"])


def readable(dataset: Dataset, rows: Rows, index: int = 0) -> dict[str, str]:
    """One row in words: titles for ids, lists joined, numbers shortened."""
    row, result = rows[index], {}
    c = m = 0
    for f in dataset.fields:
        if f.kind == "categorical":
            result[f.name] = f.vocabulary.label(int(row.ids[0, c]))  # type: ignore[union-attr]
            c += 1
        elif f.kind == "numeric":
            result[f.name] = f"{row.numeric[0, m].item():.3g}"
            m += 1
        else:
            ids = row.bags[f.name][0]
            result[f.name] = ", ".join(f.vocabulary.label(int(i)) for i in ids[ids != PADDING]) or "–"  # type: ignore[union-attr]
    return result
