"""What scoring costs and what fits into a budget: the formulas of the three ways to serve, beside what was measured.

Measured is processor time of one thread on one machine (``python -m bench.cost.serving``,
``bench.retrieval.split_network``): compare ratios within a file only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..evaluation.comparison import frontier
from ..store.files import RESULTS, read_json
from .quantise import BITS, table_bytes

WAYS = {"every_pair": "every pair", "user_once": "user once", "cached": "items cached"}
#: what ``bench.retrieval.split_network`` timed -> in words; all but the first three score whole rows
SYSTEMS = {
    "two_towers": "Two towers, items cached", "fm, cached": "FM, items cached",
    "split_network": "Split network, items cached", "split, nothing cached": "Split network, every pair",
    "fm": "FM", "deepfm": "DeepFM", "dlrm": "DLRM", "dcn_v2": "DCN V2", "dhen": "DHEN",
}  # fmt: skip
BASE = 1000  # candidates: the time of two towers for so many is the unit of a budget
TOWERS, MODELS = "three ways with the same towers", "models of the book"


def costs(
    candidates: float, *, u: float, c: float, d: float, k: float = 0.0, once: float | None = None, hit: float = 1.0
) -> dict[str, float]:
    r"""Cost of scoring N candidates for one user in three ways.

    .. math:: N (u + c + d), \qquad u_1 + N (c + d), \qquad u_1 + N d + k + (1 - h) N c

    A model of pairs runs all of itself for every pair. If user and item meet only at the end, the user's part runs
    once. If the items' vectors are kept, only those that are missing are computed. The first can be cheaper than the
    others for few candidates: a part costs less for a row among many than for a row alone.

    Args:
        candidates: N.
        u, c, d: of a pair among many: user part, item part, what joins them. Any unit: FLOPs, microseconds.
        k: of looking up the vectors and picking the best.
        once: :math:`u_1`, the user part for one row on its own. Default: ``u``, as the primer has it.
        hit: h, the share of the candidates whose vectors are in the cache.

    Returns:
        a cost for each of :data:`WAYS`, in the unit of the arguments.

    Raises:
        ValueError: for a cost or a number of candidates that is negative or not finite, or ``hit`` outside [0, 1].

    Source: the formulas of two towers in *Two Towers in RecSys* (Aman Chadha's primer). Derived in the chapter *Two
    towers*.

    Example:
        >>> costs(100, u=5, c=4, d=1, k=20)
        {'every_pair': 1000.0, 'user_once': 505.0, 'cached': 125.0}
    """
    once = u if once is None else once
    given = {"candidates": candidates, "u": u, "c": c, "d": d, "k": k, "once": once}
    for name, value in given.items():
        if not (np.isfinite(value) and value >= 0):
            raise ValueError(f"costs: {name} must be a number from 0 on, got {value}")
    if not 0 <= hit <= 1:
        raise ValueError(f"costs: hit must lie within [0, 1], got {hit}")
    n = float(candidates)
    return {
        "every_pair": n * (u + c + d),
        "user_once": once + n * (c + d),
        "cached": once + n * d + k + (1 - hit) * n * c,
    }


def measured_units() -> dict[str, float]:
    """u, c, d, k and once as measured, in microseconds with three digits: the arguments of :func:`costs`."""
    unit = read_json(RESULTS / "serving.json")["units"]
    names = {"u": "u", "c": "c", "d": "d", "k": "k", "once": "u_alone"}
    return {name: float(f"{1e6 * unit[key]:.3g}") for name, key in names.items()}


def measured_costs() -> pd.DataFrame:
    """Microseconds that were measured, a line per size: candidates, and a column per way; NaN where left out."""
    lines = read_json(RESULTS / "serving.json")["cost"]
    return pd.DataFrame([
        {"candidates": one["candidates"]}
        | {w: float("nan") if (s := one["measured"][w]) is None else 1e6 * s for w in WAYS}
        for one in lines
    ])  # fmt: skip


def cost_table(candidates: int, **units: float) -> pd.DataFrame:
    """The three ways by formula and as measured, at the measured sizes and at one more.

    Args:
        candidates: one more N.
        units: see :func:`costs`.

    Returns:
        a line per size: candidates, a column for each of :data:`WAYS` in words, in the unit of the arguments, and
        ``<way>, measured`` in microseconds, empty where nothing was measured.
    """
    found = measured_costs().rename(columns={way: f"{words}, measured" for way, words in WAYS.items()})
    sizes = sorted({*found["candidates"], candidates})
    table = pd.DataFrame([{"candidates": n} | costs(n, **units) for n in sizes]).rename(columns=WAYS)
    return table.merge(found, on="candidates", how="left")


def within(budget: float, sizes: Sequence[float], times: Sequence[float]) -> tuple[float, str]:
    """The most candidates whose time fits into a budget, between measured sizes by a line in log-log.

    Returns:
        candidates, and what the end of the measurements leaves open: ``""``; ``"fewer"`` than the returned smallest
        size; ``"more"`` than the returned largest size, or just that.

    Raises:
        ValueError: if sizes or times are not positive, sizes do not rise, or there are fewer than two.

    Example:
        >>> within(4.0, [100, 10_000], [1.0, 16.0])
        (1000.0, '')
    """
    x, y = np.asarray(sizes, float), np.asarray(times, float)
    if x.shape != y.shape or len(x) < 2 or not ((x > 0).all() and (y > 0).all() and (np.diff(x) > 0).all()):
        raise ValueError(f"within: needs two or more rising sizes with positive times, got {sizes} and {times}")
    y = np.maximum.accumulate(y)  # more candidates never cost less; what was measured may shake
    if budget < y[0]:
        return float(x[0]), "fewer"
    if budget >= y[-1]:
        return float(x[-1]), "more"
    j = int(np.searchsorted(y, budget, side="right"))
    share = np.log(budget / y[j - 1]) / np.log(y[j] / y[j - 1])
    return float(np.round(x[j - 1] * (x[j] / x[j - 1]) ** share, 6)), ""


def measured_times() -> dict[tuple[str, str], tuple[list[float], list[float]]]:
    """(group, system) -> sizes and times; the unit is two towers with cached items at :data:`BASE` candidates.

    ``split_network.json`` has ratios within a size only. All its sizes hold the time of the user tower alone, which is
    the same work at every size: it joins them.
    """
    out: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    found = measured_costs().set_index("candidates")
    for way, words in WAYS.items():
        some = found[way].dropna() / found.loc[BASE, "cached"]
        out[TOWERS, words] = ([float(n) for n in some.index], some.tolist())
    lines = read_json(RESULTS / "split_network.json")["cost"]
    alone = {one["candidates"]: one["times"]["user tower alone"] for one in lines}
    for name, words in SYSTEMS.items():
        times = [one["times"][name] / alone[one["candidates"]] * alone[BASE] for one in lines]
        out[MODELS, words] = ([float(n) for n in alone], times)
    return out


def budget_table(budget: float) -> pd.DataFrame:
    """How many candidates each way of serving scores within a budget.

    Args:
        budget: a multiple of the time that two towers with cached items take for :data:`BASE` candidates.

    Returns:
        a line per system: group, system, candidates, open (see :func:`within`), and formula: candidates by
        :func:`costs` with the measured units, for the three ways.

    Raises:
        ValueError: if the budget is not above 0.
    """
    if not (np.isfinite(budget) and budget > 0):
        raise ValueError(f"budget_table: the budget must be a number above 0, got {budget}")
    by_formula = dict(zip(WAYS.values(), _solved(budget, measured_units()), strict=True))
    lines = []
    for (group, system), (sizes, times) in measured_times().items():
        count, open_ = within(budget, sizes, times)
        formula = by_formula[system] if group == TOWERS else float("nan")
        lines.append((group, system, float(int(count)), open_, formula))
    return pd.DataFrame(lines, columns=["group", "system", "candidates", "open", "formula"])


def _solved(budget: float, unit: Mapping[str, float]) -> Iterable[float]:
    """The formulas solved for N, with a full cache; 0 where not even the user's part fits."""
    total = budget * costs(BASE, **unit)["cached"]
    u, c, d, k, once = (unit[name] for name in ("u", "c", "d", "k", "once"))
    return [
        float(max(int(rest / each), 0))
        for rest, each in ((total, u + c + d), (total - once, c + d), (total - once - k, d))
    ]


def funnel_stages() -> pd.DataFrame:
    """Time of a funnel's stages for one request, as multiples of retrieval for the fewest candidates.

    Returns:
        a line per number of candidates: candidates, retrieval, medium, heavy, arrange.
    """
    lines = pd.DataFrame(read_json(RESULTS / "funnel.json")["timings"][0]["lines"])
    wide = lines.pivot(index="candidates", columns="stage", values="ms")[["retrieval", "medium", "heavy", "arrange"]]
    return (wide / wide["retrieval"].iloc[0]).rename_axis(columns=None).reset_index()


def funnel_models() -> dict[str, str]:
    """Stage of the measured funnel -> the model in it."""
    about = read_json(RESULTS / "funnel.json")["about"]
    return {stage: about[stage] for stage in ("retrieval", "medium", "heavy")}


def memory_table(values: int, dim: int, buckets: int | None = None) -> pd.DataFrame:
    """Bytes of an embedding table in every number format, see :func:`recsys_lite.retrieval.quantise.table_bytes`.

    Returns:
        a line per format: format, bytes, share (of float32 without hashing).
    """
    whole = table_bytes(values, dim)
    taken = {kind: table_bytes(values, dim, kind, buckets) for kind in BITS}
    return pd.DataFrame(
        [(kind, size, size / whole) for kind, size in taken.items()], columns=["format", "bytes", "share"]
    )


def quantised_runs(dataset: str | None = None) -> pd.DataFrame:
    """What ``python -m bench.cost.quantise`` measured: a line per data set, model and format.

    Returns:
        dataset, task, model, format, auc, difference to float32 with low and high, bytes of the tables, tables (their
        shapes), other weights (their number).
    """
    table = pd.DataFrame(read_json(RESULTS / "quantise.json")["runs"])
    return table if dataset is None else table[table["dataset"] == dataset].reset_index(drop=True)


def book_tables() -> pd.DataFrame:
    """Embedding tables of the book's models: dataset, values, dim, bytes (float32), models that have such a table."""
    runs = quantised_runs()
    found: dict[tuple[Any, ...], list[str]] = {}
    for one in runs[runs["format"] == "float32"].itertuples():
        for values, dim in one.tables:
            found.setdefault((one.dataset, values, dim), []).append(one.model)
    lines = [(*key, table_bytes(key[1], key[2]), ", ".join(models)) for key, models in found.items()]
    return pd.DataFrame(lines, columns=["dataset", "values", "dim", "bytes", "models"])


def index_table(candidates: int) -> pd.DataFrame:
    """Recall and time of the searches of an index that looks at some of the vectors.

    Args:
        candidates: number of vectors, one of :func:`index_sizes`.

    Returns:
        a line per index and effort: index, effort, recall (of the ten best), time (exact search = 1), build (seconds
        of the processor), frontier (no other is at least as good and faster).

    Raises:
        ValueError: if nothing was measured with so many vectors.
    """
    lines = pd.DataFrame(read_json(RESULTS / "serving.json")["ann"])
    part = lines[lines["candidates"] == candidates].reset_index(drop=True)
    if part.empty:
        raise ValueError(f"index_table: nothing was measured with {candidates} vectors; there are {index_sizes()}")
    part["time"] = part["seconds"] / part.loc[part["kind"] == "exact", "seconds"].iloc[0]
    part["model"] = part.index
    part["frontier"] = part["model"].isin(frontier(part, "recall", "time"))
    part["index"] = part["kind"].map({"exact": "exact", "hnsw": "HNSW", "ivf": "IVF"})
    return part[["index", "effort", "recall", "time", "build", "frontier"]]


def index_sizes() -> list[int]:
    """Numbers of vectors that an index was measured with."""
    return sorted({one["candidates"] for one in read_json(RESULTS / "serving.json")["ann"]})


def reached(table: pd.DataFrame, index: str, recall: float) -> pd.Series | None:
    """The fastest search of an index with at least this recall, a line of :func:`index_table`; ``None`` if none has."""
    good = table[(table["index"] == index) & (table["recall"] >= recall)]
    return None if good.empty else good.loc[good["time"].idxmin()]
