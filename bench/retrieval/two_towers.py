"""Two towers for the table of retrieval, their variants, and films that training never showed.

    python -m bench.retrieval.two_towers           new films, and histories brought up to date: what is missing
    python -m bench.retrieval.two_towers --fresh   everything again

``bench.retrieval.retrieval`` trains the towers and the variants of this file beside the other retrievers. This command
asks what no retriever of numbers alone can do: one film in ten loses all its training interactions and its row, and is
to be found by its features. Five seeds, which also draw the films; settings are those that
``bench.retrieval.retrieval`` chose.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from bench import pool
from bench.leaderboard import SEEDS
from recsys_lite.data.interactions import Interactions, interactions
from recsys_lite.evaluation import Retriever, evaluate_retrieval
from recsys_lite.fields import Rows
from recsys_lite.models import LightGCN, Popularity, TowerRetriever
from recsys_lite.models.two_towers import TwoTowers
from recsys_lite.store import RESULTS, best_setting, read_json
from recsys_lite.training import Result, bpr_step, fit_retrieval, in_batch_step, seed_everything

FILE = RESULTS / "new_items.json"
Setting = dict[str, Any]

#: arguments of ``fit_retrieval`` that differ from those of the other retrievers
FIXED: Setting = {"epochs": 10, "batch_size": 1024, "patience": 2, "progress": False}
#: the six settings that are tried
SPACE: list[Setting] = [
    {"similarity": "cosine", "temperature": t, "lr": lr} for lr in (3e-3, 1e-2) for t in (0.07, 0.1, 0.15)
]


@dataclass(frozen=True)
class Variant:
    """One thing changed: arguments of the model or of its step, or fields that are left out."""

    model: Setting = field(default_factory=dict)
    step: Setting = field(default_factory=dict)
    without: tuple[str, ...] = ()


VARIANTS = {
    f"two_towers_{name}": variant
    for name, variant in {
        "no_log_q": Variant(step={"correct": 0.0}),
        "log_q_added": Variant(step={"correct": -1.0}),
        "hits_kept": Variant(step={"remove_hits": False}),
        "exact_positive": Variant(step={"exact_positive": True}),
        "all_items": Variant(step={"all_items": True}),
        "temperature_0.3": Variant({"temperature": 0.3}),
        "dot": Variant({"similarity": "dot", "temperature": 1.0}),
        "features_only": Variant(without=("item",)),
        "history_only": Variant(without=("user", "gender", "age", "occupation")),
        "no_history": Variant(without=("history",)),
    }.items()
}
#: films without training data: name -> what is changed
NEW = {
    "features": Variant(without=("item",)),
    "number_and_features": Variant(),
    "number_hidden": Variant(step={"hide_item": 0.2}),
}


def train(
    data: Interactions, setting: Setting, seed: int, test: bool = True, variant: Variant | None = None
) -> tuple[Result, TowerRetriever]:
    """Train two towers with a setting of :data:`SPACE`; the test part is looked at if asked."""
    v = variant or Variant()
    sides = [[f.name for f in fs if f.name not in v.without] for fs in (data.query_fields, data.candidate_fields)]
    how = {k: setting[k] for k in ("similarity", "temperature")} | v.model
    rates = {k: setting[k] for k in ("lr", "weight_decay") if k in setting}
    seed_everything(seed)
    model = TwoTowers(data.query_fields + data.candidate_fields, *sides, **how)
    retriever = TowerRetriever(model, data)
    step = in_batch_step(model, data, **v.step)
    result = fit_retrieval(model, data, step, seed=seed, evaluator=retriever, evaluate_test=test, **rates, **FIXED)
    return result, retriever.eval()


class Among:
    """A retriever that knows of some items only."""

    def __init__(self, retriever: Retriever, items: Tensor):
        self.retriever, self.items = retriever, items

    def scores(self, users: Tensor) -> Tensor:
        return self.retriever.scores(users).masked_fill(~self.items, -torch.inf)


class Constant:
    """Knows nothing: all items alike."""

    def __init__(self, data: Interactions):
        self.items = data.num_items

    def scores(self, users: Tensor) -> Tensor:
        return torch.zeros(len(users), self.items)


class Content:
    """No training: the cosine of a film's genres and title words with their mean over the user's latest films."""

    def __init__(self, data: Interactions, whole: Interactions):
        bags = [one_hot(data.candidates, name) for name in ("genres", "title")]
        self.films = torch.nn.functional.normalize(torch.cat(bags, 1), dim=1)  # (I, words)
        self.place = torch.full((whole.candidate_fields[0].size,), -1)
        self.place[whole.candidates.ids[:, 0].long()] = torch.arange(whole.num_items)
        self.history = data.queries["known"].bags["history"]

    def scores(self, users: Tensor) -> Tensor:
        seen = self.history[users].long()
        liked = self.films[self.place[seen.clamp(min=0)]] * (seen > 0)[..., None]  # (B, L, words)
        return liked.mean(1) @ self.films.T


def one_hot(rows: Rows, name: str) -> Tensor:
    """(B, V) the values of a bag, each 1."""
    bag = rows.bags[name].long()
    out = torch.zeros(len(bag), int(bag.max()) + 2)
    return out.scatter_(1, bag + 1, 1.0)[:, 1:]  # the first column gathers the padding


@functools.cache
def load() -> Interactions:
    """The data, once per process."""
    return interactions()


def without_films(seed: int) -> tuple[Interactions, Tensor]:
    """The data as if one film in ten were new, and (I,) which; validation asks for the other films only."""
    data = load()
    known = (data.degree() > 0).nonzero().squeeze(1)
    g = torch.Generator().manual_seed(seed)
    new = torch.zeros(data.num_items, dtype=torch.bool)
    new[known[torch.randperm(len(known), generator=g)[: len(known) // 10]]] = True
    cold = data.without_items(new.nonzero().squeeze(1))
    return replace(cold, validation=data.validation[~new[data.validation[:, 1]]]), new


def judge(retriever: Retriever, data: Interactions, new: Tensor) -> dict[str, float]:
    """Recall@20 of the new films' test interactions among all films and among the new ones, and of the others'."""
    is_new = new[data.test[:, 1]]
    of_new, of_others = replace(data, test=data.test[is_new]), replace(data, test=data.test[~is_new])
    return {
        "new among all": evaluate_retrieval(retriever, of_new)["recall@20"],
        "new among new": evaluate_retrieval(Among(retriever, new), of_new)["recall@20"],
        "others among all": evaluate_retrieval(retriever, of_others)["recall@20"],
    }


def work(part: str, name: str, seed: int, setting: Setting) -> dict[str, Any]:
    """One run: a model without one film in ten, or towers on all data with two states of the users."""
    run = {"model": name, "seed": seed}
    retriever: Retriever
    if part == "fresh":
        model = train(load(), setting, seed, test=False)[1].model
        states = {state: TowerRetriever(model, load(), state).eval() for state in ("known", "fresh")}
        return run | {"test": {state: evaluate_retrieval(r, load()) for state, r in states.items()}}  # type: ignore[arg-type]
    data, new = without_films(seed)
    if name in NEW:
        retriever = train(data, setting, seed, test=False, variant=NEW[name])[1]
    elif name == "lightgcn":
        retriever = lightgcn(data, setting, seed)
    else:
        retriever = {"chance": Constant(data), "popularity": Popularity(data), "content": Content(data, load())}[name]
    return run | {"films": int(new.sum()), "test": judge(retriever, data, new)}


def lightgcn(data: Interactions, setting: Setting, seed: int) -> Retriever:
    """LightGCN with the setting that was chosen for it on all data."""
    from bench.retrieval import retrieval

    seed_everything(seed)
    model = LightGCN(data, dim=64)
    options = retrieval.FIXED | {"lr": setting["lr"]}
    fit_retrieval(model, data, bpr_step(data, setting["decay"]), seed=seed, evaluate_test=False, **options)
    return model


def run(record: dict[str, Any], save: Callable[[], None], arguments: argparse.Namespace) -> None:
    """Fill what is missing, saving after each run."""
    tuned = read_json(RESULTS / "retrieval.json")
    setting = {name: best_setting(tuned, name) for name in ("two_towers", "lightgcn")}
    record["about"], record["settings"] = load().about, setting
    names = ["chance", "popularity", "content", "lightgcn", *NEW]
    done = {(part, r["model"], r["seed"]) for part in ("new", "fresh") for r in record[part]}
    wanted = [("new", name, seed) for seed in SEEDS for name in names]
    wanted += [("fresh", "two_towers", seed) for seed in SEEDS]
    jobs = [(*job, setting.get(job[1], setting["two_towers"])) for job in wanted if job not in done]
    place = lambda r: ([*names, "two_towers"].index(r["model"]), r["seed"])  # noqa: E731
    pool.run(work, lambda: jobs, pool.into_lists(record, save, place), arguments.processes)


def main() -> None:
    pool.command(__doc__, FILE, {"about": {}, "settings": {}, "new": [], "fresh": []}, run)


if __name__ == "__main__":
    main()
