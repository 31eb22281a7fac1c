"""A second device without hardware: its tensors hold their numbers on the CPU and refuse to meet those of the CPU.

PyTorch sees tensors of the device ``meta``, which every machine has: ``.numpy()``, and every operation on tensors of
both devices, fail as they do on a GPU. What a GPU allows is allowed: copies, single numbers of the
CPU, numbers of the CPU as an index.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")
COPIES = ("aten::copy_", "aten::_to_copy", "aten::set_")
INDEXED = ("aten::index", "aten::index_put_", "aten::index_put", "aten::_index_put_impl_")


class Far(Tensor):
    """A tensor of the second device."""

    near: Tensor

    @staticmethod
    def __new__(cls, near: Tensor) -> Far:
        strides = {} if near.is_sparse else {"strides": near.stride(), "storage_offset": near.storage_offset()}
        made = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, near.shape, dtype=near.dtype, layout=near.layout, device=DEVICE, requires_grad=False, **strides
        )
        made.near = near
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Far({self.near!r})"

    def tolist(self) -> Any:
        return self.near.tolist()

    def __getitem__(self, index: Any) -> Tensor:  # type: ignore[override]
        return super().__getitem__(_tensors(index))

    def __setitem__(self, index: Any, value: Any) -> None:  # type: ignore[override]
        super().__setitem__(_tensors(index), value)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def _tensors(index: Any) -> Any:
    """An index whose lists are tensors: PyTorch would make those of ``meta`` of them, which have no numbers."""
    if isinstance(index, tuple):
        return tuple(_tensors(i) for i in index)
    return torch.tensor(index, dtype=None if index else torch.int64) if isinstance(index, list) else index


def run(func: Any, args: Any, kwargs: Any) -> Any:
    """Run an operation where its tensors lie, on the CPU in truth."""
    name = func._schema.name
    if name == "prim::device":
        return DEVICE
    kwargs = dict(kwargs)
    wanted = kwargs.get("device")
    given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
    assert not any(t.is_meta and not isinstance(t, Far) for t in given), f"{name}: a tensor without numbers"
    far = [t for t in given if isinstance(t, Far)]
    met = [t for t in given if not isinstance(t, Far) and t.dim()]
    if name in INDEXED and isinstance(args[0], Far):
        met = [t for t in met if not any(t is i for i in args[1])]
        met += [args[2]] if len(args) > 2 and not isinstance(args[2], Far) and args[2].dim() else []
    if far and met and name not in COPIES:
        raise RuntimeError(f"{name}: Expected all tensors to be on the same device, but found the second one and cpu")
    if wanted is not None:
        kwargs["device"] = torch.device("cpu")
    near = lambda t: t.near if isinstance(t, Far) else t  # noqa: E731
    out = func(*tree_map(near, args), **tree_map(near, kwargs))
    if name.endswith("_") and args and isinstance(args[0], Tensor) and not name.endswith("__"):
        return args[0]  # in place
    to_far = bool(far) if wanted is None else torch.device(wanted).type == DEVICE.type
    if name == "aten::copy_" or not to_far:
        return out
    known = {id(t.near): t for t in far}
    return tree_map(lambda t: known.get(id(t)) or Far(t) if isinstance(t, Tensor) else t, out)


class Accelerator(TorchDispatchMode):
    """While it is on, ``meta`` is a second device with numbers."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})
