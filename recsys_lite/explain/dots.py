"""What a trained DLRM leans on, and what its tables weigh, as plain tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pandas as pd
import torch
from scipy.stats import spearmanr

from ..evaluation.metrics import auc, log_loss
from ..fields import Field, Rows
from ..layers import on_cpu
from ..models import DLRM


@torch.no_grad()
def dot_ablation(model: DLRM, rows: Rows) -> pd.DataFrame:
    """What each dot product is worth to a trained model: it is held at its mean over the rows, all else is kept.

    Args:
        model: in evaluation mode; its weights stay as they are.
        rows: with labels, of which both occur; not those that it was trained on.

    Returns:
        a line per dot, the most useful first: ``a`` and ``b``, the two vectors; ``log_loss`` and ``auc``, their change
        without it (a useful dot: the loss rises, the area falls); ``spread``, its standard deviation.

    Two dots that say the same can stand in for each other, and both then seem useless: this is what *this* model uses,
    not what a model trained without the dot would lack.

    Example:
        >>> from recsys_lite import data
        >>> criteo = data.load("criteo-sample")
        >>> table = dot_ablation(DLRM(criteo.fields).eval(), criteo.test)
        >>> len(table), list(table.columns)
        (351, ['a', 'b', 'log_loss', 'auc', 'spread'])
    """
    model, rows = on_cpu(model), rows.to("cpu")
    if rows.label is None:
        raise ValueError("dot_ablation: the rows have no labels")
    z0, dots = model.interact(rows)
    x, d = torch.cat([z0, dots], 1), z0.shape[1]
    p = torch.sigmoid(model.top(x).squeeze(-1))
    loss, area = log_loss(rows.label, p), auc(rows.label, p)
    records = []
    for k, (a, b) in enumerate(model.pairs(), start=d):
        kept = x[:, k].clone()
        x[:, k] = kept.mean()
        p = torch.sigmoid(model.top(x).squeeze(-1))
        x[:, k] = kept
        records.append((a, b, log_loss(rows.label, p) - loss, auc(rows.label, p) - area, kept.std().item()))
    table = pd.DataFrame(records, columns=["a", "b", "log_loss", "auc", "spread"])
    return table.sort_values("log_loss", ascending=False, kind="stable", ignore_index=True)


def mean_ablation(tables: Sequence[pd.DataFrame], column: str = "log_loss") -> pd.DataFrame:
    """Ablations of several seeds in one: ``pair``, the ``mean``, ``low`` and ``high`` (smallest and largest seed).

    The largest mean comes first.
    """
    together = pd.concat([t.assign(pair=t["a"] + " × " + t["b"]) for t in tables])
    found = together.groupby("pair", sort=False)[column].agg(mean="mean", low="min", high="max").reset_index()
    return found.sort_values("mean", ascending=False, kind="stable", ignore_index=True)


def agreement(values: Sequence[pd.Series]) -> float:
    """How far several seeds put the same things in the same order: mean Spearman correlation of all pairs of seeds.

    Args:
        values: a series for each seed; all have the same index, in any order.

    Example:
        >>> agreement([pd.Series([3, 2, 1], list("abc")), pd.Series([9, 5, 4], list("abc"))])
        1.0
    """
    pairs = [spearmanr(a, b.loc[a.index]).statistic for a, b in combinations(values, 2)]
    return float(sum(pairs) / len(pairs))


def table_bytes(fields: Sequence[Field], dim: int = 16, number: int = 4, copies: int = 1) -> pd.DataFrame:
    """Embedding tables by size: ``table``, ``rows``, ``parameters``, ``bytes`` and ``share`` of all bytes.

    Args:
        dim: d, numbers in a row.
        number: bytes of a number. Default 4, float32.
        copies: 1 for the weights alone (default), 2 with AdaGrad's or momentum's state, 3 with Adam's.

    Fields that look into one table count once. Numeric fields have none.
    """
    sizes = {f.table: f.size for f in fields if f.kind != "numeric"}
    out = pd.DataFrame({"table": list(sizes), "rows": list(sizes.values())})
    out["parameters"] = out["rows"] * dim
    out["bytes"] = out["parameters"] * number * copies
    out["share"] = out["bytes"] / out["bytes"].sum()
    return out.sort_values("rows", ascending=False, kind="stable", ignore_index=True)
