"""Data sets by name: ``load(name)`` gives fields, tensors and the three parts of every one of them. Builds no model."""

from __future__ import annotations

import os
from typing import Any

from ..fields import Dataset
from . import criteo, frappe, libfm, movielens, movielens_larger, prepared
from .fetch import DataUnavailable

__all__ = ["DATASETS", "DataUnavailable", "criteo", "frappe", "libfm", "load", "movielens", "prepared"]

#: name -> what it is
DATASETS = {
    "movielens-100k": "100,000 film ratings with demographics; tasks 'click' and 'like'; fetched at first use",
    "movielens-1m": "1,000,209 film ratings with demographics, by path=; tasks 'click' and 'like'",
    "movielens-10m": "10,000,054 film ratings in half stars, by path=; tasks 'click' and 'like'",
    "movielens-latest": "film ratings in half stars, any of GroupLens' latest sets, by path=; tasks 'click' and 'like'",
    "frappe": "96,203 logs of apps used in a context, each with two apps drawn beside it; fetched at first use",
    "criteo-sample": "10,000 ad impressions, in the package",
    "criteo": "the challenge's whole train.txt, by path=",
    "libfm": "train.libfm, validation.libfm and test.libfm in a folder, as published with NFM and AFM, by path=",
    "prepared": "any text that python -m recsys_lite.data.prepare wrote into a folder, by path=; larger than memory",
}


def load(
    name: str = "prepared", *, task: str | None = None, path: str | os.PathLike[str] | None = None, **options: Any
) -> Dataset:
    """A data set by name.

    Args:
        name: one of :data:`DATASETS`. Default ``"prepared"``.
        task: for MovieLens ``"click"`` (default) or ``"like"``; a prepared one has its label, all others ``"click"``.
        path: the user's own copy: the unzipped ``ml-100k``, ``ml-1m``, ... folder, Frappe's zip or folder, Criteo's
            ``train.txt``, a folder of libfm files, or a prepared folder.
        options: for MovieLens ``seed=0`` (of the negatives) and ``history=10``, see
            :func:`recsys_lite.data.movielens.load`; for Frappe ``seed=0``, ``protocol="open"`` and ``verify=True``, see
            :func:`recsys_lite.data.frappe.load`; for Criteo ``min_count=2``, see
            :func:`recsys_lite.data.criteo.load`; for libfm ``names=None`` of the fields, see
            :func:`recsys_lite.data.libfm.load`; for a prepared folder ``verify=False``, see
            :func:`recsys_lite.data.prepared.load`.

    Raises:
        ValueError: for an unknown name or task, or a damaged file. TypeError: for an option that the
            data set does not have. DataUnavailable: if no source works.

    Example:
        >>> data = load("criteo-sample")
        >>> len(data.train), len(data.validation), len(data.test), len(data.fields)
        (8000, 1000, 1000, 39)
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}; there are {sorted(DATASETS)}")
    if name == "movielens-100k":
        return movielens.load(task or "click", path, **options)
    if name in movielens_larger.READERS:
        return movielens_larger.load(name, task or "click", path, **options)
    if name == "prepared":
        if path is None:
            raise ValueError("prepared: give the folder that python -m recsys_lite.data.prepare wrote as path=")
        dataset = prepared.load(path, **options)
        if task not in (None, dataset.task):
            raise ValueError(f"prepared: unknown task {task!r}; there is {dataset.task!r}")
        return dataset
    if task not in (None, "click"):
        raise ValueError(f"{name}: unknown task {task!r}; there is 'click'")
    if name == "frappe":
        return frappe.load(path, **options)
    if name == "libfm":
        if path is None:
            raise ValueError("libfm: give the folder of train.libfm, validation.libfm and test.libfm as path=")
        return libfm.load(path, **options)
    if name == "criteo-sample" and path is not None:
        raise ValueError(
            "criteo-sample lies in the package and takes no path; the data set of a path is called 'criteo'"
        )
    if name == "criteo" and path is None:
        raise ValueError("criteo: give the challenge's train.txt as path=; the sample is called 'criteo-sample'")
    return criteo.load(path, **options)
