"""What it costs to serve two towers: three ways to score N candidates, and how much an approximate index loses.

    python -m bench.cost.serving           what is missing
    python -m bench.cost.serving --fresh   everything again

Cost: N·(u + c + d), u + N·(c + d) and u + N·d + k, on catalogues of N rows that are real films' features drawn with
replacement, beside what the formulas predict from u, c, d and k measured alone. Index: HNSW and IVF of several efforts
against looking at all, on the vectors of trained towers with noise. All times are processor seconds of one thread, so
that other work on the machine disturbs them little; compare only what stands in one file.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from bench import pool
from recsys_lite.data.interactions import Interactions, interactions
from recsys_lite.fields import Rows
from recsys_lite.models import TowerRetriever
from recsys_lite.models.two_towers import TwoTowers
from recsys_lite.retrieval import ExactIndex, FaissIndex
from recsys_lite.retrieval.serving_cost import costs
from recsys_lite.store import RESULTS
from recsys_lite.training import fit_retrieval, in_batch_step, seed_everything

FILE = RESULTS / "serving.json"
SIZES = [100, 1_000, 10_000, 100_000, 1_000_000]
LIMIT = 20.0  # seconds; a form that is expected to take longer is left out
CHUNK = 8192  # rows that go through a tower at a time
K = 20
AT = 10  # recall of an index: of the ten best
INDEX_SIZES = [10_000, 100_000, 1_000_000]
QUERIES = 200
EFFORTS = {"hnsw": [10, 20, 40, 80, 160, 320, 640], "ivf": [1, 2, 4, 8, 16, 32, 64]}
NOISE = 0.1  # standard deviation of each of 32 numbers of a vector of length 1


def clock(function: Callable[[], Any], least: float = 0.2, rounds: int = 5) -> float:
    """Processor seconds of a call: the least mean of some rounds, each long enough to measure."""
    start = time.process_time()
    function()
    once = time.process_time() - start
    times = max(1, min(int(least / rounds / max(once, 1e-6)), 1000))
    best = once
    for _ in range(rounds if once < 1 else 1):
        start = time.process_time()
        for _ in range(times):
            function()
        best = min(best, (time.process_time() - start) / times)
    return best


def towers(data: Interactions, epochs: int) -> TowerRetriever:
    """Cosine towers, trained for some epochs."""
    seed_everything(0)
    names = [[f.name for f in fields] for fields in (data.query_fields, data.candidate_fields)]
    model = TwoTowers(data.query_fields + data.candidate_fields, *names, similarity="cosine", temperature=0.1)
    retriever = TowerRetriever(model, data)
    if epochs:
        fit_retrieval(
            model, data, in_batch_step(model, data), epochs=epochs, batch_size=1024, lr=3e-3, evaluator=retriever,
            progress=False, evaluate_test=False,
        )  # fmt: skip
    return retriever.eval()  # type: ignore[return-value]


def through(tower: Callable[[Rows], Tensor], rows: Rows) -> Tensor:
    """A tower's vectors of many rows, some at a time."""
    return torch.cat([tower(batch) for batch in rows.batches(CHUNK)])


class Forms:
    """The three ways to find the K best of a catalogue for one user."""

    def __init__(self, retriever: TowerRetriever, catalogue: Rows):
        self.model, self.user, self.catalogue = retriever.model, retriever.queries[:1], catalogue
        self.vectors = through(self.model.candidate, catalogue)

    def every_pair(self) -> Tensor:
        """Both towers for every pair, as a model of pairs has to: N (u + c + d)."""
        scores = []
        for batch in self.catalogue.batches(CHUNK):
            user = self.user[torch.zeros(len(batch), dtype=torch.long)]
            scores.append((self.model.query(user) * self.model.candidate(batch)).sum(1))
        return torch.cat(scores).topk(K).indices

    def user_once(self) -> Tensor:
        """The query tower once: u + N (c + d)."""
        u = self.model.query(self.user)[0]
        return torch.cat([self.model.candidate(b) @ u for b in self.catalogue.batches(CHUNK)]).topk(K).indices

    def cached(self) -> Tensor:
        """The candidates' vectors were kept: u + N d + k."""
        return (self.vectors @ self.model.query(self.user)[0]).topk(K).indices


def drawn(retriever: TowerRetriever, count: int) -> Rows:
    """A catalogue of real films' feature rows, drawn with replacement."""
    g = torch.Generator().manual_seed(count)
    return retriever.candidates[torch.randint(len(retriever.candidates), (count,), generator=g)]


@torch.no_grad()
def units(retriever: TowerRetriever) -> dict[str, float]:
    """Seconds: u, c and d of one row among many, ``u_alone`` of a single query, and k, the rest of a cached search."""
    forms = Forms(retriever, drawn(retriever, CHUNK))
    user = forms.user[torch.zeros(CHUNK, dtype=torch.long)]
    one = forms.model.query(forms.user)[0]
    alone = clock(lambda: forms.model.query(forms.user))
    d = clock(lambda: forms.vectors @ one) / CHUNK
    small = Forms(retriever, drawn(retriever, 100))
    return {
        "u": clock(lambda: forms.model.query(user)) / CHUNK,
        "c": clock(lambda: forms.model.candidate(forms.catalogue)) / CHUNK,
        "d": d,
        "u_alone": alone,
        "k": max(clock(small.cached) - alone - 100 * d, 0.0),
    }


def predicted(count: int, unit: dict[str, float]) -> dict[str, float]:
    """Seconds of the three formulas."""
    return costs(count, once=unit["u_alone"], **{name: unit[name] for name in "ucdk"})


@torch.no_grad()
def cost(retriever: TowerRetriever, count: int, unit: dict[str, float]) -> dict[str, Any]:
    """Measured and predicted seconds of the three forms at one size; ``None`` for what would take too long."""
    forms, expected = Forms(retriever, drawn(retriever, count)), predicted(count, unit)
    measured = {name: clock(getattr(forms, name)) if s < LIMIT else None for name, s in expected.items()}
    found = [getattr(forms, name)() for name in ("user_once", "cached")] if count <= 10_000 else []
    if found and not set(found[0].tolist()) & set(found[1].tolist()):
        raise ValueError("two ways of scoring the same candidates find nothing in common")
    return {"candidates": count, "measured": measured, "predicted": expected}


def recall(found: Tensor, exact: Tensor) -> float:
    """Share of the exact items that an index found."""
    return (found[:, :, None] == exact[:, None, :]).any(1).float().mean().item()


@torch.no_grad()
def ann(retriever: TowerRetriever, kind: str, count: int) -> Iterable[dict[str, Any]]:
    """Lines of one kind of index at one size: recall of the ten best and seconds of a query, effort by effort."""
    g = torch.Generator().manual_seed(count)
    films = retriever.vectors()[torch.randint(retriever.data.num_items, (count,), generator=g)]
    vectors = normalize(films + NOISE * torch.randn(films.shape, generator=g), dim=1)
    queries = retriever.model.query(retriever.queries[torch.randperm(len(retriever.queries), generator=g)[:QUERIES]])
    for line in searched(vectors, queries, kind):
        if line["kind"] == kind or kind == "hnsw":  # exact search stands once
            yield {"candidates": count, **line}


def searched(vectors: Tensor, queries: Tensor, kind: str) -> Iterator[dict[str, Any]]:
    """Exact search of the ten best, then a kind of index, effort by effort: recall, seconds of a query, seconds to
    build it."""
    exact = ExactIndex(vectors)
    truth = exact.search(queries, AT)[1]

    def per_query(index: ExactIndex | FaissIndex, some: int) -> float:
        return clock(lambda: [index.search(queries[i : i + 1], AT) for i in range(some)], rounds=3) / some

    yield {"kind": "exact", "effort": 0, "recall": 1.0, "seconds": per_query(exact, 20), "build": 0.0}
    start = time.process_time()
    index = FaissIndex(vectors, kind)
    build = time.process_time() - start
    for effort in EFFORTS[kind]:
        index.effort = effort
        found = recall(index.search(queries, AT)[1], truth)
        seconds = per_query(index, len(queries))
        yield {"kind": kind, "effort": effort, "recall": found, "seconds": seconds, "build": build}


def one_thread() -> None:
    """faiss and torch on one thread each."""
    import faiss  # type: ignore[import-untyped]

    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)


def run(record: dict[str, Any], save: Callable[[], None], arguments: argparse.Namespace) -> None:
    """Fill what is missing, saving after each part."""
    one_thread()
    data = interactions()
    untrained = towers(data, epochs=0)  # what a tower costs does not depend on its weights
    if not record["cost"]:
        record["units"] = units(untrained)
        record["cost"] = [cost(untrained, count, record["units"]) for count in SIZES]
        save()
    trained = towers(data, epochs=6)
    for count in [n for n in INDEX_SIZES if n <= arguments.most]:
        for kind in EFFORTS:
            if not any(r["candidates"] == count and r["kind"] == kind for r in record["ann"]):
                record["ann"] += ann(trained, kind, count)
                save()


def main() -> None:
    about = {
        "data_sha256": interactions().about["data_sha256"], "seconds": "of the processor, one thread",
        "queries": QUERIES, "recall": f"of the {AT} best", "noise": NOISE, "limit": LIMIT, "list": K,
    }  # fmt: skip
    empty: dict[str, Any] = {"about": about, "units": {}, "cost": [], "ann": []}
    largest = lambda p: p.add_argument("--most", type=int, default=max(INDEX_SIZES), help="largest index")  # noqa: E731
    pool.command(__doc__, FILE, empty, run, largest)


if __name__ == "__main__":
    main()
