"""Parameters of ours beside those of others, for parts that several libraries write alike."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from torch import Tensor, nn

from .measure import Link

#: what several libraries do, in words and as a formula
GATES = "All layers share one list of gates; in the paper every layer has its own."
GATES_FORMULA = r"\sum_i G_i(x_l)\,E_i(x_l) \text{ with one } G \text{ for all } l"
NO_CROSSES = "The wide part has no cross features φ(x), which the paper's has beside the raw features."
NO_CROSSES_FORMULA = r"z = w^\top x + \mathrm{MLP}(e) + b"
SQUEEZED = "The last squeeze takes the axis of the batch, too, if there is one row."
FAN = (
    "One call starts all K experts at once, and Xavier's fans are then those of the whole tensor, so that the start "
    "depends on K. Ours starts each expert by its own two sizes."
)
FAN_FORMULA = r"\mathrm{sd} = \sqrt{2 / (N r + K r)} \text{ in the place of } \sqrt{2 / (N + r)}"
CROSS = 0.5  # every weight of our crosses, where theirs has none


def tables(name: str, weights: Sequence[Any]) -> list[Link]:
    """One fused table of ours, a table a field of theirs."""
    ends = [0, *accumulate(len(w) for w in weights)]
    return [
        Link(name, w, lambda p, a=a, b=b: p[a:b])  # type: ignore[misc]
        for w, (a, b) in zip(weights, pairwise(ends), strict=True)
    ]


def dense(prefix: str, layers: Sequence[Any], step: int = 2) -> list[Link]:
    """Linear layers, ``step`` apart in ours: 3 with batch norm."""
    links = []
    for k, layer in enumerate(layers):
        links.append(Link(f"{prefix}{k * step}.weight", layer.weight))
        if layer.bias is not None:
            links.append(Link(f"{prefix}{k * step}.bias", layer.bias))
    return links


def normed(prefix: str, network: nn.Module) -> list[Link]:
    """A network with batch norm: linear layers and norms in their order; ours has ReLUs behind the norms."""
    links, at = [], 0
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.BatchNorm1d)):
            links += [Link(f"{prefix}{at}.{n}", p) for n, p in module.named_parameters()]
            at += 1 + isinstance(module, nn.BatchNorm1d)
    return links


def mixture(prefix: str, u: Any, v: Any, c: Any, gates: Any, bias: Any) -> list[Link]:
    """Experts: theirs are a tensor (or a list) of layers; the gates are a list of K, which ours has for every layer."""
    links = []
    for name, theirs in (("u", u), ("v", v), ("c", c), ("bias", bias)):
        view = (lambda p: p.squeeze(-1)) if name == "bias" else (lambda p: p)
        if isinstance(theirs, Tensor):
            links.append(Link(prefix + name, theirs, theirs=view))  # type: ignore[arg-type]
        else:
            links += [Link(prefix + name, p, lambda t, k=k: t[k], view) for k, p in enumerate(theirs)]  # type: ignore[misc]
    for k, gate in enumerate(gates):
        links.append(Link(f"{prefix}gate", gate.weight, lambda t, k=k: t[0, k], lambda p: p.squeeze(0)))  # type: ignore[misc]
    return links


def stacked(last: nn.Linear, bias: Any) -> list[Link]:
    """The layer that joins a cross part and a deep part."""
    return [Link("combine.weight", last.weight), Link("combine.bias", bias)]  # type: ignore[arg-type]
