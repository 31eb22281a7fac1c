"""Checkpoints of several processes, gone on with by any number of them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from ..store.files import write_json
from ..training.checkpoint import Checkpoint
from ..training.record import Result
from ..training.settings import Optimizers
from .processes import agreed


class SharedCheckpoint(Checkpoint):
    """Like :class:`~recsys_lite.training.checkpoint.Checkpoint`; each process writes and reads its part of the tensors.

    ``<path>.epoch3/`` holds safetensors, written by ``torch.distributed.checkpoint``, and ``<path>.json`` the record,
    which names the folder and is renamed into its place when the folder is whole: a stop in between leaves the older
    pair. All processes must see the same files.

    Args:
        path: without suffix.
        data: a hash of what is trained and validated on.
        mesh: of the processes.
    """

    def __init__(self, path: Path, data: str, mesh: DeviceMesh):
        super().__init__(path, data)
        self.path, self.mesh = path, mesh

    def exists(self) -> bool:
        there = super().exists()
        agreed(f"{self.record}: whether the checkpoint exists", there)
        return there

    def write(self, model: nn.Module, optimizers: Optimizers, best: dict[str, Tensor], result: Result) -> None:
        tensors = _weights("model", model.state_dict()) | _weights("best", best)
        names: dict[Any, str] = {p: name for name, p in model.named_parameters()}
        for i, o in enumerate(optimizers):
            for p, values in o.state.items():
                tensors |= {f"optimizer/{i}/{names[p]}/{k}": torch.as_tensor(v) for k, v in values.items()}
        folder = self.path.with_name(f"{self.path.name}.epoch{len(result.curve)}")
        if dist.get_rank() == 0 and folder.exists():  # of a process that was stopped while it wrote
            shutil.rmtree(folder)
        dist.barrier()
        dcp.save(tensors, storage_writer=dcp.HuggingFaceStorageWriter(str(folder), save_distributed=True))
        if dist.get_rank() == 0:
            shapes = {
                key: [list(value.shape), str(value.dtype).removeprefix("torch.")] for key, value in tensors.items()
            }
            record = {"folder": folder.name, "shapes": shapes, "result": result.to_dict(), "data": self.data}
            write_json(self.record, record)
            ours = re.compile(re.escape(self.path.name) + r"\.epoch\d+")
            for old in self.path.parent.iterdir():
                if old != folder and ours.fullmatch(old.name):
                    shutil.rmtree(old)
        dist.barrier()

    def restore(self, model: nn.Module, optimizers: Optimizers, result: Result) -> dict[str, Tensor]:
        record = self.read(result, "folder")
        state, parameters = model.state_dict(), dict(model.named_parameters())
        self._check(record["shapes"], state)
        tensors = {}
        for key, (shape, dtype) in record["shapes"].items():
            kind, _, name = key.partition("/")
            name = name if kind in ("model", "best") else name.split("/")[1]
            like = state[name] if kind in ("model", "best") else parameters[name].detach()
            same = list(like.shape) == shape  # a moment lies where its parameter lies
            tensors[key] = torch.zeros_like(like) if same else torch.zeros(shape, device=like.device)
            tensors[key] = tensors[key].to(getattr(torch, dtype))
        folder = self.path.with_name(record["folder"])
        try:
            dcp.load(tensors, storage_reader=dcp.HuggingFaceStorageReader(str(folder)))
        except Exception as error:
            raise ValueError(f"{folder}: the checkpoint is damaged: {error}") from error
        pick = lambda kind: {k.partition("/")[2]: v for k, v in tensors.items() if k.startswith(f"{kind}/")}  # noqa: E731
        model.load_state_dict(pick("model"))
        for key, value in pick("optimizer").items():
            number, name, what = key.split("/")
            optimizers[int(number)].state.setdefault(parameters[name], {})[what] = value
        self.put(record, result)
        return pick("best")

    def _check(self, shapes: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
        then = {k.removeprefix("model/"): tuple(shape) for k, (shape, _) in shapes.items() if k.startswith("model/")}
        now = {k: tuple(v.shape) for k, v in state.items()}
        for name in sorted({*then, *now}):
            if then.get(name) != now.get(name):
                raise ValueError(
                    f"{self.record}: this checkpoint is of other fields or another model: {name} was "
                    f"{then.get(name, 'not there')}, now {now.get(name, 'not there')}"
                )


def _weights(kind: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{kind}/{name}": value for name, value in state.items()}
