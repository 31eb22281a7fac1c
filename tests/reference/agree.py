"""Is a module of ours equal to an equation in NumPy, in what it computes and in its gradient? Float64 throughout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn

from recsys_lite.fields import Rows

Parameters = dict[str, np.ndarray]
STEP = 1e-5  # of central differences: their error is about STEP², and 1e-16 / STEP from rounding


def agree(module: nn.Module, equation: Callable[..., np.ndarray], *inputs: Any, random: bool = True) -> None:
    """Fails unless ``module(*inputs)`` is ``equation(parameters, *inputs)`` to 1e-12, and its gradient that of the
    equation by central differences, along a random direction of every parameter and of every real input.

    Args:
        module: is set to float64 and to evaluation in place.
        equation: gets the module's parameters by name and the inputs, all as NumPy arrays (``Rows`` of arrays).
        inputs: tensors or ``Rows``; what is real in them is taken to float64.
        random: whether the parameters are drawn anew, so that none is zero by its start. Default yes.
    """
    g = torch.Generator().manual_seed(0)
    module = module.double().eval()
    if random:
        with torch.no_grad():
            for p in module.parameters():
                p.copy_(torch.randn(p.shape, generator=g, dtype=torch.float64) * 0.5)
    inputs = tuple(_double(x) for x in inputs)
    real = [t for x in inputs for t in _real(x) if t.numel()]
    learned = {name: p for name, p in module.named_parameters() if p.requires_grad and p.numel()}
    arrays = {name: t.detach().numpy().copy() for name, t in [*module.named_parameters(), *module.named_buffers()]}
    plain = tuple(_numpy(x) for x in inputs)

    for t in real:
        t.requires_grad_()
    out = module(*inputs)
    assert out.dtype == torch.float64
    assert_allclose(out.detach().numpy(), equation(arrays, *plain), rtol=1e-12, atol=1e-12)

    weight = torch.randn(out.shape, generator=g, dtype=torch.float64)
    slopes = torch.autograd.grad((out * weight).sum(), [*learned.values(), *real], allow_unused=True)
    for place, (t, slope) in enumerate(zip([*learned.values(), *real], slopes, strict=True)):
        direction = torch.randn(t.shape, generator=g, dtype=torch.float64)
        name = [*learned][place] if place < len(learned) else None

        def along(step: float, t=t, direction=direction, name=name) -> float:
            moved = (t.detach() + step * direction).numpy()
            at = arrays | ({name: moved} if name else {})
            there = plain if name else tuple(_with(x, p, t, moved) for x, p in zip(inputs, plain, strict=True))
            return float((equation(at, *there) * weight.numpy()).sum())

        expected = (along(STEP) - along(-STEP)) / (2 * STEP)
        found = 0.0 if slope is None else float((slope * direction).sum())
        scale = max(1.0, abs(expected))
        assert abs(found - expected) < 1e-6 * scale, f"gradient of {name or 'an input'}: {found}, expected {expected}"


def _double(x: Any) -> Any:
    if isinstance(x, Rows):
        return replace(x, numeric=x.numeric.double())
    return x.detach().clone().double() if x.is_floating_point() else x


def _real(x: Any) -> list[Tensor]:
    return [x.numeric] if isinstance(x, Rows) else [x] if x.is_floating_point() else []


def _numpy(x: Any) -> Any:
    if isinstance(x, Rows):
        bags = {name: bag.numpy() for name, bag in x.bags.items()}
        return Rows(x.ids.numpy(), x.numeric.numpy(), bags)  # type: ignore[arg-type]
    return x.numpy()


def _with(x: Any, plain: Any, moved: Tensor, value: np.ndarray) -> Any:
    """An input as NumPy, in which the tensor that is moved has another value."""
    if isinstance(x, Rows):
        return replace(plain, numeric=value) if x.numeric is moved else plain
    return value if x is moved else plain
