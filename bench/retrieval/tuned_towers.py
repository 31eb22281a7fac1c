"""Towers and rivals that read the order of the history, each tuned alike; what the log q correction is worth.

    python -m bench.retrieval.tuned_towers           what is missing
    python -m bench.retrieval.tuned_towers --fresh   everything again

Towers with a cosine and with a plain product get the same number of trials over learning rate, temperature, penalty and
width; EASE and item neighbours, each with and without weights :math:`e^{-age/\tau}` on the history, get theirs. The
search is that of ``bench.retrieval.climb``; the validation part's NDCG@20 chooses. The correction of the in-batch
softmax is left out of the training with learning rates of its own, and log q is added to the served scores or not: four
cells, each at its own best setting. Three seeds of each chosen training look at the test part once, with the history
that was known after training and with the fresh one.
"""

from __future__ import annotations

import argparse
import copy
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bench import pool
from bench.retrieval.climb import Ladders, Setting, best, propose
from recsys_lite.data.interactions import Interactions, interactions
from recsys_lite.evaluation import Retriever, evaluate_retrieval, per_user
from recsys_lite.fields import choose_columns
from recsys_lite.models import EASE, ItemKNN, TowerRetriever
from recsys_lite.models.neighbours import ItemSums, history_weights
from recsys_lite.models.two_towers import TwoTowers
from recsys_lite.store import RESULTS
from recsys_lite.training import seed_everything

FILE = RESULTS / "tuned_towers.json"
SEEDS = range(3)
TUNING_SEED = 100
STATES = ("known", "fresh")
SERVED = {"plain": 0.0, "log q added": 1.0}
FIXED: Setting = {"epochs": 12, "patience": 1, "batch_size": 1024}

TOWERS: dict[str, Any] = {
    "lr": [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1],
    "temperature": [0.02, 0.04, 0.07, 0.1, 0.15, 0.25, 0.4, 0.7, 1.0, 2.0, 4.0],
    "weight_decay": [0.0, 1e-6, 1e-5, 1e-4, 1e-3],
    "out": [8, 16, 32, 64, 128],
}
RECENCY = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]
EASE_L2 = [25.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1600.0]
KNN: dict[str, Any] = {"neighbours": [5, 10, 20, 40, 80, 160], "shrink": [0.0, 3.0, 10.0, 30.0, 100.0, 300.0]}
RATES = {"lr": TOWERS["lr"]}
#: arm -> (ladders, where the search starts, trials)
ARMS: dict[str, tuple[Ladders, Setting, int]] = {
    "ease": ({"l2": EASE_L2}, {"l2": 200.0}, 6),
    "ease by age": ({"recency": RECENCY, "l2": EASE_L2}, {"recency": 8.0, "l2": 200.0}, 12),
    "item_knn": (KNN, {"neighbours": 20, "shrink": 10.0}, 12),
    "item_knn by age": (KNN | {"recency": RECENCY}, {"neighbours": 20, "shrink": 10.0, "recency": 8.0}, 12),
    "cosine": (TOWERS, {"lr": 3e-3, "temperature": 0.1, "weight_decay": 0.0, "out": 32}, 6),
    "dot": (TOWERS, {"lr": 3e-3, "temperature": 1.0, "weight_decay": 0.0, "out": 32}, 6),
}
#: the training without correction: the cosine's chosen setting, with learning rates of its own
PLAIN, PLAIN_TRIALS = "cosine, not corrected", 2
TRAINED = ("cosine", "dot", PLAIN)


@functools.cache
def load() -> Interactions:
    """The data, once per process."""
    return interactions()


@functools.cache
def table(kind: str, *setting: float) -> Tensor:
    """B of a closed form, once per process."""
    model = EASE(load(), setting[0]) if kind == "ease" else ItemKNN(load(), int(setting[0]), setting[1])
    return model.weights


def closed(arm: str, setting: Setting, state: str) -> ItemSums:
    """EASE or item neighbours with some histories."""
    rest = [v for name, v in setting.items() if name != "recency"]
    return ItemSums(history_weights(load(), setting.get("recency"), state), table(arm.split()[0], *rest))


class Shifted:
    """A retriever with a number added to the scores of each item: what a repair at serving time does."""

    def __init__(self, retriever: Retriever, shift: Tensor):
        self.retriever, self.shift = retriever, shift

    def scores(self, users: Tensor) -> Tensor:
        return self.retriever.scores(users) + self.shift


def log_q(data: Interactions) -> Tensor:
    """(I,) log of the share of each item in the training interactions; an item without any counts as one."""
    return (data.degree().clamp(min=1) / len(data.train)).log()


def towers(arm: str, setting: Setting) -> TwoTowers:
    """Untrained towers of a setting."""
    data, width = load(), setting["out"]
    query, candidate = ([f.name for f in fields] for fields in (data.query_fields, data.candidate_fields))
    kind = "dot" if arm == "dot" else "cosine"
    return TwoTowers(
        data.query_fields + data.candidate_fields, query, candidate, hidden=(2 * width,), out=width, similarity=kind,
        temperature=setting["temperature"],
    )  # fmt: skip


def loss(u: Tensor, v: Tensor, items: Tensor, drawn: Tensor, temperature: float) -> Tensor:
    """``in_batch_softmax`` with hits removed, in fewer passes over (B, B): the product scales and corrects."""
    left = torch.cat([u / temperature, torch.ones(len(u), 1)], 1)
    made = left @ torch.cat([v, -drawn[:, None]], 1).T
    row, column = (items[:, None] == items).nonzero(as_tuple=True)
    hit = row != column
    made[row[hit], column[hit]] = -torch.inf
    return cross_entropy(made, torch.arange(len(items)))


def epochs(model: TwoTowers, correct: float, setting: Setting, seed: int) -> Iterator[int]:
    """Train epoch by epoch."""
    data, drawn = load(), correct * log_q(load())
    queries = choose_columns(data.query_fields, data.queries["train"], model.query_names)
    candidates = choose_columns(data.candidate_fields, data.candidates, model.candidate_names)
    adam = torch.optim.Adam(model.parameters(), setting["lr"], weight_decay=setting["weight_decay"], fused=True)
    g = torch.Generator().manual_seed(seed)
    for epoch in range(1, FIXED["epochs"] + 1):
        model.train()
        for batch in torch.randperm(len(data.train), generator=g).split(FIXED["batch_size"]):
            adam.zero_grad()
            items = data.train[batch, 1]
            u, v = model.query(queries[batch]), model.candidate(candidates[items])
            loss(u, v, items, drawn[items], model.temperature).backward()
            adam.step()
        model.eval()
        yield epoch


def train(arm: str, setting: Setting, seed: int, test: bool) -> dict[str, Any]:
    """One training, judged with both ways to serve it; each has its own best epoch, and stops when both are past."""
    data, start = load(), time.process_time()
    seed_everything(seed)
    model = towers(arm, setting)
    found: dict[str, dict[str, Any]] = {how: {"validation": -1.0} for how in SERVED}
    kept: dict[str, dict[str, Tensor]] = {}

    for epoch in epochs(model, 0.0 if arm == PLAIN else 1.0, setting, seed):
        retriever = TowerRetriever(model, data).eval()
        for how, share in SERVED.items():
            value = evaluate_retrieval(Shifted(retriever, share * log_q(data)), data, "validation")["ndcg@20"]
            if value > found[how]["validation"]:
                found[how] = {"validation": value, "best_epoch": epoch}
                kept[how] = copy.deepcopy(model.state_dict())
        if all(epoch - f["best_epoch"] >= FIXED["patience"] for f in found.values()):
            break
    for how in SERVED if test else ():
        model.load_state_dict(kept[how])
        states = {s: TowerRetriever(model, data, s).eval() for s in STATES}
        found[how] |= judged({s: Shifted(r, SERVED[how] * log_q(data)) for s, r in states.items()})
    return {"served": found, "parameters": model.parameter_count, "cpu_seconds": round(time.process_time() - start, 1)}


def judged(states: dict[str, Any]) -> dict[str, Any]:
    """Test metrics with each state of the histories, and the NDCG of each user."""
    out: dict[str, Any] = {"test": {}, "ndcg_by_user": {}}
    for state, retriever in states.items():
        users = per_user(retriever, load(), "test")
        out["test"][state] = {"recall@20": users["recall"].mean(), "ndcg@20": users["ndcg"].mean()}
        out["ndcg_by_user"][state] = " ".join(f"{v:.3g}" for v in users["ndcg"])
    return out


def work(part: str, arm: str, setting: Setting, seed: int) -> dict[str, Any]:
    """One run, in a process of the pool."""
    test, out = part == "runs", {"arm": arm, "setting": setting, "seed": seed}
    if arm in TRAINED:
        return out | train(arm, setting, seed, test)
    value = evaluate_retrieval(closed(arm, setting, "known"), load(), "validation")["ndcg@20"]
    served = {"validation": value} | (judged({s: closed(arm, setting, s) for s in STATES}) if test else {})
    return out | {"served": {"plain": served}}


def tried(record: dict[str, Any], arm: str, how: str = "plain") -> list[tuple[Setting, float]]:
    """The trials of an arm: setting and its value on the validation part."""
    return [(t["setting"], t["served"][how]["validation"]) for t in record["tuning"] if t["arm"] == arm]


def chosen(record: dict[str, Any], arm: str) -> list[Setting]:
    """The settings that get seeds: the best for each way to serve, without repetition."""
    ways = SERVED if arm in ("cosine", PLAIN) else ("plain",)
    settings: list[Setting] = []
    for how in ways:
        if (one := best(tried(record, arm, how))) not in settings:
            settings.append(one)
    return settings


def search(record: dict[str, Any], arm: str) -> Setting | None:
    """The next trial of an arm, if it has one left."""
    if arm != PLAIN:
        ladders, start, limit = ARMS[arm]
        return propose(ladders, start, tried(record, arm), limit)
    parent = best(tried(record, "cosine"))
    own = [({"lr": s["lr"]}, value) for s, value in tried(record, PLAIN, "log q added")]
    step = propose(RATES, {"lr": parent["lr"]}, own, PLAIN_TRIALS)
    return None if step is None else parent | step


def missing(record: dict[str, Any]) -> list[pool.Job]:
    """What can be run now: the next trial of each arm, and the seeds of those that are tuned."""
    jobs: list[pool.Job] = []
    tuned = {arm for arm in ARMS if search(record, arm) is None}
    jobs += [("tuning", arm, search(record, arm), TUNING_SEED) for arm in ARMS if arm not in tuned]
    if "cosine" in tuned and (next_one := search(record, PLAIN)) is not None:
        jobs.append(("tuning", PLAIN, next_one, TUNING_SEED))
    elif "cosine" in tuned:
        tuned.add(PLAIN)
    done = [(r["arm"], r["setting"], r["seed"]) for r in record["runs"]]
    for seed in SEEDS:
        for arm in sorted(tuned, key=place_of):
            seeds = SEEDS if arm in TRAINED else [0]
            runs = [("runs", arm, s, seed) for s in chosen(record, arm) if seed in seeds and (arm, s, seed) not in done]
            jobs += runs
    return jobs


def place_of(arm: str) -> int:
    """Place of an arm in the record."""
    return [*ARMS, PLAIN].index(arm)


def run(record: dict[str, Any], save: Callable[[], None], arguments: argparse.Namespace) -> None:
    """Fill what is missing, saving after each run."""
    record["about"] = load().about | {"fixed": FIXED, "tuning_seed": TUNING_SEED}
    record["ladders"] = {arm: dict(ladders) for arm, (ladders, *_) in ARMS.items()} | {PLAIN: RATES}
    place = lambda r: (place_of(r["arm"]), r["seed"])  # noqa: E731
    pool.run(work, lambda: missing(record), pool.into_lists(record, save, place), arguments.processes)


def main() -> None:
    pool.command(__doc__ or "", FILE, {"about": {}, "ladders": {}, "tuning": [], "runs": []}, run)


if __name__ == "__main__":
    main()
