"""What does a training step of LightGCN cost, against the number of edges? Made-up graphs with skewed degrees.

    python -m bench.retrieval.graph_cost           what is missing
    python -m bench.retrieval.graph_cost --fresh   everything again

A step here is one spread forward and one backward (three hops each, vectors of 64 numbers), with random gradients: the
part that reads every edge. Beside it, in the same process and in turn, stands the same spread with PyTorch's COO
products and ordinary autograd. Times are medians of several repeats, in seconds of CPU on one
thread, and are kept relative to the smallest graph, since seconds are those of one machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench import pool
from recsys_lite.layers.graph import BipartiteGraph
from recsys_lite.store import RESULTS

FILE = RESULTS / "graph_cost.json"
EDGES = [10_000, 30_000, 100_000, 300_000, 1_000_000]
EDGES_PER_NODE = 20  # where nodes grow with edges; half of the nodes are users
FIXED_NODES = 6000  # where they do not
NODES = ("growing", "fixed")
LAYERS, DIM, SEEDS, REPEATS = 3, 64, range(3), 7


def made_up(edges: int, seed: int, nodes: str = "growing") -> tuple[Tensor, int, int]:
    """Pairs of a random graph of about so many edges: the degree of the k-th user or item falls as 1 / sqrt(k)."""
    g = torch.Generator().manual_seed(seed)
    count = (edges // EDGES_PER_NODE if nodes == "growing" else FIXED_NODES) // 2
    chance = torch.arange(1, count + 1).double().rsqrt()
    ends = [torch.multinomial(chance, 2 * edges, replacement=True, generator=g) for _ in range(2)]
    pairs = torch.stack(ends, 1).unique(dim=0)
    return pairs[torch.randperm(len(pairs), generator=g)[:edges]], count, count


def coo_spread(matrix: Tensor, x: Tensor, layers: int = LAYERS) -> Tensor:
    """The mean over layers by sparse COO products that autograd follows one by one."""
    states = [x]
    for _ in range(layers):
        states.append(torch.sparse.mm(matrix, states[-1]))
    return torch.stack(states, 1).mean(1)


def coo_matrix(graph: BipartiteGraph) -> Tensor:
    """The graph's matrix in PyTorch's COO form."""
    row = torch.arange(graph.num_nodes).repeat_interleave(graph.degree)
    index = torch.stack([row, graph.neighbour.long()])
    return torch.sparse_coo_tensor(index, graph.weight, (graph.num_nodes, graph.num_nodes), is_coalesced=True)


def in_turn(steps: dict[str, Callable[[], Any]], repeats: int = REPEATS) -> dict[str, float]:
    """Median CPU seconds of each step; the steps take turns, so that a busy moment of the machine meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(repeats):
        for name, step in steps.items():
            start = time.process_time()
            step()
            times[name].append(time.process_time() - start)
    return {name: median(values) for name, values in times.items()}


def measure(part: str, kind: str, edges: int, seed: int) -> dict[str, Any]:
    """Seconds of both forms on one graph."""
    pairs, users, items = made_up(edges, seed, kind)
    graph = BipartiteGraph(pairs, users, items)
    matrix = coo_matrix(graph)
    x = torch.randn(graph.num_nodes, DIM, requires_grad=True)
    grad = torch.randn_like(x)
    weights = [1 / (LAYERS + 1)] * (LAYERS + 1)
    assert torch.allclose(graph(x, weights), coo_spread(matrix, x), atol=1e-5)
    steps = {
        "one_node": lambda: torch.autograd.grad(graph(x, weights), x, grad),
        "coo": lambda: torch.autograd.grad(coo_spread(matrix, x), x, grad),
    }
    return {
        "kind": kind,
        "edges": graph.num_edges,
        "wanted": edges,
        "nodes": graph.num_nodes,
        "seed": seed,
        **in_turn(steps),
    }


def slope(rows: list[dict[str, Any]], form: str, kind: str, least: int = 0, most: int = 10**9) -> float:
    """Slope of log time against log edges over graphs of some sizes; linear growth is 1."""
    chosen = [r for r in rows if r["kind"] == kind and least <= r["wanted"] <= most]
    return float(np.polyfit(np.log([r["edges"] for r in chosen]), np.log([r[form] for r in chosen]), 1)[0])


def relative(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Times divided by the median time of the one-node form on the smallest graphs whose nodes grow with the edges."""
    small = min(r["wanted"] for r in rows)
    unit = median(r["one_node"] for r in rows if r["wanted"] == small and r["kind"] == NODES[0])
    return [r | {form: r[form] / unit for form in ("one_node", "coo")} for r in rows]


def fill(record: dict[str, Any], save: Callable[[], None], arguments: argparse.Namespace) -> None:
    """All graphs that are missing, one process at a time; seconds stay in the record until all are there."""
    if "seconds" not in record:
        return
    record["about"] = {
        "layers": LAYERS, "dim": DIM, "threads": 1, "repeats": REPEATS, "edges_per_node": EDGES_PER_NODE,
        "fixed_nodes": FIXED_NODES, "unit": "median time of the one-node form on the smallest graphs, nodes growing",
    }  # fmt: skip
    place = lambda r: (NODES.index(r["kind"]), r["wanted"], r["seed"])  # noqa: E731
    done = {(r["kind"], r["wanted"], r["seed"]) for r in record["seconds"]}
    keys = [(kind, edges, seed) for kind in NODES for edges in EDGES for seed in SEEDS]
    wanted = [("seconds", *key) for key in keys if key not in done]
    pool.run(measure, lambda: wanted, pool.into_lists(record, save, place), 1)
    record["runs"] = relative(record.pop("seconds"))
    save()


def main() -> None:
    pool.command(__doc__, FILE, {"about": {}, "seconds": [], "runs": []}, fill)


if __name__ == "__main__":
    main()
