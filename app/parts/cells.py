"""The notebook cells that make the tables of the pages, from the library alone; the tests run each and compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import dedent
from typing import Any

from ..core.names import name
from ..core.own import OWN, held


def load_line(data: str, task: str) -> str:
    """The lines that load a data set; of a reader's own table those that train on it, too."""
    if data == OWN:
        return held(task).code + "\n"
    if data == "planted":
        source = "recsys_lite.data.simulated.planted"
        return f"from {source} import PAIRS, planted, planted_pairs\n\ndataset = planted(**PAIRS)\n"
    return f'from recsys_lite import data\n\ndataset = data.load("{data}", task="{task}")\n'


def loaded(data: str, task: str, model: str) -> str:
    """The expression that is a trained model; ``model`` is Python for its name."""
    if data == OWN:
        return f"trials[{model}].model"
    return f'store.load_model(store.weights_path("{data}", "{task}", {model}), dataset.fields)'


def model_and_data(data: str, task: str, model: str) -> str:
    """The lines that load a data set and a trained model."""
    return load_line(data, task) + dedent(f"""\
        from recsys_lite import explain, plots, store
        from recsys_lite.explain import crosses as explain_crosses

        model = {loaded(data, task, repr(model))}
        """)


def parts(data: str, task: str, models: Sequence[str], row: int, edits: Mapping[str, Any], fine: bool) -> str:
    """The logit parts of several models on a row and on the same row with edits."""
    return load_line(data, task) + dedent(f"""\
        import pandas as pd

        from recsys_lite import explain, store

        original = dataset.decode(dataset.test, {row})
        rows = dataset.encode([original, original | {dict(edits)!r}])
        tables = []
        for name in {list(models)!r}:
            model = {loaded(data, task, "name")}
            part = explain.logit_parts(model, rows, fine={fine}).T.set_axis(["original", "now"], axis=1)
            tables.append(part.rename_axis("part").reset_index().assign(model=name))
        table = pd.concat(tables, ignore_index=True)
        table["change"] = table["now"] - table["original"]
        table
        """)


def effects(
    data: str, task: str, models: Sequence[str], row: int, edits: Mapping[str, Any], names: Sequence[str], others: int
) -> str:
    """What each field and pair does to the logit of a row, in several models."""
    return load_line(data, task) + dedent(f"""\
        import pandas as pd
        import torch

        from recsys_lite import explain, store

        row = dataset.encode(dataset.decode(dataset.test, {row}) | {dict(edits)!r})
        order = torch.randperm(len(dataset.test), generator=torch.Generator().manual_seed(0))
        others = dataset.test[order[:{others}].tolist()]
        names = {list(names)!r}
        pairs = [(a, a) for a in names] + [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
        table = pd.DataFrame(pairs, columns=["a", "b"])
        for short, words in {[(m, name(m)) for m in models]!r}:
            model = {loaded(data, task, "short")}
            found = explain.row_effects(model, row, others, names)
            table[words] = [found.loc[a, b] for a, b in pairs]
        table
        """)


def intervals(data: str, task: str, metric: str, models: Sequence[str]) -> str:
    """Mean and interval of a test metric."""
    return dedent(f"""\
        import pandas as pd

        from recsys_lite.evaluation import metrics
        from recsys_lite import store

        runs = store.load_results("{data}", "{task}")
        lines = []
        for name in {list(models)!r}:
            values = [run["test"]["{metric}"] for run in runs if run["model"] == name and "{metric}" in run["test"]]
            if len(values) > 1:
                lines.append((name, *metrics.interval(values), len(values)))
        table = pd.DataFrame(lines, columns=["name", "mean", "low", "high", "seeds"])
        table
        """)


def curves(data: str, task: str, models: Sequence[str]) -> str:
    """The curves of all runs."""
    return dedent(f"""\
        import pandas as pd

        from recsys_lite import store

        runs = store.load_results("{data}", "{task}")
        lines = [
            {{"model": run["model"], "seed": run["seed"], **point}}
            for name in {list(models)!r} for run in runs if run["model"] == name for point in run["curve"]
        ]
        table = pd.DataFrame(lines)
        table
        """)


def standings(data: str, task: str, metric: str) -> str:
    """The leaderboard."""
    return dedent(f"""\
        from recsys_lite.evaluation import report
        from recsys_lite import store

        table = report.standings(store.load_results("{data}", "{task}"), "{metric}")
        table
        """)


def position(log: str, metric: str, models: Sequence[str]) -> str:
    """All runs of a log."""
    return dedent(f"""\
        import pandas as pd

        from recsys_lite import store

        runs = store.read_json(store.RESULTS / "position.json")["runs"]
        lines = [
            (run["model"], run["seed"], run["test"].get("at 1", run["test"])["{metric}"])
            for run in runs if run["condition"] == "{log}" and run["model"] in {list(models)!r}
        ]
        table = pd.DataFrame(lines, columns=["model", "seed", "{metric}"])
        table
        """)


def candidates(models: Sequence[str], user: int, k: int) -> str:
    """The lists of several retrievers."""
    return dedent(f"""\
        import pandas as pd
        import torch

        from recsys_lite.data.interactions import interactions
        from recsys_lite.evaluation import top_k
        from recsys_lite.store import load_retriever

        data, user = interactions(), {user}
        seen = torch.zeros(1, data.num_items, dtype=torch.bool)
        for part in (data.train, data.validation):
            seen[0, part[part[:, 0] == user, 1]] = True
        lines = []
        for name in {list(models)!r}:
            scores, items = top_k(load_retriever(name, data), torch.tensor([user]), {k}, seen)
            for place, (item, score) in enumerate(zip(items[0].tolist(), scores[0].tolist()), 1):
                lines.append((name, place, data.title(item), score))
        table = pd.DataFrame(lines, columns=["model", "place", "film", "score"])
        table
        """)


def reasons(model: str, user: int, item: int) -> str:
    """What the history films did to a candidate."""
    return dedent(f"""\
        from recsys_lite.data.interactions import interactions
        from recsys_lite.explain.retrieval import moved_by
        from recsys_lite.store import load_retriever

        data = interactions()
        table = moved_by(load_retriever("{model}", data), data, user={user}, item={item})
        table
        """)


def recalls(models: Sequence[str]) -> str:
    """Recall of retrievers over seeds; one without a seed has no interval."""
    return dedent(f"""\
        import pandas as pd

        from recsys_lite import store
        from recsys_lite.evaluation import interval

        runs = store.read_json(store.RESULTS / "retrieval.json")["runs"]
        lines = []
        for name in {list(models)!r}:
            values = [run["test"]["recall@20"] for run in runs if run["model"] == name]
            mean = interval(values) if len(values) > 1 else (values[0],) * 3
            lines.append((name, *mean, len(values)))
        table = pd.DataFrame(lines, columns=["name", "mean", "low", "high", "seeds"])
        table
        """)


def bins(data: str, task: str, models: Sequence[str], count: int) -> str:
    """Calibration of several models."""
    return load_line(data, task) + dedent(f"""\
        import pandas as pd

        from recsys_lite import store
        from recsys_lite.evaluation import metrics, predict

        tables = []
        for name in {list(models)!r}:
            model = store.load_model(store.weights_path("{data}", "{task}", name), dataset.fields)
            part = metrics.calibration_table(dataset.test.label, predict(model, dataset.test), {count})
            tables.append(part.assign(model=name))
        table = pd.concat(tables, ignore_index=True)
        table
        """)


def slices(data: str, task: str, models: Sequence[str]) -> str:
    """AUC of several models in groups of rows."""
    return load_line(data, task) + dedent(f"""\
        from recsys_lite import store
        from recsys_lite.evaluation import predict, slices

        predictions = {{}}
        for name in {list(models)!r}:
            model = store.load_model(store.weights_path("{data}", "{task}", name), dataset.fields)
            predictions[name] = predict(model, dataset.test).numpy()
        table = slices.auc_by_slice(dataset, predictions)
        table
        """)
