"""Probabilities of a trained model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..fields import Rows
from ..layers.device import device_of


@torch.no_grad()
def predict(model: nn.Module, rows: Rows, batch_size: int = 8192) -> Tensor:
    """Probabilities (B,) of a click, in evaluation mode; the model's mode is put back afterwards.

    Args:
        model: rows -> logits (B,), on any device.
        rows: on any device; each batch is moved to the model's.
        batch_size: rows of a batch. Default 8192.

    Returns:
        the probabilities, on the CPU.
    """
    was_training, device = model.training, device_of(model)
    model.eval()
    try:
        made = [torch.sigmoid(model(batch)) for batch in rows.batches(batch_size, device=device)]
        return torch.cat(made).cpu() if made else torch.zeros(0)
    finally:
        model.train(was_training)
