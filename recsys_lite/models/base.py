"""What all models share: fields, a record of their settings, and logits that are sums of named parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from ..fields import Field, Rows


class Model(nn.Module):
    """A model is its ``parts``: named tensors (B,) whose sum is the logit. It knows nothing of losses or training.

    Args:
        fields: the columns that the model reads.
        config: the other constructor arguments, stored beside the weights.
    """

    def __init__(self, fields: Sequence[Field], **config: Any):
        super().__init__()
        self.fields = tuple(fields)
        self.config = {k: v.item() if isinstance(v, np.generic) else v for k, v in config.items()}

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        """The exact additive parts of the logit, each (B,).

        Args:
            rows: B encoded rows.
            fine: split sums into one part per field, pair of fields or cross, where the architecture allows it.
        """
        raise TypeError(f"{type(self).__name__} does not say what its logit is made of")

    def forward(self, rows: Rows) -> Tensor:
        """Logits (B,): the sum of the parts."""
        return sum(self.parts(rows).values())  # type: ignore[return-value]

    def extra_repr(self) -> str:
        """Fields and settings, each in one line."""
        names = ", ".join(f.name for f in self.fields[:12]) + ", …" * (len(self.fields) > 12)
        return "\n".join([f"fields: {names}", *(f"{k}={v!r}" for k, v in self.config.items())])

    @property
    def parameter_count(self) -> int:
        """Trainable numbers."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)
