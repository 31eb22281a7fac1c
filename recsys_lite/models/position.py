"""Two models of clicks that depend on where an item was shown: PAL multiplies chances, Watch Next adds logits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..fields import UNSEEN, Field, Rows, find_field
from .base import Model


class BiasTower(nn.Module):
    """A number for each combination of values of the bias fields; nothing else is known of them.

    Args:
        fields: the columns of the rows.
        names: the bias fields, categorical. A row in which one of them has number 0 is one whose position is not known.

    Shapes: rows -> numbers (B,), 0 where not known; :meth:`known` (B,) bool. All numbers start at 0.

    Raises:
        ValueError: without names, or for a field that is missing or not categorical.
    """

    def __init__(self, fields: Sequence[Field], names: Sequence[str]):
        super().__init__()
        chosen = [find_field(fields, name) for name in names]
        if not chosen or len(set(names)) != len(names):
            raise ValueError(f"BiasTower: expected bias fields, each once, got {list(names)}")
        for f in chosen:
            if f.kind != "categorical":
                raise ValueError(f"BiasTower: field {f.name!r} must be categorical, it is {f.kind}")
        columns = [f.name for f in fields if f.kind == "categorical"]
        self.names, self.columns = tuple(names), [columns.index(name) for name in names]
        self.weight = nn.Parameter(torch.zeros([f.size for f in chosen]))

    def known(self, rows: Rows) -> Tensor:
        """(B,) whether no bias field is missing."""
        return (rows.ids[:, self.columns] != UNSEEN).all(1)

    def forward(self, rows: Rows) -> Tensor:
        numbers = self.weight[tuple(rows.ids[:, c].long() for c in self.columns)]  # (B,)
        return torch.where(self.known(rows), numbers, torch.zeros_like(numbers))


class Served(Model):
    """What ranks: the part of a model that does not know where an item will stand. It shares its weights.

    Args:
        fields: the columns of the rows, bias fields among them.
        inner: any model; it reads the columns of its own fields.
    """

    def __init__(self, fields: Sequence[Field], inner: Model):
        super().__init__(fields, inner=type(inner).__name__, **inner.config)
        names = {kind: [f.name for f in fields if f.kind == kind] for kind in ("categorical", "numeric")}
        own = [find_field(fields, f.name) for f in inner.fields]
        self.columns = [names["categorical"].index(f.name) for f in own if f.kind == "categorical"]
        self.numbers = [names["numeric"].index(f.name) for f in own if f.kind == "numeric"]
        self.bags = [f.name for f in own if f.is_bag]
        self.inner = inner

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        bags = {name: rows.bags[name] for name in self.bags}
        return self.inner.parts(Rows(rows.ids[:, self.columns], rows.numeric[:, self.numbers], bags), fine)


def _inner(name: str, fields: Sequence[Field], inner: Model, bias: Sequence[str]) -> Served:
    if both := sorted({f.name for f in inner.fields} & set(bias)):
        raise ValueError(f"{name}: {both[0]!r} is a bias field, so {type(inner).__name__} must not read it")
    return Served(fields, inner)


def _own(parts: dict[str, Tensor]) -> str:
    """The name of the position's part; ``position`` may be a column that the relevance model reads."""
    return "position" if "position" not in parts else "position bias"


def product_logit(a: Tensor, b: Tensor) -> Tensor:
    r"""The logit of a product of two chances, :math:`\mathrm{logit}(\sigma(a)\sigma(b)) =
    -\log(e^{-a} + e^{-b} + e^{-a-b})`.

    From :math:`1/p - 1 = (1+e^{-a})(1+e^{-b}) - 1`. It is a soft minimum: never above a or b. Nothing is rounded to 0
    or 1 on the way, so value and gradient hold for any finite a and b.

    Args:
        a, b: logits of the same shape.

    Example:
        >>> product_logit(torch.tensor([0.0, 200.0]), torch.tensor([0.0, -3.0])).tolist()  # p = 1/4, and b itself
        [-1.0986123085021973, -3.0]
    """
    return -torch.logsumexp(torch.stack([-a, -b, -a - b]), 0)


def log1mexp(x: Tensor) -> Tensor:
    r""":math:`\log(1 - e^{x})` for x < 0, by expm1 near zero and by log1p elsewhere.

    Source: Mächler, Accurately Computing log(1 - exp(-|a|)), 2012. Derived in the chapter *Position bias*.

    Example:
        >>> log1mexp(torch.tensor([-1e-10, -50.0])).tolist()
        [-23.025850296020508, -1.9287498933537385e-22]
    """
    near = x > -math.log(2)
    inner = torch.where(near, x, -torch.ones_like(x))  # keeps the branch that is not taken free of inf in its gradient
    outer = torch.where(near, -torch.ones_like(x), x)
    return torch.where(near, torch.log(-torch.expm1(inner)), torch.log1p(-torch.exp(outer)))


class PAL(Model):
    r"""A click needs two things: that the place is looked at, and that the item is liked by one who looks.

    .. math:: p(\text{click}) = p(\text{seen} \mid \text{position})\; p(\text{click} \mid \text{seen}, x)
        = \sigma(b_{pos})\,\sigma(z(x))

    ``forward`` returns the **logit of that product**, :func:`product_logit`, so that the usual loss on logits is the
    exact log loss of the product, computed in log space. Ranking uses :attr:`served`, the second factor alone; a row
    whose position has number 0 (not known) gets that logit, too.

    The two factors are known only up to a number that one gives and the other takes; compare curves relative to the
    first place.

    Args:
        fields: the columns of the rows, bias fields among them.
        relevance: any model, built on fields without the bias fields.
        bias: the bias fields; a number for each combination. Default the position alone (paper).

    Shapes: rows -> logits (B,).

    Raises:
        ValueError: if a bias field is missing or not categorical, or the relevance model reads it.

    Source: Guo et al., PAL: A Position-bias Aware Learning Framework for CTR Prediction in Live Recommender Systems,
    RecSys 2019. Derived in the chapter *Position bias: PAL and Watch Next*.
    """

    def __init__(self, fields: Sequence[Field], relevance: Model, bias: Sequence[str] = ("position",)):
        super().__init__(fields, relevance=type(relevance).__name__, **relevance.config, bias=list(bias))
        self.served = _inner("PAL", fields, relevance, bias)
        self.tower = BiasTower(fields, bias)

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        """The relevance model's own parts, and in ``position`` what the chance of not being seen takes away."""
        parts = self.served.parts(rows, fine)
        z = sum(parts.values())
        product = product_logit(z, self.tower(rows))  # type: ignore[arg-type]
        return {**parts, _own(parts): torch.where(self.tower.known(rows), product - z, torch.zeros_like(product))}

    def chances(self, rows: Rows) -> dict[str, Tensor]:
        """The two factors (B,): ``seen`` (1 where the position is not known) and ``click if seen``."""
        seen = torch.sigmoid(self.tower(rows))
        return {
            "seen": torch.where(self.tower.known(rows), seen, torch.ones_like(seen)),
            "click if seen": torch.sigmoid(self.served(rows)),
        }


class WatchNext(Model):
    r"""A main model and a shallow tower of position and device, summed to one logit.

    .. math:: z = z_{main}(x) + s_{pos,\,device}

    In training the position of a row is dropped with chance ``dropout``; then, as whenever it is not known, s is 0.
    Ranking uses :attr:`served`, the main model alone, which is the logit of a row without a position.

    With ``dropout`` 0 a number that the one gives and the other takes is not determined; compare curves relative to
    the first place.

    Args:
        fields: the columns of the rows, bias fields among them.
        main: any model, built on fields without the bias fields.
        bias: the bias fields; a number for each combination. Default position and device (paper).
        dropout: chance that a row is trained without its position. Default 0.1 (paper).

    Shapes: rows -> logits (B,).

    Raises:
        ValueError: for a dropout outside [0, 1), a bias field that is missing or not categorical, or that the main
            model reads.

    Source: Zhao et al., Recommending What Video to Watch Next: A Multitask Ranking System, RecSys 2019, section 4.4.
    We leave out its many tasks. Derived in the chapter *Position bias: PAL and Watch Next*.
    """

    def __init__(
        self, fields: Sequence[Field], main: Model, bias: Sequence[str] = ("position", "device"), dropout: float = 0.1
    ):
        if not 0 <= dropout < 1:
            raise ValueError(f"WatchNext: dropout must lie in [0, 1), got {dropout}")
        super().__init__(fields, main=type(main).__name__, **main.config, bias=list(bias), dropped=dropout)
        self.served = _inner("WatchNext", fields, main, bias)
        self.tower = BiasTower(fields, bias)
        self.dropout = dropout

    def parts(self, rows: Rows, fine: bool = False) -> dict[str, Tensor]:
        s = self.tower(rows)
        if self.training and self.dropout:
            s = s * (torch.rand(rows.ids.shape[0], device=s.device) >= self.dropout)
        parts = self.served.parts(rows, fine)
        return {**parts, _own(parts): s}
