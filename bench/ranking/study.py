"""Choose the settings of all ranking models with the same effort, train them over seeds, keep what they predict.

    python -m bench.ranking.study                       all that is missing; goes on where it was interrupted
    python -m bench.ranking.study --data frappe         one data set
    python -m bench.ranking.study --trials 20           fewer trials of each model, the same for all
    python -m bench.ranking.study --report              what is there, which best values lie on an edge, hours

Optuna's tree-structured Parzen estimator proposes, on the validation part only; a trial whose AUC is not among the best
quarter of its elders at the same epoch is stopped, from the second epoch and the fifth trial on. Trials go round by
round, so that at any time all models of a data set have had the same number. The best setting is then trained with
seeds that tuning did not use; the test part is looked at once per seed. Every trial is drawn from the number of its
study and its place, so that an interrupted programme gives what an unbroken one gives.
"""

from __future__ import annotations

import argparse
import functools
import math
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from bench import pool
from bench.ranking.entries import ENTRIES, build, penalty, possible, suggest
from recsys_lite import data
from recsys_lite.evaluation import evaluate
from recsys_lite.fields import Dataset
from recsys_lite.layers import fold_batch_norm
from recsys_lite.models import GradientBoostedTrees
from recsys_lite.store import RESULTS, read_json, save_model, weights_path
from recsys_lite.store.predictions import add_predictions
from recsys_lite.training import Result, Steps, fit_in_steps, fit_trees, seed_everything

FILE = RESULTS / "study.json"
TASKS: dict[str, dict[str, Any]] = {
    "movielens-100k.click": {"task": "click", "negatives": "open"},
    "movielens-100k.like": {"task": "like"},
    "frappe.click": {},
    "frappe.published": {"protocol": "published"},
    "criteo-sample.click": {},  # too few rows to rank models by: it shows what noise is
}
#: task -> the one whose settings it takes: only to set our figures beside published ones, since its negatives leak
SETTINGS_OF = {"frappe.published": "frappe.click"}
#: tasks whose models are stored, those of seed 0: what chapters and explorer take apart
KEPT = ("movielens-100k.click", "movielens-100k.like", "criteo-sample.click")
TRIALS = 40
TUNING_SEED = 100  # none of the reported ones
SEEDS = {"movielens-100k.click": range(10), "movielens-100k.like": range(5), "frappe.click": range(5),
         "frappe.published": range(3), "criteo-sample.click": range(5)}  # fmt: skip
#: the same for every model of a data set; the rate falls by 10 after each epoch that was not the best
TRAINING: dict[str, Any] = {"epochs": 40, "patience": 2, "lr_decay": 0.1, "monitor": "auc"}
BATCH = {"movielens-100k": 2048, "frappe": 4096, "criteo-sample": 256}
PARTS = list(dict.fromkeys(task.split(".")[1] for task in TASKS))
STARTUP = 8  # trials at random before the estimator proposes

Key = tuple[str, str]  # task, model
optuna.logging.set_verbosity(optuna.logging.ERROR)


@functools.cache
def load(task: str) -> Dataset:
    """The data of a task, once per process."""
    return data.load(task.split(".")[0], **TASKS[task])


def study_of(key: Key, trials: list[dict[str, Any]]) -> optuna.Study:
    """The study of a model with its trials so far; what it proposes next depends on them and on their number only."""
    seed = zlib.crc32(f"{'.'.join(key)}.{len(trials)}".encode())
    sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=seed)
    pruner = optuna.pruners.PercentilePruner(25.0, n_startup_trials=4, n_warmup_steps=1)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    for one in trials:
        fixed = optuna.trial.FixedTrial(one["params"])
        suggest(key[1], fixed)
        complete = one["state"] == "complete"
        study.add_trial(
            optuna.trial.create_trial(
                params=one["params"], distributions=fixed.distributions,
                value=max(one["auc"]) if complete else None,
                intermediate_values=dict(enumerate(one["auc"])),
                state=optuna.trial.TrialState.COMPLETE if complete else optuna.trial.TrialState.PRUNED,
            )
        )  # fmt: skip
    return study


def start(key: Key, chosen: dict[str, Any], seed: int) -> Steps:
    """The training of a model with a setting, before its first epoch."""
    seed_everything(seed)
    dataset = load(key[0])
    model = build(key[1], dataset, chosen)
    return fit_in_steps(
        model, dataset, lr=chosen["lr"], embedding_penalty=penalty(chosen), batch_size=BATCH[dataset.name], seed=seed,
        **TRAINING,
    )  # fmt: skip


def tried(key: Key, number: int, file: str) -> dict[str, Any]:
    """One trial: what was proposed, the validation AUC epoch by epoch, and whether it ran to its end."""
    study = study_of(key, read_json(Path(file))["trials"].get(".".join(key), [])[:number])
    trial = study.ask()
    suggest(key[1], trial)
    started, values, state, best = time.process_time(), [], "complete", {}
    if ENTRIES[key[1]].kind == "trees":
        result = fit_trees(GradientBoostedTrees(seed=TUNING_SEED, **trial.params), load(key[0]), evaluate_test=False)
        values, best = [result.validation["auc"]], result.validation
    else:
        steps = start(key, trial.params, TUNING_SEED)
        try:
            while not steps.done:
                values.append(steps.step()["auc"])
                trial.report(values[-1], len(values) - 1)
                if trial.should_prune() and not steps.done:
                    state = "pruned"
                    break
        except ValueError as error:  # a loss that is not finite
            state, values = f"failed: {error}", values or [0.5]
        best = steps.result.validation
    return {
        "number": number, "params": trial.params, "state": state, "auc": [float(f"{v:.6f}") for v in values],
        "validation": best, "seconds": round(time.process_time() - started, 1),
    }  # fmt: skip


def run_seed(key: Key, chosen: dict[str, Any], seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """The best setting with a seed: the record with the test metrics, and the logits of the test rows."""
    dataset = load(key[0])
    started = time.process_time()
    if ENTRIES[key[1]].kind == "trees":
        trees = GradientBoostedTrees(seed=seed, **chosen)
        result = fit_trees(trees, dataset)
        logits = trees.logits(dataset.test)
    else:
        steps = start(key, chosen, seed)
        result = steps.finish()
        model = fold_batch_norm(steps.model)
        with torch.no_grad():
            logits = torch.cat([model(batch) for batch in dataset.test.batches(8192)])
        result.test = evaluate(dataset.test.label, torch.sigmoid(logits.double()), dataset.test.group)
        if key[0] in KEPT and seed == 0:
            about = {"seed": seed, "test": result.test, "setting": chosen}
            save_model(model, weights_path(dataset.name, dataset.task, key[1]), **about)
    return _line(result, key, chosen, time.process_time() - started), logits.double().numpy()


def _line(result: Result, key: Key, chosen: dict[str, Any], seconds: float) -> dict[str, Any]:
    """A run as :func:`recsys_lite.store.load_results` gives it; ``settings`` holds what was chosen, too."""
    dataset, task = key[0].split(".")
    more = {"dataset": dataset, "task": task, "model": key[1], "seconds": round(seconds, 1)}
    return {**result.to_dict(), **more, "settings": {**result.settings, **chosen}}


def work(key: Key, kind: str, number: int, given: Any) -> Any:
    """One trial or one seed, in a process of the pool."""
    return tried(key, number, given) if kind == "trial" else run_seed(key, given, number)


def best(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """The trial with the highest validation AUC among those that ran to their end."""
    return max((t for t in trials if t["state"] == "complete"), key=lambda t: max(t["auc"]))


def key_of(run: dict[str, Any]) -> Key:
    """Task and model of a run."""
    return f"{run['dataset']}.{run['task']}", run["model"]


def missing(record: dict[str, Any], key: Key, trials: int, file: Path) -> Iterator[tuple[Any, ...]]:
    """What can be run now for a model: its next trial, or, once it has had all, its seeds."""
    done = record["trials"].get(".".join((SETTINGS_OF.get(key[0], key[0]), key[1])), [])
    if len(done) < trials:
        if key[0] not in SETTINGS_OF:
            yield (key, "trial", len(done), str(file))
        return
    seeds = {r["seed"] for r in record["runs"] if key_of(r) == key}
    yield from ((key, "seed", s, best(done[:trials])["params"]) for s in SEEDS[key[0]] if s not in seeds)


def lacking(record: dict[str, Any], key: Key, trials: int) -> int:
    """How many runs a model lacks in all."""
    seeds = sum(key_of(r) == key for r in record["runs"])
    tried = trials if key[0] in SETTINGS_OF else len(record["trials"].get(".".join(key), []))
    return max(trials - tried, 0) + len(SEEDS[key[0]]) - seeds


def run(record: dict[str, Any], save: Callable[[], None], arguments: argparse.Namespace, file: Path = FILE) -> None:
    """Fill what is missing in the record, saving after each run."""
    keys = [(t, n) for t in TASKS if t.split(".")[0] in arguments.data and t.split(".")[1] in arguments.task
            for n in arguments.models if possible(t.split(".")[0], n)]  # fmt: skip
    for task in dict.fromkeys(t for t, _ in keys):
        about = load(task).about
        record["about"][task] = {k: v for k, v in about.items() if isinstance(v, str | int | float)}
    record["about"]["versions"] = {"torch": torch.__version__, "numpy": np.__version__, "optuna": optuna.__version__}
    record["about"]["training"] = {**TRAINING, "batch": BATCH, "trials": arguments.trials}
    order = {f"{t}.{n}": k for k, (t, n) in enumerate((t, n) for t in TASKS for n in ENTRIES)}
    save()

    def keep(job: pool.Job, result: Any) -> None:
        key, kind, _, _ = job
        if kind == "trial":
            record["trials"].setdefault(".".join(key), []).append(result)
            record["trials"] = dict(sorted(record["trials"].items(), key=lambda item: order[item[0]]))
        else:
            line, logits = result
            if key[0] not in SETTINGS_OF:
                add_predictions(load(key[0]), key[1], logits, line["seed"])
            record["runs"].append(line)
            record["runs"].sort(key=lambda r: (order[".".join(key_of(r))], r["seed"]))
        save()

    def wanted() -> list[pool.Job]:  # whoever has the fewest trials comes first, after an interrupt, too
        waiting = sorted(keys, key=lambda key: len(record["trials"].get(".".join(key), [])))
        return [job for key in waiting for job in missing(record, key, arguments.trials, file)]

    pool.run(work, wanted, keep, arguments.processes, sum(lacking(record, k, arguments.trials) for k in keys))


def edges(record: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Best values that lie on an edge of their space (of a range: its outer 3 %): model, setting, value."""
    found = []
    for name, trials in record["trials"].items():
        if not any(t["state"] == "complete" for t in trials):
            continue
        params = best(trials)["params"]
        fixed = optuna.trial.FixedTrial(params)
        suggest(name.split(".")[-1], fixed)
        for key, space in fixed.distributions.items():
            if isinstance(space, optuna.distributions.CategoricalDistribution):
                numbers = [c for c in space.choices if isinstance(c, int) and not isinstance(c, bool)]
                on_edge = bool(numbers) and params[key] in (min(numbers), max(numbers))
            else:
                low, high, value = space.low, space.high, params[key]  # type: ignore[attr-defined]
                if getattr(space, "log", False):
                    low, high, value = math.log(low), math.log(high), math.log(value)
                on_edge = not low + 0.03 * (high - low) < value < high - 0.03 * (high - low)
            if on_edge:
                found.append((name, key, params[key]))
    return found


def report(record: dict[str, Any]) -> str:
    """What is there: trials, hours, best validation and mean test AUC of each model, and the edges."""
    lines = []
    for name, trials in record["trials"].items():
        runs = [r for r in record["runs"] if ".".join(key_of(r)) == name]
        ended = [t for t in trials if t["state"] == "complete"]
        hours = sum(t["seconds"] for t in trials + runs) / 3600
        told = f"{name:40} {len(trials):3} trials ({len(ended)} to their end) {hours:5.2f} h"
        told += f"  validation {max(best(trials)['auc']):.4f}" if ended else ""
        told += f"  test {np.mean([r['test']['auc'] for r in runs]):.4f} ({len(runs)} seeds)" if runs else ""
        lines.append(told)
    total = sum(t["seconds"] for part in record["trials"].values() for t in part) + sum(
        r["seconds"] for r in record["runs"]
    )
    on_edge = [f"  {name}: {key} = {value}" for name, key, value in edges(record)]
    return "\n".join([*lines, f"{total / 3600:.1f} hours of one core", "On an edge of the space:", *on_edge])


def main() -> None:
    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--models", nargs="+", choices=list(ENTRIES), default=list(ENTRIES), help="only these")
        parser.add_argument("--data", nargs="+", choices=list(BATCH), default=list(BATCH), help="only these data sets")
        parser.add_argument("--task", nargs="+", choices=PARTS, default=PARTS)
        parser.add_argument("--trials", type=int, default=TRIALS, help="of each model")
        parser.add_argument("--report", action="store_true", help="only tell what is there")

    def fill(record: dict[str, Any], save: Callable[[], None], arguments: argparse.Namespace) -> None:
        if not arguments.report:
            run(record, save, arguments)
        print(report(record))

    pool.command(__doc__ or "", FILE, {"about": {}, "trials": {}, "runs": []}, fill, options)


if __name__ == "__main__":
    main()
