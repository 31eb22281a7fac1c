"""DHEN under FSDP2: sharded and copied, it trains the weights of one process and sends what is promised."""

import json
import os
from datetime import timedelta

import pytest
import tiny
import torch
import torch.distributed as dist
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from recsys_lite.distributed import four_processes, hybrid
from recsys_lite.distributed.two_processes import launch
from recsys_lite.models import DHEN

pytestmark = pytest.mark.slow("starts several processes with torchrun")

EXACT = 1e-12  # float64
SMALL = {"dim": 4, "out": 2, "bottom": (5,), "steps": 4}


def part(count):
    return tiny.dataset(count)


def wordless(count):
    """No numeric field, so no bottom network."""
    return tiny.dataset(count).drop("price")


CASES = {  # what is trained: data, options of compare
    "sgd": (part, {"batch": 32, "optimizer": "sgd"}),
    "adam": (part, {"batch": 32}),
    "adagrad": (part, {"batch": 33, "optimizer": "adagrad"}),
    "uneven batch": (part, {"batch": 7, "optimizer": "sgd"}),
    "batch of one": (part, {"batch": 1, "optimizer": "sgd", "steps": 6}),
    "no numbers": (wordless, {"batch": 32, "optimizer": "sgd"}),
    "one module, weighted sum": (part, {"batch": 32, "optimizer": "sgd", "modules": ["cross"], "join": "sum"}),
    "four layers": (part, {"batch": 32, "optimizer": "sgd", "layers": 4, "modules": ["dot", "linear"]}),
    "float32": (part, {"batch": 32, "optimizer": "sgd", "double": False}),
}
BOTH = ["sgd", "adam", "uneven batch"]  # by full sharding, too
RUNS = [("hybrid", case) for case in CASES] + [("full", case) for case in BOTH]


class OwnMeans(hybrid.HybridDHEN):
    """A known mistake: each rank takes the mean over its own rows; with uneven parts rows weigh differently."""

    def step(self, rows, optimizer):
        mine = self.part(rows)
        loss = bce(self.model(mine), mine.label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()


class Forgotten(hybrid.HybridDHEN):
    """A known mistake: the loss is divided by the whole batch and FSDP divides by the ranks once more."""

    def step(self, rows, optimizer):
        mine = self.part(rows)
        loss = bce(self.model(mine), mine.label, reduction="sum") / len(rows)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()


WRONG = [(OwnMeans, 32, "sgd"), (OwnMeans, 7, "sgd"), (Forgotten, 32, "sgd"), (Forgotten, 32, "adam")]


def work(rank, ranks, per_host, folder):
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo" if os.path.exists("/sys/class/net/lo") else "lo0")
    where = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=where, rank=rank, world_size=ranks, timeout=timedelta(seconds=300))
    found = {}
    for name, (build, options) in CASES.items():
        for design, copies in {"hybrid": ranks // per_host, "full": 1}.items():
            if design == "hybrid" or name in BOTH:
                report = four_processes.compare(build(300), copies, per_host, **{**SMALL, **options})
                found[f"{design}, {name}"] = report
    for wrong, batch, optimizer in WRONG:
        four_processes.HybridDHEN = wrong
        options = {**SMALL, "batch": batch, "optimizer": optimizer, "modules": ["dot", "linear"]}
        name = f"{wrong.__name__}, {batch}, {optimizer}"
        found[name] = four_processes.compare(part(300), ranks // per_host, per_host, **options)
    try:
        hybrid.HybridDHEN(DHEN(tiny.FIELDS), copies=3)
    except ValueError as error:
        found["refused"] = str(error)
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of four ranks on two hosts reports."""
    folder = tmp_path_factory.mktemp("ranks")
    torch.multiprocessing.spawn(work, (4, 2, folder), nprocs=4)
    return [json.loads((folder / f"{r}.json").read_text()) for r in range(4)]


@pytest.mark.parametrize(("design", "case"), RUNS)
def test_four_processes_train_the_weights_that_one_trains(found, design, case):
    reports = [one[f"{design}, {case}"] for one in found]
    assert all(r == reports[0] for r in reports)
    report, exact = reports[0], EXACT if case != "float32" else 1e-5
    assert report["copies"] == (2 if design == "hybrid" else 1)
    assert len(report["losses"][0]) == len(report["losses"][1]) >= 4
    assert report["loss_difference"] < exact
    assert report["state_difference"] < exact
    assert report["weights_moved"] > 1e-3  # the steps did something
    different = {name for name, d in report["differences"].items() if d >= exact}
    if case in ("adam", "adagrad"):  # they divide rounding by rounding where a gradient is zero by formula: a softmax
        # does not see its keys' bias, nor the norm what is added to a whole vector
        dead = ("self_attn.in_proj_bias", "convolution.bias", "project.bias")
        assert all(name.endswith(dead) for name in different)
        assert report["weight_difference"] < 0.1
    else:
        assert not different


@pytest.mark.parametrize(("design", "case"), RUNS)
def test_a_host_sends_the_bytes_of_the_formula(found, design, case):
    report = found[0][f"{design}, {case}"]
    for host in (0, 1):
        ranks = report["ranks"][2 * host : 2 * host + 2]
        for where in ("within", "between"):
            assert sum(kind[where] for r in ranks for kind in r["sent"].values()) == report["formula"][where]
    units = len(report["moved"]["units"])
    calls = {kind: count["calls"] for kind, count in report["ranks"][0]["sent"].items()}
    assert calls == {
        "all-gather": 2 * units + 1, "reduce-scatter": units + 1, "all-reduce": (units + 1) * (design == "hybrid")
    }  # fmt: skip


def test_hybrid_sends_less_between_hosts_and_keeps_twice_as_much(found):
    for case in BOTH:
        mixed, full = found[0][f"hybrid, {case}"], found[0][f"full, {case}"]
        assert mixed["formula"]["between"] < 0.5 * full["formula"]["between"]
        assert mixed["formula"]["within"] > full["formula"]["within"]
        kept = [sum(r["memory"]["weights"] for r in report["ranks"]) for report in (mixed, full)]
        assert kept == [2 * full["alone"]["weights"], full["alone"]["weights"]]  # two copies, one copy
        assert all(r["sent"]["all-gather"]["between"] == 0 for r in mixed["ranks"])


@pytest.mark.parametrize("design", ["hybrid", "full"])
def test_each_rank_keeps_its_share(found, design):
    report, shards = found[0][f"{design}, adam"], 2 if design == "hybrid" else 4
    for kind, alone in report["alone"].items():
        parts = [r["memory"][kind] for r in report["ranks"]]
        assert max(parts) < 1.2 * alone / shards  # tiny layers do not share out evenly
        assert sum(parts) == alone * 4 // shards
    assert all(r["gathered"] == report["bytes"] * max(report["moved"]["units"]) for r in report["ranks"])


def test_a_mean_of_means_is_caught_by_uneven_parts_only(found):
    assert found[0]["OwnMeans, 32, sgd"]["weight_difference"] < EXACT
    assert found[0]["OwnMeans, 7, sgd"]["weight_difference"] > 1e-4


def test_a_divisor_too_many_is_caught_by_sgd_and_all_but_hidden_by_adam(found):
    right, wrong = found[0]["hybrid, sgd"], found[0]["Forgotten, 32, sgd"]
    assert right["weight_difference"] < EXACT and wrong["weight_difference"] > 1e-3
    assert found[0]["Forgotten, 32, adam"]["loss_difference"] < 1e-3 * found[0]["Forgotten, 32, sgd"]["losses"][0][0]


def test_copies_that_do_not_share_out_are_refused(found):
    assert found[0]["refused"] == "HybridDHEN: 4 ranks do not share out over 3 copies"


def test_promised_bytes():
    assert hybrid.ring("reduce-scatter", 4, 1000) == 750 and hybrid.ring("all-reduce", 4, 1000) == 1500
    full, mixed = (hybrid.promised(800, 0, copies, hosts=2, per_host=2) for copies in (1, 2))
    assert full == {"within": 1800, "between": 1800}  # 3 · 3/4 · 800
    assert mixed == {"within": 2400, "between": 800}
    assert hybrid.promised(800, 0, 1, hosts=1, per_host=4) == {"within": 4 * 1800, "between": 0}
    with pytest.raises(ValueError, match="1 copy or 4"):
        hybrid.promised(800, 0, 2, hosts=4, per_host=2)


@pytest.fixture(scope="module")
def by_torchrun():
    options = ("--steps", "3", "--batch", "30", "--optimizer", "sgd", "--layers", "1")
    return launch(4, *options, module=four_processes.MODULE)


def test_torchrun_with_two_times_two_processes_equals_one_process_on_criteo(by_torchrun):
    for design in ("hybrid", "full"):
        report = by_torchrun[design]
        assert report["loss_difference"] < EXACT and report["weight_difference"] < EXACT
        assert report["weights_moved"] > 1e-3 and len(report["losses"][0]) == 3
    if by_torchrun["wire"]:  # gloo gathers as a ring does, and reduces and scatters by a whole all-reduce
        assert by_torchrun["wire"]["all-gather"] == pytest.approx(3, rel=0.1)


def test_the_entry_says_how_to_start_it(monkeypatch, capsys):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr("sys.argv", ["four_processes"])
    with pytest.raises(SystemExit):
        four_processes.main()
    assert "torchrun" in capsys.readouterr().err
