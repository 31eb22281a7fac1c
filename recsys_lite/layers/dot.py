"""All dot products of pairs of vectors, each kept."""

from __future__ import annotations

import torch
from torch import Tensor


def dot_interaction(t: Tensor) -> Tensor:
    r"""The strictly lower triangle of :math:`T T^\top`: each pair of different vectors once, no vector with itself.

    Args:
        t: (B, n, d) vectors.

    Returns:
        (B, n(n-1)/2) dot products in the order (1, 0), (2, 0), (2, 1), (3, 0), …

    Raises:
        ValueError: if ``t`` is not three-dimensional.

    Source: Naumov et al., DLRM, arXiv 1906.00091, section 2.2, and ``interact_features`` of its code with the default
    of ``--arch-interaction-itself``. Derived in the chapter *DLRM*.

    Example:
        >>> dot_interaction(torch.tensor([[[1.0, 2.0], [3.0, 4.0], [0.5, 0.0]]]))  # (1,2)·(3,4), (1,2)·(.5,0), …
        tensor([[11.0000,  0.5000,  1.5000]])
    """
    if t.dim() != 3:
        raise ValueError(f"dot_interaction: expected a tensor of shape (B, n, d), got {tuple(t.shape)}")
    n = t.shape[1]
    row, column = torch.tril_indices(n, n, offset=-1, device=t.device)
    return (t @ t.transpose(1, 2))[:, row, column]  # (B, n, n) -> (B, n(n-1)/2)
