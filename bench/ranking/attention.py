"""Does attention show which pairs of fields matter? AutoInt on MovieLens click, several seeds, beside an ablation.

    python -m bench.ranking.attention             all that is missing; an interrupted run goes on where it stopped
    python -m bench.ranking.attention --fresh     everything again

Two sets of fields: all of the data set, and none of the ids (user, item, history), so that age, gender and occupation
must carry what can be known of a person; there the month of the request stands beside hour and weekday. Four kinds of
model: trained on clicks; the same with queries fixed at zero, so that every field takes the plain mean of all;
trained on labels drawn by coin; not trained at all. Sizes and optimiser are those of the leaderboard's AutoInt.
Epochs are at most five (coin: three) and pairs are swapped in a third of the test rows, so that the command ends
within ten minutes on two cores. The chapter *AutoInt* reads the results.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor

from bench import leaderboard, pool
from recsys_lite import explain
from recsys_lite.data.movielens_files import read_raw
from recsys_lite.evaluation import evaluate
from recsys_lite.fields import Dataset, Field, Rows, Vocabulary
from recsys_lite.models import AutoInt
from recsys_lite.store import RESULTS, read_json
from recsys_lite.training import fit, seed_everything

FILE = RESULTS / "attention.json"
TASK = ("movielens-100k", "click")
EPOCHS = {"click": 5, "plain mean": 5, "coin": 3}  # at most
LOOK = 9_596  # test rows in which pairs are swapped, a third of all
IDS = ("user", "item", "history")
VARIANTS = ("all fields", "no ids")
SEEDS = {"click": range(5), "plain mean": range(5), "coin": range(3), "untrained": range(3)}  # of each kind of model
#: the pairs that the paper names, in our fields; a request's time is an hour, a weekday and a month
CLAIMS = [
    ("genres", "gender"), ("genres", "age"), ("hour", "release_year"), ("weekday", "release_year"),
    ("month", "release_year"),
]  # fmt: skip


def with_month(dataset: Dataset) -> Dataset:
    """The data set with a further field: the month in which the request was made, of the eight that the data spans.

    Rows hold no time stamps, but each person's ratings stand in the order of their time, the parts one after another.

    Raises:
        ValueError: if the hours of the time stamps are not the data set's, so that the order is another one.
    """
    ratings = read_raw().ratings
    order = np.lexsort((ratings["item"].astype(int), ratings["timestamp"], ratings["user"].astype(int)))
    clock = pd.to_datetime(ratings["timestamp"].iloc[order], unit="s").reset_index(drop=True)
    parts = (dataset.train, dataset.validation, dataset.test)
    copies = sum(map(len, parts)) // len(clock)  # a click and its negatives share the time
    group = np.concatenate([part.group.numpy()[::copies] for part in parts])  # type: ignore[union-attr]
    place = np.empty(len(group), np.int64)
    place[np.argsort(group, kind="stable")] = np.arange(len(group))
    clock = clock.iloc[place].reset_index(drop=True)

    months = Vocabulary(sorted(clock.dt.strftime("%Y-%m").unique()))
    field = Field("month", "categorical", months, about="of the request, UTC")
    column = torch.from_numpy(np.repeat(months.encode(clock.dt.strftime("%Y-%m").to_numpy(str)), copies))[:, None]
    hours = np.repeat(dataset.field("hour").vocabulary.encode(clock.dt.strftime("%H").to_numpy(str)), copies)  # type: ignore[union-attr]
    at = [f.name for f in dataset.fields if f.kind == "categorical"].index("hour")
    if not np.array_equal(hours, np.concatenate([part.ids[:, at].numpy() for part in parts])):
        raise ValueError("with_month: the rows do not stand in the order of the ratings' times")
    first, second, third = (
        replace(part, ids=torch.cat([part.ids, new], 1))
        for part, new in zip(parts, column.split([len(p) for p in parts]), strict=True)
    )
    return replace(dataset, fields=(*dataset.fields, field), train=first, validation=second, test=third)


@functools.cache
def load(variant: str) -> Dataset:
    """The rows of a variant, once per process."""
    dataset = leaderboard.load(*TASK)
    return dataset if variant == "all fields" else with_month(dataset).drop(*IDS)


def by_coin(dataset: Dataset, seed: int) -> Dataset:
    """The same rows with labels that nothing explains, as many clicks as before.

    What is kept is the epoch that knows the **training** labels best: there is nothing else to know.
    """
    g = torch.Generator().manual_seed(seed)
    shuffled = lambda rows: replace(rows, label=rows.label[torch.randperm(len(rows), generator=g)])  # noqa: E731
    train = shuffled(dataset.train)
    return replace(dataset, train=train, validation=train[: len(dataset.validation)], test=shuffled(dataset.test))


@torch.no_grad()
def with_maps(model: AutoInt, rows: Rows, maps: Sequence[Tensor]) -> Tensor:
    """Logits (B,) of an AutoInt (paper variant, no network beside it) whose weights are replaced, a map per layer.

    Args:
        maps: each (B or 1, H, F, F); with the model's own ``attention`` the logits are the model's own.
    """
    e = model.embedding(rows)  # (B, F, d)
    B, F, _ = e.shape
    for layer, weights in zip(model.layers, maps, strict=True):
        v = layer.value(e).view(B, F, layer.heads, layer.units).transpose(1, 2)  # type: ignore[operator, union-attr]
        e = torch.relu((weights @ v).transpose(1, 2).reshape(B, F, -1) + layer.residual(e))  # type: ignore[operator]
    return model.combine(e.flatten(1)).squeeze(1)


def compare(mean: Tensor, pairs: pd.DataFrame, names: Sequence[str]) -> dict[str, Any]:
    """How attention and ablation order the pairs of fields: places of the claimed pairs, and rank correlations.

    Args:
        mean: attention (L, H, F, F), mean over rows. The attention of a pair is its mean over layers, heads and both
            directions.
        pairs: from :func:`recsys_lite.explain.interactions`.
    """
    both = mean.mean((0, 1))
    both = (both + both.T) / 2
    table = pairs.assign(
        attention=[both[names.index(a), names.index(b)].item() for a, b in zip(pairs["a"], pairs["b"], strict=True)]
    )
    places = table[["attention", "strength", "log_loss"]].rank(ascending=False)
    ranks = {}
    for a, b in CLAIMS:
        here = ((table["a"] == a) & (table["b"] == b)) | ((table["a"] == b) & (table["b"] == a))
        if here.any():
            ranks[f"{a} × {b}"] = {k: float(v) for k, v in places[here].iloc[0].items()}
    views = combinations(places.columns, 2)
    return {
        "ranks": ranks,
        "correlation": {f"{a}, {b}": float(spearmanr(table[a], table[b]).statistic) for a, b in views},
    }


def short(values: Any) -> Any:
    """Numbers of a nested list or dictionary, rounded for the file."""
    if isinstance(values, dict):
        return {k: short(v) for k, v in values.items()}
    if isinstance(values, list):
        return [short(v) for v in values]
    return float(f"{values:.4g}") if isinstance(values, float) else values


def work(variant: str, kind: str, seed: int, setting: dict[str, Any]) -> dict[str, Any]:
    """One model, from start to numbers; in a process of the pool."""
    return examine(load(variant), variant, kind, seed, setting)


def examine(dataset: Dataset, variant: str, kind: str, seed: int, setting: dict[str, Any]) -> dict[str, Any]:
    """Train an AutoInt and look at it from all sides, on the test part."""
    seed_everything(seed)
    model = leaderboard.build("autoint", dataset)
    assert isinstance(model, AutoInt)
    names = [f.name for f in dataset.fields]
    out: dict[str, Any] = {"variant": variant, "kind": kind, "seed": seed, "fields": names}
    data = by_coin(dataset, seed) if kind == "coin" else dataset
    if kind == "plain mean":
        for layer in model.layers:
            torch.nn.init.zeros_(layer.query.weight).requires_grad_(False)  # type: ignore[union-attr, arg-type]
    if kind != "untrained":
        options: dict[str, Any] = {"batch_size": leaderboard.BATCH[TASK[0]], "seed": seed, "progress": False}
        result = fit(model, data, epochs=EPOCHS[kind], patience=2, **setting, **options)
        out |= {"epoch kept": result.best_epoch, "test": short(result.test)}
    model.eval()
    with torch.no_grad():
        maps = [torch.cat(part) for part in zip(*(model.attention(b) for b in data.test.batches(4096)), strict=True)]
    out["largest distance from 1/F"] = short((torch.stack(maps) - 1 / len(names)).abs().max().item())
    some = data.test[torch.randperm(len(data.test), generator=torch.Generator().manual_seed(seed))[:LOOK]]
    if kind == "coin":
        out["pairs"] = listed(explain.interactions(model, some, seed=seed))
    if kind == "click":
        out |= look(model, data.test, some, maps, names, seed)
    return out


def look(
    model: AutoInt, test: Rows, some: Rows, maps: Sequence[Tensor], names: Sequence[str], seed: int
) -> dict[str, Any]:
    """Mean maps, what the model is worth with other maps than its own, and the pairs of fields in both views."""
    mean = torch.stack([m.mean(0) for m in maps])  # (L, H, F, F)
    others = {
        "own": maps,
        "mean of all rows": [m[None] for m in mean],
        "1/F everywhere": [torch.full_like(m[None], 1 / len(names)) for m in mean],
    }
    scores = {k: torch.sigmoid(with_maps(model, test, m)) for k, m in others.items()}
    pairs = explain.interactions(model, some, seed=seed)
    return {
        "weights replaced": short({k: evaluate(test.label, p, test.group) for k, p in scores.items()}),
        "sd over rows": short(torch.stack([m.std(0) for m in maps]).mean().item()),
        "attention": [[[[round(x, 4) for x in line] for line in head] for head in layer] for layer in mean.tolist()],
        "pairs": listed(pairs),
        **short(compare(mean, pairs, names)),
    }


def listed(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    """The table of :func:`recsys_lite.explain.interactions` for the file."""
    return short(pairs.drop(columns="auc").to_dict("records"))


def key(run: dict[str, Any]) -> tuple[int, int, int]:
    """The place of a run in the file."""
    return VARIANTS.index(run["variant"]), list(SEEDS).index(run["kind"]), run["seed"]


def best_setting() -> dict[str, Any]:
    """The setting that the leaderboard's tuning chose for AutoInt; a plain one where it has not been tuned."""
    tried = read_json(leaderboard.FILE)["tuning"].get(".".join([*TASK, "autoint"]), [])
    if len(tried) < len(leaderboard.search_space("autoint")):
        return {"lr": 3e-3, "weight_decay": 0.0}
    return min(tried, key=lambda t: t["validation"]["log_loss"])["setting"]


def run(record: dict[str, Any], save: Callable[[], None], processes: int) -> None:
    """Fill what is missing in the record, saving after each run."""
    setting = record.setdefault("setting", best_setting())
    record["about"] = {
        "dataset": TASK[0],
        "task": TASK[1],
        "most epochs": EPOCHS,
        "rows swapped": LOOK,
        "rows": "test part",
        "sizes": leaderboard.SIZES["autoint"],
    }

    def wanted() -> list[pool.Job]:
        done = {(run["variant"], run["kind"], run["seed"]) for run in record["runs"]}
        jobs = [(v, kind, seed) for kind, seeds in SEEDS.items() for seed in seeds for v in VARIANTS]
        return [(*job, setting) for job in jobs if job not in done]

    pool.run(work, wanted, pool.into_lists(record, save, key, "runs"), processes)


def main() -> None:
    pool.command(__doc__, FILE, {"runs": []}, lambda record, save, a: run(record, save, a.processes))


if __name__ == "__main__":
    main()
