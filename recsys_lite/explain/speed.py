"""What was measured of training speed: times as ratios within rounds, from ``store/results/speed.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..store.files import RESULTS, read_json
from .training_cost import Training

Record = Mapping[str, Any]
#: what is timed, in words
PARTS = {
    "step": "training step",
    "epoch": "epoch with data feeding",
    "score": "inference",
    "products": "matrix products of a step alone",
}


def round_ratios(seconds: Mapping[Any, Sequence[float]], against: Any) -> pd.DataFrame:
    """Times that were taken in turns, as ratios within each round, so that a busy moment falls on both alike.

    Args:
        seconds: who -> a time for each round.
        against: whose times the others are divided by.

    Returns:
        a line each, with ``name``, ``ms`` (the median), ``ratio`` (the median of the rounds' ratios), ``low`` and
        ``high`` (their quartiles).

    Raises:
        ValueError: for an unknown name, or other numbers of rounds.

    Example:
        >>> round_ratios({"a": [1.0, 2.0, 4.0], "b": [2.0, 4.0, 8.0]}, "a").set_index("name").loc["b", "ratio"].item()
        2.0
    """
    if against not in seconds:
        raise ValueError(f"round_ratios: {against!r} is none of {list(seconds)}")
    if len(counts := {len(values) for values in seconds.values()}) != 1 or 0 in counts:
        raise ValueError(f"round_ratios: expected as many rounds of each, at least one, got {sorted(counts)}")
    base = np.asarray(seconds[against], float)
    lines = []
    for name, values in seconds.items():
        low, middle, high = np.quantile(np.asarray(values, float) / base, [0.25, 0.5, 0.75])
        lines.append({
            "name": name, "ms": 1000 * float(np.median(values)), "ratio": float(middle), "low": float(low),
            "high": float(high),
        })  # fmt: skip
    return pd.DataFrame(lines)


def stored() -> dict[str, Any]:
    """The record that ``python -m bench.speed`` wrote."""
    return read_json(RESULTS / "speed.json")


def ratios(record: Record, part: str, against: tuple[str, str] = ("ours", "adam")) -> pd.DataFrame:
    """How many times as long each system takes, of every model that ``against`` has.

    Args:
        record: see :func:`stored`.
        part: a key of :data:`PARTS`.
        against: system and optimiser.

    Returns:
        a line for each model and system: ``model``, ``system``, ``optimizer``, ``ms``, ``ratio``, ``low``, ``high``.

    Raises:
        ValueError: for a part that was not measured.
    """
    runs = [r for r in record["runs"] if r["part"] == part]
    if not runs:
        raise ValueError(f"ratios: {part!r} was not measured, only {sorted({r['part'] for r in record['runs']})}")
    tables = []
    for model in dict.fromkeys(r["model"] for r in runs):
        seconds = {(r["system"], r["optimizer"]): r["seconds"] for r in runs if r["model"] == model}
        if against in seconds:
            tables.append(round_ratios(seconds, against).assign(model=model))
    found = pd.concat(tables, ignore_index=True)
    system, optimizer = zip(*found.pop("name"), strict=True)
    columns = ["model", "system", "optimizer", "ms", "ratio", "low", "high"]
    return found.assign(system=system, optimizer=optimizer)[columns]


def fastest_peer(table: pd.DataFrame) -> pd.DataFrame:
    """Of every model the public library with the least ratio; models that no library has are left out."""
    peers = table[~table["system"].isin(["ours", "minimum"])]
    return peers.loc[peers.groupby("model", sort=False)["ratio"].idxmin()].reset_index(drop=True)


def product_share(record: Record) -> pd.DataFrame:
    """The share of the matrix products in a step of ours, and the most that a step could be faster by.

    Returns:
        a line for each model with ``share`` and ``bound``, the step's time over that of the products.
    """
    wanted = [("minimum", "adam", "products"), ("ours", "adam", "step")]
    seconds = {
        (r["model"], r["part"]): np.array(r["seconds"])
        for r in record["runs"]
        if (r["system"], r["optimizer"], r["part"]) in wanted
    }
    models = [model for model, part in seconds if part == "products"]
    shares = [float(np.median(seconds[m, "products"] / seconds[m, "step"])) for m in models]
    return pd.DataFrame({"model": models, "share": shares, "bound": [1 / s if s else np.inf for s in shares]})


def growth(record: Record, axis: str) -> pd.DataFrame:
    """Processor time per row of data against the size of one axis.

    Args:
        record: see :func:`stored`.
        axis: ``rows``, ``fields``, ``dim`` or ``vocabulary``.

    Returns:
        a line for each size and optimiser, with ``axis``, ``optimizer``, ``size`` and ``microseconds`` (the median).

    Raises:
        ValueError: for an axis that was not measured.
    """
    lines = [r for r in record["growth"] if r["axis"] == axis]
    if not lines:
        raise ValueError(f"growth: {axis!r} was not measured, only {sorted({r['axis'] for r in record['growth']})}")
    return pd.DataFrame([
        {k: r[k] for k in ("axis", "optimizer", "size")} | {"microseconds": 1e6 * np.median(r["seconds"]) / r["rows"]}
        for r in lines
    ])  # fmt: skip


def predicted(record: Record, memory: float = 5e9, network: float = 2e9) -> pd.DataFrame:
    """The cost model beside what was measured: DLRM in one and two processes on one machine, dense Adam.

    The speed of the networks is measured, of the matrix products alone; both bandwidths are assumed.

    Args:
        record: see :func:`stored`.
        memory, network: bytes per second, see :meth:`recsys_lite.explain.training_cost.Training.seconds`.

    Returns:
        a line for each number of processes: ``processes``, ``predicted_ms`` and ``measured_ms`` of a step,
        ``predicted_mb`` and ``sent_mb``, the megabytes that a process sends. Tables are shared out by column there, and
        every process knows all ids, so none are sent.
    """
    about = record["about"]
    columns, dim, batch = about["categorical"], about["dim"], about["batch"]
    products = next(r["seconds"] for r in record["runs"] if (r["model"], r["part"]) == ("dlrm", "products"))
    lines = []
    for line in record["processes"]:
        each, count = line["each"], line["processes"]
        t = Training(
            rows=sum(e["rows"] for e in each), dim=dim, machines=count, batch=batch, fields=columns,
            parameters=line["parameters"], flops=line["flops"], optimizer="adam",
        )  # fmt: skip
        speed = batch * line["flops"] / float(np.median(products))
        traffic = t.traffic()
        lines.append({
            "processes": count, "predicted_ms": 1000 * t.seconds(speed, memory, network)["total"],
            "measured_ms": 1000 * float(np.mean([np.median(e["seconds"]) for e in each])),
            "predicted_mb": (traffic["total"] - traffic["ids"]) / 1e6,
            "sent_mb": float(np.mean([sum(e["sent"].values()) for e in each])) / 1e6 if count > 1 else 0.0,
        })  # fmt: skip
    return pd.DataFrame(lines)
