"""The speed comparison: the minimum computes what ours computes, workers answer, a failing system drops out."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import bench.cost.peers.minimum as minimum
import bench.speed as bench
from bench.cost.peers import ours
from bench.cost.peers.problem import DIM, MODELS, NUMERIC, SIZES, drawn, graph
from bench.cost.workers import PEERS, Worker, WorkerError, requirements
from recsys_lite.fields import Rows


def linears(module):
    return [m for m in module.modules() if isinstance(m, nn.Linear)]


def copied(name, from_ours, to):
    """Ours' weights in the minimum."""
    columns, d = sum(to_task.sizes), to.d
    for table, place in (("embedding", slice(0, d)), ("weights", slice(d, None))):
        source = getattr(getattr(from_ours, "input", from_ours), table, None)
        if source is not None:
            to.table.weight[:, place] = source.table.weight[:columns]
            if len(source.table.weight) > columns:
                to.numbers[:, place] = source.table.weight[columns:]
    pairs = []
    for part in ("mlp", "bottom", "top"):
        if getattr(from_ours, part, None) is not None:
            pairs += list(zip(linears(getattr(from_ours, part)), linears(getattr(to, part)), strict=False))
    if hasattr(to, "bias") and to.bias.dim() == 0:
        to.bias.copy_(from_ours.bias)
    if name in ("dcn", "dcn_v2", "gdcn"):
        n = from_ours.input.width
        weights = list(from_ours.cross.weight)
        if name == "gdcn":
            weights = [torch.cat(both) for both in zip(weights, from_ours.cross.gate_weight, strict=True)]
        for layer, weight in zip(to.cross, weights, strict=True):
            layer.weight.copy_(weight.view_as(layer.weight))
        to.bias.copy_(from_ours.cross.bias)
        to.last.weight.copy_(from_ours.combine.weight[:, :n])
        to.last.bias.copy_(from_ours.combine.bias)
        linears(to.mlp)[-1].weight.copy_(from_ours.combine.weight[:, n:])
        linears(to.mlp)[-1].bias.zero_()
    if name in ("autoint", "dhen"):
        pairs.append((from_ours.combine, to.last))
    if name == "autoint":
        for project, layer in zip(to.project, from_ours.layers, strict=True):
            project.weight.copy_(torch.cat([getattr(layer, n).weight for n in ("query", "key", "value", "residual")]))
    if name == "dhen":
        for layer, source in zip(to.layers, from_ours.layers, strict=True):
            dot, linear = source.interactions
            pairs += [*zip(linears(layer["dot"]), linears(dot.mlp), strict=True), (linear.project, layer["linear"])]
            layer["norm"].load_state_dict(source.norm.state_dict())
            for key, module in (("compress", dot.compress), ("shortcut", source.shortcut)):
                assert (key in layer) == (module is not None)
                if module is not None:
                    pairs.append((module, layer[key]))
                pairs = [(a, b) if a in set(linears(from_ours)) else (b, a) for a, b in pairs]
    for source, target in pairs:
        target.weight.copy_(source.weight)
        if target.bias is not None:
            target.bias.zero_() if source.bias is None else target.bias.copy_(source.bias)


to_task = drawn(64, sizes=[7, 3, 11, 5], numeric=3, dim=4, batch=32)


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_the_minimum_is_the_same_model(name):
    torch.manual_seed(0)
    mine, least = ours.Ours(name, "adam", to_task), minimum.Runner(name, "adam", to_task)
    for p in mine.model.parameters():
        p.copy_(torch.randn_like(p) * 0.3)
    copied(name, mine.model, least.model)
    assert_close(least.score(), mine.score(), rtol=1e-4, atol=1e-5)
    assert mine.score().std() > 1e-3


@pytest.mark.parametrize("optimizer", ["adam", "lazy_adam"])
def test_both_learn_from_the_same_rows(optimizer):
    for runner in (ours.Ours("deepfm", optimizer, to_task), minimum.Runner("deepfm", optimizer, to_task)):
        losses = [runner.step() for _ in range(40)]
        assert losses[-1] < losses[0] and 0.5 < losses[0] < 0.9
        runner.epoch()


def test_the_task_is_as_described():
    assert sum(SIZES) == 840_543 and len(SIZES) == 26 and NUMERIC == 13
    task = drawn(20_000)
    assert ((task.ids >= 0) & (task.ids < torch.tensor(SIZES))).all() and task.dim == DIM
    assert task.label.mean().item() == pytest.approx(0.25, abs=0.02)
    first = (task.ids[:, 2] == 0).float().mean().item()  # of 100,000 ids: u^4 < 1e-5 with chance 1e-5^(1/4)
    assert first == pytest.approx(1e-5**0.25, rel=0.2)
    pairs = graph(5000)
    assert len(pairs.pairs.unique(dim=0)) == len(pairs.pairs) == 5000
    assert (pairs.pairs >= 0).all() and (pairs.pairs < torch.tensor([pairs.users, pairs.items])).all()


def test_ours_reads_the_same_rows_of_the_table_as_the_minimum():
    mine, least = ours.Ours("fm", "adam", to_task), minimum.Runner("fm", "adam", to_task)
    rows: Rows = mine.batches[1]
    assert_close(mine.model.embedding.active(rows)[0][:, :4], least.batches[1][0])


def test_matrix_products_are_those_of_the_linear_layers():
    runner = minimum.Runner("deepfm", "adam", to_task)
    assert runner.shapes() == [(32, 7 * 4, 400), (32, 400, 400), (32, 400, 400), (32, 400, 1)]
    attention = minimum.Runner("autoint", "adam", to_task).shapes()
    assert attention[0] == (32 * 7, 4, 16)  # every field of every row is projected
    assert runner.products() is None


def test_releases_are_those_of_the_pinned_set():
    needs, itself = requirements("recbole")
    assert itself == "recbole==1.2.1" and "torch==2.13.0" in needs and "thop" in needs
    assert all(need.partition("==")[0] for peer in PEERS for need in requirements(peer)[0])


class Told:
    """A worker that says what it is told to say."""

    def __init__(self, seconds):
        self.seconds = list(seconds)

    def ask(self, do="build", **_):
        if do == "build":
            return {"parameters": 3}
        if (value := self.seconds.pop(0)) is None:
            raise WorkerError("no such thing")
        return {"seconds": value}


def test_rounds_interleave_and_a_system_that_fails_drops_out():
    workers = {("a", "adam"): Told([9.0, 1.0, 2.0]), ("b", "adam"): Told([9.0, 3.0, None])}
    turns = bench.Round(workers, "fm", {})
    assert turns.timed(["step"], 2) == [
        {"model": "fm", "system": "a", "optimizer": "adam", "part": "step", "seconds": [1.0, 2.0]}
    ]
    assert turns.live == [("a", "adam")] and turns.lines["b", "adam"]["error"] == "no such thing"


@pytest.mark.slow("starts a process that imports torch")
def test_a_worker_answers_and_goes_on_after_an_error():
    task = {"rows": 64, "sizes": [7, 3], "numeric": 2, "dim": 4, "batch": 32}
    with Worker("minimum") as worker:
        with pytest.raises(WorkerError, match="KeyError"):
            worker.ask(model="nothing", optimizer="adam", task=task)
        built = worker.ask(model="fm", optimizer="adam", task=task)
        assert built["parameters"] == 10 * 5 + 2 * 5 + 1
        with pytest.raises(WorkerError, match="no attribute"):
            worker.ask(do="fly")
        step = worker.ask(do="step", times=2)
        assert 0 < step["seconds"] < 5 and step["value"] == pytest.approx(0.69, abs=0.05)
        assert worker.ask(do="peak")["peak"] >= built["base"] > 50
        assert worker.ask(do="close") == {}
        assert worker.ask(model="dcn", optimizer="lazy_adam", task=task)["parameters"] > 0
