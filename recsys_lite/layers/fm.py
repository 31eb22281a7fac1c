"""Sums over pairs in linear time."""

from torch import Tensor


def fm_interaction(e: Tensor) -> Tensor:
    r"""All pairwise dot products summed, :math:`\sum_{i<j}\langle e_i, e_j\rangle`, in O(n d) instead of O(n² d).

    .. math:: \sum_{i<j}\langle e_i, e_j\rangle = \tfrac12 \sum_k \Big[\big(\sum_i e_{ik}\big)^2 - \sum_i e_{ik}^2\Big]

    Args:
        e: (B, n, d) vectors :math:`e_i = x_i v_i`.

    Returns:
        (B,) the sum over the n(n-1)/2 pairs.

    Raises:
        ValueError: if ``e`` is not three-dimensional.

    Source: Rendle, Factorization Machines, ICDM 2010, Lemma 3.1. Derived in the chapter *Factorization Machines*.

    Example:
        >>> import torch
        >>> fm_interaction(torch.tensor([[[1.0, 2.0], [3.0, 4.0], [0.5, 0.0]]]))  # 11 + 0.5 + 1.5
        tensor([13.])
    """
    if e.dim() != 3:
        raise ValueError(f"fm_interaction: expected a tensor of shape (B, n, d), got {tuple(e.shape)}")
    square_of_sum = e.sum(1) ** 2  # (B, d)
    sum_of_squares = (e**2).sum(1)  # (B, d)
    return 0.5 * (square_of_sum - sum_of_squares).sum(1)  # (B,)
