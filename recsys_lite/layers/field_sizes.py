"""How long must a field's embedding be? Field-level dimension optimisation: principal components of trained tables."""

from __future__ import annotations

import torch
from torch import Tensor

from ..fields import UNSEEN, Rows
from .device import device_of
from .embedding import FieldEmbedding


def field_variance(embedding: FieldEmbedding, rows: Rows | None = None) -> dict[str, Tensor]:
    r"""The variance along each principal component of every field's table, the largest first.

    .. math:: \lambda_1 \ge \dots \ge \lambda_d \text{ are the eigenvalues of }
        \sum_v p_v\, (e_v - \bar e)(e_v - \bar e)^\top, \qquad \bar e = \sum_v p_v\, e_v

    over the values v of the field. The row reserved for unseen values is left out: it is no value of the field.

    Args:
        embedding: of a trained model, such as ``model.input.embedding``.
        rows: weigh each value by how often it occurs in these rows (in all fields that read its table; a value in a
            bag of n counts 1/n). Default: all values weigh the same, as in the authors' code.

    Returns:
        field name -> (d,), in the order of the fields. A history that looks in its item's rows has the item's.

    Raises:
        ValueError: if no value of a field occurs in ``rows``.

    Source: Wang et al., GDCN, CIKM 2023, section 4. Derived in the chapter *GDCN*.

    Example:
        >>> from recsys_lite.fields import Field, Vocabulary
        >>> layer = FieldEmbedding([Field("side", "categorical", Vocabulary(["left", "right"]))], dim=2)
        >>> layer.table.weight.data = torch.tensor([[0.0, 0.0], [-3.0, 0.0], [3.0, 0.0]])
        >>> field_variance(layer)["side"].tolist()
        [9.0, 0.0]
    """
    weight = embedding.table.weight.detach().cpu().double()
    often = torch.ones(len(weight), dtype=torch.float64)
    if rows is not None:
        index, value = (t.cpu() for t in embedding.active(rows.to(device_of(embedding))))
        often = torch.zeros_like(often).index_add(0, index.flatten(), value.double().flatten())
    by_table: dict[str, Tensor] = {}
    for f in embedding.fields:
        if f.table not in by_table:
            first = embedding.offsets[f.table]
            known = slice(first + (UNSEEN + 1 if f.vocabulary is not None else 0), first + f.size)
            by_table[f.table] = _spectrum(weight[known], often[known], f.name)
    return {f.name: by_table[f.table] for f in embedding.fields}


def field_sizes(embedding: FieldEmbedding, share: float = 0.95, rows: Rows | None = None) -> dict[str, int]:
    r"""Field-level dimension optimisation: the fewest components that keep a share of each table's variance.

    .. math:: d_f = \min\Big\{k \ge 1 : \sum_{i \le k} \lambda_i \ge \text{share} \cdot \sum_i \lambda_i\Big\}

    A new model is then trained with these sizes: they are the ``dim`` of :class:`~recsys_lite.models.DCNV2` and
    :class:`~recsys_lite.models.GDCN`. Only the sizes are taken over, not the vectors.

    Args:
        embedding: of a model trained with one size for all fields, such as ``model.input.embedding``.
        share: of the variance, above 0 and at most 1. Default 0.95 (paper).
        rows: see :func:`field_variance`.

    Returns:
        field name -> size, at least 1.

    Raises:
        ValueError: for a share out of range, or if no value of a field occurs in ``rows``.

    Source: Wang et al., GDCN, CIKM 2023, section 4. The paper speaks of an information ratio of singular values; here
    it is the share of variance, that of their squares, as in the authors' code. Derived in the chapter *GDCN*.
    """
    if not 0 < share <= 1:
        raise ValueError(f"field_sizes: share must be above 0 and at most 1, got {share}")
    sizes = {}
    for name, variance in field_variance(embedding, rows).items():
        kept = variance.cumsum(0)
        enough = kept >= share * kept[-1] * (1 - 1e-9)  # rounding must not ask for one component more
        sizes[name] = int(enough.int().argmax()) + 1
    return sizes


def _spectrum(table: Tensor, often: Tensor, name: str) -> Tensor:
    """Variances along the principal components of weighted rows, (V, d) and (V,) -> (d,), descending."""
    if not often.sum() > 0:
        raise ValueError(f"field_variance: no value of field {name!r} occurs in the rows")
    p = (often / often.sum()).unsqueeze(1)
    centred = table - (p * table).sum(0)
    return torch.linalg.eigvalsh(centred.T @ (p * centred)).flip(0).clamp(min=0)
