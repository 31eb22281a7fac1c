"""The engine: any ranking model in several processes is trained as in one, killed runs go on, wrong calls are told."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import tiny
import torch
import torch.distributed as dist
from structures import ALL
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode

from recsys_lite import store, training
from recsys_lite.distributed import engine
from recsys_lite.distributed.processes import processes
from recsys_lite.distributed.sharded import ShardedDLRM
from recsys_lite.evaluation import predict
from recsys_lite.layers import add_batch_norm
from recsys_lite.models import FM, MODELS, DeepFM
from recsys_lite.store.files import read_json
from recsys_lite.training import seed_everything

pytestmark = pytest.mark.slow("starts several processes")

ROWS = 140  # batches of 48, 48, 44; the last shares out over 2 and 4
UNEVEN = 129  # the last has 33 rows, of which 4 processes run 9 each
RUNS = {f"{name}-{k}": (name, options) for k, (name, options) in enumerate(ALL) if "dropout" not in options}
FIRST = {run: RUNS[run] for run in {name: run for run, (name, _) in reversed(RUNS.items())}.values()}
QUICK = {"epochs": 2, "batch_size": 48, "progress": False}


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


def built(name, options, fields=tiny.FIELDS):
    seed_everything(3)
    return MODELS[name](fields, **options)


class Reduced(TorchDispatchMode):
    """Notes what is summed over the processes: the numbers of each tensor."""

    def __init__(self):
        super().__init__()
        self.numbers = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._schema.name == "c10d::allreduce_":
            self.numbers += [t.numel() for t in args[0]]
        return func(*args, **(kwargs or {}))


def compared(name, options, data, **settings):
    """One training by one process and by all: how far apart losses, metrics and weights are."""
    alone, shared = built(name, options), built(name, options)
    start = {k: v.clone() for k, v in alone.state_dict().items()}
    one, all_ = training.fit(alone, data, **QUICK, **settings), engine.fit(shared, data, **QUICK, **settings)
    a, b = alone.state_dict(), engine.gathered(shared)
    apart = lambda x, y: max((x[k] - y[k]).abs().max().item() for k in x if x[k].numel())  # noqa: E731
    lines = list(zip([*one.curve, one.test], [*all_.curve, all_.test], strict=True))
    differ = lambda auc: max(abs(x[k] - y[k]) for x, y in lines for k in x if ("auc" in k) == auc)  # noqa: E731
    return {
        "curves": differ(False), "auc": differ(True), "weights": apart(a, b), "moved": apart(a, start),
        "parameters": [one.parameters, all_.parameters], "settings": one.settings == all_.settings,
        "tables": [list(p.to_local().shape) for p in shared.parameters() if isinstance(p, DTensor)],
    }  # fmt: skip


def by_hand(data):
    """The same DLRM by the hand-written all-to-all and by the engine, an epoch of SGD."""
    sharded, shared = ShardedDLRM(built("dlrm", {})), built("dlrm", {})
    losses = []
    with Reduced() as hand:
        for rows in data.train.batches(48, generator=torch.Generator().manual_seed(1)):  # seed 0, epoch 1
            losses.append((sharded.step(rows, sgd(sharded)), len(rows)))
    with Reduced() as engines:
        result = engine.fit(shared, data, **(QUICK | {"epochs": 1}), optimizer=sgd)
    a, b = sharded.gather(), engine.gathered(shared)
    mean = sum(loss * n for loss, n in losses) / sum(n for _, n in losses)
    copied = sum(p.numel() for p in shared.parameters() if not isinstance(p, DTensor))
    return {
        "loss": abs(mean - result.curve[0]["train_loss"]),
        "weights": max((a[k] - b[k]).abs().max().item() for k in a),
        "summed by hand": max(hand.numbers) - 1 == copied,  # and the loss
        "summed by the engine": sorted({n for n in engines.numbers if n > 10}) == [copied],
        "gradients": [list(p.grad.to_local().shape) for p in shared.parameters() if isinstance(p, DTensor)],
    }


def refusals(rank, ranks, folder):
    """What is said of each wrong call, on this process."""
    data, said = tiny.dataset(ROWS), {}

    def ask(what, **options):
        model = options.pop("model", None) or built("fm", {})
        try:
            engine.fit(model, options.pop("data", data), **(QUICK | {"epochs": 1} | options))
            said[what] = "nothing"
        except ValueError as error:
            said[what] = str(error)

    ask("batch", batch_size=50 if ranks == 4 else 51)
    ask("axes", mesh=init_device_mesh("cpu", (ranks // 2, 2)))
    ask("few", mesh=init_device_mesh("cpu", (ranks // 2, 2), mesh_dim_names=("a", "b"))["b"] if ranks == 4 else None)
    ask("device", device="cuda" if torch.cuda.is_available() else "meta")
    ask("optimizer", optimizer="lazy_adam")
    ask("compile", compile=True)
    ask("settings", lr=0.1 + rank)
    ask("rows", data=replace(data, train=data.train[: ROWS - rank]))
    ask("model", model=built("fm", {"dim": 4 + rank}))
    ask("loss", optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=1e30), epochs=3)
    ask("batch norm", model=add_batch_norm(built("deepfm", {})))
    twice = built("fm", {})
    engine.fit(twice, data, **QUICK)
    ask("twice", model=twice)
    path = folder / "state"
    ask("written", model=built("deepfm", {}), checkpoint=path)
    ask("another model", model=built("dcn", {}), checkpoint=path)
    fewer = data.drop("genres")
    ask("other fields", model=built("deepfm", {}, fewer.fields), data=fewer, checkpoint=path)
    ask("other settings", model=built("deepfm", {}), checkpoint=path, lr=0.5)
    wider = [replace(f, length=5) if f.name == "x" else f for f in data.fields]
    ask("other sizes", model=built("deepfm", {"hidden": (3,)}, wider), checkpoint=path)
    try:
        training.fit(built("deepfm", {}), data, checkpoint=path, **(QUICK | {"epochs": 1}))
    except ValueError as error:
        said["one process"] = str(error)
    return said


def work(rank, ranks, folder):
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo" if os.path.exists("/sys/class/net/lo") else "lo0")
    where = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=where, rank=rank, world_size=ranks, timeout=timedelta(seconds=120))
    data, found = tiny.dataset(ROWS), {}
    for run, (name, options) in (RUNS if ranks == 2 else FIRST).items():
        found[f"sgd {run}"] = compared(name, options, data, optimizer=sgd)
    for name, options in FIRST.values() if ranks == 2 else ():
        found[f"adam {name}"] = compared(name, options, data, lr=0.01, weight_decay=1e-4)
    found["uneven"] = compared("deepfm", {}, tiny.dataset(UNEVEN), optimizer=sgd)
    found["single row"] = compared("deepfm", {}, tiny.dataset(97), optimizer=sgd)  # the last batch: 1 row
    found["penalty"] = compared("wide_deep", {}, data, lr=0.01, embedding_penalty=1e-3, lr_decay=0.5)
    found["bf16"] = compared("deepfm", {}, data, optimizer=sgd, precision="bf16")
    found["wide_deep, its own"] = compared(
        "wide_deep", {"crosses": [("user", "item")]}, data, optimizer=training.wide_deep_optimizers
    )
    found["by hand"] = by_hand(data)
    found["refused"] = refusals(rank, ranks, folder)
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


@pytest.fixture(scope="module", params=[2, 4])
def found(request, tmp_path_factory):
    """What each process reports, with as many as asked for."""
    folder = tmp_path_factory.mktemp(f"ranks{request.param}")
    torch.multiprocessing.spawn(work, (request.param, folder), nprocs=request.param)
    return [json.loads((folder / f"{r}.json").read_text()) for r in range(request.param)]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_in_several_processes_is_trained_as_in_one(found, name):
    runs = [run for run in (RUNS if len(found) == 2 else FIRST) if RUNS[run][0] == name]  # two: every structure
    assert runs
    for report in (one[f"sgd {run}"] for one in found for run in runs):
        assert report["curves"] < 1e-5 and report["weights"] < 1e-5
        assert report["auc"] < 5e-3  # two rows whose logits differ by rounding may change places
        assert report["moved"] > 1e-3 and report["settings"]
        assert report["parameters"][0] == report["parameters"][1]


@pytest.mark.parametrize("name", MODELS)
def test_adam_too(found, name):
    if len(found) > 2:
        pytest.skip("asked of two processes only")
    report = found[0][f"adam {name}"]
    assert report["curves"] < 1e-3 and report["moved"] > 1e-2
    if name not in ("autoint", "dhen"):  # where a gradient is zero by formula, Adam divides rounding by rounding
        assert report["weights"] < 1e-3


@pytest.mark.parametrize("case", ["uneven", "single row", "wide_deep, its own", "penalty"])
def test_batches_that_do_not_share_out_and_optimisers_of_ones_own(found, case):
    assert found[0][case]["curves"] < 1e-5 and found[0][case]["weights"] < 1e-5


def test_bf16(found):
    assert found[0]["bf16"]["curves"] < 0.01


def test_each_process_holds_its_rows_of_the_tables_and_their_gradients(found):
    for one in found:
        assert one["by hand"]["gradients"] == one["sgd dlrm-4"]["tables"]
    fm = FM(tiny.FIELDS)
    for k, table in enumerate((fm.weights.table, fm.embedding.table)):
        rows = table.num_embeddings
        held = [one["sgd fm-1"]["tables"][k][0] for one in found]
        assert sum(held) == rows and max(held) == -(-rows // len(found))


def test_the_all_to_all_by_hand_and_the_engine_train_the_same_weights(found):
    for one in found:
        assert one["by hand"]["loss"] < 1e-6 and one["by hand"]["weights"] < 1e-6


def test_nobody_adds_up_the_gradients_of_a_table(found):
    for one in found:
        assert one["by hand"]["summed by hand"] and one["by hand"]["summed by the engine"]


WORDS = {
    "batch": "rows do not share out over {ranks} processes",
    "axes": "expected a mesh of shape ({ranks},)",
    "device": "device",
    "optimizer": "optimizer 'lazy_adam' is for one process",
    "compile": "compile is for one process",
    "settings": "'lr': 1.1",
    "rows": "process 1 has",
    "model": "weights: process 0 has",
    "loss": "try a smaller lr",
    "batch norm": "batch norm in DeepFM would take each process's rows for the batch",
    "twice": "shared out already",
    "written": "nothing",
    "another model": "model was 'DeepFM', now 'DCN'",
    "other fields": "of another run",
    "other settings": "settings was",
    "other sizes": "another run",
    "one process": "is of recsys_lite.distributed.fit",
}


@pytest.mark.parametrize("what", WORDS)
def test_a_wrong_call_is_told_by_every_process(found, what):
    for one in found:
        assert WORDS[what].format(ranks=len(found)) in one["refused"][what]


def test_a_part_of_the_processes_is_refused(found):
    if len(found) == 4:
        assert all("expected a mesh of shape (4,)" in one["refused"]["few"] for one in found)


def test_a_process_alone_trains_too_and_predicts_the_same():
    data, model, alone = tiny.dataset(ROWS), built("deepfm", {}), built("deepfm", {})
    with pytest.raises(ValueError, match="no process group"):
        engine.fit(model, data, **QUICK)
    with processes("cpu") as device:
        assert device.type == "cpu" and dist.get_world_size() == 1
        result = engine.fit(model, data, **QUICK)
        alone.load_state_dict(engine.gathered(model))
        mesh = init_device_mesh("cpu", (1,))
        found, known = engine.predict(model, data.test, mesh, 33), predict(alone.eval(), data.test)
        torch.testing.assert_close(found, known, atol=1e-6, rtol=0)
    for line, other in zip(result.curve, training.fit(built("deepfm", {}), data, **QUICK).curve, strict=True):
        assert line == pytest.approx(other, abs=1e-6)


def test_weights_of_rows_count_as_in_one_process():
    data = tiny.dataset(ROWS)
    weighed = replace(data, train=replace(data.train, weight=1 + (data.train.label == 1) * 9.0))
    curves = {}
    for name, d in (("plain", data), ("weighed", weighed)):
        curves[name] = training.fit(built("fm", {}), d, **QUICK).curve
        with processes("cpu"):
            shared = engine.fit(built("fm", {}), d, **QUICK).curve
        for line, other in zip(shared, curves[name], strict=True):
            assert line == pytest.approx(other, abs=1e-6)
    assert abs(curves["plain"][-1]["train_loss"] - curves["weighed"][-1]["train_loss"]) > 1e-3


def test_tables_that_share_their_weights_still_do_and_frozen_ones_stay_frozen():
    model = built("fm", {})
    twin = built("fm", {})
    twin.embedding.table.weight = model.embedding.table.weight
    model.twin, model.weights.table.weight.requires_grad = twin, False
    with processes("cpu"):
        engine.share_out(model, init_device_mesh("cpu", (1,)))
        assert isinstance(model.embedding.table.weight, DTensor)
        assert model.embedding.table.weight is twin.embedding.table.weight
        assert not model.weights.table.weight.requires_grad and model.embedding.table.weight.requires_grad


# --- the command, killed --------------------------------------------------------------------------------------------

SETTINGS = ["--data", "criteo-sample", "--model", "deepfm", "--batch-size", "400", "--patience", "99", "--epochs", "7"]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def started(ranks, folder):
    """Processes of the command, as torchrun would start them."""
    line = [sys.executable, "-m", "recsys_lite.distributed", *SETTINGS]
    line += ["--out", str(folder / "model"), "--checkpoint", str(folder / "state")]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": str(ranks)}
    several = [{}] if ranks == 1 else [
        shared | {"RANK": str(r), "LOCAL_RANK": str(r), "LOCAL_WORLD_SIZE": str(ranks)} for r in range(ranks)
    ]  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != "RANK"} | {"OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return [subprocess.Popen(line, env=environment | own, **pipes) for own in several]


def finished(running):
    for process in running:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-2000:]


def epochs(folder):
    record = Path(folder / "state.json")
    return len(read_json(record)["result"]["curve"]) if record.exists() else 0


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Runs by folder: unbroken in two, and killed in the middle, gone on with by two, by one."""
    root = tmp_path_factory.mktemp("killed")
    for name in ("unbroken", "killed"):
        (root / name).mkdir()
    finished(started(2, root / "unbroken"))
    running = started(2, root / "killed")
    try:
        until = time.monotonic() + 120
        while epochs(root / "killed") < 2 and time.monotonic() < until:
            time.sleep(0.01)
        running[1].send_signal(signal.SIGKILL)
        _, errors = running[0].communicate(timeout=60)  # it notices by itself
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert running[1].returncode == -signal.SIGKILL and running[0].returncode != 0, errors[-2000:]
    assert 2 <= epochs(root / "killed") < 7
    for ranks in (2, 1):
        shutil.copytree(root / "killed", root / str(ranks))
        finished(started(ranks, root / str(ranks)))
    return root


@pytest.mark.parametrize("ranks", ["1", "2"])
def test_a_killed_run_that_goes_on_equals_an_unbroken_one(killed, ranks, criteo):
    whole, again = (store.load_model(killed / name / "model", criteo.fields) for name in ("unbroken", ranks))
    assert isinstance(whole, DeepFM)
    exact = {"rtol": 0, "atol": 0} if ranks == "2" else {"rtol": 1e-3, "atol": 1e-5}
    torch.testing.assert_close(dict(again.state_dict()), dict(whole.state_dict()), **exact)
    results = [read_json(killed / name / "model.result.json") for name in ("unbroken", ranks)]
    for a, b in zip(*(r["curve"] for r in results), strict=True):
        assert a == (b if ranks == "2" else pytest.approx(b, abs=1e-4))
    assert len(results[1]["curve"]) == 7
    assert sorted(p.name for p in (killed / ranks).glob("state*")) == ["state.epoch7", "state.json"]


def test_the_unbroken_run_is_that_of_one_process_without_the_engine(killed, criteo):
    seed_everything(0)
    model = DeepFM(criteo.fields)
    result = training.fit(model, criteo, batch_size=400, patience=99, epochs=7, progress=False)
    for a, b in zip(result.curve, read_json(killed / "unbroken" / "model.result.json")["curve"], strict=True):
        assert a == pytest.approx(b, abs=1e-4)


def test_the_command_says_what_it_takes():
    done = subprocess.run([sys.executable, "-m", "recsys_lite.distributed", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    for option in ("--data", "--model", "--config", "--epochs", "--batch-size", "--checkpoint", "--out", "--device"):
        assert option in done.stdout
    wrong = [sys.executable, "-m", "recsys_lite.distributed", "--data", "nowhere", "--model", "fm", "--device", "cpu"]
    failed = subprocess.run(wrong, capture_output=True, text=True)
    assert failed.returncode != 0 and "expected one of" in failed.stderr and "'nowhere'" in failed.stderr
