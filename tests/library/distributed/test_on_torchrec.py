"""TorchRec: the same losses as one process, where it is installed."""

import importlib.util
import json
import os
from datetime import timedelta

import pytest
import tiny
import torch
import torch.distributed as dist
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from recsys_lite.distributed import on_torchrec
from recsys_lite.models import MODELS
from recsys_lite.training import seed_everything

there = importlib.util.find_spec("torchrec") is not None


def built(name):
    seed_everything(0)
    return MODELS[name](tiny.FIELDS)


def work(rank, ranks, folder):
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo" if os.path.exists("/sys/class/net/lo") else "lo0")
    where = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=where, rank=rank, world_size=ranks, timeout=timedelta(seconds=120))
    rows, found = tiny.rows(32), {}
    mine = rows[rank * 16 : rank * 16 + 16]
    for name in ("fm", "dcn_v2", "dlrm"):
        alone, shared = built(name), on_torchrec.parallel(built(name), torch.device("cpu"), lr=0.5)
        by_one = torch.optim.SGD(alone.parameters(), lr=0.5)
        by_all = torch.optim.SGD(on_torchrec.copied(shared), lr=0.5)
        lines = []
        for _ in range(4):
            losses = bce(alone(rows), rows.label), bce(shared(mine), mine.label)
            for loss, optimizer in zip(losses, (by_one, by_all), strict=True):
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total = losses[1].detach() / ranks
            dist.all_reduce(total)
            lines.append([losses[0].item(), total.item()])
        found[name] = lines
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


@pytest.mark.slow("starts several processes")
@pytest.mark.skipif(not there, reason="TorchRec is not installed")
def test_two_processes_on_torchrec_have_the_losses_of_one(tmp_path):
    torch.multiprocessing.spawn(work, (2, tmp_path), nprocs=2)
    for rank in range(2):
        for lines in json.loads((tmp_path / f"{rank}.json").read_text()).values():
            for alone, shared in lines:
                assert shared == pytest.approx(alone, abs=1e-5)
            assert lines[-1][0] < lines[0][0] - 1e-3  # the steps did something


@pytest.mark.skipif(there, reason="TorchRec is installed")
def test_without_torchrec_it_says_what_is_missing():
    with pytest.raises(ModuleNotFoundError, match="needs TorchRec"):
        on_torchrec.parallel(built("fm"), torch.device("cpu"))
