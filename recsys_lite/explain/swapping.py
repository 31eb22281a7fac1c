"""Which fields interact in any model: found by swapping fields between rows, held against maps of its own and truth."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..evaluation import metrics
from ..fields import Field, Rows, find_field, swap
from ..layers import on_cpu
from ..models import Model

BATCH = 8192  # swapped rows that go through a model at once


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
    model, rows = on_cpu(model), rows.to("cpu")
    names = list(names) or [f.name for f in model.fields]
    other = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
    score = lambda chosen: model(swap(model.fields, rows, chosen, other))  # noqa: E731
    z, single = model(rows), {name: score([name]) for name in names}
    before = metrics.evaluate(rows.label, z, logits=True)
    lines = []
    for a, b in combinations(names, 2):
        delta = z - single[a] - single[b] + score([a, b])
        after = metrics.evaluate(rows.label, z - delta, logits=True)
        change = {m: after[m] - before[m] for m in ("log_loss", "auc")}
        lines.append({"a": a, "b": b, "strength": delta.abs().mean().item(), **change})
    return pd.DataFrame(lines).sort_values("log_loss", ascending=False, kind="stable", ignore_index=True)


def row_effects(
    model: Model, row: Rows, others: Rows, names: Sequence[str] = (), swapped: Rows | None = None
) -> pd.DataFrame:  # fmt: skip
    r"""What each field and each pair of fields does to the logit of one row, in log-odds, of any model.

    The fields are swapped for those of N other rows x', alone and together. On the diagonal stands the effect of a
    field alone, elsewhere that part which only the pair explains (zero wherever two fields only add):

    .. math:: \Delta_a = \frac{1}{N} \sum_{x'} \big(z(x) - z(x_{a \leftarrow x'})\big), \qquad
        \Delta_{ab} = \frac{1}{N} \sum_{x'} \big(z(x) - z(x_{a \leftarrow x'}) - z(x_{b \leftarrow x'})
        + z(x_{ab \leftarrow x'})\big)

    Args:
        model: any model.
        row: the row x, (1).
        others: the rows x', (N).
        names: the fields to look at, in the order of the table. Default: all of the model's.
        swapped: of :func:`swapped_rows` for the same rows and names, where several models share them.

    Returns:
        a symmetric field-by-field table. A cell depends on the other rows, so compare tables of the same ones only.

    Raises:
        ValueError: for another number of rows than one, no other rows, or an unknown field.

    Example:
        >>> from recsys_lite.data.simulated.planted import planted
        >>> from recsys_lite.models import LogisticRegression
        >>> data = planted(order=2, seed=0, rows=40, fields=2)
        >>> row_effects(LogisticRegression(data.fields), data.test[0], data.test).loc["A", "B"].item()
        0.0
    """
    names = list(names) or [f.name for f in model.fields]
    if swapped is None:
        swapped = swapped_rows(model.fields, row, others, names)
    lost = _lost(model, row, swapped, len(others))
    table = np.diag(lost[: len(names)])
    for (a, b), both in zip(combinations(range(len(names)), 2), lost[len(names) :], strict=True):
        table[a, b] = table[b, a] = lost[a] + lost[b] - both
    return pd.DataFrame(table, index=names, columns=names)


def field_effects(model: Model, row: Rows, others: Rows) -> pd.Series:
    """The diagonal of :func:`row_effects` for all fields: what each alone does to the logit of a row."""
    names = [f.name for f in model.fields]
    swapped = swapped_rows(model.fields, row, others, names, pairs=False)
    return pd.Series(_lost(model, row, swapped, len(others)), index=names)


def swapped_rows(
    fields: Sequence[Field], row: Rows, others: Rows, names: Sequence[str], pairs: bool = True
) -> Rows:  # fmt: skip
    """The row with each of some fields, and then each pair of them, taken from every other row: what models are asked.

    Args:
        fields: the columns of both.
        row, others, names: see :func:`row_effects`.
        pairs: whether pairs follow the single fields. Default yes.

    Returns:
        as many rows for each choice of fields as there are others.

    Raises:
        ValueError: for another number of rows than one, no other rows, or an unknown field.
    """
    if len(row) != 1 or not len(others):
        raise ValueError(f"row_effects: expected one row and some others, got {len(row)} and {len(others)}")
    for name in names:
        find_field(fields, name)
    chosen = [*({name} for name in names), *(map(set, combinations(names, 2)) if pairs else ())]

    def of(kind: str) -> Tensor:
        columns = [f.name for f in fields if f.kind == kind]
        return torch.tensor([[name in which for name in columns] for which in chosen], dtype=torch.bool).unsqueeze(1)

    def taken(mask: Tensor, ours: Tensor, theirs: Tensor) -> Tensor:  # mask (K, 1, C or 1) -> (K N, C)
        return torch.where(mask, theirs, ours).reshape(len(chosen) * len(others), ours.shape[1])

    bags = {
        name: taken(torch.tensor([name in which for which in chosen]).view(-1, 1, 1), bag, others.bags[name])
        for name, bag in row.bags.items()
    }
    return Rows(taken(of("categorical"), row.ids, others.ids), taken(of("numeric"), row.numeric, others.numeric), bags)


@torch.no_grad()
def _lost(model: Model, row: Rows, swapped: Rows, others: int) -> list[float]:
    """z(x) less the mean of z(x with some fields of x'), for each choice of fields."""
    means = torch.cat([model(part) for part in swapped.batches(BATCH)]).double().view(-1, others)
    return (model(row).double() - means).mean(1).tolist()


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
        truth: a symmetric table, such as :func:`recsys_lite.data.simulated.planted.planted_pairs`.

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
