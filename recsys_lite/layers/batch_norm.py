"""Batch normalisation as an aid of training: put into a model's networks before, folded into their weights after."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn

from .mlp import MLP

M = TypeVar("M", bound=nn.Module)


def add_batch_norm(model: M) -> M:
    r"""Normalise each hidden unit of every :class:`~recsys_lite.layers.MLP` of a model over the batch, in place.

    .. math:: h = \mathrm{ReLU}\Big(\gamma \odot \frac{a - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta\Big),
        \qquad a = W x + b

    :math:`\mu, \sigma^2` are mean and variance of a over the batch in training, and their running means afterwards.
    With a strong penalty on the embedding tables the vectors get short; a network can then only learn if its units are
    brought back to scale.

    Raises:
        ValueError: for a model without a hidden layer, or one that has batch norm already.

    Source: Ioffe & Szegedy, Batch Normalization, ICML 2015; between layer and ReLU as in section 3.2.

    Example:
        >>> [type(m).__name__ for m in add_batch_norm(MLP(2, (3,), outputs=1))]
        ['Linear', 'BatchNorm1d', 'ReLU', 'Linear']
    """
    added = 0
    for mlp in _networks(model):
        layers: list[nn.Module] = []
        for layer, after in pairwise([*mlp, None]):
            assert layer is not None
            layers.append(layer)
            if isinstance(layer, nn.Linear) and isinstance(after, nn.ReLU):
                layers.append(nn.BatchNorm1d(layer.out_features, device=layer.weight.device, dtype=layer.weight.dtype))
                added += 1
        _refill(mlp, layers)
    if not added:
        raise ValueError(f"add_batch_norm: {type(model).__name__} has no hidden layer without batch norm")
    return model


@torch.no_grad()
def fold_batch_norm(model: M) -> M:
    r"""Write what batch norm does after training into the weights of the layers before it, and take it out, in place.

    .. math:: W' = \mathrm{diag}(s)\, W, \qquad b' = s \odot (b - \mu) + \beta,
        \qquad s = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}

    The model in evaluation computes the same; its weights are those of a model that never had batch norm.

    Raises:
        ValueError: for a model in training: its means are still those of each batch.
    """
    if model.training:
        raise ValueError("fold_batch_norm: the model is in training; call model.eval() first")
    for mlp in _networks(model):
        layers: list[nn.Module] = []
        for layer in mlp:
            if isinstance(layer, nn.BatchNorm1d):
                linear = layers[-1]
                assert isinstance(linear, nn.Linear)
                assert layer.running_var is not None and layer.running_mean is not None
                scale = layer.weight / (layer.running_var + layer.eps).sqrt()
                linear.weight.mul_(scale.unsqueeze(1))
                linear.bias.sub_(layer.running_mean).mul_(scale).add_(layer.bias)
            else:
                layers.append(layer)
        _refill(mlp, layers)
    return model


def _networks(model: nn.Module) -> list[MLP]:
    return [m for m in model.modules() if isinstance(m, MLP)]


def _refill(mlp: MLP, layers: list[nn.Module]) -> None:
    mlp._modules.clear()
    for place, layer in enumerate(layers):
        mlp.add_module(str(place), layer)
