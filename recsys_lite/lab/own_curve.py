"""A curve of looking of one's own: clicks simulated under it, and what models learn from these clicks.

All else is as in the stored runs of ``bench/position/position.py``, read from their file: how lists are ordered, the
settings that tuning chose for each model and order, the size of the batches.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..data.simulated.clicks import PLACES, Clicks, simulate, stated_curve
from ..evaluation.clicks import ndcg_by_group
from ..evaluation.inference import predict
from ..evaluation.metrics import interval
from ..explain.position import examined
from ..fields import Rows
from ..models import Model
from ..models.click_models import build
from ..store.files import RESULTS, read_json
from ..training.loop import Steps
from ..training.optim import tower_optimizer
from ..training.pointwise import fit_in_steps
from .steps import drained

ORDERS = ("popular", "random", "expert")  # of a list, by the names of the stored logs
LEARNERS = ("naive", "pal", "watch_next")
PEOPLE = 943
EPOCHS = 10  # at most; the stored runs may take 20, and stop by themselves sooner
GROUPS = 5


@functools.cache
def _stored() -> dict[str, Any]:
    return read_json(RESULTS / "position.json")


def _checked(order: str) -> str:
    if order not in ORDERS:
        raise ValueError(f"own_curve: unknown order {order!r}; there are {list(ORDERS)}")
    return order


def shares(curve: Sequence[float]) -> pd.DataFrame:
    r"""Where clicks would go if all films were equally good, :math:`\theta_k / \sum_j \theta_j`.

    Args:
        curve: chance that each place is looked at, see :func:`recsys_lite.data.simulated.clicks.stated_curve`.

    Returns:
        place, ``looked at``, ``share of clicks``.

    Example:
        >>> shares([1, 0.5] + [0.0625] * 8)["share of clicks"].tolist()[:3]
        [0.5, 0.25, 0.03125]
    """
    theta = stated_curve(curve)[0].double().numpy()
    return pd.DataFrame({"place": range(1, PLACES + 1), "looked at": theta, "share of clicks": theta / theta.sum()})


def log_of(curve: Sequence[float], order: str = "popular", seed: int = 0, people: int = PEOPLE) -> Clicks:
    """A log of clicks under a curve, on both devices alike.

    Args:
        curve: chance that each place is looked at, see :func:`recsys_lite.data.simulated.clicks.stated_curve`.
        order: of the lists: ``"popular"`` films first, ``"random"``, or ``"expert"``, by the person's own rating.
        seed: of the simulation, and of who is drawn.
        people: how many persons are kept, with their whole lists. Default all. More hold all that fewer hold.

    Raises:
        ValueError: for a curve, order or number of people out of range.
    """
    how = {k: v for k, v in _stored()["about"]["conditions"][_checked(order)].items() if k != "power"}
    clicks = simulate(**how, curve=curve, seed=seed)
    everybody = clicks.dataset.train.group.unique().numpy()  # type: ignore[union-attr]
    if not 2 <= people <= len(everybody):
        raise ValueError(f"log_of: people must lie in 2..{len(everybody)}, got {people}")
    if people == len(everybody):
        return clicks
    kept = torch.from_numpy(np.random.default_rng(seed).permutation(everybody)[:people])
    parts: dict[str, Any] = {}
    truths = {}
    for name, truth in clicks.truth.items():
        rows: Rows = getattr(clicks.dataset, name)
        keep = torch.isin(rows.group, kept)  # type: ignore[arg-type]
        parts[name] = rows[keep]
        truths[name] = replace(truth, **{f.name: getattr(truth, f.name)[keep] for f in fields(truth)})
    return replace(clicks, dataset=replace(clicks.dataset, **parts), truth=truths)


def looked_at(clicks: Clicks) -> pd.DataFrame:
    r"""How often films of a kind are looked at, relative to all: what a naive model takes for taste.

    A model without the place learns :math:`\rho(x)\,\mathbb{E}[\theta_k \mid x]`, liking times how often such rows
    stood where one looks. Here is the second factor, divided by its mean, for fifths of the rows by how many ratings
    the film has in training, and for the person's rating.

    Returns:
        by, group, rows, ``looked at`` (mean chance), ``relative``.
    """
    rows, truth = clicks.dataset.train, clicks.truth["train"]
    films = clicks.dataset.field("item")
    known = clicks.dataset.extras["items"]["popularity"].loc[list(films.vocabulary.values)]  # type: ignore[union-attr]
    columns = [f.name for f in clicks.dataset.fields if f.kind == "categorical"]
    count = pd.Series(np.r_[0, known][rows.ids[:, columns.index("item")]])
    frame = pd.DataFrame({"rating": truth.rating.numpy(), "seen": truth.seen.numpy().astype(float), "count": count})
    frame["fifth"] = pd.qcut(frame["count"], GROUPS, labels=False, duplicates="drop")
    lines = []
    for by, column in (("ratings of the film", "fifth"), ("the person's rating", "rating")):
        for value, some in frame.groupby(column):
            stars = f"{value} star{'s' if value != 1 else ''}"
            group = stars if column == "rating" else f"{some['count'].min()} to {some['count'].max()}"
            mean = some["seen"].mean()
            lines.append((by, group, len(some), mean, mean / frame["seen"].mean()))
    return pd.DataFrame(lines, columns=["by", "group", "rows", "looked at", "relative"])


def settings(order: str) -> dict[str, dict[str, float]]:
    """Learning rate and weight decay that tuning chose for each model on the stored log of an order."""
    runs = [r for r in _stored()["runs"] if r["condition"] == _checked(order)]
    return {m: next({k: r[k] for k in ("lr", "weight_decay")} for r in runs if r["model"] == m) for m in LEARNERS}


def train_on(
    clicks: Clicks,
    order: str = "popular",
    seed: int = 0,
    epochs: int = EPOCHS,
    on_epoch: Callable[[str, int], None] | None = None,
) -> pd.DataFrame:
    """Train the naive model, PAL and Watch Next on a log, and rank the films of its test part.

    Args:
        clicks: of :func:`log_of`.
        order: of its lists, for the settings of :func:`settings`.
        seed: of weights, order of rows and dropped positions.
        epochs: at most; training stops by the log loss of the validation clicks.
        on_epoch: called with model and number of the epoch after each.

    Returns:
        A line for the ``truth`` and each model: ``ndcg@10`` against the ratings with the t interval over people
        (``ndcg low``, ``ndcg high``); ``gain`` over the naive model with that of the differences within people
        (``low``, ``high``); people; the best epoch; ``place 1`` … ``place 10``, the curve relative to place 1 (all 1
        for the naive model, which knows no place).

    Raises:
        ValueError: for a log whose training or validation part has no click, or fewer than one epoch.

    The same seed gives the same numbers on the same machine and versions, with one thread. PyTorch's random state is
    left as it was.
    """
    return drained(in_steps(clicks, order, seed, epochs), on_epoch)


def job(
    curve: Sequence[float], order: str, seed: int, people: int
) -> Generator[tuple[str, int], None, pd.DataFrame]:  # fmt: skip
    """:func:`log_of` and :func:`in_steps` for a :class:`~recsys_lite.lab.worker.Worker`."""
    return (yield from in_steps(log_of(curve, order, seed, people), order, seed))


def in_steps(
    clicks: Clicks, order: str = "popular", seed: int = 0, epochs: int = EPOCHS
) -> Generator[tuple[str, int], None, pd.DataFrame]:
    """The same as :func:`train_on`, an epoch at a time: yields model and epoch, returns the table."""
    data, truth = clicks.dataset, clicks.truth["test"]
    for part in ("train", "validation"):
        if not getattr(data, part).label.any():
            raise ValueError(f"train_on: nobody clicks in the {part} part; take more people or a higher curve")
    chosen = settings(order)
    ndcg: dict[str, np.ndarray] = {}
    lines: list[dict[str, Any]] = [{"model": "truth", **_places(clicks.curve / clicks.curve[:, :1])}]
    for name in LEARNERS:
        with torch.random.fork_rng(devices=[]):
            model, steps = started(name, clicks, chosen[name], seed, epochs)
            while not steps.done:
                yield name, int(steps.step()["epoch"])
            best = steps.finish().best_epoch
        scores = predict(getattr(model, "served", model), data.test, logits=True).numpy()
        ndcg[name] = ndcg_by_group(scores, truth.rating.numpy(), data.test.group.numpy())  # type: ignore[union-attr]
        line = {"model": name, "people": len(ndcg[name]), "best epoch": best}
        line |= _interval(ndcg[name], "ndcg@10", "ndcg low", "ndcg high")
        if name != "naive":
            line |= _interval(ndcg[name] - ndcg["naive"], "gain", "low", "high")
        lines.append(line | _places(examined(model, data.test[:2000])))
    first = ["model", "ndcg@10", "ndcg low", "ndcg high", "gain", "low", "high", "people", "best epoch"]
    return pd.DataFrame(lines)[[*first, *_places(clicks.curve)]]


def _places(curve: Tensor) -> dict[str, float]:
    return {f"place {k}": float(value) for k, value in enumerate(curve[0], 1)}


def _interval(values: np.ndarray, *names: str) -> dict[str, float]:
    return dict(zip(names, interval(values.tolist()), strict=True))


def started(
    name: str, clicks: Clicks, setting: dict[str, float], seed: int, epochs: int
) -> tuple[Model, Steps]:  # fmt: skip
    """A model of :func:`build`, and the epochs that train it on a log."""
    about = _stored()["about"]
    torch.manual_seed(seed)
    model = build(name, clicks)
    steps = fit_in_steps(
        model, clicks.dataset, epochs=epochs, batch_size=about["training"]["batch_size"],
        patience=about["training"]["patience"], seed=seed,
        optimizer=tower_optimizer(**setting, tower_rate=about["tower rate"]),
    )  # fmt: skip
    return model, steps
