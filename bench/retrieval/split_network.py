"""Split networks on MovieLens *click*: heads and starts, and what it costs to score N candidates for one user.

    python -m bench.retrieval.split_network             all that is missing; an interrupted run goes on where it stopped
    python -m bench.retrieval.split_network --fresh     everything again

*Quality:* what differs from the leaderboard's split network in one thing, trained as there with the setting chosen
there, three seeds. Two of the lines go on from trained towers: one as a split network that starts as these towers, one
as the towers themselves, so that both have two trainings; the better of start and end by validation log loss is kept.
Four more ask where towers lose, five seeds each: linear towers, under the same head and under a dot product, and whole
models whose history has rows of its own, as in the towers, with the settings chosen for shared rows.

*Cost:* processor seconds of one thread, all models in turns in one process, medians of several rounds; stored as
multiples of two towers with cached candidates in the same run. Rows of a whole model stand ready with the user's
fields repeated. Weights are random: they do not change the time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench import pool
from bench.leaderboard import BATCH, QUERY, build, load, missing
from recsys_lite.evaluation import evaluate, predict
from recsys_lite.fields import Dataset, Field, Rows, choose_columns, swap
from recsys_lite.models import FM, MODELS, Model, SplitNetwork, TwoTowers
from recsys_lite.store import RESULTS, read_json
from recsys_lite.training import fit, seed_everything

FILE = RESULTS / "split_network.json"
WHERE = ("movielens-100k", "click")
SEEDS, SUSPECT_SEEDS = range(3), range(5)
#: arguments of the head or the towers that differ from the leaderboard's: head (32,), product, out 32
HEADS: dict[str, dict[str, Any]] = {
    "no product": {"product": False},
    "no product, no hidden layer": {"product": False, "head": ()},
    "linear": {"head": ()},
    "width 8": {"head": (8,)},
    "width 128": {"head": (128,)},
    "out 8": {"out": 8},
    "linear towers": {"hidden": ()},
}
CONTINUED = {"from towers": "split_network", "towers again": "two_towers"}  # name -> whose second training
OWN_HISTORY = {f"{name}, own history": name for name in ("fm", "deepfm")}  # name -> model
LINEAR = "linear towers, dot product"  # "linear towers" without a head
NAMES = [*HEADS, LINEAR, *CONTINUED, *OWN_HISTORY]
SUSPECTS = ["linear towers", LINEAR, *OWN_HISTORY]  # what towers may lose by; these have five seeds
WHOLE = ["fm", "deepfm", "dlrm", "dcn_v2", "dhen"]
SIZES = [100, 1_000, 10_000, 100_000]
CHUNK = 8192  # rows that go through a whole model at a time
ROUNDS, LONG = 9, 1.0  # a candidate that takes more than so many seconds gets a third of the rounds

Record = dict[str, Any]


def chosen(name: str) -> dict[str, Any]:
    """The setting with the lowest validation log loss on the leaderboard.

    Raises:
        ValueError: if the leaderboard has not tried all settings of this model.
    """
    record, key = read_json(RESULTS / "leaderboard.json"), (*WHERE, name)
    if any(not test for _, _, test in missing(record, key)):
        raise ValueError(
            f"bench.retrieval.split_network needs the leaderboard's setting of {name!r}; run bench.leaderboard first"
        )
    best = min(record["tuning"][".".join(key)], key=lambda t: t["validation"]["log_loss"])
    return best["setting"]  # type: ignore[no-any-return]


def own_rows(fields: Sequence[Field]) -> tuple[Field, ...]:
    """The same fields, but a history looks in rows of its own and no longer in the item's."""
    return tuple(replace(f, table=f.name) for f in fields)


def train(model: Model, dataset: Dataset, setting: dict[str, Any], seed: int) -> tuple[dict[str, float], int]:
    """Train as on the leaderboard, without a look at the test part; validation metrics and epochs taken."""
    options: dict[str, Any] = {
        "batch_size": BATCH[dataset.name],
        "seed": seed,
        "progress": False,
        "evaluate_test": False,
    }
    result = fit(model, dataset, **setting, **options)
    return result.validation, len(result.curve)


def go_on(model: Model, dataset: Dataset, setting: dict[str, Any], seed: int) -> int:
    """A second training from where the model stands, undone if it ends worse on the validation part; its epochs."""
    start = {k: v.clone() for k, v in model.state_dict().items()}
    rows = dataset.validation
    before = evaluate(rows.label, predict(model, rows))["log_loss"]
    after, epochs = train(model, dataset, setting, seed)
    if after["log_loss"] >= before:
        model.load_state_dict(start)
    return epochs


def quality(name: str, seed: int, settings: dict[str, dict[str, Any]], dataset: Dataset | None = None) -> Record:
    """One run of one line, in a process of the pool."""
    dataset = dataset or load(*WHERE)
    seed_everything(seed)
    if name in HEADS:
        model: Model = SplitNetwork(dataset.fields, **{"query": QUERY, **HEADS[name]})
        epochs = train(model, dataset, settings["split_network"], seed)[1]
    elif name == LINEAR:
        model = TwoTowers(dataset.fields, query=QUERY, hidden=())
        epochs = train(model, dataset, settings["two_towers"], seed)[1]
    elif name in OWN_HISTORY:
        model = MODELS[OWN_HISTORY[name]](own_rows(dataset.fields))
        epochs = train(model, dataset, settings[OWN_HISTORY[name]], seed)[1]
    else:
        towers = TwoTowers(dataset.fields, query=QUERY)
        epochs = train(towers, dataset, settings["two_towers"], seed)[1]
        second = CONTINUED[name]
        model = SplitNetwork.from_towers(towers, (32,)) if second == "split_network" else towers
        epochs += go_on(model, dataset, settings[second], seed)
    test = evaluate(dataset.test.label, predict(model, dataset.test), dataset.test.group)
    return {"name": name, "seed": seed, "test": test, "epochs": epochs, "parameters": model.parameter_count}


# --- cost


def products(model: TwoTowers | SplitNetwork, folded: bool = True) -> int:
    """Multiplications for one more candidate whose vector is cached, counted by formula.

    Two towers: out. Pair by pair the head reads [u, v, u ⊙ v], so out for the product and inputs × width for the first
    layer; folded into the user's own layer it is out × width, and no product.
    """
    out = model.config["out"]
    if isinstance(model, TwoTowers):
        return int(out)
    first, *rest = [layer for layer in model.head if isinstance(layer, nn.Linear)]
    later = sum(layer.weight.numel() for layer in rest)
    return int(out * first.out_features if folded else out * model.product + first.weight.numel()) + later


def whole_products(model: Model, rows: Rows) -> int:
    """Multiplications for one more whole row: matrix products as PyTorch counts them, and FM's (F + 1) d squares.

    What is multiplied place by place, or with one last vector, is left out: below one in a hundred of these models.
    """

    def count(some: Rows) -> int:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(some)
        return counter.get_total_flops() // 2

    squares = (len(model.fields) + 1) * model.config["dim"] if isinstance(model, FM) else 0
    return count(rows[:2]) - count(rows[:1]) + squares


def whole_rows(fields: Sequence[Field], user: Rows, candidates: Rows) -> Rows:
    """Rows of all fields: the one row's own query fields beside each candidate's item, genres and year."""
    repeated = user[torch.zeros(len(candidates), dtype=torch.long)]
    return swap(fields, repeated, ["item", "genres", "release_year"], candidates)


def contestants(dataset: Dataset, count: int) -> dict[str, Callable[[], Tensor]]:
    """Name -> a call that scores ``count`` candidates for one user."""
    g = torch.Generator().manual_seed(count)
    user = dataset.test[:1]
    rows = whole_rows(dataset.fields, user, dataset.test[torch.randint(len(dataset.test), (count,), generator=g)])
    calls: dict[str, Callable[[], Tensor]] = {}

    def whole(model: Model) -> Callable[[], Tensor]:
        return lambda: torch.cat([model(batch) for batch in rows.batches(CHUNK)])

    def cached(model: TwoTowers | SplitNetwork) -> tuple[Callable[[], Tensor], Tensor]:
        towers = model if isinstance(model, TwoTowers) else model.towers
        query = choose_columns(dataset.fields, user, towers.query_names)
        kept = choose_columns(dataset.fields, rows, towers.candidate_names)
        return lambda: model.query(query), torch.cat([model.candidate(b) for b in kept.batches(CHUNK)])

    for name, hidden in {"two_towers": (64,), LINEAR: ()}.items():
        u, v = cached(TwoTowers(dataset.fields, query=QUERY, hidden=hidden).eval())
        calls[name] = lambda u=u, v=v: v @ u()[0]  # type: ignore[misc]
        calls.setdefault("user tower alone", u)
    for name, other in {"split_network": {}, **HEADS}.items():
        split = SplitNetwork(dataset.fields, **{"query": QUERY, **other}).eval()
        u, v = cached(split)
        calls[name] = lambda split=split, u=u, v=v: split.score_all(u(), v)[0]  # type: ignore[misc]
        if name == "split_network":
            calls["split, pair by pair"] = lambda split=split, u=u, v=v: split.score(u().expand(len(v), -1), v)  # type: ignore[misc]
            calls["split, nothing cached"] = whole(split)
    calls |= {name: whole(build(name, dataset).eval()) for name in WHOLE}
    fm = build("fm", dataset).eval()  # a product of a query and a candidate part: d numbers and one for a candidate
    assert isinstance(fm, FM)
    place = [k for k, f in enumerate(fm.fields) if f.name in QUERY]
    kept, own = torch.zeros(count, fm.config["dim"]), torch.zeros(count)
    calls["fm, cached"] = lambda: torch.addmv(own, kept, fm.embedding(user)[0, place].sum(0))
    return calls


@torch.no_grad()
def cost(dataset: Dataset, count: int) -> Record:
    """Time of every contestant at one number of candidates, as a multiple of two towers'."""
    calls = contestants(dataset, count)
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for k in range(ROUNDS):
        for name, call in calls.items():
            if k % 3 and taken[name][0] > LONG:
                continue
            if not k or taken[name][0] < LONG / 10:
                call()  # with its own data at hand
            start = time.process_time()
            call()
            taken[name].append(time.process_time() - start)
    middle = {name: statistics.median(t) for name, t in taken.items()}
    return {"candidates": count, "times": {name: t / middle["two_towers"] for name, t in middle.items()}}


def counted(dataset: Dataset) -> dict[str, int]:
    """Multiplications for one more candidate, by name."""
    made = dict.fromkeys(("two_towers", LINEAR), products(TwoTowers(dataset.fields, query=QUERY)))
    for name, other in {"split_network": {}, **HEADS}.items():
        split = SplitNetwork(dataset.fields, **{"query": QUERY, **other})
        made[name] = products(split)
        if name == "split_network":
            made["split, pair by pair"] = products(split, folded=False)
            made["split, nothing cached"] = whole_products(split, dataset.test)
    made |= {name: whole_products(build(name, dataset).eval(), dataset.test) for name in WHOLE}
    return made | {"fm, cached": build("fm", dataset).config["dim"]}


def run(record: Record, save: Callable[[], None], arguments: argparse.Namespace) -> None:
    """Fill what is missing, saving after each part."""
    torch.set_num_threads(1)
    dataset = load(*WHERE)
    record["about"] = {"data_sha256": dataset.about["data_sha256"], "seconds": "of the processor, one thread",
                       "rounds": ROUNDS, "torch": torch.__version__}  # fmt: skip
    record["multiplications"] = counted(dataset)
    for count in SIZES:
        if count not in [line["candidates"] for line in record["cost"]]:
            record["cost"].append(cost(dataset, count))
            save()
    settings = {name: chosen(name) for name in ("two_towers", "split_network", *OWN_HISTORY.values())}
    record["settings"] = settings
    done = {(r["name"], r["seed"]) for r in record["quality"]}
    seeds = {name: SUSPECT_SEEDS if name in SUSPECTS else SEEDS for name in NAMES}
    jobs = [(n, s, settings) for s in SUSPECT_SEEDS for n in NAMES if s in seeds[n] and (n, s) not in done]

    def keep(job: pool.Job, result: Record) -> None:
        record["quality"].append(result)
        record["quality"].sort(key=lambda r: (NAMES.index(r["name"]), r["seed"]))
        save()

    pool.run(quality, lambda: jobs, keep, arguments.processes)


def main() -> None:
    empty: Record = {"about": {}, "multiplications": {}, "settings": {}, "cost": [], "quality": []}
    pool.command(__doc__, FILE, empty, run)


if __name__ == "__main__":
    main()
