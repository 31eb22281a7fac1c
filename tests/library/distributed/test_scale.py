"""Sharded tables and copied networks: two or more processes train the model that one process trains."""

import json
import os
from datetime import timedelta

import pytest
import tiny
import torch
import torch.distributed as dist
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from recsys_lite.distributed import sharded as scale
from recsys_lite.distributed import two_processes

pytestmark = pytest.mark.slow("starts several processes with torchrun")

EXACT = 1e-12  # float64; the largest that a correct run has shown is 1e-13, with Adam


def part(count):
    return tiny.dataset(count)


def wordless(count):
    """No numeric field."""
    return tiny.dataset(count).drop("price")


def one_table(count):
    """A history and its item share their only table."""
    return tiny.dataset(count).select(["item", "history", "price"])


CASES = {  # what is trained: data, options of compare
    "every kind of field": (part, {"batch": 32}),
    "uneven batch": (part, {"batch": 7}),
    "batch of one": (part, {"batch": 1, "steps": 6}),
    "no numbers": (wordless, {"batch": 32}),
    "one shared table": (one_table, {"batch": 32}),
    "adam": (part, {"batch": 32, "optimizer": "adam"}),
    "adagrad": (part, {"batch": 33, "optimizer": "adagrad"}),
    "float32": (part, {"batch": 32, "double": False}),
}


class Averaged(scale.ShardedDLRM):
    """A known mistake: each rank takes the mean over its own rows, and the copied networks' gradients are averaged.
    The gradients of tables then are as many times too large as there are ranks; with uneven parts all are wrong."""

    def step(self, rows, optimizer):
        loss = bce(self(rows), self.part(rows).label)
        optimizer.zero_grad()
        loss.backward()
        for p in self.networks.parameters():
            dist.all_reduce(p.grad)
            p.grad /= self.ranks
        optimizer.step()
        return loss.item()


def shuffled(rank, ranks):
    """The shuffle alone, of numbers that say where they come from: 100 · field + row."""
    fields, counts = [2, 1, 0][:ranks], [3, 2, 0][:ranks]
    first = sum(fields[:rank])
    e = 100.0 * torch.arange(first, first + fields[rank]) + torch.arange(sum(counts))[:, None]
    e = e.unsqueeze(-1).expand(-1, -1, 2).clone().requires_grad_()
    out = scale.Shuffle.apply(e, counts, fields, {"embeddings": 0, "gradients of embeddings": 0})
    (out**2 / 2).sum().backward()
    return {"out": out[..., 0].tolist(), "back": torch.equal(e.grad, e.detach())}


def work(rank, ranks, folder):
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo" if os.path.exists("/sys/class/net/lo") else "lo0")
    where = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=where, rank=rank, world_size=ranks, timeout=timedelta(seconds=300))
    found = {"shuffle": shuffled(rank, ranks)}
    for name, (build, options) in CASES.items():
        found[name] = two_processes.compare(
            build(300), **{"steps": 4, "dim": 4, "bottom": (5,), "top": (6,), **options}
        )
    two_processes.ShardedDLRM = Averaged
    found["averaged"] = two_processes.compare(part(300), batch=32, steps=4, dim=4, bottom=(5,), top=(6,))
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


@pytest.fixture(scope="module", params=[1, 2, 3])
def found(request, tmp_path_factory):
    """What each rank reports, with as many processes as asked for."""
    folder = tmp_path_factory.mktemp(f"ranks{request.param}")
    torch.multiprocessing.spawn(work, (request.param, folder), nprocs=request.param)
    return [json.loads((folder / f"{r}.json").read_text()) for r in range(request.param)]


@pytest.mark.parametrize("case", CASES)
def test_several_processes_train_the_weights_that_one_trains(found, case):
    reports = [one[case] for one in found]
    assert all(r == reports[0] for r in reports)
    report, exact = reports[0], EXACT if case != "float32" else 1e-6
    assert len(report["losses"][0]) == len(report["losses"][1]) >= 4
    assert report["loss_difference"] < exact and report["weight_difference"] < exact
    assert report["copies_difference"] == 0.0
    assert report["weights_moved"] > 1e-3  # the steps did something


def test_each_table_has_one_owner_and_what_shares_it_stays_with_it(found):
    for case in CASES:
        report = found[0][case]
        held = {f: r for r, one in enumerate(report["ranks"]) for f in one["fields"]}
        fields = CASES[case][0](10).fields
        assert sorted(held) == sorted(f.name for f in fields if f.kind != "numeric")
        assert all(held[f.name] == report["owner"][f.table] for f in fields if f.kind != "numeric")
        rows = {f.table: f.size for f in fields if f.kind != "numeric"}
        assert sum(r["table_parameters"] for r in report["ranks"]) == sum(rows.values()) * report["dim"]
        assert len({r["network_parameters"] for r in report["ranks"]}) == 1


def test_bytes_sent_are_those_of_the_formula(found):
    report, R = found[0]["every kind of field"], len(found)
    B, d, C, steps = report["batch"], report["dim"], 4, len(report["losses"][0])
    shares = [B // R + (r < B % R) for r in range(R)]
    for r, one in enumerate(report["ranks"]):
        mine = len(one["fields"])
        assert one["sent"]["embeddings"] == 8 * steps * (B - shares[r]) * mine * d
        assert one["sent"]["gradients of embeddings"] == 8 * steps * shares[r] * (C - mine) * d
        assert one["sent"]["gradients of networks"] == 8 * steps * (one["network_parameters"] + 1)  # and the loss


def test_the_shuffle_brings_every_vector_to_its_row_and_its_gradient_back(found):
    counts, fields = [3, 2, 0][: len(found)], sum([2, 1, 0][: len(found)])
    for rank, one in enumerate(found):
        rows = range(sum(counts[:rank]), sum(counts[: rank + 1]))
        assert one["shuffle"]["out"] == [[100.0 * f + row for f in range(fields)] for row in rows]
        assert one["shuffle"]["back"]


def test_a_mean_of_means_is_caught(found):
    if len(found) == 1:
        assert found[0]["averaged"]["weight_difference"] < EXACT
    else:
        assert found[0]["averaged"]["weight_difference"] > 1e-4


@pytest.fixture(scope="module")
def by_torchrun():
    return two_processes.launch(2, "--optimizers", "sgd", "adam", "--steps", "12")


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_torchrun_with_two_processes_equals_one_process_on_criteo(by_torchrun, optimizer, criteo):
    report = by_torchrun[optimizer]
    assert report["optimizer"] == optimizer and report["dtype"] == "float64"
    assert report["loss_difference"] < EXACT and report["weight_difference"] < EXACT
    assert report["weights_moved"] > 0.01
    assert len(report["losses"][0]) == 12 and report["losses"][0][0] != report["losses"][0][-1]
    tables = [r["table_parameters"] for r in report["ranks"]]
    assert sum(tables) == 16 * sum(f.size for f in criteo.fields if f.kind == "categorical")
    assert max(tables) / min(tables) < 1.1
    assert all(len(r["fields"]) < 26 for r in report["ranks"])


def test_a_failing_run_says_why():
    with pytest.raises(RuntimeError, match="does not exist"):
        two_processes.launch(1, "--dataset", "criteo", "--path", "nowhere.txt")


def test_the_entry_says_how_to_start_it(monkeypatch, capsys):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr("sys.argv", ["two_processes"])
    with pytest.raises(SystemExit):
        two_processes.main()
    assert "torchrun" in capsys.readouterr().err


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_tables_are_placed_whole_and_evenly(ranks):
    sizes = {f"t{k}": 1 + (k * 37) % 101 for k in range(40)}
    owner = scale.place(sizes, ranks)
    load = [sum(sizes[t] for t in sizes if owner[t] == r) for r in range(ranks)]
    assert set(owner) == set(sizes) and sum(load) == sum(sizes.values())
    assert max(load) <= sum(sizes.values()) / ranks + max(sizes.values())  # what greedy placement promises
    assert scale.place(dict(reversed(sizes.items())), ranks) == owner  # whatever the order


def test_more_ranks_than_tables_leave_some_without():
    assert set(scale.place({"a": 5, "b": 5}, 4).values()) == {0, 1}
