"""Position bias: does a model that knows of it rank better? Clicks simulated from MovieLens ratings, truth known.

    python -m bench.position.position             all that is missing; an interrupted run goes on where it stopped
    python -m bench.position.position --fresh     everything again

Logs: *popular* (order by popularity and chance, place k looked at with chance 1/k), *device* (the same, on phones
1/k²), *random* (shuffled, 1/k), the *control* (popular, everything looked at), *expert* (order by the person's own
rating and chance, 1/k: the place says more of the rating than any model can know) and *additive* (popular; the place
adds log 1/k to the logit of a click, which is Watch Next's form, while the other logs have PAL's). Five ways to learn
(position as a field and weights where they make sense), all with a factorization machine of the same ten fields inside:
naive, position as a field of it, inverse propensity weights from the true curve, PAL and Watch Next. Each gets the same
effort: six settings, tried on one log and judged by the log loss of that log's validation **clicks**; then ten seeds
with the best one, each with a log of its own, so that an interval over seeds speaks of clicks and of training. Served
scores are compared with the **ratings** of the test part, which no model has seen. Variants change one thing and keep
the settings of their parent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import softplus

from bench import pool
from bench.leaderboard import TUNING_SEED
from recsys_lite.data.simulated.clicks import BIAS, Clicks, missing, simulate
from recsys_lite.evaluation import log_loss, predict
from recsys_lite.evaluation.clicks import against_truth
from recsys_lite.explain.position import curve_error, examined, own_curve
from recsys_lite.lab import own_curve as learned
from recsys_lite.models import Model
from recsys_lite.models.click_models import build
from recsys_lite.store import RESULTS, trained_clicks
from recsys_lite.training import Settings, Steps, fit, seed_everything, tower_optimizer
from recsys_lite.training.pointwise import Labelled

FILE = RESULTS / "position.json"
CONDITIONS: dict[str, dict[str, Any]] = {
    "popular": {"policy": "popular", "power": 1.0},
    "device": {"policy": "popular", "power": {"desktop": 1.0, "phone": 2.0}},
    "random": {"policy": "random", "power": 1.0},
    "control": {"policy": "popular", "power": 0.0},
    "expert": {"policy": "expert", "power": 1.0, "spread": 1.0},
    "additive": {"policy": "popular", "power": 1.0, "link": "logit"},
}
SEEDS = range(10)
MODELS = ["naive", "feature", "ipw", "pal", "watch_next"]
SETTINGS = [{"lr": lr, "weight_decay": wd} for lr in (0.003, 0.01) for wd in (3e-5, 1e-4, 3e-4)]
FIXED: dict[str, Any] = {"epochs": 20, "patience": 2, "batch_size": 1024}
TOWER_RATE = 0.1  # of the few numbers of the bias tower, which are not decayed
LEAST_SEEN = 0.1  # inverse propensity weights are at most 10
SERVED_AT = (1, 5, 9)
#: name -> (parent, what is changed, in which conditions)
VARIANTS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    **{f"watch_next_{d:g}": ("watch_next", {"dropout": d}, ("popular", "device")) for d in (0.0, 0.3, 0.5)},
    "pal_true_curve": ("pal", {"true_curve": True}, ("popular", "device", "random")),
    "pal_position_only": ("pal", {"bias": ("position",)}, ("device",)),
    "pal_one_rate": ("pal", {"tower_rate": None}, ("popular",)),
}

Record = dict[str, Any]


@functools.lru_cache(maxsize=2)
def load(condition: str, seed: int) -> Clicks:
    """The log of a seed."""
    return simulate(**CONDITIONS[condition], seed=seed)


class Weighted(Labelled):
    """Inverse propensity weights with the true curve: the loss of a click on what is seldom seen counts more.

    An unbiased estimate of the log loss of relevance, (c/e) log loss of 1 + (1 - c/e) log loss of 0 (Saito et al.,
    WSDM 2020), with e not below a floor as there. Validation is the log loss of clicks with chance e σ(z).
    """

    def __init__(self, clicks: Clicks):
        super().__init__(clicks.dataset)
        self.truth = clicks.truth
        self.weight = self.data.train.label / self.truth["train"].seen.clamp(min=LEAST_SEEN)  # type: ignore[operator]

    def batches(self, epoch: int, settings: Settings, generator: torch.Generator, device: torch.device) -> Any:
        """Numbers of training rows in a new order."""
        return torch.randperm(len(self.data.train), generator=generator).split(settings.batch_size)

    def loss(self, model: torch.nn.Module, batch: Any, generator: torch.Generator) -> torch.Tensor:
        """The weighted log loss."""
        z = model(self.data.train[batch])
        return (softplus(z) - self.weight[batch] * z).mean()

    def metrics(self, model: torch.nn.Module, part: str) -> dict[str, float]:
        """Log loss of clicks."""
        rows = getattr(self.data, part)
        return {"log_loss": log_loss(rows.label, predict(model, rows) * self.truth[part].seen)}


class At(torch.nn.Module):
    """A model that reads the position, served with one value for all."""

    def __init__(self, model: Model, place: int):
        super().__init__()
        self.model, self.place = model, place

    def forward(self, rows: Any) -> torch.Tensor:
        fields = self.model.fields
        return self.model(missing(fields, missing(fields, rows, BIAS[:1], self.place), BIAS[1:], 1))


def work(kind: str, job: dict[str, Any]) -> Record:
    """One run, in a process of the pool."""
    name, condition, seed = job["model"], job["condition"], job["seed"]
    parent, changed, _ = VARIANTS.get(name, (name, {}, ()))
    clicks = load(condition, seed)
    seed_everything(seed)
    options = {"bias": BIAS if condition == "device" else BIAS[:1]} | changed
    rate = options.pop("tower_rate", TOWER_RATE)
    model = build(parent, clicks, **options)
    setting = {"lr": job["lr"], "weight_decay": job["weight_decay"]}
    if parent == "ipw":
        how = tower_optimizer(**setting, tower_rate=None)
        result = Steps(model, Weighted(clicks), Settings(optimizer=how, seed=seed, **FIXED)).finish()
    else:
        how = tower_optimizer(**setting, tower_rate=rate)
        fixed = {"seed": seed, "progress": False, "evaluate_test": False, **FIXED}
        result = fit(model, clicks.dataset, optimizer=how, **fixed)
    made: Record = {**job, "validation": result.validation["log_loss"], "best_epoch": result.best_epoch}
    if kind == "tuning":
        return made
    if parent == "feature":
        made["test"] = {f"at {k}": against_truth(At(model, k), clicks) for k in SERVED_AT}
    else:
        made["test"] = against_truth(getattr(model, "served", model), clicks)
    if parent not in ("naive", "ipw"):
        curve = examined(model, clicks.dataset.test[:2000])
        made["curve"], made["curve_error"] = curve.tolist(), curve_error(curve, clicks.curve)
    if hasattr(model, "tower"):
        made["own_curve"] = own_curve(model).tolist()
        made["left_on"] = against_truth(model, clicks)  # a mistake: ranked with the places of the old list
    return made


def best(record: Record, name: str, condition: str) -> dict[str, float] | None:
    """The setting with the lowest validation log loss, once all six have been tried."""
    tried = [r for r in record["tuning"] if r["model"] == name and r["condition"] == condition]
    if len(tried) < len(SETTINGS):
        return None
    chosen = min(tried, key=lambda r: r["validation"])
    return {key: chosen[key] for key in ("lr", "weight_decay")}


def wanted(record: Record) -> list[tuple[str, dict[str, Any]]]:
    """The runs that are missing and can be made now."""
    jobs: list[tuple[str, dict[str, Any]]] = []
    left_out = {("ipw", "control"), ("ipw", "expert"), ("feature", "expert")}  # weights of 1; out of the question there
    left_out.add(("ipw", "additive"))  # nobody looks away there: no chance to divide by
    plan = [(m, m, c) for c in CONDITIONS for m in MODELS if (m, c) not in left_out]
    plan += [(name, parent, c) for name, (parent, _, where) in VARIANTS.items() for c in where]
    for name, parent, condition in plan:
        setting = best(record, parent, condition)
        asked = [("runs", s, setting) for s in SEEDS] if setting else []
        if not setting and name == parent:
            asked = [("tuning", TUNING_SEED, s) for s in SETTINGS]
        for kind, seed, chosen in asked:
            job = {"model": name, "condition": condition, "seed": seed, **(chosen or {})}
            if not any(job.items() <= r.items() for r in record[kind]):
                jobs.append((kind, job))
    return sorted(jobs, key=lambda j: urgency(j[1]))


def urgency(job: dict[str, Any]) -> list[Any]:
    """Five seeds before the rest, the main comparisons before references: a run cut short is still of use."""
    reference = job["model"] in ("feature", "ipw", "pal_true_curve") and job["condition"] in ("device", "random")
    return [job["seed"] >= 5, reference, job["seed"]]


def place(run: Record) -> list[Any]:
    """Where a run stands in its list, however the runs finish."""
    order = [*MODELS, *VARIANTS]
    where = [list(CONDITIONS).index(run["condition"]), order.index(run["model"])]
    return [*where, run["seed"], run["lr"], run["weight_decay"]]


def run(record: Record, save: Callable[[], None], processes: int) -> None:
    """Fill what is missing, saving after each run."""
    record["about"] = {
        "conditions": CONDITIONS, "training": FIXED, "tower rate": TOWER_RATE, "served at": SERVED_AT,
        "curves": {c: simulate(**how).curve.tolist() for c, how in CONDITIONS.items()},
    }  # fmt: skip
    pool.run(work, lambda: wanted(record), pool.into_lists(record, save, place), processes)


def main() -> None:
    empty: Record = {"about": {}, "tuning": [], "runs": []}
    pool.command(__doc__, FILE, empty, lambda record, save, a: run(record, save, a.processes))
    clicks = trained_clicks.log()
    for name in trained_clicks.NAMES:  # for the explorer
        setting = learned.settings(trained_clicks.ORDER)[name]
        model, _ = learned.trained(name, clicks, setting, trained_clicks.SEED, trained_clicks.EPOCHS)
        trained_clicks.save(model, name, clicks)


if __name__ == "__main__":
    main()
