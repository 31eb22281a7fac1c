"""Which ranking model is better: every verdict of the study, from the stored predictions of every seed.

    python -m bench.ranking.verdicts             all tables of all data sets whose predictions are stored
    python -m bench.ranking.verdicts --check     derive them again and compare with the stored ones

One rule (:mod:`recsys_lite.evaluation.compare`): users and seeds together, margins stated in advance, Holm's correction
within a table. Three tables a data set: models without a network beside them, all pairs; models with one, all pairs;
each model against the one that its chapter starts from.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any

import pandas as pd

from bench.ranking.entries import ENTRIES
from bench.ranking.study import SETTINGS_OF, TASKS, load
from recsys_lite.evaluation import compare_all
from recsys_lite.fields import Dataset
from recsys_lite.store import RESULTS, load_predictions, read_json, write_json

FILE = RESULTS / "verdicts.json"
METRICS = ("auc", "log_loss")
#: model -> the one that its chapter starts from
BEFORE = {
    "fm": "logistic_regression", "wide_deep": "logistic_regression", "deepfm": "fm", "ncf": "fm", "dcn": "mlp",
    "cross_net": "logistic_regression", "cross_net_v2": "cross_net", "dcn_v2": "dcn", "autoint": "fm",
    "autoint_plus": "autoint", "dlrm": "fm", "dhen": "dlrm", "gdcn_cross": "cross_net_v2", "gdcn": "dcn_v2",
    "two_towers": "ncf", "split_network": "two_towers", "mlp": "logistic_regression", "gbdt": "logistic_regression",
}  # fmt: skip
COLUMNS = ["model", "against", "difference", "low", "high", "delta", "p", "word", "needed"]

Table = list[dict[str, Any]]


def tables(dataset: Dataset, predictions: dict[str, Any], metric: str) -> dict[str, Table]:
    """The three tables of one data set and metric; a model without predictions is left out."""
    kinds = ("crosses", "network")
    named = {kind: {n: predictions[n] for n in predictions if ENTRIES[n].kind == kind} for kind in kinds}
    of = {"label": dataset.test.label, "group": dataset.test.group, "metric": metric}
    found = {kind: _lines(compare_all(some, **of)) for kind, some in named.items() if len(some) > 1}
    pairs = [(a, b) for a, b in BEFORE.items() if a in predictions and b in predictions]
    if pairs:
        found["before"] = _lines(compare_all(predictions, pairs=pairs, **of))
    return found


def _lines(found: pd.DataFrame) -> Table:
    """Lines of a table, numbers to six digits, so that a file reads well and a check allows for the last bit."""
    records = found[COLUMNS].to_dict("records")
    return [{str(k): float(f"{v:.6g}") if isinstance(v, float) else v for k, v in r.items()} for r in records]


def derive() -> dict[str, Any]:
    """All tables of all data sets that have predictions."""
    out: dict[str, Any] = {}
    for task in [t for t in TASKS if t not in SETTINGS_OF]:
        dataset = load(task)
        try:
            stored = load_predictions(dataset)
        except ValueError as error:
            if "none are stored" not in str(error):
                raise
            continue
        ordered = {name: stored[name] for name in ENTRIES if name in stored}
        out[task] = {metric: tables(dataset, ordered, metric) for metric in METRICS}
    return out


def differences(stored: Any, made: Any, where: str = "") -> list[str]:
    """What is not the same in two records: another word, another number (beyond 1 in 10,000), something missing."""
    if isinstance(stored, dict) and isinstance(made, dict):
        keys = sorted({*stored, *made})
        return [line for k in keys for line in differences(stored.get(k), made.get(k), f"{where}/{k}")]
    if isinstance(stored, list) and isinstance(made, list) and len(stored) == len(made):
        pairs = zip(stored, made, strict=True)
        return [line for k, (a, b) in enumerate(pairs) for line in differences(a, b, f"{where}/{k}")]
    numbers = isinstance(stored, float) and isinstance(made, float)
    same = math.isclose(stored, made, rel_tol=1e-4, abs_tol=1e-7) if numbers else stored == made
    return [] if same else [f"{where}: stored {stored!r}, derived {made!r}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the stored verdicts; write nothing")
    made = derive()
    if parser.parse_args().check:
        wrong = differences(read_json(FILE), made)
        print("\n".join(wrong) or f"all verdicts of {FILE.name} follow from the stored predictions")
        sys.exit(bool(wrong))
    write_json(FILE, made)
    for task, by_metric in made.items():
        for metric, by_table in by_metric.items():
            for name, lines in by_table.items():
                for v in lines:
                    told = f"{v['difference']:+.4f} [{v['low']:+.4f}, {v['high']:+.4f}] {v['word']}"
                    print(f"{task:22} {metric:9} {name:8} {v['model']:20} {v['against']:20} {told}")


if __name__ == "__main__":
    main()
