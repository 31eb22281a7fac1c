"""Made-up data whose truth is known: crosses of a chosen order that no smaller set of fields tells anything about."""

from __future__ import annotations

from itertools import combinations

import pandas as pd
import torch

from ...fields import Dataset, Field, Rows, Vocabulary

NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

#: The data on which models are stored for looking inside: two pairs among six fields, two fields of noise.
PAIRS = {"order": 2, "seed": 0, "crosses": 2}


def planted(
    order: int,
    seed: int,
    rows: int = 8000,
    fields: int = 6,
    values: int = 10,
    noise: float = 0.1,
    crosses: int = 1,
    signal: bool = True,
) -> Dataset:
    r"""Rows of independent uniform fields A, B, … whose labels follow products of signs.

    Each value v of each field f has a sign :math:`s_f(v)`, half of them + and half −. A cross of the fields C is the
    product :math:`\prod_{f \in C} s_f(x_f)`: balanced, and balanced still once any of its fields is left open, so
    no field alone and no smaller set of fields tells anything of the label. With one cross the label is the cross
    (1 for +, 0 for −), but turned over in a share ``noise`` of the rows. With several disjoint crosses it is that of
    one of them, drawn by chance for each row.

    Args:
        order: fields in a cross, from 1.
        seed: of the rows, the signs and the fields that are crossed.
        rows: for training; a quarter as many each to validate and to test.
        fields: columns in all; those in no cross are noise.
        values: of each field, an even number.
        noise: share of labels turned over, below 0.5. No score reaches a higher expected AUC than 1 - noise.
        crosses: how many; no field is in two.
        signal: ``False`` draws labels by coin and leaves all else as it is, for a control.

    Returns:
        a data set whose ``extras`` hold the truth: ``crosses``, a tuple of tuples of field names in order; ``signs``,
        field name -> (values + 1,) with 0 for the unseen row; ``probability`` (of the test rows), the best possible
        prediction; ``noise`` and ``signal`` as given.

    Raises:
        ValueError: for sizes that do not fit each other.

    Example:
        >>> data = planted(order=3, seed=0)
        >>> data.extras["crosses"], len(data.train), len(data.test)
        ((('C', 'D', 'F'),), 8000, 2000)
    """
    if order < 1 or crosses < 1 or not order * crosses <= fields <= len(NAMES):
        raise ValueError(
            f"planted: {crosses} crosses of order {order} do not fit {fields} fields (at most {len(NAMES)})"
        )
    if values < 2 or values % 2 or not 0 <= noise < 0.5 or rows < 4:
        raise ValueError(
            f"planted: need even values, noise in [0, 0.5) and rows >= 4, got {values=}, {noise=}, {rows=}"
        )
    g = torch.Generator().manual_seed(seed)
    total = rows + 2 * (rows // 4)
    place = torch.randperm(fields, generator=g)[: order * crosses].reshape(crosses, order).sort(1).values
    signs = torch.stack([torch.randperm(values, generator=g) % 2 * 2.0 - 1 for _ in range(fields)])  # (F, V)
    signs = torch.cat([torch.zeros(fields, 1), signs], 1)  # row 0 is for unseen values
    ids = torch.randint(1, values + 1, (total, fields), generator=g)
    of_rows = signs[torch.arange(fields), ids]  # (B, F)
    mean = torch.stack([of_rows[:, c].prod(1) for c in place]).mean(0)  # (B,), of the crosses
    probability = 0.5 + (0.5 - noise) * mean * signal
    label = (torch.rand(total, generator=g) < probability).float()
    digits = len(str(values - 1))
    columns = tuple(
        Field(n, "categorical", Vocabulary([f"{n}{k:0{digits}d}" for k in range(values)])) for n in NAMES[:fields]
    )
    x = Rows(ids.int(), torch.zeros(total, 0), {}, label, torch.full((total,), -1))
    truth = {
        "crosses": tuple(sorted(tuple(NAMES[k] for k in c) for c in place.tolist())),
        "signs": {n: signs[k] for k, n in enumerate(NAMES[:fields])},
        "probability": probability[rows + rows // 4 :],
        "noise": noise,
        "signal": signal,
    }
    parts = x[:rows], x[rows : rows + rows // 4], x[rows + rows // 4 :]
    return Dataset("planted", f"order {order}" if signal else "coin", columns, *parts, extras=truth)


def planted_pairs(dataset: Dataset) -> pd.DataFrame:
    """The truth of :func:`planted` as a symmetric field-by-field table: 1 for two fields of one cross, else 0.

    Raises:
        ValueError: for a data set without planted crosses.

    Example:
        >>> int(planted_pairs(planted(order=2, seed=0)).to_numpy().sum())
        2
    """
    if "crosses" not in dataset.extras:
        raise ValueError(f"planted_pairs: {dataset.name} holds no planted crosses")
    names = [f.name for f in dataset.fields]
    table = pd.DataFrame(0.0, index=names, columns=names)
    for cross in dataset.extras["crosses"]:
        for a, b in combinations(cross, 2):
            table.loc[a, b] = table.loc[b, a] = 1.0
    return table


def planted_probability(dataset: Dataset, rows: Rows) -> torch.Tensor:
    r"""The best possible prediction for any rows of :func:`planted` data, (B,); ½ where a crossed value is unseen.

    .. math:: p = \tfrac12 + (\tfrac12 - \text{noise}) \; \operatorname{mean}_C \prod_{f \in C} s_f(x_f)

    Raises:
        ValueError: for a data set without planted crosses.

    Example:
        >>> data = planted(order=2, seed=0, crosses=2)
        >>> bool((planted_probability(data, data.test) == data.extras["probability"]).all())
        True
    """
    if "crosses" not in dataset.extras:
        raise ValueError(f"planted_probability: {dataset.name} holds no planted crosses")
    place = {f.name: k for k, f in enumerate(dataset.fields)}
    signs = dataset.extras["signs"]
    of = lambda name: signs[name][rows.ids[:, place[name]].long()]  # noqa: E731
    products = [torch.stack([of(name) for name in cross]).prod(0) for cross in dataset.extras["crosses"]]
    return 0.5 + (0.5 - dataset.extras["noise"]) * torch.stack(products).mean(0) * dataset.extras["signal"]
