"""Who finds a user's next films among all 1,682? Full ranking on MovieLens-100K, every model tuned alike.

    python -m bench.retrieval.retrieval             all that is missing; an interrupted run goes on where it stopped
    python -m bench.retrieval.retrieval --only mf   one model and its variants
    python -m bench.retrieval.retrieval --fresh     everything again

Popularity, item neighbours, EASE, matrix factorisation with BPR, LightGCN and two towers. Each (but popularity, which
has none) gets six settings, tried with one seed and judged by NDCG@20 on the validation part; then five seeds with the
best one, the test part looked at once per seed. Closed forms have no seed and one run. Variants, three seeds each,
change one thing and keep the settings of their parent. Seed 0 of the trained models is stored with its weights.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bench import pool
from bench.leaderboard import SEEDS, TUNING_SEED
from bench.retrieval import two_towers
from recsys_lite.data.interactions import Interactions, interactions
from recsys_lite.evaluation import Retriever, evaluate_retrieval, per_user
from recsys_lite.evaluation.slices import recall_by_degree
from recsys_lite.models import EASE, ItemKNN, LightGCN, Popularity, TowerRetriever
from recsys_lite.store import RESULTS, best_setting, save_retriever
from recsys_lite.training import Result, bpr_step, fit_retrieval, seed_everything

FILE = RESULTS / "retrieval.json"
VARIANT_SEEDS = range(3)
DEPTHS = range(7)
STORED = ("mf", "lightgcn", "two_towers")  # their weights of seed 0
FIXED: dict[str, Any] = {"epochs": 50, "batch_size": 4096, "patience": 6, "progress": False}

Setting = dict[str, Any]
Job = tuple[str, str, Setting, int]  # "tuning" or "runs", model or variant, setting, seed


@dataclass(frozen=True)
class Entry:
    """A model of the comparison.

    Args:
        settings: six of them, tried on the validation part; one empty setting if there is nothing to choose.
        train: setting, seed -> a run without its test metrics, and the retriever to be judged.
        seeds: how many runs there are with the best setting; closed forms have one.
    """

    settings: list[Setting]
    train: Callable[[Setting, int], tuple[Result, Retriever]]
    seeds: int = len(SEEDS)


@functools.cache
def load() -> Interactions:
    """The data, once per process."""
    return interactions()


def grid(**values: list[Any]) -> list[Setting]:
    """All combinations."""
    out: list[Setting] = [{}]
    for name, some in values.items():
        out = [setting | {name: value} for setting in out for value in some]
    return out


def closed(kind: Callable[..., Retriever], settings: list[Setting]) -> Entry:
    """A retriever that is fitted without a training loop."""

    def train(setting: Setting, seed: int) -> tuple[Result, Retriever]:
        retriever = kind(load(), **setting)
        return Result(
            load().name, "retrieval", "", seed, {}, evaluate_retrieval(retriever, load(), "validation")
        ), retriever

    return Entry(settings, train, seeds=1)


def train_lightgcn(setting: Setting, seed: int, **change: Any) -> tuple[Result, Retriever]:
    """LightGCN, or matrix factorisation where there are no layers."""
    seed_everything(seed)
    model, step = LightGCN(load(), dim=64, **change), bpr_step(load(), setting["decay"])
    return fit_retrieval(model, load(), step, lr=setting["lr"], seed=seed, evaluate_test=False, **FIXED), model


def train_towers(setting: Setting, seed: int, variant: two_towers.Variant | None = None) -> tuple[Result, Retriever]:
    """Two towers, see ``bench.retrieval.two_towers``."""
    return two_towers.train(load(), setting, seed, test=False, variant=variant)


MODELS: dict[str, Entry] = {
    "popularity": closed(Popularity, [{}]),
    "item_knn": closed(ItemKNN, grid(neighbours=[20, 50, 100], shrink=[0.0, 10.0])),
    "ease": closed(EASE, grid(l2=[50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0])),
    "mf": Entry(grid(lr=[5e-3, 2e-2], decay=[1e-3, 1e-2, 3e-2]), functools.partial(train_lightgcn, layers=0)),
    "lightgcn": Entry(grid(lr=[2e-2, 5e-2], decay=[1e-5, 1e-4, 1e-3]), train_lightgcn),
    "two_towers": Entry(two_towers.SPACE, train_towers),
}
LIGHTGCN_VARIANTS: dict[str, dict[str, Any]] = {
    **{f"lightgcn_mean_{k}": {"layers": k} for k in DEPTHS if k != 3},
    **{f"lightgcn_last_{k}": {"layers": k, "combine": "last"} for k in DEPTHS if k},
    "lightgcn_penalise_end": {"penalise": "end"},
}
#: name -> (parent, how it is trained); the parent's setting is kept
VARIANTS: dict[str, tuple[str, Callable[[Setting, int], tuple[Result, Retriever]]]] = {
    name: ("lightgcn", functools.partial(train_lightgcn, **change)) for name, change in LIGHTGCN_VARIANTS.items()
} | {
    name: ("two_towers", functools.partial(train_towers, variant=variant))
    for name, variant in two_towers.VARIANTS.items()
}


@torch.no_grad()
def similarity(model: LightGCN, pairs: int = 20_000) -> float:
    """Mean cosine between two different items that training showed, drawn at random: 1 when all vectors point alike."""
    vectors = model.propagate()[model.num_users :][model.graph.degree[model.num_users :] > 0]
    vectors = nn.functional.normalize(vectors, dim=1)
    a, b = torch.randint(len(vectors), (2, pairs), generator=torch.Generator().manual_seed(0))
    return (vectors[a] * vectors[b]).sum(1)[a != b].mean().item()


def work(part: str, name: str, setting: Setting, seed: int) -> dict[str, Any]:
    """One run, in a process of the pool."""
    data = load()
    train = VARIANTS[name][1] if name in VARIANTS else MODELS[name].train
    result, retriever = train(setting, seed)
    result.model, result.settings = name, result.settings | setting
    if part == "tuning":
        return {"model": name, "setting": setting, "validation": result.validation, "best_epoch": result.best_epoch}
    result.test = evaluate_retrieval(retriever, data, "test")
    out = result.to_dict() | {"slices": recall_by_degree(retriever, data).to_dict("records")}
    if isinstance(retriever, LightGCN):
        out["similarity"] = similarity(retriever)
    if name in MODELS:
        out["recall_by_user"] = " ".join(f"{r:.3g}" for r in per_user(retriever, data, "test")["recall"])
    if seed == 0 and name in STORED:
        model = retriever.model if isinstance(retriever, TowerRetriever) else retriever
        assert isinstance(model, nn.Module)
        save_retriever(model, data, name, seed=seed, setting=setting, validation=result.validation)
    return out


def settled(record: dict[str, Any], name: str) -> Setting | None:
    """The best setting of a model, once all of its settings have been tried."""
    tried = sum(t["model"] == name for t in record["tuning"])
    return best_setting(record, name) if tried == len(MODELS[name].settings) else None


def missing(record: dict[str, Any], only: Sequence[str] = ()) -> list[Job]:
    """The runs that are missing and can be made now; ``only`` those of some models and their variants."""
    done = {(r["model"], r["seed"]) for r in record["runs"]}
    jobs: list[Job] = []
    for name, entry in MODELS.items():
        if only and name not in only:
            continue
        tried = [t["setting"] for t in record["tuning"] if t["model"] == name]
        jobs += [("tuning", name, s, TUNING_SEED) for s in entry.settings if s not in tried]
        if (setting := settled(record, name)) is not None:
            jobs += [("runs", name, setting, seed) for seed in range(entry.seeds) if (name, seed) not in done]
    for name, (parent, _) in VARIANTS.items():
        if (not only or parent in only) and (setting := settled(record, parent)) is not None:
            jobs += [("runs", name, setting, seed) for seed in VARIANT_SEEDS if (name, seed) not in done]
    return jobs


def order(entry: dict[str, Any]) -> tuple[int, int]:
    """Place of a line of the record: by model, then by setting or seed."""
    name = entry["model"]
    within = entry["seed"] if "seed" in entry else MODELS[name].settings.index(entry["setting"])
    return [*MODELS, *VARIANTS].index(name), within


def run(record: dict[str, Any], save: Callable[[], None], processes: int, only: Sequence[str] = ()) -> None:
    """Fill what is missing in the record, saving after each run."""
    data = load()
    record["about"] = data.about | {"users": data.num_users, "items": data.num_items, "train": len(data.train)}
    record["models"] = list(MODELS)
    pool.run(work, lambda: missing(record, only), pool.into_lists(record, save, order), processes)


def main() -> None:
    empty: dict[str, Any] = {"about": {}, "models": [], "tuning": [], "runs": []}
    pool.command(
        __doc__, FILE, empty, lambda record, save, a: run(record, save, a.processes, a.only),
        lambda parser: parser.add_argument("--only", nargs="*", default=[], help="some models and their variants"),
    )  # fmt: skip


if __name__ == "__main__":
    main()
