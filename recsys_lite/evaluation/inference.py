"""Probabilities of a trained model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..fields import Rows


@torch.no_grad()
def predict(model: nn.Module, rows: Rows, batch_size: int = 8192, *, logits: bool = False) -> Tensor:
    """Probabilities (B,) of a click as float64, in evaluation mode; the model's mode is put back afterwards.

    float32 rounds the probabilities of all logits above 17 to 1, float64 those above 37: to rank or to judge such
    predictions, take the logits.

    Args:
        model: rows -> logits (B,).
        rows: B of them, none too.
        batch_size: how many rows go through the model at once. Default 8192.
        logits: whether the logits themselves are returned, as float64. Default no.
    """
    was_training = model.training
    model.eval()
    try:
        made = [model(batch).double() for batch in rows.batches(batch_size)]
        z = torch.cat(made) if made else torch.zeros(0, dtype=torch.float64)
        return z if logits else torch.sigmoid(z)
    finally:
        model.train(was_training)
