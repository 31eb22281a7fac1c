"""Does a network learn a better similarity than a dot product? Leave one out on MovieLens-100K, all models alike.

    python -m bench.ranking.ncf             all that is missing; an interrupted run goes on where it stopped
    python -m bench.ranking.ncf --fresh     everything again

Popularity, matrix factorisation with a dot product, GMF, MLP of depth 0 to 4, NeuMF from scratch and pre-trained, all
with the same number of factors. Each gets the same effort: six settings, tried with one seed and judged by NDCG@10
among all films on the validation item, then five seeds with the best one; the test item is looked at once per seed.
Variants, three seeds each, change one thing and keep the settings of their parent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from bench import pool
from bench.leaderboard import SEEDS, TUNING_SEED
from recsys_lite.data.leave_one_out import LeaveOneOut, leave_one_out
from recsys_lite.evaluation import evaluate_ranking, places
from recsys_lite.models import FM, Model, NeuMF, Popularity
from recsys_lite.store import RESULTS
from recsys_lite.training import Result, fit_ranking, seed_everything

FILE = RESULTS / "ncf.json"
FACTORS = 16
FIXED: dict[str, Any] = {"epochs": 20, "batch_size": 2048, "patience": 4, "progress": False}
VARIANT_SEEDS = range(3)

ADAM = [{"lr": lr, "weight_decay": wd} for lr in (3e-3, 1e-2) for wd in (0.0, 3e-6, 1e-5)]
#: after pre-training, plain SGD (paper) or Adam; with mean losses over a batch the useful rates of SGD are large
AFTER = [
    {"optimizer": o, "lr": lr} for o, rates in (("SGD", (0.1, 1.0, 10.0)), ("Adam", (3e-4, 1e-3, 3e-3))) for lr in rates
]
PRETRAINED, FROM = "neumf_pretrained", ("gmf", "mlp_3")
MODELS = ["mf", "gmf", *(f"mlp_{depth}" for depth in range(5)), "neumf", PRETRAINED]
#: name -> (parent, arguments of build, arguments of fit_ranking)
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "mf_without_biases": ("mf", {"h_is_one": True}, {}),
    "mf_8_factors": ("mf", {"factors": 8}, {}),
    "mf_32_factors": ("mf", {"factors": 32}, {}),
    "neumf_8_factors": ("neumf", {"factors": 8}, {}),
    "neumf_32_factors": ("neumf", {"factors": 32}, {}),
    "neumf_same_negatives": ("neumf", {}, {"redraw": False}),
    **{f"{name}_held_out_spared": (name, {}, {"spare_held_out": True}) for name in ("mf", "gmf", "mlp_3", "neumf")},
}

Setting = dict[str, Any]
Job = tuple[str, Setting, int, bool]  # model or variant, setting, seed, whether to look at the test item


@functools.cache
def load() -> LeaveOneOut:
    """The data, once per process."""
    return leave_one_out()


def build(name: str, factors: int = FACTORS, h_is_one: bool = False) -> Model:
    """A model of some factors; towers halve to that width, and p', q' are twice as wide at every depth."""
    fields = load().fields()
    if h_is_one:  # a dot product and nothing else
        model = NeuMF(fields, dim=factors, hidden=())
        torch.nn.init.ones_(model.h).requires_grad_(False)
        return model
    if name == "mf":
        return FM(fields, dim=factors)  # w0 + w_u + w_i + <v_u, v_i>
    depth = {"gmf": 0, "neumf": 3, PRETRAINED: 3}.get(name, int(name[-1]) if name.startswith("mlp") else 0)
    tower = [factors * 2**k for k in reversed(range(depth))]
    return NeuMF(fields, dim=factors, hidden=tower, side=2 * factors, use_gmf=not name.startswith("mlp"))


def space(name: str) -> list[Setting]:
    """The six settings that are tried for a model."""
    return AFTER if name == PRETRAINED else ADAM


@functools.cache
def trained_parts(seed: int, *settings: tuple[tuple[str, Any], ...]) -> tuple[Any, ...]:
    """GMF and MLP with the settings chosen for them, for pre-training."""
    out: list[Model] = []
    for name, setting in zip(FROM, settings, strict=True):
        seed_everything(seed)
        out.append(build(name))
        fit_ranking(out[-1], load(), seed=seed, evaluate_test=False, **dict(setting), **FIXED)
    return tuple(out)


def work(job: Job, parts: list[Setting]) -> tuple[dict[str, Any], str]:
    """One run, in a process of the pool: its result, and each user's place among all films (from 0).

    Args:
        parts: the settings of GMF and MLP, where the job is pre-trained.
    """
    name, setting, seed, test = job
    seed_everything(seed)
    if name == "popularity":
        model: torch.nn.Module = Popularity(load())
        validation, held_out = (evaluate_ranking(model, load(), part) for part in ("validation", "test"))
        result = Result(load().name, "leave-one-out", name, seed, {}, validation, held_out)
    else:
        parent, how, options = VARIANTS.get(name, (name, {}, {}))
        model = built = build(parent, **how)
        if parent == PRETRAINED and isinstance(built, NeuMF):
            built.start_from(*trained_parts(seed, *(tuple(part.items()) for part in parts)))
            kind = getattr(torch.optim, setting["optimizer"])
            options = {"optimizer": lambda m: kind(m.parameters(), lr=setting["lr"])}
        else:
            options = options | setting
        result = fit_ranking(model, load(), seed=seed, evaluate_test=test, **options, **FIXED)
        result.model, result.settings = name, result.settings | setting
    above, _ = places(model, load())[""] if test else (torch.zeros(0), None)
    return result.to_dict(), " ".join(map(str, above.tolist()))


def best(record: dict[str, Any], name: str) -> Setting | None:
    """The setting with the highest validation NDCG@10 among all films, once all six have been tried."""
    tried = record["tuning"].get(name, [])
    if len(tried) < len(space(name)):
        return None
    return max(tried, key=lambda t: t["validation"]["ndcg@10"])["setting"]


def possible(record: dict[str, Any]) -> list[Job]:
    """The runs that are missing and whose settings are known by now."""
    done = {(r["model"], r["seed"]) for r in record["runs"]}
    jobs: list[Job] = [] if ("popularity", 0) in done else [("popularity", {}, 0, True)]
    for name in MODELS:
        if name == PRETRAINED and any(best(record, part) is None for part in FROM):
            continue
        tried = [t["setting"] for t in record["tuning"].get(name, [])]
        jobs += [(name, s, TUNING_SEED, False) for s in space(name) if s not in tried]
        if (setting := best(record, name)) is not None:
            jobs += [(name, setting, seed, True) for seed in SEEDS if (name, seed) not in done]
    for name, (parent, _, _) in VARIANTS.items():
        if (setting := best(record, parent)) is not None:
            jobs += [(name, setting, seed, True) for seed in VARIANT_SEEDS if (name, seed) not in done]
    return jobs


def note(record: dict[str, Any], job: Job, result: dict[str, Any], ranks: str) -> None:
    """Put a finished run into the record, which is kept in one order however the runs finish."""
    name, setting, seed, test = job
    if test:
        order = ["popularity", *MODELS, *VARIANTS]
        record["runs"].append(result)
        record["runs"].sort(key=lambda r: (order.index(r["model"]), r["seed"]))
        if name not in VARIANTS:
            record["ranks"].setdefault(name, {})[str(seed)] = ranks
        return
    tried = record["tuning"].setdefault(name, [])
    tried.append({"setting": setting, "validation": result["validation"], "best_epoch": result["best_epoch"]})
    tried.sort(key=lambda t: space(name).index(t["setting"]))


def run(record: dict[str, Any], save: Callable[[], None], processes: int) -> None:
    """Fill what is missing in the record, saving after each run."""
    record["about"] = load().about | {"factors": FACTORS, "users": load().num_users, "items": load().num_items}
    total = 1 + sum(len(space(name)) + len(SEEDS) for name in MODELS) + len(VARIANTS) * len(VARIANT_SEEDS)

    def keep(job: pool.Job, result: tuple[dict[str, Any], str]) -> None:
        note(record, job[0], *result)
        save()

    def wanted() -> list[pool.Job]:
        parts = [best(record, name) for name in FROM]
        return [(job, parts if job[0] == PRETRAINED else []) for job in possible(record)]

    pool.run(work, wanted, keep, processes, total - len(record["runs"]) - sum(map(len, record["tuning"].values())))


def main() -> None:
    empty: dict[str, Any] = {"about": {}, "tuning": {}, "runs": [], "ranks": {}}
    pool.command(__doc__, FILE, empty, lambda record, save, a: run(record, save, a.processes))


if __name__ == "__main__":
    main()
