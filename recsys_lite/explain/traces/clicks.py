"""Traces of the models that know where an item was shown: PAL and Watch Next, with the steps of the model inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from ...fields import UNSEEN, Rows, find_field
from ...models import MODELS, PAL, Model, WatchNext
from ...models.position import BiasTower, Served
from ..boxes import ARCHITECTURES
from .rankers import RANKERS, traced
from .shared import Run, output_step, record, sum_step
from .steps import Step, plain, product_of, sigmoid_of, sum_of, vector

SEEN = "A place that is not known counts as seen."


@torch.no_grad()
def pal(model: Model, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    r"""The row, the place, the model inside, a number for the place, the product of two chances, the chance.

    Raises:
        ValueError: if the model is not PAL, or the one inside has no trace.
    """
    if not isinstance(model, PAL):
        raise ValueError(f"trace: 'pal' is a PAL, got a {type(model).__name__}")
    run, tower = record(model, rows), model.tower
    z, b, known = _served(run), tower(rows).item(), bool(tower.known(rows))
    chances = {"click if seen": _chance(z), "seen": _chance(b) if known else 1.0}
    inside = _inside(model.served, rows, words)
    like = replace(
        inside[-1], title="The chance of a click, if it is seen", formula=r"\rho(x) = \sigma(z)",
        numbers=r"\sigma(z) = " + sigmoid_of(z, chances["click if seen"]),
        note="This alone orders films when the model serves; it does not know the place.",
    )  # fmt: skip
    seen = _tower_step(model, rows, r"\theta_k = \sigma(b_k)", "chance of being seen", torch.sigmoid(tower.weight))
    shown = r"\sigma(b_k) = " + sigmoid_of(b, chances["seen"]) if known else r"\theta = 1"
    p = _chance(run.logit)
    product = Step(
        4, "Seen, and liked", r"p = \sigma(z) \cdot \sigma(b_k)",
        product_of([chances["click if seen"], chances["seen"]], p),
        vector([*chances.values(), p], "chance", [*chances, "click"]), "A click needs both.",
    )  # fmt: skip
    steps = [*inside[:-1], like, _place_step(model, rows, words), replace(seen, numbers=shown), product]
    if known:
        powers = [float(np.exp(-z)), float(np.exp(-b)), float(np.exp(-z - b))]
        total = float(np.exp(-run.logit))
        numbers = sum_of(powers, total) + rf",\quad -\log {total:.3f} = {run.logit:.3f}"
        formula = r"\mathrm{logit}(p) = -\log\left(e^{-z} + e^{-b} + e^{-z-b}\right)"
        table = vector([z, b, run.logit], "log-odds", ["z", "b", "logit of the product"])
        note = "It is never above z or b; in this form nothing is rounded to 0 or 1 on the way."
        steps.append(Step(4, "The product as a logit", formula, numbers, table, note))
    return [*sorted(steps, key=lambda s: s.box), output_step(5, run)]


@torch.no_grad()
def watch_next(model: Model, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    """The row, the place, the main model, a number for place and device, their sum, the chance.

    Raises:
        ValueError: if the model is not Watch Next, or the main model has no trace.
    """
    if not isinstance(model, WatchNext):
        raise ValueError(f"trace: 'watch_next' is a WatchNext, got a {type(model).__name__}")
    run = record(model, rows)
    s = run.parts["position"]
    main = replace(run, parts={"main model": _served(run), "shallow tower": s})
    *inside, _ = _inside(model.served, rows, words)
    tower = _tower_step(
        model, rows, f"s_{{{', '.join(map(plain, model.tower.names))}}}", "log-odds", model.tower.weight
    )
    steps = [*inside, _place_step(model, rows, words), replace(tower, numbers=f"s = {s:.3f}")]
    whole = sum_step(4, main, r"z = z_{main}(x) + s", {})
    note = f"{whole.note} When the model serves, s is left out."
    return [*sorted(steps, key=lambda step: step.box), replace(whole, note=note), output_step(5, run)]


def _chance(logit: float) -> float:
    return torch.sigmoid(torch.tensor(logit)).item()


def _served(run: Run) -> float:
    """The logit of the model inside."""
    return sum(value for name, value in run.parts.items() if name != "position")


def _inside(served: Served, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    """The steps of the model that serves, in two boxes: what it reads, and all the rest."""

    names = {kind: name for name, kind in MODELS.items()}
    if type(served.inner) not in names:
        raise ValueError(f"trace: the model inside is a {type(served.inner).__name__}, which has no trace")
    name = names[type(served.inner)]
    own = Rows(rows.ids[:, served.columns], rows.numeric[:, served.numbers], {b: rows.bags[b] for b in served.bags})
    boxes = ARCHITECTURES[name][0]
    return [
        replace(s, box=0 if boxes[s.box].kind == "input" else 2)
        for s in traced(RANKERS, name, served.inner, own, words)
    ]


def _values(model: PAL | WatchNext, rows: Rows) -> list[int]:
    """The numbers of the row's bias values in their vocabularies."""
    return [int(rows.ids[0, column]) for column in model.tower.columns]


def _place_step(model: PAL | WatchNext, rows: Rows, words: Mapping[str, str]) -> Step:
    """Where the item was shown."""
    names, values = model.tower.names, _values(model, rows)
    said = r",\quad ".join(
        rf"\text{{{plain(f'{name}: {words[name]}' if value != UNSEEN else f'{name} not known')}}}"
        for name, value in zip(names, values, strict=True)
    )
    note = "" if UNSEEN not in values else "Not known, as whenever the model serves."
    table = vector([float(v) for v in values], "number of the value", list(names))
    return Step(
        1,
        "Where it was shown",
        "k",
        said,
        table,
        note or "Logged beside every click and every film that was passed over.",
    )


def _tower_step(model: PAL | WatchNext, rows: Rows, formula: str, word: str, curve: torch.Tensor) -> Step:
    """A number for each place, or for each pair of place and device; the numbers are filled in by the caller."""
    tower: BiasTower = model.tower
    fields = [find_field(model.fields, name) for name in tower.names]
    labels = [[f.vocabulary.label(k) for k in range(1, f.size)] for f in fields]  # type: ignore[union-attr]
    inside = curve[tuple(slice(1, None) for _ in fields)].reshape(len(labels[0]), -1)
    columns = [word] if len(fields) == 1 else [", ".join(c) for c in _pairs(labels[1:])]
    table = pd.DataFrame(inside.numpy().astype(float), index=labels[0], columns=columns)
    here = (
        "" if tower.known(rows)[0] else f" {SEEN if isinstance(model, PAL) else 'A place that is not known has s = 0.'}"
    )
    note = f"All that is known of a place: one number for each value of {' and '.join(tower.names)}.{here}"
    return Step(3, "A number for the place", formula, "", table, note)


def _pairs(labels: list[list[str]]) -> list[tuple[str, ...]]:
    """All combinations, the last changing first."""
    grid = pd.MultiIndex.from_product(labels)
    return [one if isinstance(one, tuple) else (one,) for one in grid]
