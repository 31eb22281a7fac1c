"""What can be stepped through: test rows, a reader's own too, pairs of person and film, clicks of a simulated log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import dedent
from types import MappingProxyType
from typing import Any

import torch

from recsys_lite import explain
from recsys_lite.explain.boxes import ARCHITECTURES
from recsys_lite.explain.traces import TRACES, Step, trace
from recsys_lite.fields import Rows
from recsys_lite.models import Model
from recsys_lite.store import trained_clicks as stored_clicks

from ..core.address import edited, original
from ..core.cache import (
    Edits,
    click_log,
    click_model,
    edited_row,
    load_dataset,
    load_interactions,
    load_model,
    retriever,
    trained,
)
from ..core.names import PLANTED, ROWS, TASKS, name
from ..core.own import listed
from . import cells, tables

LISTS, PLACES = ("movielens-100k", "films"), ("movielens-100k", "places")


@dataclass(frozen=True)
class Rated:
    """Rows of a test part, as the models of the leaderboard read them, or those trained on the reader's own table."""

    data: str
    task: str

    @property
    def words(self) -> str:
        """Data and question."""
        return (ROWS | listed())[self.data, self.task]

    def models(self) -> list[str]:
        """Those with stored weights, a trace and a drawing."""
        return [m for m in trained(self.data, self.task) if m in TRACES and m in ARCHITECTURES]

    def count(self) -> int:
        """How many rows there are."""
        return len(load_dataset(self.data, self.task).test)

    def trace(self, model: str, row: int, edits: Edits = ()) -> list[Step]:
        """See :func:`recsys_lite.explain.traces.trace`."""
        return trace(model, self.loaded(model), edited_row(self.data, self.task, row, edits))

    def loaded(self, model: str) -> Model:
        """The model itself."""
        return load_model(self.data, self.task, model)

    def about(self, row: int, edits: Mapping[str, Any] = MappingProxyType({})) -> str:
        """The row in words."""
        dataset = load_dataset(self.data, self.task)
        return tables.row_in_words(dataset, edited(dataset, original(dataset, row), edits))

    def end(self, model: str, row: int, steps: list[Step]) -> str:
        """What the model makes of it, and what happened."""
        label = load_dataset(self.data, self.task).test.label[row].item()  # type: ignore[index]
        done = {
            "click": ("the person clicked", "the person did not click"),
            "like": ("the person liked it", "the person did not like it"),
        }.get(self.task, ("its label is 1", "its label is 0"))[label < 0.5]  # fmt: skip
        return f"In the end {name(model)} gives it a chance of {chance(steps)}; in the data {done}."

    def cell(self, model: str, row: int, edits: Mapping[str, Any] = MappingProxyType({})) -> str:
        """The lines that make ``steps``."""
        changed = f"dataset.encode(dataset.decode(dataset.test, {row}) | {dict(edits)!r})"
        return cells.load_line(self.data, self.task) + dedent(f"""\
            from recsys_lite import store
            from recsys_lite.explain.traces import trace

            model = {cells.loaded(self.data, self.task, repr(model))}
            steps = trace("{model}", model, {changed if edits else f"dataset.test[{row}]"})
            """)


@dataclass(frozen=True)
class Listed:
    """Pairs of the test part of who rated what; a score puts all films in an order for the person."""

    data, task = LISTS
    words = "MovieLens: which films to fetch?"

    def models(self) -> list[str]:
        """The retrievers with a trace of their own."""
        return ["lightgcn"]

    def count(self) -> int:
        """How many pairs there are."""
        return len(load_interactions().test)

    def trace(self, model: str, row: int, edits: Edits = ()) -> list[Step]:
        """See :func:`recsys_lite.explain.traces.graph.lightgcn`; such a pair has nothing to edit."""
        data = load_interactions()
        user, item = data.test[row].tolist()
        pair = Rows(torch.tensor([[user, item]]), torch.zeros(1, 0))
        return trace(model, retriever(model), pair, {"user": f"user {data.users[user]}", "item": data.title(item)})

    def about(self, row: int) -> str:
        """The pair in words."""
        data = load_interactions()
        user, item = data.test[row].tolist()
        return f"user {data.users[user]} and *{data.title(item)}*"

    def end(self, model: str, row: int, steps: list[Step]) -> str:
        """The place that the score gives the film."""
        data = load_interactions()
        user, item = data.test[row].tolist()
        known = data.mask("train", "validation")[user].clone()
        scores = retriever(model).scores(torch.tensor([user]))[0]
        place = 1 + int((scores[~known] > scores[item]).sum())
        return (
            f"In the end {name(model)} gives it a score of {float(steps[-1].result.iloc[0, 0]):.2f}, place {place} of "
            f"the {int((~known).sum()):,} films that the person had not rated before; in the data the person rated it."
        )

    def cell(self, model: str, row: int) -> str:
        """The lines that make ``steps``."""
        return dedent(f"""\
            import torch

            from recsys_lite.data.interactions import interactions
            from recsys_lite.fields import Rows
            from recsys_lite.store import load_retriever
            from recsys_lite.explain.traces import trace

            films = interactions()
            user, item = films.test[{row}].tolist()
            words = {{"user": f"user {{films.users[user]}}", "item": films.title(item)}}
            pair = Rows(torch.tensor([[user, item]]), torch.zeros(1, 0))
            steps = trace("{model}", load_retriever("{model}", films), pair, words)
            """)


@dataclass(frozen=True)
class Placed:
    """Rows of a simulated log: a film at a place of a list."""

    data, task = PLACES
    words = "MovieLens: simulated clicks, popular films first"

    def models(self) -> list[str]:
        """Those that know the place."""
        return list(stored_clicks.NAMES)

    def count(self) -> int:
        """How many rows there are."""
        return len(click_log().dataset.test)

    def trace(self, model: str, row: int, edits: Edits = ()) -> list[Step]:
        """See :mod:`recsys_lite.explain.traces.clicks`; such a row is not edited."""
        return trace(model, click_model(model), click_log().dataset.test[row])

    def about(self, row: int) -> str:
        """Who, what, and where it stood."""
        words = explain.readable(click_log().dataset, click_log().dataset.test, row)
        return f"user {words['user']} and *{words['item']}*, shown at place {int(words['position'])}"

    def end(self, model: str, row: int, steps: list[Step]) -> str:
        """The chance, and what the simulation did."""
        clicked = click_log().dataset.test.label[row].item() > 0.5  # type: ignore[index]
        return (
            f"In the end {name(model)} gives a click a chance of {chance(steps)}; in the log it was "
            f"{'clicked' if clicked else 'not clicked'}."
        )

    def cell(self, model: str, row: int) -> str:
        """The lines that make ``steps``."""
        return dedent(f"""\
            from recsys_lite.store import trained_clicks as stored_clicks
            from recsys_lite.explain.traces import trace

            log = stored_clicks.log()
            steps = trace("{model}", stored_clicks.load("{model}", log), log.dataset.test[{row}])
            """)


Source = Rated | Listed | Placed


def sources() -> dict[str, Source]:
    """All that has a model to step through, as the address names it."""
    found: list[Source] = [*(Rated(*pair) for pair in [*TASKS, PLANTED, *listed()]), Listed(), Placed()]
    return {f"{s.data}.{s.task}": s for s in found if s.models()}


def chance(steps: list[Step]) -> str:
    """The probability that a trace ends with."""
    return tables.percent(float(steps[-1].result.iloc[0, 0]))
