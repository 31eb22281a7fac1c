"""The optimiser that PyTorch does not have, and the optimisers of models that want more than one rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from ..models.wide_deep import WideDeep


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
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
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
                rate = (beta + new_root) / alpha + l2
                w.copy_(0.0 - shrunk / rate.where(shrunk != 0, 1.0))  # before its first gradient a rate may be 0
        return loss


def tower_optimizer(
    lr: float, weight_decay: float = 0.0, tower_rate: float | None = 0.1
) -> Callable[[nn.Module], torch.optim.Optimizer]:
    """Adam for :func:`recsys_lite.training.fit` that gives the few numbers of a bias tower a rate of their own.

    At the rate of the embeddings a tower is still half-learned when the model inside begins to overfit.

    Args:
        lr, weight_decay: of all else.
        tower_rate: of the tower, which is not decayed. Default 0.1. ``None``: no difference is made.

    Returns:
        model -> optimiser; a model without a tower gets plain Adam. Parameters without a gradient are left out.
    """

    def made(model: nn.Module) -> torch.optim.Optimizer:
        tower = getattr(model, "tower", None) if tower_rate else None
        own = [p for p in tower.parameters() if p.requires_grad] if tower is not None else []
        rest = [p for p in model.parameters() if p.requires_grad and not any(p is q for q in own)]
        groups: list[dict[str, object]] = [{"params": rest, "lr": lr, "weight_decay": weight_decay}]
        if own:
            groups.append({"params": own, "lr": tower_rate, "weight_decay": 0.0})
        return torch.optim.Adam(groups, fused=True)

    return made


def wide_deep_optimizers(
    model: WideDeep, lr_wide: float = 0.05, l1: float = 1e-3, lr_deep: float = 0.03, beta: float = 1e-3
) -> list[torch.optim.Optimizer]:
    """The paper's pair: FTRL-proximal with L1 for the wide part, AdaGrad for the deep part (section 3.3).

    The paper names no settings. ``beta`` is far below FTRL's usual 1, because a weight's gradient is a mean over
    the batch here and so about a thousand times smaller than the sum over its examples.
    """
    wide = [model.bias]
    if model.weights is not None and model.crosses is not None:
        wide += [*model.weights.parameters(), *model.crosses.parameters()]
    made: list[torch.optim.Optimizer] = [FTRL(wide, lr=lr_wide, beta=beta, l1=l1)]
    if model.embedding is not None and model.mlp is not None:
        deep = [*model.embedding.parameters(), *model.mlp.parameters()]
        made.append(torch.optim.Adagrad(deep, lr=lr_deep))
    return made
