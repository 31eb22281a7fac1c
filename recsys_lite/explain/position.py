"""What models of position say of it: curves of looking, and what one row's click is made of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from ..data.simulated.clicks import BIAS, DEVICES, PLACES, missing
from ..evaluation.inference import predict
from ..fields import Rows
from ..layers import on_cpu
from ..models import Model
from ..models.position import PAL, WatchNext


def examined(model: Model, rows: Rows) -> Tensor:
    """How the chance of a click falls with the place, by the model: (devices, places), relative to place 1.

    All rows are put at each place in turn, all else as it is; the mean chances are divided by that of place 1. In the
    simulation the truth of this is just the curve of looking. It can be asked of every model that reads the position.
    """
    lines = []
    for device in range(1, len(DEVICES) + 1):
        on = missing(model.fields, rows, BIAS[1:], device)
        lines.append([predict(model, missing(model.fields, on, BIAS[:1], k)).mean() for k in range(1, PLACES + 1)])
    curve = torch.tensor(lines)
    return (curve / curve[:, :1]).float()


def own_curve(model: PAL | WatchNext) -> Tensor:
    """The tower's own numbers relative to place 1, (places,) or (places, devices).

    PAL: chances of being seen, as ratios. Watch Next: odds ratios, which are no chances of being seen.
    """
    inside = model.tower.weight.detach().cpu()[tuple(slice(1, None) for _ in model.tower.names)]
    if isinstance(model, PAL):
        seen = torch.sigmoid(inside)
        return seen / seen[:1]
    return torch.exp(inside - inside[:1])


def curve_error(curve: Tensor, truth: Tensor) -> float:
    """Mean over devices and places after the first of |log(curve / truth)|, both relative to place 1.

    0.1 means: about 10 % off at a typical place.

    Raises:
        ValueError: for different shapes, or values that are not above 0.

    Example:
        >>> round(curve_error(torch.tensor([[2.0, 1.1]]), torch.tensor([[1.0, 0.5]])), 3)  # log(0.55 / 0.5)
        0.095
    """
    if curve.shape != truth.shape or curve.ndim != 2:
        raise ValueError(f"curve_error: expected two (devices, places), got {tuple(curve.shape)}, {tuple(truth.shape)}")
    if not (curve > 0).all() or not (truth > 0).all():
        raise ValueError("curve_error: a curve must be above 0 everywhere")
    ratio = torch.log(curve / curve[:, :1]) - torch.log(truth / truth[:, :1])
    return ratio[:, 1:].abs().mean().item()


def curves_table(curves: Mapping[str, Tensor], truth: Tensor) -> pd.DataFrame:
    """Curves of (devices, places) as a long table: model, device, place, ``relative to place 1``; the truth first."""
    lines = [
        (name, device, k + 1, float(line[k] / line[0]))
        for name, curve in {"truth": truth, **curves}.items()
        for device, line in zip(DEVICES, np.asarray(curve), strict=True)
        for k in range(PLACES)
    ]
    return pd.DataFrame(lines, columns=["model", "device", "place", "relative to place 1"])


@torch.no_grad()
def product_parts(model: PAL, rows: Rows, truth: Mapping[str, Tensor] | None = None) -> pd.DataFrame:
    """A line per row: ``seen``, ``click if seen`` and their product ``click``, with the truth beside where given.

    Args:
        truth: name of a column -> (B,).
    """
    parts = on_cpu(model.eval()).chances(rows.to("cpu"))
    table = pd.DataFrame({name: part.numpy() for name, part in parts.items()})
    table["click"] = table["seen"] * table["click if seen"]
    return table.assign(**{f"true {name}": np.asarray(column) for name, column in (truth or {}).items()})


def click_rates(place: object, click: object) -> pd.DataFrame:
    """What a log with **random** positions tells without any model: place, rows, clicks, rate, and the rate relative to
    the first place with its 95 % interval (``low``, ``high``; NaN without clicks).

    Where items are put at places by chance, relevance is alike at each place, and rates are proportional to the chance
    of being seen. In any other log this is not so. The interval is Katz's for a ratio of two rates, on the log scale.

    Args:
        place, click: (B,) place from 1, click 0 or 1.

    Raises:
        ValueError: for different lengths, or clicks other than 0 and 1.

    Source: Katz et al., Obtaining Confidence Intervals for the Risk Ratio in Cohort Studies, Biometrics 1978.
    """
    frame = pd.DataFrame({"place": np.asarray(place), "click": np.asarray(click, float)})
    if not frame["click"].isin([0, 1]).all():
        raise ValueError("click_rates: clicks must be 0 or 1")
    table = frame.groupby("place")["click"].agg(rows="size", clicks="sum").reset_index()
    table["clicks"] = table["clicks"].astype(int)
    table["rate"] = table["clicks"] / table["rows"]
    table["relative"] = table["rate"] / table["rate"].iloc[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / table["clicks"] - 1 / table["rows"]
        half = 1.959964 * np.sqrt(inverse + inverse.iloc[0])
        table["low"], table["high"] = table["relative"] * np.exp(-half), table["relative"] * np.exp(half)
    table.loc[table["clicks"] == 0, ["low", "high"]] = np.nan
    table.loc[0, ["low", "high"]] = 1.0
    return table


def rows_needed(rate: float, ratio: float, power: float = 0.8) -> int:
    """Rows at **each** of two places to tell their click rates apart at the 5 % level, two-sided, with some power.

    Args:
        rate: at the first place.
        ratio: of the second place's rate to it.
        power: chance to find the difference. Default 0.8.

    Raises:
        ValueError: for a rate, ratio or power out of range, or a ratio of 1.

    Source: Fleiss, Statistical Methods for Rates and Proportions, 1981, for two proportions.

    Example:
        >>> rows_needed(0.5, 0.5)
        58
    """
    other = rate * ratio
    if not (0 < rate < 1 and 0 < other < 1 and 0 < power < 1) or ratio == 1:
        raise ValueError(
            f"rows_needed: rates and power must lie in (0, 1), ratio not be 1; got {rate=}, {ratio=}, {power=}"
        )
    middle = (rate + other) / 2
    spread = stats.norm.ppf(0.975) * np.sqrt(2 * middle * (1 - middle))
    spread += stats.norm.ppf(power) * np.sqrt(rate * (1 - rate) + other * (1 - other))
    return int(np.ceil((spread / (rate - other)) ** 2))
