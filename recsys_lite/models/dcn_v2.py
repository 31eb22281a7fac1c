"""DCN V2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..fields import Field
from ..layers import CrossNetMix, CrossNetV2
from ..layers.cross import Activation
from .cross_model import CrossModel, Structure


class DCNV2(CrossModel):
    r"""A cross network with matrices, stacked under or put beside a deep network.

    .. math:: x_{l+1} = x_0 \odot (W_l x_l + b_l) + x_l, \qquad W_l \text{ full, of low rank, or a mixture of experts}

    Args:
        fields: the columns; numbers enter :math:`x_0` as they are, all else as embeddings.
        dim: embedding size, or field name -> size. Default 16.
        cross_layers: L. Default 2 (the paper's best on Criteo, table 6; section 8: gains level off beyond 2).
        rank: r. Default 0: full matrices (without experts).
        experts: K. Default 0: no mixture; with experts a rank must be given.
        activation: g inside of the experts. Default ``"tanh"``.
        hidden: widths of the deep part. Default (64, 32) (the paper: 768 twice).
        dropout: in the deep part. Default 0.
        structure: ``"stacked"`` (default: the deep part reads :math:`x_L`), ``"parallel"`` (it reads :math:`x_0`), or
            ``"cross"`` (none). The paper found stacked better on Criteo, parallel on MovieLens-1M (section 7.3).
        std: embeddings start as N(0, std²). Default 0.01.

    Shapes: rows -> logits (B,).

    Raises:
        ValueError: for experts without a rank, an unknown structure, or sizes below 1.

    Source: Wang et al., DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale Learning to Rank
    Systems, WWW 2021, eqs. 1-4. Derived in the chapter *DCN V2*.
    """

    cross: CrossNetV2 | CrossNetMix

    def __init__(
        self,
        fields: Sequence[Field],
        dim: int | Mapping[str, int] = 16,
        cross_layers: int = 2,
        rank: int = 0,
        experts: int = 0,
        activation: Activation = "tanh",
        hidden: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        structure: Structure = "stacked",
        std: float = 0.01,
    ):
        config = {
            "dim": dim if isinstance(dim, int) else dict(dim), "cross_layers": cross_layers, "rank": rank,
            "experts": experts, "activation": activation, "hidden": list(hidden), "dropout": dropout,
            "structure": structure, "std": std,
        }  # fmt: skip
        if experts and not rank:
            raise ValueError(f"DCNV2: {experts} experts need a rank, got {rank=}")
        options = {"layers": cross_layers, "rank": rank}
        if experts:
            options |= {"experts": experts, "activation": activation}  # type: ignore[dict-item]
        kind = CrossNetMix if experts else CrossNetV2
        super().__init__(fields, kind, options, dim, hidden, dropout, structure, std, config)
