"""What of NGCF is needed? The ablation of the LightGCN paper on MovieLens-100K, and two ways to draw positives.

    python -m bench.retrieval.ngcf            all that is missing; an interrupted run goes on where it stopped
    python -m bench.retrieval.ngcf --fresh    everything again

NGCF with the layers summed, as that paper compares it; without the nonlinearity; without the weights; without both; and
LightGCN. Each has the same effort, one seed, judged by NDCG@20 on the validation part: the better of two learning
rates, then of two penalties, then of two depths. Then three seeds with the setting found, the test part looked at once
per seed. Beside them LightGCN with its setting, whose positives are drawn by users as in its authors' code. Every
training goes on until validation has not improved for six epochs. d = 32, half of the paper's, for all of them. One
more trial of each variant without weights, at a rate below the searched ones, tells whether the search was too narrow.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bench import pool
from bench.leaderboard import TUNING_SEED
from bench.retrieval.retrieval import load
from recsys_lite.evaluation import per_user
from recsys_lite.models import NGCF, LightGCN
from recsys_lite.models.lightgcn import Propagated
from recsys_lite.store import RESULTS, best_setting
from recsys_lite.training import bpr_step, fit_retrieval, seed_everything

FILE = RESULTS / "ngcf.json"
SEEDS = range(3)
DIM = 32
#: the search: each value is tried with the best of those before it
SEARCH: dict[str, list[Any]] = {"lr": [2e-2, 5e-2], "decay": [1e-5, 1e-3], "layers": [3, 2]}
TRIALS = 1 + sum(len(values) - 1 for values in SEARCH.values())
FIXED: dict[str, Any] = {"epochs": 60, "batch_size": 4096, "patience": 6, "progress": False}

Setting = dict[str, Any]
Job = tuple[str, str, Setting, int]  # "tuning", "edge" or "runs", model, setting, seed
Maker = Callable[..., Propagated]

summed = functools.partial(NGCF, combine="sum")
#: name -> how it is made, and where its positives come from
MODELS: dict[str, tuple[Maker, str]] = {
    "ngcf": (summed, "interactions"),
    "ngcf_n": (functools.partial(summed, nonlinear=False), "interactions"),
    "ngcf_f": (functools.partial(summed, weights=False), "interactions"),
    "ngcf_fn": (functools.partial(summed, weights=False, nonlinear=False), "interactions"),
    "lightgcn": (LightGCN, "interactions"),
    "lightgcn_users": (LightGCN, "users"),
}
#: a rate below the searched ones, for one trial each: nothing scales the sums of these variants down
EDGE = {"ngcf_f": 5e-3, "ngcf_fn": 5e-3}
#: takes the setting of another
PARENT = {"lightgcn_users": "lightgcn"}


def work(part: str, name: str, setting: Setting, seed: int) -> dict[str, Any]:
    """One training, in a process of the pool."""
    data, (make, draw) = load(), MODELS[name]
    seed_everything(seed)
    model = make(data, dim=DIM, layers=setting["layers"])
    step = bpr_step(data, setting["decay"], draw)  # type: ignore[arg-type]
    result = fit_retrieval(model, data, step, lr=setting["lr"], seed=seed, evaluate_test=False, **FIXED)
    out: dict[str, Any] = {
        "model": name,
        "setting": setting,
        "validation": result.validation,
        "best_epoch": result.best_epoch,
        "epochs": len(result.curve),
        "seconds": result.seconds,
    }
    if part == "runs":
        users = per_user(model, data, "test")
        out |= {
            "seed": seed,
            "parameters": sum(p.numel() for p in model.parameters()),
            "test": {f"{m}@20": float(users[m].mean()) for m in ("recall", "ndcg")},
            **{f"{m}_by_user": " ".join(f"{v:.4g}" for v in users[m]) for m in ("recall", "ndcg")},
        }
    return out


def settings(record: dict[str, Any], name: str) -> list[Setting]:
    """What is to be tried for a model now: one value after another, each with the best found before."""
    key_of = lambda setting: tuple(setting[key] for key in SEARCH)  # noqa: E731
    score = {key_of(t["setting"]): t["validation"]["ndcg@20"] for t in record["tuning"] if t["model"] == name}
    best: Setting = {key: values[0] for key, values in SEARCH.items()}
    wanted = [best]
    for key, values in SEARCH.items():
        tried = [best | {key: value} for value in values]
        wanted += [s for s in tried if s not in wanted]
        if any(key_of(s) not in score for s in tried):
            break
        best = max(tried, key=lambda s: score[key_of(s)])
    return wanted


def chosen(record: dict[str, Any], name: str) -> Setting | None:
    """The setting of a model's runs, once its search has ended."""
    parent = PARENT.get(name, name)
    tried = [t["setting"] for t in record["tuning"] if t["model"] == parent]
    return best_setting(record, parent) if len(tried) == TRIALS else None


def missing(record: dict[str, Any]) -> list[Job]:
    """The runs that are missing and can be made now."""
    done = {(r["model"], r["seed"]) for r in record["runs"]}
    jobs: list[Job] = []
    for name in MODELS:
        if name not in PARENT:
            tried = [t["setting"] for t in record["tuning"] if t["model"] == name]
            jobs += [("tuning", name, s, TUNING_SEED) for s in settings(record, name) if s not in tried]
        if (best := chosen(record, name)) is not None:
            jobs += [("runs", name, best, seed) for seed in SEEDS if (name, seed) not in done]
            if name in EDGE and not any(t["model"] == name for t in record["edge"]):
                jobs.append(("edge", name, best | {"lr": EDGE[name]}, TUNING_SEED))
    return jobs


def order(entry: dict[str, Any]) -> tuple[Any, ...]:
    """Place of a line of the record: by model, then by depth, rate and penalty, or by seed."""
    s = entry["setting"]
    return ([*MODELS].index(entry["model"]), entry.get("seed", -s["layers"]), s["lr"], s["decay"])


def run(record: dict[str, Any], save: Callable[[], None], processes: int) -> None:
    """Fill what is missing in the record, saving after each run."""
    data = load()
    record.setdefault("edge", [])
    record["about"] = data.about | {"users": data.num_users, "items": data.num_items, "train": len(data.train)}
    record["about"] |= {"dim": DIM, "patience": FIXED["patience"], "epochs": FIXED["epochs"], "metric": "ndcg@20"}
    # a wider search may choose another setting: its runs are made anew
    record["runs"] = [r for r in record["runs"] if chosen(record, r["model"]) in (None, r["setting"])]
    total = (len(MODELS) - len(PARENT)) * TRIALS + len(MODELS) * len(SEEDS)
    total += len(EDGE) - sum(len(record[part]) for part in ("tuning", "edge", "runs"))
    pool.run(work, lambda: missing(record), pool.into_lists(record, save, order), processes, total)


def main() -> None:
    empty: dict[str, Any] = {"about": {}, "tuning": [], "edge": [], "runs": []}
    pool.command(__doc__, FILE, empty, lambda record, save, a: run(record, save, a.processes))


if __name__ == "__main__":
    main()
