"""Hidden layers, filters, an LSTM and causal attention: planted strings and the next film, for *Building blocks*.

    python -m bench.ranking.next_item             all that is missing; an interrupted run goes on where it stopped
    python -m bench.ranking.next_item --fresh     everything again

*planted:* strings whose label follows a known rule (``recsys_lite.data.simulated.orders``).

*far:* the label is in the letter that stands a number of places back; and, as a control, in which letters there are.
``lstm open`` is an LSTM whose forget gates start near 0.95.

*films:* the next films of MovieLens-100K users, all films ranked, from the last twenty. The items' vectors meet the
mean, an LSTM or one block of causal attention, and both again with every history in random order. All have the same
learning rate, two seeds, and at most five epochs, to be affordable. NDCG of every test user is stored.

On strings every model tries the same learning rates with one seed and takes the best on validation; three other seeds
then look at the test part once. Each run ends when the validation metric did not rise for some epochs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bench import pool
from recsys_lite.data.interactions import Interactions, interactions
from recsys_lite.data.simulated.orders import orders
from recsys_lite.evaluation import auc, predict
from recsys_lite.evaluation.full_ranking import per_user
from recsys_lite.fields import PADDING, Field, Rows
from recsys_lite.layers import MLP, FieldEmbedding
from recsys_lite.layers.causal import CausalAttention
from recsys_lite.layers.recurrent import Recurrent, oldest_first
from recsys_lite.models import FieldMLP, NextItem, Popularity, TextCNN
from recsys_lite.models.blocks import shuffled_histories
from recsys_lite.store import RESULTS
from recsys_lite.training import fit, fit_retrieval, next_item_step, seed_everything

FILE = RESULTS / "next_item.json"
SEEDS, FILM_SEEDS, TUNING_SEED = range(3), range(2), 100
HISTORY, ITEM_DIM, PLANTED_DIM = 20, 32, 8
PLACES = (1, 8, 24)  # of the task "far", in strings of 24 letters
SHORT, LONG = ("together", "next to", "before", "random"), tuple(f"far {k}" for k in PLACES)
MODELS = {
    **dict.fromkeys(SHORT, ("no hidden layer", "hidden layer", "filters", "lstm", "attention")),
    **dict.fromkeys((*LONG, "bag"), ("mean", "lstm", "lstm open", "attention")),
    "films": ("mean", "lstm", "attention", "lstm shuffled", "attention shuffled"),
}
RATES = {"planted": (0.01, 0.03), "films": (0.01,)}
PLANTED: dict[str, Any] = {"epochs": 80, "patience": 8, "batch_size": 200, "progress": False, "monitor": "auc"}
FILMS: dict[str, Any] = {"epochs": 5, "patience": 1, "batch_size": 1024, "progress": False}

Record = dict[str, Any]
Job = tuple[str, str, dict[str, Any]]


class Reader(nn.Module):
    """The last state of a reader of the letters, or their mean, and the two fields, into one hidden layer."""

    def __init__(self, fields: tuple[Field, ...], reader: nn.Module | None, dim: int = PLANTED_DIM):
        super().__init__()
        self.letters, self.others = FieldEmbedding([fields[2]], dim, std=0.3), FieldEmbedding(fields[:2], dim)
        self.reader, self.mlp = reader, MLP(3 * dim, (16,), outputs=1)

    def forward(self, rows: Rows) -> Tensor:
        values, lengths = oldest_first(rows.bags["letters"].long())
        x = self.letters.table(values.clamp(min=0))  # (B, T, d)
        mean = (x * (values != PADDING)[..., None]).sum(1) / lengths.clamp(min=1)[:, None]
        h = mean if self.reader is None else self.reader(x, lengths)
        return self.mlp(torch.cat([self.others(rows).flatten(1), h], 1)).squeeze(1)


def opened(reader: Recurrent, bias: float = 3.0) -> Recurrent:
    """The LSTM with forget gates that start near sigmoid(bias): the second quarter of a bias belongs to them."""
    with torch.no_grad():
        reader.net.get_parameter("bias_ih_l0").chunk(4)[1].fill_(bias)
    return reader


def reader_of(name: str, dim: int, length: int) -> nn.Module | None:
    """The part that reads a history; ``None``: the mean."""
    made: dict[str, Callable[[], nn.Module]] = {
        "lstm": lambda: Recurrent(dim, dim),
        "lstm open": lambda: opened(Recurrent(dim, dim)),
        "attention": lambda: CausalAttention(dim, length, blocks=1),
    }
    return made[name]() if name in made else None


def on_strings(task: str, name: str, seed: int, lr: float) -> Record:
    """One planted run."""
    kind, _, back = task.partition(" ") if task.startswith("far") else (task, "", "1")
    data = orders(kind, seed, letters=8 if task in SHORT else 24, back=int(back))
    seed_everything(seed)
    if name in ("no hidden layer", "hidden layer"):
        model: nn.Module = FieldMLP(data.fields, dim=PLANTED_DIM, hidden=() if name == "no hidden layer" else (16,))
    elif name == "filters":
        model = TextCNN(data.fields, "letters", dim=PLANTED_DIM, hidden=(16,), width=2)
    else:
        model = Reader(data.fields, reader_of(name, PLANTED_DIM, data.fields[2].length))
    found = fit(model, data, lr=lr, seed=seed, evaluate_test=False, **PLANTED)
    made = {"validation": found.validation["auc"], "best_epoch": found.best_epoch, "parameters": found.parameters}
    return made | {"auc": auc(data.test.label, predict(model, data.test))}


@functools.cache
def histories() -> Interactions:
    return interactions(history=HISTORY)


def on_films(name: str, seed: int, lr: float, test: bool) -> Record:
    """One run on MovieLens."""
    data, (kind, _, order) = histories(), name.partition(" ")
    if order:
        data = shuffled_histories(data, seed)
    seed_everything(seed)
    model = NextItem(data, ITEM_DIM, "mean")
    model.reader = reader_of(kind, ITEM_DIM, HISTORY)
    found = fit_retrieval(model, data, next_item_step(data), lr=lr, seed=seed, evaluate_test=False, **FILMS)
    made = {"validation": found.validation["ndcg@20"], "best_epoch": found.best_epoch, "parameters": found.parameters}
    if not test:
        return made
    model.state = "fresh"
    return made | {metric: [round(v, 4) for v in values] for metric, values in by_user(model, data).items()}


def by_user(model: Any, data: Interactions) -> dict[str, list[float]]:
    """NDCG and recall of every test user, in the order of the users."""
    table = per_user(model, data).sort_values("user")
    return {f"{metric}@20": table[metric].tolist() for metric in ("ndcg", "recall")}


def work(task: str, name: str, job: Record) -> Record:
    """One run, in a process of the pool."""
    made = {"task": task, "model": name, **job}
    if name == "popularity":
        data = histories()
        found = by_user(Popularity(data), data)
        return made | {metric: [round(v, 4) for v in values] for metric, values in found.items()}
    if task == "films":
        return made | on_films(name, job["seed"], job["lr"], job["seed"] != TUNING_SEED)
    return made | on_strings(task, name, job["seed"], job["lr"])


def chosen(record: Record, task: str, name: str) -> float | None:
    """The learning rate that was best on the validation part, once all were tried."""
    if len(rates := RATES["films" if task == "films" else "planted"]) == 1:
        return rates[0]
    tried = [r for r in record["tuning"] if r["task"] == task and r["model"] == name]
    if len(tried) < len(rates):
        return None
    return max(tried, key=lambda r: r["validation"])["lr"]


def wanted(record: Record) -> list[Job]:
    """The runs that are missing and can be made now: learning rates first, then seeds."""
    jobs: list[Job] = []
    there = lambda part, task, name, job: any(  # noqa: E731
        r["task"] == task and r["model"] == name and job.items() <= r.items() for r in record[part]
    )
    for task, name in [(task, name) for task, names in MODELS.items() for name in names]:
        if len(rates := RATES["films" if task == "films" else "planted"]) > 1:
            for lr in rates:
                if not there("tuning", task, name, job := {"seed": TUNING_SEED, "lr": lr}):
                    jobs.append((task, name, job))
        if (best := chosen(record, task, name)) is not None:
            for seed in FILM_SEEDS if task == "films" else SEEDS:
                if not there("runs", task, name, {"seed": seed}):
                    jobs.append((task, name, {"seed": seed, "lr": best}))
    if not there("runs", "films", "popularity", {}):
        jobs.append(("films", "popularity", {"seed": 0}))
    return sorted(jobs, key=lambda job: job[2]["seed"] if job[0] == "films" else TUNING_SEED)


def run(record: Record, save: Callable[[], None], processes: int) -> None:
    """Fill what is missing, saving after each run."""
    record["about"] = {
        "history": HISTORY, "item dim": ITEM_DIM, "planted dim": PLANTED_DIM, "places": list(PLACES),
        "rates": {k: list(v) for k, v in RATES.items()}, "planted training": PLANTED, "film training": FILMS,
    }  # fmt: skip
    order = [(task, name) for task, names in MODELS.items() for name in (*names, "popularity")]

    def keep(job: pool.Job, result: Record) -> None:
        part = record["tuning" if result["seed"] == TUNING_SEED else "runs"]
        part.append(result)
        part.sort(key=lambda r: (order.index((r["task"], r["model"])), r["seed"], r.get("lr", 0)))
        save()

    planted = sum(len(names) for task, names in MODELS.items() if task != "films")
    total = planted * (len(RATES["planted"]) + len(SEEDS)) + 5 * len(FILM_SEEDS) + 1
    pool.run(work, lambda: wanted(record), keep, processes, total=total)


def main() -> None:
    pool.command(__doc__, FILE, {"tuning": [], "runs": []}, lambda r, save, a: run(r, save, a.processes))


if __name__ == "__main__":
    main()
