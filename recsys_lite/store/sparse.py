"""Tensors of which most is zero take the room of the rest: a hashed table has a weight for what occurred only."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

BITS, VALUES, SHAPE = "#bits", "#values", "#shape"  # behind a tensor's name
SMALLEST = 2**16  # elements; below, the room does not matter


def packed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, each large one of which less than half is not zero as three: a bit for each element, the
    values that are not zero, and the shape. :func:`unpacked` gives back the same values.

    Raises:
        ValueError: for a name that ends like one of the three.
    """
    out: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith((BITS, VALUES, SHAPE)):
            raise ValueError(f"save_tensors: a tensor may not be called {name!r}")
        tensor = tensor.detach().contiguous()
        kept = tensor.flatten() != 0 if tensor.numel() >= SMALLEST else None
        if kept is None or 2 * int(kept.sum()) >= tensor.numel():
            out[name] = tensor
            continue
        out[name + BITS] = torch.from_numpy(np.packbits(kept.cpu().numpy()))
        out[name + VALUES] = tensor.flatten()[kept]
        out[name + SHAPE] = torch.tensor(tensor.shape)
    return out


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`packed`.

    Raises:
        ValueError: if one of the three is missing, or they do not fit each other.
    """
    out = {name: tensor for name, tensor in tensors.items() if not name.endswith((BITS, VALUES, SHAPE))}
    for name in (key.removesuffix(BITS) for key in tensors if key.endswith(BITS)):
        if name + VALUES not in tensors or name + SHAPE not in tensors:
            raise ValueError(f"{name} is not whole: its values or its shape are missing")
        bits, values, shape = (tensors[name + part] for part in (BITS, VALUES, SHAPE))
        kept = np.unpackbits(bits.numpy(), count=min(math.prod(shape.tolist()), 8 * len(bits))).astype(bool)
        if kept.size != math.prod(shape.tolist()) or kept.sum() != len(values):
            raise ValueError(f"{name} is not whole: {len(values)} values for {kept.sum()} places of {shape.tolist()}")
        whole = values.new_zeros(kept.size)
        whole[torch.from_numpy(kept)] = values
        out[name] = whole.reshape(shape.tolist())
    return out
