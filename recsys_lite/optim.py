"""The optimiser that PyTorch does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class FTRL(torch.optim.Optimizer):
    r"""Follow the regularised leader, proximal form: per-coordinate rates and exact zeros.

    .. math::
        \sigma &= (\sqrt{n + g^2} - \sqrt{n}) / \alpha \\
        z &\leftarrow z + g - \sigma w, \qquad n \leftarrow n + g^2 \\
        w &= 0 \text{ if } |z| \le \lambda_1, \text{ else }
            -\frac{z - \mathrm{sign}(z)\lambda_1}{(\beta + \sqrt{n})/\alpha + \lambda_2}

    Args:
        params: parameters that start at zero (the closed form for w forgets any other start).
        lr: :math:`\alpha`. Default 0.1.
        beta: :math:`\beta`. Default 1.0 (the paper's advice).
        l1, l2: :math:`\lambda_1, \lambda_2`. Default 0. With mean losses over a batch the gradients, and so useful
            values of ``l1``, are smaller than with one example a step.

    Raises:
        ValueError: for a negative setting, ``lr`` of zero, or a parameter that does not start at zero.

    Source: McMahan et al., Ad Click Prediction: a View from the Trenches, KDD 2013, Algorithm 1.

    Example:
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> w.grad = torch.tensor([1.0, 0.01])
        >>> FTRL([w], lr=1.0, l1=0.1).step()  # -(1 - 0.1) / (1 + 1); the small gradient stays at exactly zero
        >>> w.data
        tensor([-0.4500,  0.0000])
    """

    def __init__(self, params: Iterable[Any], lr: float = 0.1, beta: float = 1.0, l1: float = 0.0, l2: float = 0.0):
        if lr <= 0 or min(beta, l1, l2) < 0:
            raise ValueError(f"FTRL: lr must be above 0, beta, l1 and l2 at least 0; got {lr}, {beta}, {l1}, {l2}")
        super().__init__(params, {"lr": lr, "beta": beta, "l1": l1, "l2": l2})
        if any(p.detach().any() for group in self.param_groups for p in group["params"]):
            raise ValueError("FTRL: parameters must start at zero")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            alpha, beta, l1, l2 = group["lr"], group["beta"], group["l1"], group["l2"]
            for w in group["params"]:
                if w.grad is None:
                    continue
                state = self.state[w]
                if not state:
                    state["z"], state["n"] = torch.zeros_like(w), torch.zeros_like(w)
                z, n, g = state["z"], state["n"], w.grad
                root = n.sqrt()
                n.addcmul_(g, g)
                new_root = n.sqrt()
                z.add_(g).addcmul_(new_root.sub(root), w, value=-1 / alpha)
                shrunk = z.sign() * (z.abs() - l1).clamp(min=0)
                w.copy_(0.0 - shrunk / ((beta + new_root) / alpha + l2))
        return loss
