"""Optimisers that touch only the rows of a table that a batch reads: a step costs as much as the batch is large."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..layers import FieldEmbedding


def tables_of(model: nn.Module) -> list[nn.Embedding]:
    """The embedding tables of a model."""
    return [module.table for module in model.modules() if isinstance(module, FieldEmbedding)]


class _Rows(torch.optim.Optimizer):
    """What both optimisers share: the gradient of the rows that were read, each once."""

    def __init__(self, parameters: Iterable[nn.Parameter], **defaults: float):
        if defaults["lr"] <= 0 or defaults["weight_decay"] < 0:
            raise ValueError(f"{type(self).__name__}: expected lr above 0 and weight_decay at least 0, got {defaults}")
        super().__init__(parameters, defaults)
        self._place: dict[Tensor, Tensor] = {}  # scratch: row of a table -> its place among the rows read

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; parameters without a gradient stay.

        Raises:
            ValueError: for a gradient that is not sparse: build the table's ``nn.Embedding`` with ``sparse=True``.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is None:
                    continue
                if not table.grad.is_sparse:
                    raise ValueError(
                        f"{type(self).__name__}: expected a sparse gradient, see nn.Embedding(sparse=True)"
                    )
                rows, gradient = self._summed(table, table.grad)
                if group["weight_decay"]:
                    gradient += group["weight_decay"] * table.index_select(0, rows)
                self.update(table, rows, gradient, group, self.state[table])
        return loss

    def _summed(self, table: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The rows that were read (R,), in order, and the sums of their gradients (R, d); no sort is needed."""
        index, values = gradient._indices()[0], gradient._values()
        touched = torch.zeros(len(table), dtype=torch.bool, device=table.device)
        touched[index] = True
        rows = touched.nonzero().squeeze(1)
        if table not in self._place:
            self._place[table] = torch.zeros(len(table), dtype=torch.int64, device=table.device)
        place = self._place[table]
        place[rows] = torch.arange(len(rows), device=table.device)
        return rows, values.new_zeros(len(rows), *values.shape[1:]).index_add_(0, place.index_select(0, index), values)

    def update(self, table: Tensor, rows: Tensor, gradient: Tensor, group: dict[str, Any], state: Any) -> None:
        """Change the rows of the table in place."""
        raise TypeError(f"{type(self).__name__} does not say how a row is updated")


class LazyAdam(_Rows):
    r"""Adam on the rows that a batch reads; the moments of all other rows wait.

    .. math:: m_r \leftarrow \beta_1 m_r + (1 - \beta_1) g_r, \quad v_r \leftarrow \beta_2 v_r + (1 - \beta_2) g_r^2,
        \quad w_r \leftarrow w_r - \eta \frac{m_r / (1 - \beta_1^t)}{\sqrt{v_r / (1 - \beta_2^t)} + \epsilon}

    for rows r of the batch, with t the number of steps of the whole table. It is not dense Adam, which also moves rows
    that are not read, as long as their moments last. Where every row is read in every step, both are the same.

    Args:
        parameters: tables with sparse gradients.
        lr: η. Default 1e-3. betas: β. Default (0.9, 0.999). eps: ε. Default 1e-8.
        weight_decay: added to the gradient of the rows that are read, times the row. Default 0.

    Source: the form of TensorFlow Addons' ``LazyAdam`` and of :class:`torch.optim.SparseAdam`.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0,
    ):  # fmt: skip
        super().__init__(parameters, lr=lr, beta1=betas[0], beta2=betas[1], eps=eps, weight_decay=weight_decay)

    def update(self, table: Tensor, rows: Tensor, gradient: Tensor, group: dict[str, Any], state: Any) -> None:
        if not state:
            state["step"] = 0
            state["m"], state["v"] = torch.zeros_like(table), torch.zeros_like(table)
        step = state["step"] = int(state["step"]) + 1
        beta1, beta2 = group["beta1"], group["beta2"]
        m = state["m"].index_select(0, rows).lerp_(gradient, 1 - beta1)
        v = state["v"].index_select(0, rows).mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        state["m"].index_copy_(0, rows, m)
        state["v"].index_copy_(0, rows, v)
        m.div_(v.div_(1 - beta2**step).sqrt_().add_(group["eps"])).mul_(-group["lr"] / (1 - beta1**step))
        table.index_copy_(0, rows, m.add_(table.index_select(0, rows)))


class RowwiseAdagrad(_Rows):
    r"""AdaGrad with one accumulator a row: memory of R numbers in place of R · d.

    .. math:: G_r \leftarrow G_r + \tfrac1d \sum_k g_{rk}^2, \qquad
        w_r \leftarrow w_r - \eta \frac{g_r}{\sqrt{G_r} + \epsilon}

    Args:
        parameters: tables with sparse gradients.
        lr: η. Default 1e-2. eps: ε. Default 1e-10.
        weight_decay: added to the gradient of the rows that are read, times the row. Default 0.

    Source: FBGEMM's ``EXACT_ROWWISE_ADAGRAD``, the optimiser of the tables in Naumov et al., DLRM, 2019, at scale.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float = 1e-2, eps: float = 1e-10, weight_decay: float = 0.0
    ):  # fmt: skip
        super().__init__(parameters, lr=lr, eps=eps, weight_decay=weight_decay)

    def update(self, table: Tensor, rows: Tensor, gradient: Tensor, group: dict[str, Any], state: Any) -> None:
        if not state:
            state["sum"] = torch.zeros(len(table), dtype=table.dtype, device=table.device)
        total = state["sum"].index_select(0, rows).add_(gradient.square().mean(1))
        state["sum"].index_copy_(0, rows, total)
        table.index_add_(0, rows, gradient.div_(total.sqrt_().add_(group["eps"]).unsqueeze(1)), alpha=-group["lr"])


#: name -> the optimiser of the tables; everything else gets fused Adam
TABLE_OPTIMIZERS: dict[str, type[_Rows]] = {"lazy_adam": LazyAdam, "rowwise_adagrad": RowwiseAdagrad}


def table_optimizers(model: nn.Module, kind: str, lr: float, weight_decay: float) -> list[torch.optim.Optimizer]:
    """One optimiser of :data:`TABLE_OPTIMIZERS` for the tables, whose gradients become sparse, fused Adam for the rest.

    Raises:
        ValueError: for a model without tables.
    """
    tables = tables_of(model)
    if not tables:
        raise ValueError(f"optimizer: {type(model).__name__} has no embedding tables for {kind!r}")
    sparse_gradients(model, True)
    inside = {id(table.weight) for table in tables}
    rest = [p for p in model.parameters() if id(p) not in inside]
    weights: list[Any] = [table.weight for table in tables]
    made: list[torch.optim.Optimizer] = [TABLE_OPTIMIZERS[kind](weights, lr=lr, weight_decay=weight_decay)]
    return [*made, torch.optim.Adam(rest, lr=lr, weight_decay=weight_decay, fused=True)] if rest else made


def sparse_gradients(model: nn.Module, on: bool) -> None:
    """Whether the gradients of a model's tables hold only the rows that were read."""
    for table in tables_of(model):
        table.sparse = on
