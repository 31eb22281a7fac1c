"""Matrix factorisation: the product of two vectors, one of the user and one of the item."""

from __future__ import annotations

from torch import Tensor

from ..data.interactions import Interactions
from .lightgcn import LightGCN


class MatrixFactorisation(LightGCN):
    r"""A score is the product of two learned vectors, :math:`\hat y_{ui} = e_u^\top e_i`: LightGCN without layers.

    Args:
        data: as in :class:`~recsys_lite.models.LightGCN`.
        dim: of the vectors. Default 64.
        std: they start as N(0, std²). Default 0.1.

    Shapes: ``scores``: (B,) -> (B, I).

    Raises:
        ValueError: if ``dim`` is below 1.

    Source: Koren, Bell, Volinsky, Matrix Factorization Techniques for Recommender Systems, Computer 2009; trained with
    :func:`~recsys_lite.training.bpr_step` as in Rendle et al., UAI 2009.

    Example:
        >>> import torch
        >>> model = MatrixFactorisation((torch.tensor([[0, 1], [1, 0]]), 2, 3), dim=4)
        >>> users, items = model.table[:2], model.table[2:]
        >>> bool(torch.equal(model.scores(torch.tensor([1])), users[1:] @ items.T))
        True
    """

    def __init__(self, data: Interactions | tuple[Tensor, int, int], dim: int = 64, std: float = 0.1):
        super().__init__(data, dim, 0, "mean", std)
        self.config = {"dim": dim, "std": std}
