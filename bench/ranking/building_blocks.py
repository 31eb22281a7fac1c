"""Each neural building block against its own ablation on MovieLens-100K, for the chapter *Building blocks*.

    python -m bench.ranking.building_blocks             all that is missing; an interrupted run goes on where it stopped
    python -m bench.ranking.building_blocks --fresh     everything again

*mlp:* task *click*, all ten fields, 60,000 of the training rows. Hidden layers against a linear layer on embeddings
of the same size, and against logistic regression.

*cnn:* task *click* on films that training never showed (another fifth of the films for every seed), without item
numbers. Filters over the letters of the title against the mean of the same letters, no title at all, and the film's
genres and year.

*rnn:* the next film of a history of ten. An LSTM against the mean of the vectors, and against an LSTM that gets every
history in random order (with the settings of the LSTM, not tuned again). The films' vectors are asked whether
neighbours share a genre.

Every model tries six settings with one seed and takes the best on validation; five other seeds then look at the test
part once.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from bench import pool
from recsys_lite.data import load
from recsys_lite.data.interactions import Interactions, interactions
from recsys_lite.data.titles import cold_films, with_letters
from recsys_lite.evaluation import evaluate_retrieval
from recsys_lite.explain.item_map import common_share, members, nearest
from recsys_lite.fields import Dataset
from recsys_lite.models import FieldMLP, LogisticRegression, NextItem, Popularity, TextCNN
from recsys_lite.models.base import Model
from recsys_lite.models.blocks import shuffled_histories
from recsys_lite.store import RESULTS
from recsys_lite.training import fit, fit_retrieval, next_item_step, seed_everything

FILE = RESULTS / "building_blocks.json"
SEEDS, TUNING_SEED = range(5), 100
ROWS, HISTORY, DIM, ITEM_DIM = 60_000, 10, 16, 32
KNOWN_FILM, NEIGHBOURS = 20, 10  # training ratings that a film of the neighbour test has; neighbours asked
WHO = ["gender", "age", "occupation"]
RATES, PENALTIES = (0.003, 0.01, 0.03), (1e-6, 1e-5)
CLICK: dict[str, Any] = {"epochs": 10, "patience": 2, "batch_size": 1024, "progress": False}
NEXT: dict[str, Any] = {"epochs": 5, "patience": 2, "batch_size": 1024, "progress": False}
MODELS = {
    "mlp": ("mlp", "linear", "logistic_regression"),
    "cnn": ("cnn", "letters", "no_title", "genres_and_year"),
    "rnn": ("lstm", "mean", "shuffled"),
}
SETTINGS = [{"lr": lr, "weight_decay": wd} for lr, wd in itertools.product(RATES, PENALTIES)]
SETTINGS_OF = {
    "cnn": [{"lr": lr, "weight_decay": wd} for lr in (0.001, 0.005) for wd in (1e-5, 1e-4, 1e-3)],
    "rnn": [{"lr": lr, "weight_decay": wd} for lr in (0.003, 0.006, 0.012) for wd in (0.0, 1e-6)],
}
MONITOR = {"mlp": "log_loss", "cnn": "auc", "rnn": "ndcg@20"}
COPIES = {"shuffled": "lstm"}  # takes the settings of another model

Record = dict[str, Any]
Job = tuple[str, str, dict[str, Any]]


@functools.cache
def clicks() -> Dataset:
    """MovieLens *click* with the letters of the titles."""
    return with_letters(load("movielens-100k", task="click"))


@functools.cache
def warm() -> Dataset:
    """The first experiment: some of the training rows, all of the others, no letters."""
    data = clicks().drop("letters")
    drawn = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))[:ROWS]
    return replace(data, train=data.train[drawn])


@functools.cache
def histories() -> Interactions:
    return interactions(history=HISTORY)


def on_clicks(name: str, seed: int) -> tuple[Model, Dataset]:
    """A model of the first two experiments and its data; the model starts from the seed."""
    if name in MODELS["mlp"]:
        data = warm()
    else:
        fields = {"no_title": WHO, "genres_and_year": [*WHO, "genres", "release_year"]}.get(name, [*WHO, "letters"])
        data = cold_films(clicks(), seed).select(fields)
    seed_everything(seed)
    if name == "cnn":
        return TextCNN(data.fields, "letters", dim=DIM), data
    if name == "logistic_regression":
        return LogisticRegression(data.fields), data
    return FieldMLP(data.fields, dim=DIM, hidden=() if name == "linear" else (64, 32)), data


def shares(model: NextItem) -> dict[str, float]:
    """How often neighbours of films with enough ratings share a genre, for trained vectors and three controls."""
    data = model.data
    known = (data.degree() >= KNOWN_FILM).nonzero().squeeze(1)
    sets = members(data.candidates.bags["genres"][known])
    count = data.degree()[known].double().log()
    generator = torch.Generator().manual_seed(0)
    control = {
        "trained": model.vectors()[known].detach(),
        "untrained": torch.randn(len(known), model.config["dim"], generator=generator),
    }
    out = {name: common_share(nearest(v, NEIGHBOURS), sets) for name, v in control.items()}
    apart = (count[:, None] - count).abs().fill_diagonal_(torch.inf)
    out["as popular"] = common_share(apart.topk(NEIGHBOURS, 1, largest=False).indices, sets)
    pairs = (sets.float() @ sets.float().T > 0).float().fill_diagonal_(0)
    return out | {"any other": (pairs.sum() / (len(known) * (len(known) - 1))).item(), "films": len(known)}


def work(kind: str, name: str, job: Record) -> Record:
    """One run, in a process of the pool."""
    tuning, seed = job["seed"] == TUNING_SEED, job["seed"]
    made: Record = {"experiment": kind, "model": name, **job}
    if kind != "rnn":
        model, dataset = on_clicks(name, seed)
        options = {"lr": job["lr"], "weight_decay": job["weight_decay"], "seed": seed, "evaluate_test": not tuning}
        result = fit(model, dataset, **CLICK, **options, monitor=MONITOR[kind])
        made |= {"parameters": result.parameters, "best_epoch": result.best_epoch, "validation": result.validation}
        return made if tuning else made | {"test": result.test}
    data = histories()
    if name == "popularity":
        return made | {"test": evaluate_retrieval(Popularity(data), data)}
    if name == "shuffled":
        data = shuffled_histories(data, seed)
    seed_everything(seed)
    reader = NextItem(data, ITEM_DIM, "mean" if name == "mean" else "lstm")
    options = {"lr": job["lr"], "weight_decay": job["weight_decay"], "seed": seed, "evaluate_test": False}
    result = fit_retrieval(reader, data, next_item_step(data), **NEXT, **options)
    made |= {"parameters": result.parameters, "best_epoch": result.best_epoch, "validation": result.validation}
    if tuning:
        return made
    reader.state = "fresh"
    made |= {"test": evaluate_retrieval(reader, data), "genre": shares(reader)}
    if name == "lstm":  # the trained network, but the order of the test histories is lost
        reader.data = shuffled_histories(data, seed)
        made["test_shuffled"] = evaluate_retrieval(reader, data)
    return made


def chosen(record: Record, kind: str, name: str) -> Record | None:
    """The best of the six settings by validation, once all of them ran."""
    name = COPIES.get(name, name)
    tried = [r for r in record["tuning"] if r["model"] == name]
    if len(tried) < len(SETTINGS):
        return None
    sign = -1 if MONITOR[kind] == "log_loss" else 1
    best = max(tried, key=lambda r: sign * r["validation"][MONITOR[kind]])
    return {"lr": best["lr"], "weight_decay": best["weight_decay"]}


def wanted(record: Record) -> list[Job]:
    """The runs that are missing and can be made now: settings first, then seeds."""
    jobs: list[Job] = []
    for kind, name in [(k, name) for k, names in MODELS.items() for name in names]:
        if name not in COPIES:
            for settings in SETTINGS_OF.get(kind, SETTINGS):
                job = {**settings, "seed": TUNING_SEED}
                if not any(r["model"] == name and job.items() <= r.items() for r in record["tuning"]):
                    jobs.append((kind, name, job))
        if best := chosen(record, kind, name):
            for seed in SEEDS:
                if not any(r["model"] == name and r["seed"] == seed for r in record["runs"]):
                    jobs.append((kind, name, {**best, "seed": seed}))
    if not any(r["model"] == "popularity" for r in record["runs"]):
        jobs.append(("rnn", "popularity", {"seed": 0}))
    return jobs


def run(record: Record, save: Callable[[], None], processes: int) -> None:
    """Fill what is missing, saving after each run."""
    record["about"] = {
        "rows": ROWS, "history": HISTORY, "dim": DIM, "item dim": ITEM_DIM, "click training": CLICK,
        "next training": NEXT, "known film": KNOWN_FILM, "neighbours": NEIGHBOURS, "settings": len(SETTINGS),
    }  # fmt: skip
    order = [*itertools.chain(*MODELS.values()), "popularity"]

    def keep(job: pool.Job, result: Record) -> None:
        part = record["tuning" if result["seed"] == TUNING_SEED else "runs"]
        part.append(result)
        part.sort(key=lambda r: (order.index(r["model"]), r["seed"], r.get("lr", 0), r.get("weight_decay", 0)))
        save()

    pool.run(work, lambda: wanted(record), keep, processes, total=9 * 6 + 10 * 5 + 1)


def main() -> None:
    pool.command(__doc__, FILE, {"tuning": [], "runs": []}, lambda r, save, a: run(r, save, a.processes))


if __name__ == "__main__":
    main()
