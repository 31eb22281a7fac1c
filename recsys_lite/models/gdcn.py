"""Gated Deep Cross Network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from ..fields import Field, Rows
from ..layers import GatedCrossNet
from .cross_model import CrossModel, Structure


class GDCN(CrossModel):
    r"""DCN V2 with a gate on what every cross layer adds.

    .. math:: c_{l+1} = c_0 \odot (W_l c_l + b_l) \odot \sigma(G_l c_l) + c_l

    Args:
        fields: the columns; numbers enter :math:`c_0` as they are, all else as embeddings.
        dim: embedding size, or field name -> size (field-level dimension optimisation). Default 16 (paper).
        cross_layers: L. Default 3 (authors' code).
        hidden: widths of the deep part. Default (64, 32) (the paper: 400 three times).
        dropout: in the deep part. Default 0 (authors' code: 0.5).
        structure: ``"parallel"`` (default), the paper's GDCN-P, or ``"stacked"``, its GDCN-S; ``"cross"`` is the gated
            cross network alone.
        std: embeddings start as N(0, std²). Default 0.01.

    Shapes: rows -> logits (B,).

    Source: Wang et al., Towards Deeper, Lighter and Interpretable Cross Network for CTR Prediction, CIKM 2023,
    eqs. 1-6. Derived in the chapter *GDCN*.
    """

    cross: GatedCrossNet

    def __init__(
        self,
        fields: Sequence[Field],
        dim: int | Mapping[str, int] = 16,
        cross_layers: int = 3,
        hidden: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        structure: Structure = "parallel",
        std: float = 0.01,
    ):
        config = {
            "dim": dim if isinstance(dim, int) else dict(dim), "cross_layers": cross_layers, "hidden": list(hidden),
            "dropout": dropout, "structure": structure, "std": std,
        }  # fmt: skip
        super().__init__(fields, GatedCrossNet, {"layers": cross_layers}, dim, hidden, dropout, structure, std, config)

    def gates(self, rows: Rows) -> list[Tensor]:
        """The gate of each layer, (B, N), between 0 (nothing passes) and 1."""
        states = self.cross.states(self.input(rows))
        return [self.cross.gate(k, states[k]) for k in range(self.cross.depth)]
