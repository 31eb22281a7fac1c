"""Losses of retrieval: what a batch teaches."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus


def logits(scores: Tensor) -> Tensor:
    """Scores in the precision of a loss: at least float32, whatever autocast made of them.

    Example:
        >>> logits(torch.ones(1, dtype=torch.bfloat16)).dtype, logits(torch.ones(1, dtype=torch.float64)).dtype
        (torch.float32, torch.float64)
    """
    return scores.float() if scores.dtype in (torch.bfloat16, torch.float16) else scores


def bpr(positive: Tensor, negative: Tensor) -> Tensor:
    r"""Bayesian personalised ranking: what a user took should score above what the user did not take.

    .. math:: \ell = \frac1B \sum_{(u, i, j)} -\ln \sigma(\hat y_{ui} - \hat y_{uj})
        = \frac1B \sum \mathrm{softplus}(\hat y_{uj} - \hat y_{ui})

    Only differences count, so nothing that is the same for all items of a user can be learned from it.

    Args:
        positive, negative: (B,) scores of the same users for an item they took and one they did not.

    Returns:
        the mean over the batch, a number.

    Raises:
        ValueError: if the two shapes differ or the batch is empty.

    Source: Rendle et al., BPR, UAI 2009, eq. 5 (without its penalty). Derived in the chapter *LightGCN*.

    Example:
        >>> from torch import tensor
        >>> bpr(tensor([2.0, 0.0]), tensor([2.0, 0.0]))  # no difference: ln 2
        tensor(0.6931)
    """
    if positive.shape != negative.shape or not positive.numel():
        raise ValueError(
            f"bpr: expected two equal shapes, not empty, got {tuple(positive.shape)}, {tuple(negative.shape)}"
        )
    return softplus(logits(negative) - logits(positive)).mean()


def in_batch_softmax(
    scores: Tensor, items: Tensor, log_q: Tensor | None = None, temperature: float = 1.0, remove_hits: bool = True,
    exact_positive: bool = False,
) -> Tensor:  # fmt: skip
    r"""Each query against the items of all rows of its batch, corrected for how often an item is drawn into one.

    .. math:: \ell = -\frac1B \sum_i \log \frac{e^{c_{ii}}}{\sum_j [j = i \text{ or } y_j \ne y_i]\, e^{c_{ij}}}, \qquad
        c_{ij} = \frac{s_{ij}}{\tau} - \log q(y_j)

    An item comes into a batch as another row's positive, so with a chance in proportion to its popularity q. Without
    the correction the scores learn :math:`\log p(y \mid x) - \log q(y)`. The order is scale, correct, mask.

    The positive is not drawn, it is always there. ``exact_positive`` therefore leaves its score as it is and divides
    the rest by :math:`(B - 1)\, q`: the denominator is an unbiased estimate of that of the softmax over all items.

    Args:
        scores: (B, B) products of the query of row i with the candidate of row j; the diagonal holds the positives.
        items: (B,) item numbers of the columns.
        log_q: (B,) log of the columns' chance to be drawn; here from exact training counts. (Where items never end,
            Yi et al. estimate it on the stream, from the steps between two sightings of an item.) None: no correction.
        temperature: τ. Default 1.
        remove_hits: whether columns with the row's own item, other than its own, are masked. Default yes.
        exact_positive: see above; it needs ``log_q`` and removed hits. Default no, as in Yi et al.

    Returns:
        the mean over rows, a number. (TensorFlow Recommenders sums over rows, so its learning rates and penalties
        depend on the batch size.)

    Raises:
        ValueError: for other shapes, τ of 0 or less, a log q that is not finite, or ``exact_positive`` without what it
            needs.

    Source: Yi et al., Sampling-Bias-Corrected Neural Modeling, RecSys 2019, eqs. 3-5; the masking as in TensorFlow
    Recommenders; on the positive: Khrylchenko et al., RecSys 2025. Derived in the chapter *Two towers*.

    Example:
        >>> q = torch.tensor([2 / 3, 2 / 3, 1 / 3])  # items A, A, B
        >>> in_batch_softmax(torch.tensor([[0.0, 0.0, math.log(2)]] * 3), torch.tensor([0, 0, 1]), q.log()).exp()
        tensor(3.3472)
    """
    B = len(items)
    if scores.shape != (B, B) or items.shape != (B,) or not B or (log_q is not None and log_q.shape != (B,)):
        shapes = [tuple(t.shape) for t in (scores, items, log_q) if t is not None]
        raise ValueError(f"in_batch_softmax: expected scores (B, B), items (B,) and log q (B,), got {shapes}")
    if temperature <= 0:
        raise ValueError(f"in_batch_softmax: temperature must be above 0, got {temperature}")
    if log_q is not None and not log_q.isfinite().all():
        raise ValueError("in_batch_softmax: log q of an item in the batch is not finite; its count must be above 0")
    if exact_positive and (log_q is None or not remove_hits):
        raise ValueError("in_batch_softmax: exact_positive needs log q and removed hits")
    made = logits(scores) / temperature
    own = torch.eye(B, dtype=torch.bool, device=scores.device)
    if log_q is not None:
        drawn = made - log_q - (math.log(max(B - 1, 1)) if exact_positive else 0.0)
        made = torch.where(own, made, drawn) if exact_positive else drawn
    if remove_hits:
        made = made.masked_fill((items[:, None] == items) & ~own, -torch.inf)
    return cross_entropy(made, torch.arange(B, device=scores.device))
