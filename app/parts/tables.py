"""What the compare page shows of a row, as tables and sentences: rows in, pandas and text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from recsys_lite import explain
from recsys_lite.fields import UNSEEN, Dataset, Rows
from recsys_lite.models import Model

MOST_PARTS = 9  # parts that a fine view names; the rest is summed up
ORDER = ["bias", "linear", "pairs", "crosses", "gmf", "dot", "cross", "attention"]  # of coarse parts; networks follow


@dataclass
class Score:
    """One model on one row: logit parts before and after the edits, coarse and fine; probability; rank."""

    model: str
    coarse: pd.DataFrame  # lines original, now; a column per part, and logit
    _fine: pd.DataFrame | Callable[[], pd.DataFrame]  # made when it is first looked at
    rank: int = 0
    top: Sequence[int] = ()
    moved: Sequence[int | None] = ()  # places that each of the top films went up by the edits

    @property
    def fine(self) -> pd.DataFrame:
        """As :attr:`coarse`, with a part for each field and pair."""
        if callable(self._fine):
            self._fine = self._fine()
        return self._fine

    def logit(self, line: str = "now") -> float:
        return float(self.coarse.loc[line, "logit"])

    def probability(self, line: str = "now") -> float:
        return 1 / (1 + float(np.exp(-self.logit(line))))

    def parts(self, detail: str, change: bool) -> pd.Series:
        """The parts of the logit, or of its change."""
        table = (self.fine if detail == "fine" else self.coarse).drop(columns="logit")
        return table.loc["now"] - table.loc["original"] if change else table.loc["now"]


def aligned(scores: Sequence[Score], detail: str, change: bool) -> list[pd.Series]:
    """The parts of several models with the same rows in the same order, ``nan`` for a part that a model has not.

    Coarse ones in the order of a formula; fine ones by their size in any model, those beyond the largest summed up.
    Every series sums to its model's logit, or to its change.
    """
    parts = [s.parts(detail, change) for s in scores]
    sizes = pd.concat(parts, axis=1).abs().max(axis=1)
    if change:
        sizes = sizes[sizes > 1e-7]
    if detail == "coarse":
        names = sorted(sizes.index, key=lambda n: ORDER.index(n) if n in ORDER else len(ORDER))
        return [p.reindex(names) for p in parts]
    names = list(sizes.sort_values(ascending=False, kind="stable").index)
    if len(names) <= MOST_PARTS + 1:
        return [p.reindex(names) for p in parts]
    named, rest = names[:MOST_PARTS], names[MOST_PARTS:]
    other = f"{len(rest)} other parts"
    return [
        pd.concat([p.reindex(named), pd.Series({other: p.reindex(rest).sum(min_count=1)})]) for p in parts
    ]  # fmt: skip


def score(name: str, model: Model, rows: Rows) -> Score:
    """Both lines, original and now, through one model; the library checks that the parts sum to the logit."""
    parts = lambda fine: explain.logit_parts(model, rows, fine=fine).set_axis(["original", "now"])  # noqa: E731
    return Score(name, parts(False), partial(parts, True))


def limits(parts: Sequence[pd.Series], room: float = 0.55) -> tuple[float, float]:
    """One scale for several waterfalls: all their running sums, and zero, with room at both ends for the numbers."""
    ends = np.concatenate([[0.0], *[np.nancumsum(p.to_numpy(float)) for p in parts]])
    free = room * max(float(np.ptp(ends)), 0.05)
    return float(ends.min()) - free, float(ends.max()) + free


def parts_table(scores: Sequence[Score], detail: str, names: Mapping[str, str]) -> pd.DataFrame:
    """Every part of every model: original, now, change."""
    parts = [s.fine if detail == "fine" else s.coarse for s in scores]
    was, now = (np.concatenate([p.loc[line].to_numpy(float) for p in parts]) for line in ("original", "now"))
    models = [names[s.model] for s, p in zip(scores, parts, strict=True) for _ in p.columns]
    part = [str(c) for p in parts for c in p.columns]
    return pd.DataFrame({"model": models, "part": part, "original": was, "now": now, "change": now - was})


# --- which row ------------------------------------------------------------------------------------------------------


def disagreement(predictions: Sequence[np.ndarray], rows: Rows) -> np.ndarray:
    """Test rows with label 1 by the gap between the highest and the lowest model, the widest first.

    For people and films only rows whose every value training knew: a gap there is the models' own.
    """
    p = np.stack(predictions)
    wanted = rows.label == 1
    if rows.bags:
        known = (rows.ids != UNSEEN).all(1)
        for bag in rows.bags.values():
            known &= (bag != UNSEEN).all(1)
        wanted = wanted & known
    gap = np.where(wanted, p.max(0) - p.min(0), -1)
    return np.argsort(-gap, kind="stable")[: int(wanted.sum())]


def column_of(dataset: Dataset, name: str) -> int:
    """The column of a categorical field among the ids of rows."""
    return [f.name for f in dataset.fields if f.kind == "categorical"].index(name)


def find_rows(dataset: Dataset, user: str | None, film: str | None) -> list[int]:
    """Test rows of a user, of a film, or of both."""
    keep = torch.ones(len(dataset.test), dtype=torch.bool)
    for name, value in (("user", user), ("item", film)):
        if value is not None:
            number = int(dataset.field(name).vocabulary.encode([value])[0])  # type: ignore[union-attr]
            keep &= dataset.test.ids[:, column_of(dataset, name)] == number
    return torch.nonzero(keep)[:, 0].tolist()


# --- the film among others ------------------------------------------------------------------------------------------


def film_features(dataset: Dataset) -> Rows:
    """A row per film of the training part, with what belongs to the film; the rest is filled in per person."""
    films, items = dataset.field("item").vocabulary, dataset.extras["items"]
    blank = dataset.decode(dataset.test, 0)
    records = []
    for i in range(1, len(films)):  # type: ignore[arg-type]
        raw = films.decode(i)  # type: ignore[union-attr]
        film = items.loc[raw]
        records.append({**blank, "item": raw, "genres": list(film["genres"]), "release_year": film["release_year"]})
    return dataset.encode(records)


def candidates(dataset: Dataset, films: Rows, row: Rows, user: str) -> Rows:
    """The fixed list for one person: the row's own film first, then every film they did not rate in training."""
    columns = [f.name for f in dataset.fields if f.kind == "categorical"]
    item = columns.index("item")
    own = int(row.ids[0, item])
    seen: set[int] = set()
    if user.isdigit() and dataset.train.group is not None and dataset.train.label is not None:
        mine = dataset.train.group == int(user)
        if dataset.task == "click":
            mine &= dataset.train.label == 1
        seen = set(dataset.train.ids[mine, item].tolist())
    keep = torch.tensor([i != own and i not in seen for i in films.ids[:, item].tolist()])
    ids = films.ids[keep].clone()
    for k, name in enumerate(columns):
        if name not in ("item", "release_year"):
            ids[:, k] = row.ids[0, k]
    n = len(ids)
    bags = {k: films.bags[k][keep] if k == "genres" else b.expand(n, -1) for k, b in row.bags.items()}
    return Rows(
        torch.cat([row.ids, ids]),
        torch.zeros((n + 1, 0)),
        {k: torch.cat([row.bags[k], b]) for k, b in bags.items()},
    )


@torch.no_grad()
def order(model: Model, rows: Rows, item_column: int) -> tuple[list[int], int]:
    """The films of a list, the highest logit first, and how many stand above the first of the rows.

    Logits, since chances near 0 and 1 run into ties.
    """
    z = torch.cat([model(batch) for batch in rows.batches(8192)])
    films = rows.ids[z.argsort(descending=True, stable=True), item_column].tolist()
    return films, int((z[1:] > z[0]).sum())


def add_rank(
    result: Score, ordered: tuple[Sequence[int], int], before: Sequence[int] | None = None, count: int = 10
) -> int:
    """Fill in the place of the row's film among all, and the first few films. Returns how many there are.

    Args:
        result: what is filled in.
        ordered: of :func:`order`.
        before: the films in the order that they had before the edits; then also how far each of the first moved,
            ``None`` for one that was not among them.
    """
    films, above = ordered
    result.rank, result.top = 1 + above, films[:count]
    if before is not None:
        was = {film: place for place, film in enumerate(before)}
        result.moved = [was[film] - place if film in was else None for place, film in enumerate(result.top)]
    return len(films)


def top_table(dataset: Dataset, scores: Sequence[Score], names: Mapping[str, str]) -> pd.DataFrame:
    """The first films of each model, side by side."""
    films = dataset.field("item").vocabulary
    columns = {}
    for s in scores:
        moved = ["" if m == 0 else " (new)" if m is None else f" ({'▲' if m > 0 else '▼'} {abs(m)})" for m in s.moved]
        titles = [films.label(i) for i in s.top]  # type: ignore[union-attr]
        columns[names[s.model]] = [t + m for t, m in zip(titles, moved or [""] * len(titles), strict=True)]
    return pd.DataFrame({"rank": range(1, len(scores[0].top) + 1), **columns})


# --- sentences ------------------------------------------------------------------------------------------------------


def row_in_words(dataset: Dataset, record: Mapping[str, Any]) -> str:
    """Who and what a row is about."""
    if dataset.name == "planted":
        return "a made-up row"
    if dataset.name != "movielens-100k":
        return "an ad impression" if dataset.name == "criteo-sample" else "a row of your table"
    label = lambda name: dataset.field(name).vocabulary.label(  # type: ignore[union-attr]  # noqa: E731
        int(dataset.field(name).vocabulary.encode([record[name]])[0])  # type: ignore[union-attr]
    )
    film = "a film not seen in training" if label("item") == "<unseen>" else f"*{label('item')}*"
    who = "an unknown user" if label("user") == "<unseen>" else f"user {label('user')}"
    gender = {"F": "a woman", "M": "a man"}.get(record["gender"], "a person")
    return f"{who} ({gender} aged {record['age']}, {record['occupation']}) and {film}"


def sentence(
    about: str, scores: Sequence[Score], names: Mapping[str, str], event: str, edits: Sequence[str], truth: str
) -> str:
    """The view in words: highest and lowest model, and what the edits did."""
    order = sorted(scores, key=lambda s: -s.probability())
    high, low = order[0], order[-1]
    share = lambda s, line="now": percent(s.probability(line))  # noqa: E731
    if len(order) == 1:
        text = f"For {about}, **{names[high.model]}** gives a chance of {share(high)}."
    else:
        gap = 100 * (high.probability() - low.probability())
        verdict = f"a gap of {gap:.0f} points" if gap >= 5 else "so they agree within five points"
        text = (
            f"For {about}, **{names[high.model]}** gives {event} a chance of {share(high)} and "
            f"**{names[low.model]}** {share(low)}: {verdict}."
        )
    if edits:
        moved = max(scores, key=lambda s: abs(s.probability() - s.probability("original")))
        way = f"from {share(moved, 'original')} to {share(moved)}"
        text += f" With {_listed(edits)} changed, {names[moved.model]} moves most, {way}."
    return text + f" {truth}"


def percent(p: float) -> str:
    """A probability in words: one decimal, never a false 0 or 100."""
    if p < 0.001 or p > 0.999:
        return "< 0.1\u00a0%" if p < 0.5 else "> 99.9\u00a0%"
    return f"{100 * p:.1f}\u00a0%"


def _listed(words: Sequence[str]) -> str:
    if len(words) > 4:
        return f"{len(words)} fields"
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def unseen_fields(dataset: Dataset, rows: Rows) -> list[str]:
    """Fields of the last row whose value training never showed."""
    row = rows[len(rows) - 1]
    names = [f.name for f in dataset.fields if f.kind == "categorical"]
    out = [n for n, i in zip(names, row.ids[0].tolist(), strict=True) if i == UNSEEN]
    return out + [f"{n} (in part)" if (b > UNSEEN).any() else n for n, b in row.bags.items() if (b == UNSEEN).any()]
