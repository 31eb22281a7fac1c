"""The page's state and its address: everything a reader chose can be read from, and written to, the query.

?data=movielens-100k&task=click&models=fm,wide_deep&row=12&seed=3&detail=fine&set.gender=F&set.genres=Comedy|Drama
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recsys_lite.data import criteo
from recsys_lite.fields import UNSEEN, Dataset, Field
from recsys_lite.fields.encoder import NOTHING

from .own import OWN

UNSEEN_VALUE = "<unseen>"
MOST_COUNT = 1e15  # of a number of a row, either way: the log of it is exact, and a browser can hold it
MOST_MODELS = 4
#: where the explorer opens: an address without a query means this
OPENING = {"data": "planted", "task": "pairs", "models": "fm,dcn_v2,autoint,dhen", "row": "30"}
START = OPENING["models"].split(",")  # models that cross and attend
DETAILS = {"coarse": "Coarse", "fine": "Fine"}
ABOUT = {
    "quality": "Quality and cost", "training": "Training", "calibration": "Calibration", "slices": "Kinds of rows",
}  # fmt: skip


@dataclass
class State:
    """What the reader chose. ``edits`` holds values as a reader sees them: text, list of text, or a raw number."""

    data: str
    task: str
    models: list[str] = field(default_factory=list)
    row: int | None = None
    seed: int = 0
    detail: str = "coarse"
    metric: str = "auc"
    about: str = "quality"
    epoch: int = 0  # 0: the last one
    diff: str = ""  # two models whose maps are subtracted, with a comma between
    change: bool = True  # after an edit, show only what it changed
    edits: dict[str, Any] = field(default_factory=dict)

    def to_query(self) -> dict[str, str]:
        """The address of this state."""
        query = {"data": self.data, "task": self.task, "models": ",".join(self.models), "row": str(self.row)}
        query |= {"seed": str(self.seed), "detail": self.detail, "metric": self.metric, "about": self.about}
        query |= {"epoch": str(self.epoch)} if self.about == "training" and self.epoch else {}
        query |= {"diff": self.diff} if self.diff else {}
        query |= {} if self.change else {"change": "0"}
        if self.data == OWN:
            return query  # nothing of a reader's file stands in an address
        return query | {f"set.{name}": as_text(value) for name, value in self.edits.items()}


def link(state: State) -> dict[str, str]:
    """The shortest query that brings a state back: what it opens with by itself is left out."""
    query = state.to_query()
    same = {"seed": "0", "detail": next(iter(DETAILS)), "metric": "auc", "about": next(iter(ABOUT))}
    return {k: v for k, v in query.items() if same.get(k) != v}


def fitting(models: list[str], known: list[str]) -> list[str]:
    """Those of the models that there are; if there are none, those that cross and attend; or the first few.

    Example:
        >>> fitting(["fm", "ncf"], ["fm", "dcn"]), fitting([], ["lr", "dcn_v2", "fm"]), fitting([], ["lr"])
        (['fm'], ['fm', 'dcn_v2'], ['lr'])
    """
    start = [m for m in START if m in known] or known
    return ([m for m in models if m in known] or start)[:MOST_MODELS]


def as_text(value: Any) -> str:
    """An edit as it stands in the address."""
    if isinstance(value, list):
        return "|".join(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return "" if value is None else str(value)


def choose(
    query: Mapping[str, str], tasks: list[tuple[str, str]], trained: Any, metrics: list[str]
) -> tuple[State, list[str]]:
    """The part of the state that needs no data: data set, task, models, view. With what was wrong, in words.

    Args:
        query: the address.
        tasks: the possible (data set, task), the default first.
        trained: (data set, task) -> names of the models that have weights.
        metrics: the possible metrics, the default first.
    """
    problems = []
    data = query.get("data", tasks[0][0])
    possible = [t for d, t in tasks if d == data]
    task = query.get("task", possible[0] if possible else tasks[0][1])
    if (data, task) not in tasks:
        listed = ", ".join(f"{d} / {t}" for d, t in tasks)
        problems.append(f"there is no data set “{data}” with task “{task}” (there are {listed})")
        data, task = tasks[0]
    known = trained(data, task)
    asked = [m for m in query.get("models", "").split(",") if m]
    models = [m for m in dict.fromkeys(asked) if m in known]
    if unknown := [m for m in asked if m not in known]:
        problems.append(f"no stored weights for model “{unknown[0]}” (there are {', '.join(known)})")
    if len(models) > MOST_MODELS:
        problems.append(f"at most {MOST_MODELS} models can stand side by side")
    state = State(data, task, fitting(models, known), metric=metrics[0])
    state.change = query.get("change") != "0"
    if (asked_diff := query.get("diff", "")) and len(set(asked_diff.split(",")) & set(state.models)) == 2:
        state.diff = asked_diff
    elif asked_diff:
        problems.append(f"diff “{asked_diff}” does not name two of the models shown")
    state.seed = _whole(query, "seed", 0, 2**31, problems) or 0
    state.epoch = _whole(query, "epoch", 0, 1000, problems) or 0
    for key, values in (("detail", list(DETAILS)), ("metric", metrics), ("about", list(ABOUT))):
        if (value := query.get(key, values[0])) in values:
            setattr(state, key, value)
        else:
            problems.append(f"{key} “{value}” is none of {', '.join(values)}")
    return state, problems


def choose_row(state: State, query: Mapping[str, str], dataset: Dataset) -> list[str]:
    """Fill in row and edits; the row stays ``None`` if the address names none. Returns what was wrong, in words."""
    problems: list[str] = []
    state.row = _whole(query, "row", None, len(dataset.test) - 1, problems)
    if state.row is None:
        return problems + ["the edits belong to a row, so they were left out"] * any(
            k.startswith("set.") for k in query
        )
    names = {f.name: f for f in dataset.fields}
    for key, text in query.items():
        if not key.startswith("set."):
            continue
        name = key.removeprefix("set.")
        if name not in names:
            problems.append(f"this data set has no field “{name}”")
            continue
        try:
            value = from_text(names[name], text, problems)
        except ValueError as error:
            problems.append(str(error))
            continue
        if value != shown(dataset, original(dataset, state.row))[name]:
            state.edits[name] = value
    return problems


def whole(text: str | None, least: int, most: int) -> int | None:
    """A whole number between two ends; nothing for any other text, however long.

    Example:
        >>> whole("12", 1, 20), whole("21", 1, 20), whole("9" * 5000, 1, 20), whole("²", 1, 20), whole(None, 1, 20)
        (12, None, None, None, None)
    """
    fits = text is not None and text.isascii() and text.isdigit() and len(text) <= 18
    return int(text) if fits and least <= int(text) <= most else None  # type: ignore[arg-type]


def is_unseen(value: str) -> bool:
    """Whether a value stands for one that training never showed, see :func:`distinct`."""
    return re.fullmatch(re.escape(UNSEEN_VALUE) + "( [0-9]{1,3})?", value) is not None


def _whole(query: Mapping[str, str], key: str, default: int | None, most: int, problems: list[str]) -> int | None:
    text = query.get(key)
    if text is None:
        return default
    if (number := whole(text, 0, most)) is None:
        problems.append(f"{key} “{text}” is not a whole number from 0 to {most}")
        return default
    return number


def from_text(f: Field, text: str, problems: list[str]) -> Any:
    """The value of a field in the address; a ``ValueError`` says in words why there is none."""
    if f.kind == "numeric":
        if text == "":
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not abs(number) <= MOST_COUNT:
            raise ValueError(f"{f.name} “{text}” is not a number from −{MOST_COUNT:g} to {MOST_COUNT:g}")
        return number
    assert f.vocabulary is not None
    values = [v for v in text.split("|") if v] if f.is_bag else [text]
    known = [v for v in values if is_unseen(v) or f.vocabulary.encode([v])[0] != UNSEEN]
    if unknown := [v for v in values if v not in known]:
        problems.append(f"{f.name} “{unknown[0]}” does not occur in training; it counts as not seen")
    if not f.is_bag:
        return text if known else UNSEEN_VALUE
    if len(known) > f.length:
        problems.append(f"{f.name} holds at most {f.length} values; the rest was left out")
    return distinct([v if v in known else UNSEEN_VALUE for v in dict.fromkeys(values)])[: f.length]


def distinct(values: list[str]) -> list[str]:
    """Values with the unseen ones numbered: a list widget cannot hold the same thing twice.

    Example:
        >>> distinct(["<unseen>", "7", "<unseen>"])
        ['<unseen>', '7', '<unseen> 2']
    """
    out: list[str] = []
    count = 0
    for value in values:
        if is_unseen(value):
            count += 1
            value = UNSEEN_VALUE if count == 1 else f"{UNSEEN_VALUE} {count}"
        out.append(value)
    return out


def original(dataset: Dataset, row: int) -> dict[str, Any]:
    """A test row as the encoder takes it."""
    return dataset.decode(dataset.test, row)


def shown(dataset: Dataset, record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a reader sees it: raw counts in place of transformed numbers, ``None`` where one is missing."""
    out = {}
    for f in dataset.fields:
        value = record[f.name]
        if f.kind == "numeric":
            value = _raw(dataset, f, value)
        elif f.is_bag:
            value = distinct(list(value))
        out[f.name] = value
    return out


def edited(dataset: Dataset, record: Mapping[str, Any], edits: Mapping[str, Any]) -> dict[str, Any]:
    """The record with edits, numbers transformed by the data set's own rule."""
    out = dict(record)
    for name, value in edits.items():
        if dataset.field(name).kind == "numeric":
            value = _scaled(dataset, dataset.field(name), value)
        out[name] = value
    return out


def _raw(dataset: Dataset, f: Field, value: float) -> float | None:
    """A number as it was given: a count, of the logarithm that models see, or of a reader's table, in six digits."""
    mean, sd = dataset.extras["numeric"][f.name]
    if f.scale is None:
        return None if value == 0 else float(round(criteo.unscale(value, mean, sd)))
    return float(f"{value * sd + mean:.6g}")


def _scaled(dataset: Dataset, f: Field, raw: float | None) -> float:
    """A number as the models see it; a missing one as in training."""
    mean, sd = dataset.extras["numeric"][f.name]
    if f.scale is None:
        return criteo.scale(raw, mean, sd)
    if f.transform == NOTHING:
        return 0.0
    return ((f.fill or 0.0) - mean) / sd if raw is None else (raw - mean) / sd
