"""The ranking models of the study, each with the space that its settings are chosen from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from recsys_lite.fields import Dataset
from recsys_lite.layers import add_batch_norm
from recsys_lite.models import (
    DCN,
    DCNV2,
    DHEN,
    DLRM,
    FM,
    GDCN,
    AutoInt,
    DeepFM,
    FieldMLP,
    LogisticRegression,
    Model,
    NeuMF,
    SplitNetwork,
    TwoTowers,
    WideDeep,
)

#: of the fields that are known before an item is chosen
QUERY = {
    "movielens-100k": ["user", "gender", "age", "occupation", "hour", "weekday", "history"],
    "frappe": ["user", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city"],
}
CROSSES = {
    "movielens-100k": [
        ("history", "item"), ("user", "genres"),  # fine: memorise
        ("gender", "genres"), ("age", "genres"), ("occupation", "genres"),  # coarse: generalise
    ],
    "frappe": [("user", "item"), ("item", "city"), ("item", "country"), ("item", "daytime"), ("item", "weekday")],
    "criteo-sample": [("C1", "C2"), ("C5", "C8"), ("C6", "C9"), ("C14", "C17"), ("C20", "C23")],
}  # fmt: skip
BUCKETS = 2**22  # every combination that occurs has a weight of its own
MODULES = ["dot linear", "dot cross linear", "attention linear", "attention dot cross linear"]  # of DHEN


class Trial(Protocol):
    """What a space asks: Optuna's trials, or one that gives stored answers."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...
    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...
    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


@dataclass(frozen=True)
class Entry:
    """A model of the study.

    Args:
        kind: ``crosses`` (no network beside), ``network``, or ``trees``.
        make: fields, the data set's name and what was chosen -> model. None for trees.
        space: asks a trial for what is the model's own.
    """

    kind: Literal["crosses", "network", "trees"]
    make: Callable[[Dataset, dict[str, Any]], Model] | None
    space: Callable[[Trial], None] = lambda trial: None


def _plain(cls: Any, *own: str, **fixed: Any) -> Callable[[Dataset, dict[str, Any]], Model]:
    """A model that takes ``dim`` and its own settings under the names that the space gives them."""
    return lambda data, chosen: cls(data.fields, dim=chosen["dim"], **{k: chosen[k] for k in own}, **fixed)


def _deep(cls: Any, *own: str, hidden: str = "hidden", **fixed: Any) -> Callable[[Dataset, dict[str, Any]], Model]:
    """The same for a model with a network: hidden layers of one width, dropout."""

    def make(data: Dataset, chosen: dict[str, Any]) -> Model:
        network = {hidden: network_of(chosen), "dropout": chosen["dropout"]}
        return cls(data.fields, dim=chosen["dim"], **network, **{k: chosen[k] for k in own}, **fixed)

    return make


def network_of(chosen: dict[str, Any]) -> list[int]:
    """Widths of the hidden layers."""
    return [chosen["width"]] * chosen["hidden_layers"]


def _wide_deep(data: Dataset, chosen: dict[str, Any]) -> Model:
    return _deep(WideDeep, crosses=CROSSES[data.name], buckets=BUCKETS)(data, chosen)


def _dcn_v2(structure: str | None) -> Callable[[Dataset, dict[str, Any]], Model]:
    def make(data: Dataset, chosen: dict[str, Any]) -> Model:
        form = {"full": {}, "rank 32": {"rank": 32}, "4 experts of rank 16": {"rank": 16, "experts": 4}}[chosen["form"]]
        network = {"hidden": (), "structure": "cross"} if structure else {
            "hidden": network_of(chosen), "structure": chosen["structure"], "dropout": chosen["dropout"],
        }  # fmt: skip
        return DCNV2(data.fields, dim=chosen["dim"], cross_layers=chosen["cross_layers"], **network, **form)

    return make


def _dhen(data: Dataset, chosen: dict[str, Any]) -> Model:
    return DHEN(
        data.fields, dim=chosen["dim"], modules=chosen["modules"].split(), layers=chosen["layers"], out=chosen["out"],
        dropout=chosen["dropout"],
    )  # fmt: skip


def _towers(cls: Any, *own: str) -> Callable[[Dataset, dict[str, Any]], Model]:
    def make(data: Dataset, chosen: dict[str, Any]) -> Model:
        query = [name for name in QUERY[data.name] if name in [f.name for f in data.fields]]
        candidate = [f.name for f in data.fields if f.name not in query]
        more = {"temperature": chosen["temperature"]} if chosen.get("similarity") == "cosine" else {}
        sides = {"query": query, "candidate": candidate}
        return _deep(cls, *own, **sides, **more)(data, chosen)

    return make


def _crosses(trial: Trial) -> None:
    trial.suggest_int("cross_layers", 1, 5)


def _crosses_v2(trial: Trial) -> None:
    _crosses(trial)
    trial.suggest_categorical("form", ["full", "rank 32", "4 experts of rank 16"])


def _structure(trial: Trial) -> None:
    trial.suggest_categorical("structure", ["parallel", "stacked"])


def _heads(trial: Trial) -> None:
    trial.suggest_int("layers", 1, 4)
    trial.suggest_categorical("heads", [1, 2, 4])
    trial.suggest_categorical("units", [4, 8, 16])
    trial.suggest_categorical("variant", ["paper", "code"])


def _ensemble(trial: Trial) -> None:
    trial.suggest_categorical("modules", MODULES)
    trial.suggest_int("layers", 1, 4)
    trial.suggest_categorical("out", [2, 4, 8])


def _similarity(trial: Trial) -> None:
    trial.suggest_categorical("out", [16, 32, 64])
    if trial.suggest_categorical("similarity", ["dot", "cosine"]) == "cosine":
        trial.suggest_float("temperature", 0.02, 1.0, log=True)


def _boosting(trial: Trial) -> None:
    trial.suggest_float("learning_rate", 0.01, 0.3, log=True)
    trial.suggest_int("max_leaf_nodes", 7, 255, log=True)
    trial.suggest_int("min_samples_leaf", 5, 300, log=True)
    trial.suggest_float("l2_regularization", 1e-3, 100.0, log=True)


ENTRIES: dict[str, Entry] = {
    "logistic_regression": Entry("crosses", lambda data, chosen: LogisticRegression(data.fields)),
    "fm": Entry("crosses", _plain(FM)),
    "cross_net": Entry("crosses", _plain(DCN, "cross_layers", hidden=()), _crosses),
    "cross_net_v2": Entry("crosses", _dcn_v2("cross"), _crosses_v2),
    "autoint": Entry("crosses", _plain(AutoInt, "layers", "heads", "units", "variant"), _heads),
    "gdcn_cross": Entry("crosses", _plain(GDCN, "cross_layers", hidden=()), _crosses),
    "mlp": Entry("network", _deep(FieldMLP)),
    "wide_deep": Entry("network", _wide_deep),
    "deepfm": Entry("network", _deep(DeepFM)),
    "ncf": Entry("network", _deep(NeuMF, "side"), lambda trial: trial.suggest_categorical("side", [8, 16, 32])),
    "dcn": Entry("network", _deep(DCN, "cross_layers"), _crosses),
    "autoint_plus": Entry("network", _deep(AutoInt, "layers", "heads", "units", "variant"), _heads),
    "dlrm": Entry("network", _deep(DLRM, hidden="top")),
    "dcn_v2": Entry("network", _dcn_v2(None), lambda trial: (_crosses_v2(trial), _structure(trial))[0]),
    "dhen": Entry("network", _dhen, _ensemble),
    "gdcn": Entry("network", _deep(GDCN, "cross_layers", "structure"), lambda t: (_crosses(t), _structure(t))[0]),
    "two_towers": Entry("network", _towers(TwoTowers, "out", "similarity"), _similarity),
    "split_network": Entry(
        "network", _towers(SplitNetwork, "out"), lambda trial: trial.suggest_categorical("out", [16, 32, 64])
    ),
    "gbdt": Entry("trees", None, _boosting),
}


def suggest(name: str, trial: Trial) -> None:
    """Ask a trial for all settings of a model; they stand in ``trial.params`` afterwards.

    Every model but the trees: rate, penalty on the embedding tables (below 1e-6: none) and, but for logistic
    regression, their length. Every network: its layers, width, dropout, and batch norm; DHEN has norms of its own.
    """
    entry = ENTRIES[name]
    if entry.kind != "trees":
        trial.suggest_float("lr", 1e-4, 3e-2, log=True)
        trial.suggest_float("embedding_penalty", 1e-7, 1e-1, log=True)
        if name != "logistic_regression":
            trial.suggest_categorical("dim", [8, 16, 32])
    if entry.kind == "network":
        trial.suggest_float("dropout", 0.0, 0.5, step=0.1)
        if name != "dhen":
            trial.suggest_int("hidden_layers", 1, 3)
            trial.suggest_categorical("width", [32, 64, 128, 256])
            trial.suggest_categorical("batch_norm", [False, True])
    entry.space(trial)


def build(name: str, dataset: Dataset, chosen: dict[str, Any]) -> Model:
    """The model of a chosen setting, untrained."""
    make = ENTRIES[name].make
    if make is None:
        raise ValueError(f"build: {name} is no model of parameters")
    model = make(dataset, chosen)
    return add_batch_norm(model) if chosen.get("batch_norm") else model


def possible(dataset: str, name: str) -> bool:
    """Whether a data set has what a model needs: Criteo does not say which field is of the user, which of the ad."""
    return dataset in QUERY or name not in ("ncf", "two_towers", "split_network")


def penalty(chosen: dict[str, Any]) -> float:
    """The penalty on the tables: what was chosen, or none below 1e-6."""
    value = float(chosen["embedding_penalty"])
    return value if value >= 1e-6 else 0.0
