"""HNSW and IVF on vectors that lie in heaps and on vectors that do not: recall against time, side by side in one run.

    python -m bench.retrieval.index_shape           what is missing
    python -m bench.retrieval.index_shape --fresh   everything again

*Heaped* vectors are copies of trained film vectors with noise, as ``bench.cost.serving`` has them; *isotropic* ones are
drawn from a sphere, the queries, too. Which index is the faster one may depend on that. Processor seconds of one
thread; only the ratios to exact search within this file mean something.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from bench import pool
from bench.cost.serving import AT, EFFORTS, NOISE, one_thread, searched
from recsys_lite.data.interactions import interactions
from recsys_lite.store import RESULTS, load_retriever

FILE = RESULTS / "index_shape.json"
COUNT, DIM, QUERIES = 50_000, 32, 200
SHAPES = ("heaped", "isotropic")


@torch.no_grad()
def drawn(shape: str, count: int = COUNT) -> tuple[Tensor, Tensor]:
    """Vectors (count, DIM) and queries (QUERIES, DIM), all of length 1."""
    g = torch.Generator().manual_seed(0)
    if shape == "isotropic":
        vectors, queries = (torch.randn(n, DIM, generator=g) for n in (count, QUERIES))
        return normalize(vectors, dim=1), normalize(queries, dim=1)
    data = interactions()
    towers = load_retriever("two_towers", data)
    films = towers.vectors()[torch.randint(data.num_items, (count,), generator=g)]
    some = towers.queries[torch.randperm(data.num_users, generator=g)[:QUERIES]]
    noisy = films + NOISE * torch.randn(films.shape, generator=g)
    return normalize(noisy, dim=1), normalize(towers.model.query(some), dim=1)


def measured(shape: str, kind: str, count: int = COUNT) -> Iterator[dict[str, Any]]:
    """Recall and time of a kind of index on a shape, effort by effort; the time of exact search is 1."""
    exact, *lines = searched(*drawn(shape, count), kind)
    for line in lines:
        times = {"time": line["seconds"] / exact["seconds"], "build": line["build"] / exact["seconds"]}
        yield {"shape": shape, "kind": kind, "effort": line["effort"], "recall": line["recall"], **times}


def run(record: dict[str, Any], save: Callable[[], None], arguments: argparse.Namespace) -> None:
    """Fill what is missing, saving after each index."""
    one_thread()
    for shape in SHAPES:
        for kind in EFFORTS:
            if not any((r["shape"], r["kind"]) == (shape, kind) for r in record["lines"]):
                record["lines"] += measured(shape, kind)
                save()


def main() -> None:
    about = {"vectors": COUNT, "dim": DIM, "queries": QUERIES, "recall": f"of the {AT} best", "noise": NOISE,
             "time": "processor seconds of a query over those of exact search, one thread"}  # fmt: skip
    pool.command(__doc__ or "", FILE, {"about": about, "lines": []}, run)


if __name__ == "__main__":
    main()
