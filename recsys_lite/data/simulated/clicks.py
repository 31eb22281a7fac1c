"""Clicks simulated from real ratings: who looks at which place is stated, so what a model says of it can be checked.

MovieLens knows what a person thinks of a film, but shows nobody a list. Here the films that a person rated are shown
in lists, in the order of a stated policy; a place is looked at with a stated chance; who looks clicks with a chance
that follows from the rating. Models see the clicks; the truth stands beside them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...fields import Dataset, Field, Rows, Vocabulary, find_field
from .. import movielens
from ..movielens_files import read_raw

PLACES = 10
DEVICES = ("desktop", "phone")
POLICIES = ("popular", "expert", "random")
LINKS = {"product": "seen and relevant", "logit": "the place adds to the logit"}
MOST_RELEVANT = 0.95  # with a link on the logit: that of 1 is infinite
POSITION = Field(
    "position", "categorical", Vocabulary([f"{k:02d}" for k in range(1, PLACES + 1)]), about="place in the list"
)
DEVICE = Field("device", "categorical", Vocabulary(DEVICES), about="that shows the list")
BIAS = ("position", "device")  # fields that say where a film was shown, not what it is


@dataclass
class Truth:
    """What a real log never tells, for each of B rows.

    Args:
        rating: (B,) 1 to 5.
        relevant: (B,) chance of a click by one who looks.
        seen: (B,) chance that the place is looked at; with ``link="logit"``, where nobody looks away, the factor by
            which the place lowers the chance of a click.
        shown: (B,) number of the list.
    """

    rating: Tensor
    relevant: Tensor
    seen: Tensor
    shown: Tensor


@dataclass
class Clicks:
    """A simulated log: ``dataset`` for models, ``truth`` for each part, ``curve`` (devices, places) of looking."""

    dataset: Dataset
    truth: dict[str, Truth]
    curve: Tensor


def examination(power: float | Mapping[str, float] = 1.0) -> Tensor:
    """Chance that place k is looked at, (1/k)^power, as (devices, places): a line per device.

    Args:
        power: 0: everything is looked at. 1 is the default of Joachims et al. (2017). A mapping gives each device its
            own, as in ``{"desktop": 1, "phone": 2}``.

    Raises:
        ValueError: for a power below 0, or a mapping that does not name just the two devices.

    Example:
        >>> examination()[0, :4].tolist()
        [1.0, 0.5, 0.3333333432674408, 0.25]
    """
    powers = dict.fromkeys(DEVICES, power) if isinstance(power, int | float) else dict(power)
    if set(powers) != set(DEVICES):
        raise ValueError(f"examination: expected a power for each of {list(DEVICES)}, got {list(powers)}")
    if min(powers.values()) < 0:
        raise ValueError(f"examination: a power must be at least 0, got {powers}")
    return torch.stack([torch.arange(1.0, PLACES + 1) ** -powers[d] for d in DEVICES])


def stated_curve(chances: Sequence[float]) -> Tensor:
    """A curve of looking stated place by place, as (devices, places): the same on each device.

    Args:
        chances: that place 1, 2, … is looked at, each in (0, 1]. A place that nobody looks at teaches nothing.

    Raises:
        ValueError: for another number of places, or naming the first place whose chance is out of range.

    Example:
        >>> stated_curve([1, 1, 1] + [0.1] * 7)[1, 2:4].tolist()
        [1.0, 0.10000000149011612]
    """
    if len(chances) != PLACES:
        raise ValueError(f"stated_curve: expected a chance for each of {PLACES} places, got {len(chances)}")
    for place, chance in enumerate(chances, 1):
        if not (isinstance(chance, Real) and 0 < chance <= 1):  # NaN is neither
            raise ValueError(f"stated_curve: place {place} must be looked at with a chance in (0, 1], got {chance!r}")
    return torch.tensor([float(c) for c in chances]).repeat(len(DEVICES), 1)


def relevance(rating: Tensor, noise: float = 0.1) -> Tensor:
    r"""Chance of a click by one who looks, :math:`\epsilon + (1-\epsilon)(2^r - 1)/(2^5 - 1)`.

    Source: Ai et al., Unbiased Learning to Rank with Unbiased Propensity Estimation, SIGIR 2018, with their
    :math:`\epsilon = 0.1`.

    Raises:
        ValueError: for a noise outside [0, 1), or ratings outside 1..5.

    Example:
        >>> [round(p, 3) for p in relevance(torch.arange(1, 6)).tolist()]
        [0.129, 0.187, 0.303, 0.535, 1.0]
    """
    if not 0 <= noise < 1:
        raise ValueError(f"relevance: noise must lie in [0, 1), got {noise}")
    if not ((rating >= 1) & (rating <= 5)).all():
        raise ValueError(f"relevance: ratings must lie in 1..5, got {rating.min():g} to {rating.max():g}")
    return noise + (1 - noise) * (2.0**rating - 1) / 31


def simulate(
    policy: str = "popular",
    power: float | Mapping[str, float] = 1.0,
    *,
    curve: Sequence[float] | None = None,
    spread: float = 0.5,
    noise: float = 0.1,
    shows: int = 1,
    seed: int = 0,
    path: str | os.PathLike[str] | None = None,
    link: str = "product",
) -> Clicks:
    r"""MovieLens-100K as a log of lists, :math:`c = [\text{seen}]\,[\text{relevant}]`.

    In each part (the time split of :func:`recsys_lite.data.movielens.load`) a person's films are cut by time into
    lists of ten. Fewer than ten stand, in their order, at places drawn among the ten; the others show films that we
    know nothing of. So each place is equally frequent in every part, for every person.

    Args:
        policy: what orders a list, plus ``spread`` · N(0, 1). ``"popular"``: log(1 + ratings of the film in training).
            ``"expert"``: the person's own rating, which no model can know. ``"random"``: nothing.
        power: of the curve of :func:`examination`. Default 1 for both devices.
        curve: chances place by place in its stead, see :func:`stated_curve`.
        spread: of chance in the order. Default 0.5; without it a film's place says nearly all of its popularity.
        noise: chance of a click on the worst film, see :func:`relevance`.
        shows: how often each list is shown, each time with its own order, device and clicks. Default once.
        seed: of the simulation.
        path: an unzipped ml-100k folder; by default the data is fetched.
        link: how place and relevance make a click. ``"product"`` (default): :math:`p = \theta_k \rho`, the examination
            hypothesis, which is PAL's form. ``"logit"``: :math:`p = \sigma(\mathrm{logit}\,\rho + \log \theta_k)`, the
            place adds to the logit, which is Watch Next's form; :math:`\rho` is then at most 0.95.

    Returns:
        :class:`Clicks`. Rows have MovieLens's ten fields, then position and device; the label is the click. The row
        number 0 of a position means: not known, as at serving.

    Raises:
        ValueError: for an unknown policy, or numbers out of range.
    """
    if policy not in POLICIES:
        raise ValueError(f"simulate: unknown policy {policy!r}; there are {list(POLICIES)}")
    if shows < 1 or spread < 0:
        raise ValueError(f"simulate: shows must be at least 1 and spread at least 0, got {shows=}, {spread=}")
    if link not in LINKS:
        raise ValueError(f"simulate: unknown link {link!r}; there are {list(LINKS)}")
    seen = examination(power) if curve is None else stated_curve(curve)
    films, events = _films(None if path is None else os.fspath(path))
    popularity = np.log1p(films.extras["items"]["popularity"].loc[events["item"]].to_numpy())
    score = {"popular": popularity, "expert": events["rating"].to_numpy(), "random": np.zeros(len(events))}[policy]
    rng = np.random.default_rng(seed)
    parts, truths = {}, {}
    for number, name in enumerate(("train", "validation", "test")):
        keep = (events["part"] == number).to_numpy()
        rows, rating = getattr(films, name), torch.from_numpy(events["rating"].to_numpy()[keep])
        noisy = spread if policy != "random" else 1.0
        drawn = [_show(events["u"].to_numpy()[keep], score[keep], noisy, rng) for _ in range(shows)]
        place, device, shown = (torch.from_numpy(np.concatenate(column)) for column in zip(*drawn, strict=True))
        shown = shown + torch.arange(shows).repeat_interleave(len(rows)) * len(rows)
        every = torch.arange(len(rows)).repeat(shows)
        relevant, at = relevance(rating, noise)[every].float(), seen[device, place - 1]
        if link == "logit":
            relevant = relevant.clamp(max=MOST_RELEVANT)
            at = torch.sigmoid(relevant.logit() + at.log()) / relevant
        truth = Truth(rating[every], relevant, at, shown)
        uniform = torch.from_numpy(rng.random((2, len(every)), dtype=np.float32))
        click = (uniform[0] < truth.seen) & (uniform[1] < truth.relevant)
        ids = torch.cat([rows.ids[every], torch.stack([place, device + 1], 1).int()], 1)
        repeated = rows[every]
        parts[name] = Rows(ids, repeated.numeric, repeated.bags, click.float(), repeated.group)
        truths[name] = truth
    if link == "logit":  # the curve that a log shows: mean chances of a click, each relative to the first place
        logits = truths["test"].relevant.double().logit()
        chances = torch.sigmoid(logits + seen.double().log()[:, :, None]).mean(-1)
        seen = (chances / chances[:, :1]).float()
    about = films.about | {
        "label": f"simulated click: {LINKS[link]}; policy {policy}, spread {spread}, noise {noise}, shown {shows} "
        f"times, seed {seed}",
        "curve": dict(zip(DEVICES, seen.tolist(), strict=True)),
    }
    fields = (*films.fields, POSITION, DEVICE)
    train, validation, test = (parts[part] for part in ("train", "validation", "test"))
    dataset = Dataset("movielens-clicks", policy, fields, train, validation, test, about, films.extras)
    return Clicks(dataset, truths, seen)


@functools.cache
def _films(path: str | None) -> tuple[Dataset, pd.DataFrame]:
    """The ratings as rows and as a table in the same order, read once."""
    return movielens.load("like", path), movielens.ordered(read_raw(path))


def _show(
    user: np.ndarray, score: np.ndarray, spread: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place (1 to 10), device (0, 1) and list of rows that are sorted by user and time."""
    starts = np.flatnonzero(np.r_[True, user[1:] != user[:-1]])
    turn = np.arange(len(user)) - np.repeat(starts, np.diff(np.r_[starts, len(user)]))  # of a user's films, by time
    shown = np.cumsum(turn % PLACES == 0) - 1
    order = np.lexsort((-score - spread * rng.standard_normal(len(user)), shown))
    first = np.searchsorted(shown, shown)
    rank = np.empty(len(user), int)
    rank[order] = np.arange(len(user)) - first
    slots = np.argsort(rng.random((shown[-1] + 1, PLACES)), axis=1)  # a random order of the places for each list
    taken = np.where(np.arange(PLACES) < np.bincount(shown)[:, None], slots, PLACES)
    place = np.sort(taken, axis=1)[shown, rank] + 1
    return place, rng.integers(0, 2, shown[-1] + 1)[shown], shown


def missing(fields: tuple[Field, ...], rows: Rows, names: tuple[str, ...] = BIAS, value: int = 0) -> Rows:
    """The rows with bias fields set to one value: 0, not known (default), or a place such as 1.

    Raises:
        ValueError: for a field that is not there or not categorical, or a value outside its vocabulary.
    """
    columns = [f.name for f in fields if f.kind == "categorical"]
    ids = rows.ids.clone()
    for name in names:
        f = find_field(fields, name)
        if f.kind != "categorical" or not 0 <= value < f.size:
            raise ValueError(f"missing: field {name!r} is {f.kind} with {f.size} rows; got the value {value}")
        ids[:, columns.index(name)] = value
    return replace(rows, ids=ids)
