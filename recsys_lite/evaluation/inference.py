"""Probabilities of a trained model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..fields import Rows
from ..layers.device import device_of


@torch.no_grad()
def predict(model: nn.Module, rows: Rows, batch_size: int = 8192, *, logits: bool = False) -> Tensor:
    """Probabilities (B,) of a click as float64, in evaluation mode; the model's mode is put back afterwards.

    float32 rounds the probabilities of all logits above 17 to 1, float64 those above 37: to rank or to judge such
    predictions, take the logits.

    Args:
        model: rows -> logits (B,), on any device.
        rows: B of them, none too, on any device; each batch is moved to the model's.
        batch_size: how many rows go through the model at once. Default 8192.
        logits: whether the logits themselves are returned, as float64. Default no.

    Returns:
        the probabilities or logits, on the CPU.
    """
    was_training, device = model.training, device_of(model)
    model.eval()
    try:
        made = [model(batch).cpu().double() for batch in rows.batches(batch_size, device=device)]
        z = torch.cat(made) if made else torch.zeros(0, dtype=torch.float64)
        return z if logits else torch.sigmoid(z)
    finally:
        model.train(was_training)
