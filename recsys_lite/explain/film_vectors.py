"""The vectors that trained models hold of films, in one order, so that models can be laid beside each other."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import store
from ..data.interactions import Interactions, interactions
from ..fields import Dataset
from ..layers import FieldEmbedding
from ..models import MODELS
from ..models.lightgcn import LightGCN
from ..models.two_towers import TowerRetriever
from ..store.files import located
from ..store.trained_retrievers import load_retriever

#: retrievers with a vector per film; their names here, so that they differ from click models of the same name
RETRIEVERS = {"mf": "mf", "lightgcn": "lightgcn", "two_towers, retrieval": "two_towers"}
#: the models that read nothing of a film but its number; all others also read genres and the year
NUMBERS_ONLY = ("ncf", "mf", "lightgcn")
LEAST = (1, 5, 20, 50, 100)  # ratings in training that a film must have: the stored maps are of these sets of films
MAPS = store.RESULTS / "maps"  # without suffix, made by bench/ranking/maps.py


def known(dataset: Dataset) -> list[str]:
    """The models of which film vectors are stored: those for clicks, then the retrievers."""
    models = [m for m in MODELS if m != "logistic_regression" and weights_file(m, dataset).is_file()]
    return models + list(RETRIEVERS)


def often_rated(dataset: Dataset, least: int = 20) -> list[str]:
    """Raw numbers of the films with at least so many ratings in the training part, in the order of the vocabulary.

    Raises:
        ValueError: for data without films.
    """
    if "items" not in dataset.extras:
        raise ValueError(f"often_rated: {dataset.name!r} has no films")
    vocabulary, count = dataset.field("item").vocabulary, dataset.extras["items"]["popularity"]
    assert vocabulary is not None
    return [str(v) for v in vocabulary.values if count[str(v)] >= least]


@torch.no_grad()
def film_vectors(name: str, dataset: Dataset, films: list[str], data: Interactions | None = None) -> Tensor:
    """The vectors of some films (I, d) in a stored model.

    Of a click model they are the rows of the field ``item`` in its embedding table (NCF: of its GMF part; two towers
    and the split network: of the candidate tower, before its network). Of a retriever they are what is compared with
    the user: LightGCN's mean over the layers, the outputs of the candidate tower.

    Args:
        name: one of :func:`known`.
        dataset: MovieLens, see :func:`recsys_lite.data.load`.
        films: raw numbers of films that training showed.
        data: the interactions, which two towers read; by default they are loaded.

    Raises:
        ValueError: for an unknown model, a film that training never showed, or weights of other data.
    """
    if name in ("mf", "lightgcn"):
        place = {str(raw): k for k, raw in enumerate(dataset.extras["items"].index)}
        vectors = _spread(name, dataset)
    elif name in RETRIEVERS:
        data = data or interactions()
        place = {str(raw): k for k, raw in enumerate(data.items)}
        vectors = _candidates(load_retriever(RETRIEVERS[name], data))
    elif name in known(dataset):
        table = _table(store.load_model(store.weights_path(dataset.name, dataset.task, name), dataset.fields))
        vocabulary = dataset.field("item").vocabulary
        assert vocabulary is not None
        place = {str(raw): k for k, raw in enumerate(vocabulary.values, 1)}
        vectors = table.table.weight[table.row("item") :]
    else:
        raise ValueError(f"film_vectors: unknown model {name!r}; there are {', '.join(known(dataset))}")
    if missing := [f for f in films if f not in place]:
        raise ValueError(f"film_vectors: training never showed film {missing[0]!r}")
    return vectors[[place[f] for f in films]].clone()


def _spread(name: str, dataset: Dataset) -> Tensor:
    """Vectors of all films after the spread. The graph is that of the clicks in training, so nothing else is read."""
    path = store.weights_path(dataset.name, "retrieval", name)
    record = store.read_json(path.with_name(path.name + ".json"))
    if record["data_sha256"] != dataset.about.get("data_sha256"):
        raise ValueError(f"{path.name}: these weights were trained on other data than {dataset.name!r} as given")
    assert dataset.train.label is not None
    ids, sides = dataset.train.ids[dataset.train.label == 1], []
    columns = [f.name for f in dataset.fields if f.kind == "categorical"]
    for side in ("user", "item"):
        vocabulary, rows = dataset.field(side).vocabulary, dataset.extras[f"{side}s"].index
        assert vocabulary is not None
        place = torch.tensor([-1, *rows.get_indexer([str(v) for v in vocabulary.values])])
        sides.append(place[ids[:, columns.index(side)].long()])
    users = len(dataset.extras["users"])
    model = LightGCN((torch.stack(sides, 1), users, len(dataset.extras["items"])), **record["config"])
    model.load_state_dict(store.read_tensors(path.with_name(path.name + ".safetensors")))
    return model.propagate()[users:]


def _candidates(model: object) -> Tensor:
    assert isinstance(model, TowerRetriever)
    return model.vectors()


def _table(model: nn.Module) -> FieldEmbedding:
    """The first embedding of several numbers that has films."""
    for module in model.modules():
        if isinstance(module, FieldEmbedding) and module.table.weight.shape[1] > 1:
            if "item" in [f.name for f in module.fields]:
                return module
    raise ValueError(f"film_vectors: {type(model).__name__} holds no vectors of films")


def weights_file(name: str, dataset: Dataset) -> Path:
    """The file with the weights of a model of :func:`known`."""
    task, stored = ("retrieval", RETRIEVERS[name]) if name in RETRIEVERS else (dataset.task, name)
    path = store.weights_path(dataset.name, task, stored)
    return located(path.with_name(path.name + ".safetensors"))


def digest(file: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def stored_map(name: str, dataset: Dataset, least: int = 20) -> Tensor:
    """The t-SNE map (I, 2), seed 0, of the films of :func:`often_rated`, as ``python -m bench.ranking.maps`` stored it.

    Places are stored with 16 bits: three digits.

    Raises:
        ValueError: if there is no such map, or it was made of other weights or films.
    """
    about = store.read_json(MAPS.with_suffix(".json"))["models"]
    key, file = f"{name}|{least}", weights_file(name, dataset)
    maps = store.read_tensors(MAPS.with_suffix(".safetensors"))
    if key not in maps or name not in about:
        raise ValueError(f"stored_map: no map of {name!r} with at least {least} ratings; there are {sorted(maps)}")
    if about[name] != digest(file) or len(maps[key]) != len(often_rated(dataset, least)):
        raise ValueError(f"stored_map: the map of {name!r} was made of other weights or films than {file.name}")
    return maps[key].float()
