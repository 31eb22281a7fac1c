"""The words of the page that trains live: what one sees, what it does not say, the notebook cell."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent
from typing import Any

import numpy as np
import pandas as pd

from recsys_lite.evaluation import auc_interval, compare_runs
from recsys_lite.fields import Dataset
from recsys_lite.lab.race import BATCH, best, truth

from ..core.cache import record
from ..core.names import name

NOTHING = 1e-4  # log-odds below which a pair is none


@dataclass(frozen=True)
class Asked:
    """What the reader chose; another choice is another race."""

    models: tuple[str, str]
    seed: int
    noise: float
    rows: int
    lr: float
    epochs: int

    @property
    def settings(self) -> dict[str, Any]:
        """All but models and seed."""
        return {"noise": self.noise, "rows": self.rows, "lr": self.lr, "epochs": self.epochs}


def stored_runs(asked: Asked) -> list[dict[str, Any]]:
    """The stored runs with these settings, of all models and seeds."""
    stored = record("race")
    return stored["runs"] if stored and stored["about"].get("settings") == asked.settings else []


def in_words(asked: Asked, curve: pd.DataFrame, pairs: pd.DataFrame, dataset: Dataset) -> str:
    """Where the two stand, what is the best possible, what was found, and whether the lead stands over seeds."""
    a, b = asked.models
    last = curve.groupby("model").last()
    epoch, reached = int(last["epoch"].iloc[0]), last["validation auc"]
    bound, seen = (best(dataset, rows, asked.noise)["auc"] for rows in (dataset.validation, dataset.train))
    text = [
        f"After {'all' if epoch == asked.epochs else f'{epoch} of'} {asked.epochs} epochs, validation AUC is "
        f"{reached[a]:.3f} for {name(a)} and {reached[b]:.3f} for {name(b)}; the planted truth itself has {bound:.3f} "
        f"on these {len(dataset.validation):,} rows.",
        *([] if pairs.empty else [pair_words(asked.models, pairs)]),
    ]
    bar = chance_bar(dataset.validation.label)
    if blind := [name(m) for m in asked.models if abs(reached[m] - 0.5) < bar]:
        text.append(
            f"The AUC of {' and '.join(blind)} is no different from chance, one half ± {bar:.3f} on these rows."
        )
    for model in asked.models:
        if (own := last.loc[model, "train auc"]) > seen:
            text.append(
                f"On its own training rows {name(model)} has {own:.3f}, more than the truth's {seen:.3f}: it knows "
                "some of the turned labels by heart."
            )
    if epoch == asked.epochs:
        text.append(over_seeds(asked))
    return " ".join(text)


def chance_bar(label: object) -> float:
    r"""The 95 % error bar of the AUC of a score that knows nothing: :math:`1.96 \sqrt{(n_+ + n_- + 1)/(12 n_+ n_-)}`.

    Source: Mann and Whitney 1947, the variance of the rank sum without ties.

    Example:
        >>> round(chance_bar([0, 1] * 250), 3)
        0.051
    """
    y = np.asarray(label)
    ones, zeros = int(y.sum()), int(len(y) - y.sum())
    return 1.96 * float(np.sqrt((ones + zeros + 1) / (12 * ones * zeros)))


def over_seeds(asked: Asked) -> str:
    """The mean difference at the end over the stored seeds, where these settings are stored."""
    final = {(r["model"], r["seed"]): r["curve"][-1]["validation auc"] for r in stored_runs(asked)}
    a, b = asked.models
    seeds = sorted(s for m, s in final if m == a and (b, s) in final)
    if len(seeds) < 2:
        return "This is one seed: a small lead may be chance."
    ends = ([final[m, s] for s in seeds] for m in (b, a))
    found = compare_runs(*ends, metric="auc", paired=True)
    told = f"over the stored seeds {seeds[0]} to {seeds[-1]}, each with data of its own"
    mean, low, high = found.difference, found.low, found.high
    if found.word in ("better", "worse"):
        if found.word == "worse":
            a, b, mean, low, high = b, a, -mean, -high, -low
        interval = f"(95 % interval {low:.3f} to {high:.3f})"
        return f"{name(b)} ends ahead of {name(a)} by {mean:.3f} on average {interval} {told}."
    return (
        f"{told.capitalize()}: {name(b)} less {name(a)} is {mean:+.3f} (95 % interval {low:+.3f} to {high:+.3f}), "
        f"{found.told}."
    )


def pair_words(models: tuple[str, str], pairs: pd.DataFrame) -> str:
    """The strongest pair of each model, and whether it is the planted one."""
    text = []
    for model in models:
        own = pairs[pairs["model"] == model]
        top = own.loc[own["strength"].idxmax()]
        if top["strength"] < NOTHING:
            text.append(f"{name(model)} has found no pair.")
        else:
            which = "the planted one" if top["planted"] else "not the planted one"
            text.append(f"The strongest pair in {name(model)} is {top['a']} × {top['b']}, {which}.")
    return " ".join(text)


def task_words(table: pd.DataFrame, alone: list[float], noise: float) -> str:
    """The planted rule, and that it shows in both fields together only.

    Args:
        table: of :func:`recsys_lite.lab.race.shares`.
        alone: the shares of label 1 by single values of the two fields.
        noise: share of labels turned over.
    """
    a, b = table.index.name, table.columns.name
    return (
        f"Every value has a planted sign. The label is 1 where the signs of {a} and {b} agree and 0 where they differ, "
        f"turned over in {noise:.0%} of the rows. The share of 1 by a value of {a} or {b} alone lies between "
        f"{min(alone):.2f} and {max(alone):.2f}; by both together it goes from {table.min().min():.2f} to "
        f"{table.max().max():.2f}."
    )


def cell(asked: Asked, epochs: int | None) -> str:
    """The notebook cell of the curves: of so many epochs trained anew, or of the stored race."""
    if epochs is None:
        return dedent(f"""\
            import pandas as pd

            from recsys_lite import store

            runs = store.read_json(store.RESULTS / "race.json")["runs"]
            lines = [
                {{"model": run["model"], **line}}
                for name in {list(asked.models)!r} for run in runs
                if (run["model"], run["seed"]) == (name, {asked.seed}) for line in run["curve"]
            ]
            table = pd.DataFrame(lines)
            table
            """)
    settings = ", ".join(f"{k}={v!r}" for k, v in asked.settings.items())
    return dedent(f"""\
        from recsys_lite.lab.race import Race

        race = Race({list(asked.models)!r}, seed={asked.seed}, {settings})
        for _ in range({epochs}):
            race.step()
        table = race.table()
        table
        """)


def caveats(asked: Asked, dataset: Dataset) -> str:
    """What a race does not say, as markdown."""
    rows = dataset.validation
    _, low, high = auc_interval(rows.label, truth(dataset, rows, asked.noise))
    steps = asked.epochs * -(-asked.rows // BATCH)
    return (
        f"- The budget is the same number of epochs, and so of batches: {steps} steps of Adam, on at most {BATCH} rows "
        "each. It is not the same time, and not the same number of weights.\n"
        "- Nothing was tuned: one learning rate for all suits some better than others, and nobody stops at the best "
        "epoch. The leaderboard gives every model the same tuning effort.\n"
        "- Every model has its default sizes, and Wide & Deep no cross made by hand.\n"
        "- The seed is that of the data, of the weights at the start, and of the order of the rows.\n"
        f"- {len(rows):,} validation rows are few: over other rows, the AUC of the truth itself would lie between "
        f"{low:.3f} and {high:.3f} (95 % interval). No score can be expected to beat the truth; by luck one may.\n"
        "- Real data have many weak crosses, and effects of single fields beside them."
    )
