"""Everything that a run needs to go on after an interrupt."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..fields import Rows
from ..store.files import read_json, read_tensors, write_json, write_tensors
from .record import Result
from .settings import Optimizers


def digest(*values: Any) -> str:
    """A hash of tensors, rows and texts: other numbers, another hash."""
    made = hashlib.sha256()
    for value in values:
        if isinstance(value, Rows):
            parts = [value.ids, value.numeric, value.label, value.group, *(value.bags[k] for k in sorted(value.bags))]
            made.update(digest(*parts, *([] if value.weight is None else ["weight", value.weight])).encode())
        elif isinstance(value, Tensor):
            made.update(f"{value.dtype}{tuple(value.shape)}".encode())
            made.update(value.detach().cpu().contiguous().numpy().tobytes())
        else:
            made.update(repr(value).encode())
    return made.hexdigest()


class Checkpoint:
    """Weights now and at their best, the optimisers' tensors, the record: two files beside a path without suffix.

    Args:
        path: without suffix.
        data: a hash of what is trained and validated on, see :func:`digest`.
    """

    def __init__(self, path: Path, data: str):
        self.data = data
        self.tensors = path.with_name(path.name + ".safetensors")
        self.record = path.with_name(path.name + ".json")

    def exists(self) -> bool:
        return self.record.exists()

    def write(self, model: nn.Module, optimizers: Optimizers, best: dict[str, Tensor], result: Result) -> None:
        tensors = {f"model/{k}": v for k, v in model.state_dict().items()}
        tensors |= {f"best/{k}": v for k, v in best.items()}
        for i, o in enumerate(optimizers):
            for number, values in o.state_dict()["state"].items():
                tensors |= {f"optimizer/{i}/{number}/{k}": torch.as_tensor(v) for k, v in values.items()}
        epoch = len(result.curve)
        # The record names its tensors file: a stop between the two writes leaves the older pair whole.
        name = self.tensors.with_name(f"{self.tensors.stem}.epoch{epoch}.safetensors")
        write_tensors(name, {k: v.clone() for k, v in tensors.items()})
        write_json(self.record, {"tensors": name.name, "result": result.to_dict(), "data": self.data})
        ours = re.compile(re.escape(self.tensors.stem) + r"\.epoch\d+\.safetensors")  # not a neighbour's
        for old in self.tensors.parent.iterdir():
            if old != name and ours.fullmatch(old.name):
                old.unlink()

    def read(self, result: Result, tensors: str) -> dict[str, Any]:
        """The record, whose entry ``tensors`` names what holds the tensors, if it is of the same run."""
        record = read_json(self.record)
        if isinstance(record, dict) and {"tensors", "folder"} - {tensors} & record.keys():
            other = "recsys_lite.distributed.fit" if tensors == "tensors" else "recsys_lite.training.fit"
            raise ValueError(f"{self.record}: this checkpoint is of {other}, which goes on with it")
        wanted = {tensors: str, "result": dict, "data": str}
        if not isinstance(record, dict) or not all(isinstance(record.get(k), kind) for k, kind in wanted.items()):
            raise ValueError(f"{self.record}: no checkpoint of this version")
        if record["data"] != self.data:
            raise ValueError(f"{self.record}: this checkpoint is of another run: the rows of {result.dataset!r} differ")
        if set(record["result"]) != set(result.to_dict()) or not isinstance(record["result"]["settings"], dict):
            raise ValueError(f"{self.record}: no checkpoint of this version")
        for key in ("dataset", "task", "model", "seed", "settings"):
            now, then = result.to_dict()[key], record["result"][key]
            if key == "settings":  # a run may be extended
                now, then = ({k: v for k, v in s.items() if k != "epochs"} for s in (now, then))
            if now != then:
                raise ValueError(f"{self.record}: this checkpoint is of another run: {key} was {then!r}, now {now!r}")
        return record

    @staticmethod
    def put(record: dict[str, Any], result: Result) -> None:
        """Go on with the result of a record."""
        for key, value in record["result"].items():
            if key != "settings":
                setattr(result, key, value)

    def restore(self, model: nn.Module, optimizers: Optimizers, result: Result) -> dict[str, Tensor]:
        record = self.read(result, "tensors")
        tensors = read_tensors(self.record.with_name(record["tensors"]))
        pick = lambda prefix: {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}  # noqa: E731
        model.load_state_dict(pick("model/"))
        for i, o in enumerate(optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in pick(f"optimizer/{i}/").items():
                number, name = key.split("/")
                state.setdefault(int(number), {})[name] = value
            o.load_state_dict({"state": state, "param_groups": o.state_dict()["param_groups"]})
        self.put(record, result)
        return pick("best/")
