"""What DCN, DCN V2 and GDCN share: one input, a cross network, a deep network, and how the two are put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..fields import Field, Rows
from ..layers import MLP, CrossLayers, StackedInput, linear_piece
from .base import Model

Structure = Literal["parallel", "stacked", "cross"]


class CrossModel(Model):
    r"""A cross network and a deep network.

    .. math:: z = w^\top [x_L, \mathrm{MLP}(x_0)] + b \ \text{(parallel)}, \qquad
        z = w^\top \mathrm{MLP}(x_L) + b \ \text{(stacked)}, \qquad z = w^\top x_L + b \ \text{(cross)}

    Args:
        fields: the columns; numbers enter :math:`x_0` as they are, all else as embeddings.
        cross: the class of the cross network; it gets the width of :math:`x_0` and ``cross_options``.
        cross_options: its other arguments.
        dim: embedding size, or field name -> size.
        hidden: widths of the deep part.
        dropout: in the deep part.
        structure: see above.
        std: embeddings start as N(0, std²).
        config: the arguments of the model itself, as stored with its weights.
    """

    cross: CrossLayers

    def __init__(
        self, fields: Sequence[Field], cross: type[CrossLayers], cross_options: dict[str, Any],
        dim: int | Mapping[str, int], hidden: Sequence[int], dropout: float, structure: Structure, std: float,
        config: dict[str, Any],
    ):  # fmt: skip
        super().__init__(fields, **config)
        if structure not in ("parallel", "stacked", "cross"):
            raise ValueError(
                f"{type(self).__name__}: unknown structure {structure!r}; there are 'parallel', 'stacked' and 'cross'"
            )
        if structure == "stacked" and not hidden:
            raise ValueError(f"{type(self).__name__}: 'stacked' needs hidden layers; without them it is 'cross'")
        self.structure = structure if hidden else "cross"
        self.input = StackedInput(fields, dim=dim, std=std)
        self.cross = cross(self.input.width, **cross_options)
        self.mlp = MLP(self.input.width, hidden, dropout=dropout) if self.structure != "cross" else None
        width = {"parallel": self.input.width + (hidden or [0])[-1], "stacked": (hidden or [0])[-1]}
        self.combine = nn.Linear(width.get(self.structure, self.input.width), 1)  # w, b

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        """The cross part and the deep part, or what is stacked.

        ``fine`` splits a cross part into each field of x_0 and what each layer adds; a stacked network, which is no
        sum, into J_i x_i of the fields' places in x_L, see :func:`recsys_lite.layers.linear_piece`.
        """
        x0 = self.input(rows)  # (B, N)
        states = self.cross.states(x0)
        parts = {"bias": self.combine.bias.expand(rows.ids.shape[0])}
        if self.structure == "stacked":
            network = nn.Sequential(self.mlp, self.combine)  # type: ignore[arg-type]
            if not fine:
                return {**parts, "stacked": network(states[-1]).squeeze(-1) - self.combine.bias}
            products, rest = linear_piece(network, states[-1])
            return {"bias": rest, **self.input.by_field(products)}
        w = self.combine.weight[0]
        w_cross, w_deep = w[: self.input.width], w[self.input.width :]
        if fine:  # x_L = x_0 + Σ_l (x_{l+1} - x_l)
            parts |= self.input.by_field(x0 * w_cross)
            for k in range(self.cross.depth):
                parts[f"cross layer {k + 1}"] = (states[k + 1] - states[k]) @ w_cross
        else:
            parts["cross"] = states[-1] @ w_cross
        if self.mlp is not None:
            parts["deep"] = self.mlp(x0) @ w_deep
        return parts

    def block_norms(self, layer: int) -> Tensor:
        r"""How strongly a cross layer can multiply fields: :math:`\|W_{l,ab}\|_F` of the blocks of its matrix, (F, F).

        Line a is the field in :math:`x_0`, column b that in :math:`x_l`. Of several experts it is their mean.

        Raises:
            ValueError: for a layer that does not exist (they count from 0).
        """
        if not 0 <= layer < self.cross.depth:
            raise ValueError(f"block_norms: layer {layer} of {self.cross.depth}")
        matrices = self.block_matrices(layer)  # (K, N, N)
        blocks = list(self.input.blocks.values())
        norms = [[matrices[:, a, b].norm(dim=(1, 2)).mean() for b in blocks] for a in blocks]
        return torch.stack([torch.stack(line) for line in norms])

    def block_matrices(self, layer: int) -> Tensor:
        """The matrices of a layer whose blocks are measured, (K, N, N)."""
        return self.cross.matrices(layer)  # type: ignore[operator]
