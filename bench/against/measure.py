"""Is a module of ours equal to a public library's: in what it computes, in its gradient, and after ten steps?"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from recsys_lite.fields import Rows

ROWS, BATCH, STEPS = 32, 8, 10
#: optimisers of the short training
OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01, eps=1e-5),  # below that, rounding of gradients that are 0 counts
}
#: the largest relative difference that counts as rounding
TOLERANCE = {"float64": 1e-9, "float32": 1e-4, "four decimals": 5e-4}
View = Callable[[Tensor], Tensor]
Call = Callable[[Any, Any], Tensor]


def same(tensor: Tensor) -> Tensor:
    """The tensor as it is."""
    return tensor


def plain(module: Any, inputs: Any) -> Tensor:
    """The usual call."""
    return module(inputs)


@dataclass
class Case:
    """A module of ours with inputs.

    Args:
        module: its parameters are drawn anew by :func:`drawn`, so that none is zero by its start.
        inputs: a tensor or ``Rows`` of :data:`ROWS` rows; a slice gives a batch.
        call: (module, inputs) -> (B, …).
        kind: layer, model, loss or metric.
    """

    module: nn.Module
    inputs: Any
    call: Call = plain
    kind: str = "model"

    def to(self, precision: str) -> Case:
        """The same case in another precision."""
        dtype, inputs = getattr(torch, precision), self.inputs
        if isinstance(inputs, Rows):
            inputs = replace(inputs, numeric=inputs.numeric.to(dtype))
        elif inputs.is_floating_point():
            inputs = inputs.to(dtype)
        return replace(self, module=self.module.to(dtype), inputs=inputs)


@dataclass
class Link:
    """A parameter of ours, or a view of it, and the view of theirs that plays the same part."""

    name: str
    parameter: nn.Parameter
    ours: View = same
    theirs: View = same


@dataclass
class Peer:
    """A library's module for a case.

    Args:
        module: built as the library's users build it.
        links: every parameter of it that learns.
        call: (module, the case's inputs) -> what the case's call gives.
        held: parameters of theirs without a counterpart: name -> the number or tensor at which they stay.
        our_held: the same for ours.
    """

    module: nn.Module
    links: list[Link]
    call: Call = plain
    held: Mapping[str, float | Tensor] = field(default_factory=dict)
    our_held: Mapping[str, float | Tensor] = field(default_factory=dict)


def drawn(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module in float64 with random parameters, the same ones for the same seed."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.double().parameters():
            p.copy_(torch.randn(p.shape, generator=g, dtype=torch.float64) * 0.4)
    return module


def weights(shape: Any, like: Tensor, seed: int = 1) -> Tensor:
    """Fixed random numbers by which outputs, gradients or parameters are added up."""
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64).to(like.dtype)


def trained(module: Any, call: Call, inputs: Any, optimizer: str) -> None:
    """So many steps on a log loss, in place; the logit of a layer is a fixed weighted sum of its outputs."""
    g = torch.Generator().manual_seed(2)
    label = (torch.rand(ROWS, generator=g) < 0.5).double()
    learning = OPTIMIZERS[optimizer]([p for p in module.parameters() if p.requires_grad])
    for step in range(STEPS):
        place = slice(BATCH * step % ROWS, BATCH * step % ROWS + BATCH)
        logit = call(module, inputs[place])
        if logit.dim() > 1:
            logit = logit.flatten(1)
            logit = logit @ weights(logit.shape[1], logit) / logit.shape[1] ** 0.5
        learning.zero_grad()
        bce(logit, label[place].to(logit.dtype)).backward()
        learning.step()


def hold(module: nn.Module, values: Mapping[str, float | Tensor]) -> None:
    """Set parameters to a value at which they stay."""
    named = dict(module.named_parameters())
    for name, value in values.items():
        named[name].data.copy_(torch.as_tensor(value).expand_as(named[name]))
        named[name].requires_grad_(False)


def copied(ours: nn.Module, peer: Peer) -> None:
    """Ours' parameters into theirs.

    Raises:
        ValueError: if a parameter that learns is neither linked nor held, on either side.
    """
    hold(ours, peer.our_held)
    hold(peer.module, peer.held)
    linked = {id(link.parameter) for link in peer.links}
    lost = [n for n, p in peer.module.named_parameters() if p.requires_grad and id(p) not in linked]
    ours_named = {n: p for n, p in ours.named_parameters() if p.requires_grad}
    lost += [f"ours: {n}" for n in ours_named if n not in {link.name for link in peer.links}]
    if lost:
        raise ValueError(f"no counterpart and not held: {lost}")
    for link in peer.links:
        source, target = link.ours(ours_named[link.name].detach()), link.theirs(link.parameter.data)
        if source.shape != target.shape:
            raise ValueError(f"{link.name}: {tuple(source.shape)} for {tuple(target.shape)}")
        target.copy_(source)


def largest(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """The largest difference of all pairs (ours, theirs), relative to the largest number of ours.

    Example:
        >>> largest([(torch.tensor([2.0, 4.0]), torch.tensor([2.0, 3.0])), (torch.tensor([1.0]), torch.tensor([1.0]))])
        0.25
    """
    every = list(pairs)
    wrong = [f"{tuple(a.shape)} and {tuple(b.shape)}" for a, b in every if a.shape != b.shape]
    if wrong:
        raise ValueError(f"shapes differ: {wrong}")
    scale = max(float(a.abs().max()) for a, _ in every)
    return max(float((a - b).abs().max()) for a, b in every) / (scale or 1.0)


def differences(case: Case, peer: Peer) -> dict[str, float]:
    """Forward, gradient, and how far ten steps of each optimiser lead, each as :func:`largest`."""
    copied(case.module, peer)
    ours, found = case.module, {}
    inputs = [_leaf(case.inputs) for _ in range(2)]
    outs = [case.call(ours, inputs[0]), peer.call(peer.module, inputs[1])]
    found["forward"] = largest([(outs[0].detach(), outs[1].detach())])
    for module, out in zip((ours, peer.module), outs, strict=True):
        module.zero_grad()
        if out.requires_grad:
            (out * weights(out.shape, out)).sum().backward()
    named = dict(ours.named_parameters())
    gradient = [(link.ours(_grad(named[link.name])), link.theirs(_grad(link.parameter))) for link in peer.links]
    if isinstance(case.inputs, Tensor) and case.inputs.is_floating_point():
        gradient.append((inputs[0].grad, inputs[1].grad))
    found["gradient"] = largest(gradient)
    if not peer.links:
        return found
    starts = [copy.deepcopy(m.state_dict()) for m in (ours, peer.module)]
    for optimizer in OPTIMIZERS:
        for module, call, start in ((ours, case.call, starts[0]), (peer.module, peer.call, starts[1])):
            module.load_state_dict(start)
            trained(module, call, case.inputs, optimizer)
        moved = []
        for link in peer.links:
            begin = link.ours(starts[0][link.name])
            after = link.ours(named[link.name].detach()), link.theirs(link.parameter.detach())
            moved.append((after[0] - begin, after[1] - begin))
        found[optimizer] = largest(moved)
    return found


def _leaf(inputs: Any) -> Any:
    if isinstance(inputs, Tensor) and inputs.is_floating_point():
        return inputs.clone().requires_grad_()
    return inputs


def _grad(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def fingerprint(case: Case) -> dict[str, float]:
    """Our side in a few numbers: weighted sums of what is computed, of its gradient, and of what ten steps learn."""
    module, start = case.module, copy.deepcopy(case.module.state_dict())
    inputs = _leaf(case.inputs)
    out = case.call(module, inputs)
    value = (out * weights(out.shape, out)).sum()
    found = {"forward": value.item()}
    if value.requires_grad:
        value.backward()
        every = [_grad(p) for p in module.parameters()] + ([inputs.grad] if isinstance(inputs, Tensor) else [])
        found["gradient"] = sum(float((g * weights(g.shape, g, 3)).sum()) for g in every if g is not None)
    if list(module.parameters()):
        for optimizer in OPTIMIZERS:
            module.load_state_dict(start)
            trained(module, case.call, case.inputs, optimizer)
            found[optimizer] = sum((p * weights(p.shape, p, 3)).sum().item() for p in module.parameters())
    return found
