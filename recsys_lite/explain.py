"""What a model computed, as plain tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import torch

from . import metrics
from .fields import PADDING, UNSEEN, Dataset, Rows, find_field, swap
from .models import DHEN, FM, AutoInt, Model, WideDeep
from .models.cross_model import CrossModel


@torch.no_grad()
def logit_parts(model: Model, rows: Rows, fine: bool = False) -> pd.DataFrame:
    """The exact parts of each row's logit: a line per row, a column per part, and their sum in ``logit``.

    Raises:
        ValueError: if the parts do not sum to the model's logit (a model that does not say the truth about itself).
    """
    parts = pd.DataFrame({name: part.numpy() for name, part in model.parts(rows, fine).items()})
    logit = model(rows).numpy()
    if not np.allclose(parts.sum(axis=1), logit, rtol=1e-4, atol=1e-4):
        raise ValueError(f"{type(model).__name__}: the parts do not sum to the logit")
    return parts.assign(logit=logit)


@torch.no_grad()
def pair_strength(model: Model, rows: Rows, signed: bool = False) -> pd.DataFrame:
    r"""The logit's parts of pairs, such as ⟨e_f, e_g⟩, as a symmetric table: the mean over rows of their size.

    For models whose fine parts name pairs: FM, DeepFM (its FM part) and DLRM (what each dot adds at a row, see
    :func:`recsys_lite.layers.linear_piece`). The diagonal holds the pairs within one bag and is zero for single values.

    Args:
        signed: the mean of the parts themselves in place of their absolute values.

    Raises:
        ValueError: for a model without parts of pairs.
    """
    pairs = {name: part for name, part in model.parts(rows, fine=True).items() if " × " in name}
    if not pairs:
        raise ValueError(f"pair_strength: the logit of {type(model).__name__} has no parts of pairs")
    names = list(getattr(model, "vectors", [f.name for f in model.fields]))
    table = pd.DataFrame(0.0, index=names, columns=names)
    for name, part in pairs.items():
        a, b = name.split(" × ")
        table.loc[a, b] = table.loc[b, a] = (part if signed else part.abs()).mean().item()
    return table


@torch.no_grad()
def interactions(model: Model, rows: Rows, names: Sequence[str] = (), seed: int = 0) -> pd.DataFrame:
    r"""How much each pair of fields interacts in any model, and what that interaction is worth.

    For each row x another row x' is drawn. The part of the logit that only the *pair* a, b explains is the mixed
    difference, zero for every model in which the two fields only add:

    .. math:: \delta_{ab} = z(x) - z(x_{a \leftarrow x'}) - z(x_{b \leftarrow x'}) + z(x_{ab \leftarrow x'})

    Args:
        model: any model.
        rows: labelled rows.
        names: the fields to look at. Default: all of the model's.
        seed: of the rows drawn.

    Returns:
        a line per pair: a, b, ``strength`` (mean of :math:`|\delta_{ab}|`, what a map of a model should show) and
        ``log_loss`` and ``auc``, their change when :math:`\delta_{ab}` is taken out of the logit (what it is worth: a
        useful interaction raises log loss and lowers AUC when it goes). Sorted by ``log_loss``, the most useful first.

    Raises:
        ValueError: for rows without labels, or an unknown field.
    """
    if rows.label is None:
        raise ValueError("interactions: the rows have no labels")
    names = list(names) or [f.name for f in model.fields]
    other = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
    score = lambda chosen: model(swap(model.fields, rows, chosen, other))  # noqa: E731
    z, single = model(rows), {name: score([name]) for name in names}
    before = metrics.evaluate(rows.label, torch.sigmoid(z))
    lines = []
    for a, b in combinations(names, 2):
        delta = z - single[a] - single[b] + score([a, b])
        after = metrics.evaluate(rows.label, torch.sigmoid(z - delta))
        change = {m: after[m] - before[m] for m in ("log_loss", "auc")}
        lines.append({"a": a, "b": b, "strength": delta.abs().mean().item(), **change})
    return pd.DataFrame(lines).sort_values("log_loss", ascending=False, kind="stable", ignore_index=True)


def square(table: pd.DataFrame, column: str, names: Sequence[str] = ()) -> pd.DataFrame:
    """One column of :func:`interactions` as a symmetric field-by-field table; the diagonal is empty.

    ``names`` gives the order of the fields; by default the fields of the first pairs come first.

    Example:
        >>> square(pd.DataFrame([{"a": "x", "b": "y", "strength": 2.0}]), "strength").fillna(0).to_numpy().tolist()
        [[0.0, 2.0], [2.0, 0.0]]
    """
    names = list(names) or list(dict.fromkeys([*table["a"], *table["b"]]))
    out = pd.DataFrame(np.nan, index=names, columns=names)
    for a, b, value in table[["a", "b", column]].itertuples(index=False):
        out.loc[a, b] = out.loc[b, a] = value
    return out


def beside(own: pd.DataFrame, swapped: pd.DataFrame, truth: pd.DataFrame | None = None) -> pd.DataFrame:
    """A model's own map of pairs beside what its logit does and, where it is known, the truth.

    Args:
        own: a field-by-field table of weights, such as :func:`attention`; a pair is the mean of the absolute values of
            its two cells.
        swapped: of :func:`interactions`.
        truth: a symmetric table, such as :func:`recsys_lite.planted.planted_pairs`.

    Returns:
        a line per pair of two fields that both know: a, b, own, swapped (strength), log loss (worth) and, with a truth,
        planted; the strongest of ``swapped`` first.

    Example:
        >>> own = pd.DataFrame([[0.0, 1.0], [3.0, 0.0]], index=["x", "y"], columns=["x", "y"])
        >>> beside(own, pd.DataFrame([{"a": "x", "b": "y", "strength": 0.5, "log_loss": 0.1}])).to_numpy().tolist()
        [['x', 'y', 2.0, 0.5, 0.1]]
    """
    lines = []
    for a, b, strength, worth in swapped[["a", "b", "strength", "log_loss"]].itertuples(index=False):
        if a in own.index and b in own.index:
            line = [a, b, (abs(own.loc[a, b]) + abs(own.loc[b, a])) / 2, strength, worth]
            lines.append([*line, truth.loc[a, b]] if truth is not None else line)
    columns = ["a", "b", "own", "swapped", "log loss", "planted"][: 5 + (truth is not None)]
    table = pd.DataFrame(lines, columns=columns)
    return table.sort_values("swapped", ascending=False, kind="stable", ignore_index=True)


@torch.no_grad()
def attention(
    model: AutoInt | DHEN, rows: Rows, layer: int | None = None, head: int | None = None
) -> pd.DataFrame:  # fmt: skip
    """Attention weights, mean over rows: a line per field that looks, a column per field looked at; lines sum to 1.

    Args:
        model: an AutoInt, or a DHEN whose first layer has an attention module; of a DHEN only that layer looks at
            fields, later ones look at what layers made, so it counts as one layer with one head.
        rows: one row for its own map, many for their mean.
        layer, head: which, from 0. Default: the mean over all.

    Raises:
        ValueError: for a layer or head that does not exist, or a DHEN without attention in its first layer.
    """
    found = model.attention(rows)
    if isinstance(model, DHEN):
        if "attention" not in model.config["modules"]:
            raise ValueError("attention: this DHEN has no attention module")
        found = found[:1]
    maps = torch.stack(found).mean(1)  # (L, B, H, F, F) -> (L, H, F, F)
    for what, chosen, count in (("layer", layer, len(maps)), ("head", head, maps.shape[1])):
        if chosen is not None and not 0 <= chosen < count:
            raise ValueError(f"attention: {what} {chosen} of {count}")
    part = maps if layer is None else maps[layer : layer + 1]
    part = part if head is None else part[:, head : head + 1]
    names = model.vectors if isinstance(model, DHEN) else [f.name for f in model.fields]
    return pd.DataFrame(part.mean((0, 1)).numpy(), index=names, columns=names)


@torch.no_grad()
def cross_strength(model: CrossModel, layer: int = 0) -> pd.DataFrame:
    """The weight view of a cross layer as a field-by-field table, see the model's ``block_norms``.

    Not symmetric: lines are the fields of :math:`x_0`, columns those of :math:`x_l`.
    """
    names = list(model.input.blocks)
    return pd.DataFrame(model.block_norms(layer).numpy(), index=names, columns=names)


@torch.no_grad()
def top_crosses(model: WideDeep, dataset: Dataset, rows: Rows, count: int = 10) -> pd.DataFrame:
    """The crosses of the wide part with the largest |weight| among those that occur in ``rows``, in words.

    Columns: cross, condition, weight, rows (in how many it holds), shared (how many combinations that occur in
    ``rows`` share its weight through hashing; 1 means it is its own).
    """
    if model.crosses is None:
        raise ValueError("top_crosses: this model has no wide part")
    tables = []
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
    f = find_field(model.fields, field)
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
