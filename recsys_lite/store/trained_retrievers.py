"""The tuned retrievers of ``results/retrieval.json``: weights from files, closed forms fitted again."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..data.interactions import Interactions
from ..evaluation.full_ranking import Retriever
from ..models.lightgcn import LightGCN
from ..models.neighbours import EASE, ItemKNN
from ..models.popularity import Popularity
from ..models.two_towers import TowerRetriever, TwoTowers
from .files import RESULTS, read_json, read_pair, read_tensors, save_tensors, weights_path, write_pair
from .trained import load_model, save_model

FILE = RESULTS / "retrieval.json"
#: the names that :func:`load_retriever` knows
RETRIEVERS = ("popularity", "item_knn", "ease", "mf", "lightgcn", "two_towers")


def best_setting(record: dict[str, Any], name: str) -> dict[str, Any]:
    """The setting of a model with the highest validation NDCG@20.

    Raises:
        ValueError: if none was tried.
    """
    tried = [t for t in record["tuning"] if t["model"] == name]
    if not tried:
        raise ValueError(f"retrieval: no settings of {name!r} were tried; there are {record['models']}")
    return max(tried, key=lambda t: t["validation"]["ndcg@20"])["setting"]


def save_retriever(model: nn.Module, data: Interactions, name: str, **about: Any) -> None:
    """Write the weights of a trained retriever, and what they are of."""
    path = weights_path(data.name, "retrieval", name)
    if isinstance(model, TwoTowers):
        return save_model(model, path, **about)
    record = {"model": name, "config": model.config, "data_sha256": data.about.get("data_sha256"), "about": about}
    write_pair(path, ".safetensors", lambda p: save_tensors(p, model.state_dict()), record)
    return None


def load_retriever(name: str, data: Interactions) -> Retriever:
    """A retriever as it was tuned: ``popularity``, ``item_knn``, ``ease``, ``mf``, ``lightgcn`` or ``two_towers``.

    The trained ones are those of seed 0. ``mf`` is LightGCN without layers.

    Raises:
        ValueError: for an unknown name, a missing or damaged file, or data other than those of training.
    """
    if name == "popularity":
        return Popularity(data)
    closed = {"item_knn": ItemKNN, "ease": EASE}
    if name in closed:
        return closed[name](data, **best_setting(read_json(FILE), name))
    if name not in RETRIEVERS:
        raise ValueError(f"load_retriever: unknown name {name!r}; there are {', '.join(RETRIEVERS)}")
    path = weights_path(data.name, "retrieval", name)
    if name == "two_towers":
        towers = load_model(path, data.query_fields + data.candidate_fields)
        assert isinstance(towers, TwoTowers)
        return TowerRetriever(towers, data).eval()
    record, weights = read_pair(
        path, ".safetensors", {"config": dict, "data_sha256": str}, "not a record of save_retriever"
    )
    if record["data_sha256"] != data.about.get("data_sha256"):
        raise ValueError(f"{path.name}: these weights were trained on other data than {data.name!r} as given")
    model = LightGCN(data, **record["config"])
    model.load_state_dict(read_tensors(weights))
    return model.eval()
