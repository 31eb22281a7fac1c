"""Probabilities of a trained model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..fields import Rows


@torch.no_grad()
def predict(model: nn.Module, rows: Rows, batch_size: int = 8192) -> Tensor:
    """Probabilities (B,) of a click, in evaluation mode; the model's mode is put back afterwards."""
    was_training = model.training
    model.eval()
    try:
        made = [torch.sigmoid(model(batch)) for batch in rows.batches(batch_size)]
        return torch.cat(made) if made else torch.zeros(0)
    finally:
        model.train(was_training)
