"""The traces of the ranking models by name, and how a trace is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...fields import Rows
from ...layers import on_cpu
from ...models import MODELS
from . import attention, crosses, factorised, towers
from .shared import values_of
from .steps import Step

Trace = Callable[[Any, Rows, Mapping[str, str]], list[Step]]

_NAMES = {
    factorised: ("logistic_regression", "fm", "wide_deep", "deepfm", "ncf"),
    towers: ("dlrm", "two_towers", "split_network"),
    crosses: ("dcn", "dcn_v2", "gdcn"),
    attention: ("autoint", "dhen"),
}

#: name of a model -> its trace
RANKERS: dict[str, Trace] = {name: getattr(module, name) for module, names in _NAMES.items() for name in names}


def traced(
    traces: Mapping[str, Trace], name: str, model: Any, rows: Rows, words: Mapping[str, str] | None = None
) -> list[Step]:
    """One of some traces, after the checks that :func:`~recsys_lite.explain.traces.trace` promises."""
    if name not in traces:
        raise ValueError(f"trace: unknown model {name!r}; there are {', '.join(traces)}")
    if name in MODELS and not isinstance(model, MODELS[name]):
        raise ValueError(f"trace: {name!r} is a {MODELS[name].__name__}, got a {type(model).__name__}")
    if len(rows) != 1:
        raise ValueError(f"trace: got {len(rows)} rows, expected one")
    model, rows = on_cpu(model), rows.to("cpu")
    known = values_of(getattr(model, "fields", ()), rows)
    return traces[name](model, rows, {**known, **(words or {})})
