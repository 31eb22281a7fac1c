"""Worker of ``bench.speed``: the least plain PyTorch that computes the same models, to see what a library costs.

One table for all ids, whose offsets are added before training; two matrices in place of Python's loops over columns;
an epoch is a loop over index slices. No checks, no names, no parts, no validation.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import scaled_dot_product_attention

from .problem import ATTENTION_LAYERS, BOTTOM, CROSS_LAYERS, HEADS, HIDDEN, LR, Task
from .protocol import serve


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with ReLU behind each but the last."""
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


class Minimum(nn.Module):
    """A table and what stands above it; ``extra`` columns of the table are linear weights."""

    def __init__(self, task: Task, extra: int = 0, sparse: bool = False):
        super().__init__()
        self.C, self.M, self.d = len(task.sizes), task.numeric.shape[1], task.dim
        self.table = nn.Embedding(sum(task.sizes), self.d + extra, sparse=sparse)
        nn.init.normal_(self.table.weight, std=0.01)
        self.F = self.C + self.M
        self.numbers = nn.Parameter(torch.randn(self.M, self.d + extra) * 0.01)

    def vectors(self, ids: Tensor, x: Tensor) -> Tensor:
        """A vector of every column, numeric ones too, (B, C + M, d + extra)."""
        return torch.cat([self.table(ids), x.unsqueeze(-1) * self.numbers], 1)

    def stacked(self, ids: Tensor, x: Tensor) -> Tensor:
        """Embeddings and numbers side by side, (B, C·d + M)."""
        return torch.cat([self.table(ids).flatten(1), x], 1)


def pairs_of(e: Tensor) -> Tensor:
    """The sum of all pairs' dots, (B,)."""
    return 0.5 * (e.sum(1).square() - e.square().sum(1)).sum(1)


class FM(Minimum):
    def __init__(self, task: Task, sparse: bool):
        super().__init__(task, 1, sparse)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, ids: Tensor, x: Tensor) -> Tensor:
        e = self.vectors(ids, x)
        return self.bias + e[..., -1].sum(1) + pairs_of(e[..., :-1])


class WideDeep(FM):
    def __init__(self, task: Task, sparse: bool):
        super().__init__(task, sparse)
        self.mlp = mlp(self.F * self.d, *HIDDEN, 1)

    def forward(self, ids: Tensor, x: Tensor) -> Tensor:
        e = self.vectors(ids, x)
        return self.bias + e[..., -1].sum(1) + self.mlp(e[..., :-1].flatten(1)).squeeze(1)


class DeepFM(WideDeep):
    def forward(self, ids: Tensor, x: Tensor) -> Tensor:
        e = self.vectors(ids, x)
        v = e[..., :-1]
        return self.bias + e[..., -1].sum(1) + pairs_of(v) + self.mlp(v.flatten(1)).squeeze(1)


class DCN(Minimum):
    def __init__(self, task: Task, sparse: bool, out: int = 1):
        super().__init__(task, 0, sparse)
        n = self.C * self.d + self.M
        self.cross = nn.ModuleList(self.layer(n) for _ in range(CROSS_LAYERS))
        self.bias = nn.Parameter(torch.zeros(CROSS_LAYERS, n))
        self.mlp = mlp(n, *HIDDEN, 1)
        self.last = nn.Linear(n, 1)

    def layer(self, n: int) -> nn.Module:
        return nn.Linear(n, 1, bias=False)

    def added(self, k: int, x0: Tensor, x: Tensor) -> Tensor:
        return x0 * self.cross[k](x) + self.bias[k]

    def forward(self, ids: Tensor, x: Tensor) -> Tensor:
        x0 = state = self.stacked(ids, x)
        for k in range(CROSS_LAYERS):
            state = state + self.added(k, x0, state)
        return (self.mlp(x0) + self.last(state)).squeeze(1)


class DCNV2(DCN):
    def layer(self, n: int) -> nn.Module:
        return nn.Linear(n, n, bias=False)

    def added(self, k: int, x0: Tensor, x: Tensor) -> Tensor:
        return x0 * (self.cross[k](x) + self.bias[k])


class GDCN(DCNV2):
    def layer(self, n: int) -> nn.Module:
        return nn.Linear(n, 2 * n, bias=False)  # the matrix and the gate's in one product

    def added(self, k: int, x0: Tensor, x: Tensor) -> Tensor:
        product, gate = self.cross[k](x).chunk(2, 1)
        return x0 * (product + self.bias[k]) * gate.sigmoid()


class DLRM(Minimum):
    def __init__(self, task: Task, sparse: bool):
        super().__init__(task, 0, sparse)
        self.bottom = nn.Sequential(mlp(self.M, *BOTTOM, self.d), nn.ReLU())
        n = self.C + 1
        self.register_buffer("lower", torch.tril_indices(n, n, -1))
        self.top = mlp(self.d + n * (n - 1) // 2, *HIDDEN, 1)

    def forward(self, ids: Tensor, x: Tensor) -> Tensor:
        z = self.bottom(x)
        t = torch.cat([z.unsqueeze(1), self.table(ids)], 1)
        dots = (t @ t.mT)[:, self.lower[0], self.lower[1]]
        return self.top(torch.cat([z, dots], 1)).squeeze(1)


class AutoInt(Minimum):
    def __init__(self, task: Task, sparse: bool):
        super().__init__(task, 0, sparse)
        self.project = nn.ModuleList(nn.Linear(self.d, 4 * self.d, bias=False) for _ in range(ATTENTION_LAYERS))
        self.mlp = mlp(self.F * self.d, *HIDDEN, 1)
        self.last = nn.Linear(self.F * self.d, 1)

    def forward(self, ids: Tensor, x: Tensor) -> Tensor:
        e0 = e = self.vectors(ids, x)
        for project in self.project:
            q, k, v, r = project(e).chunk(4, -1)
            q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in (q, k, v))
            heads = scaled_dot_product_attention(q, k, v, scale=1.0)
            e = torch.relu(heads.transpose(1, 2).flatten(2) + r)
        return (self.last(e.flatten(1)) + self.mlp(e0.flatten(1))).squeeze(1)


class DHEN(Minimum):
    """Two layers of the modules "dot" and "linear", four vectors of each."""

    def __init__(self, task: Task, sparse: bool):
        super().__init__(task, 0, sparse)
        d, self.k = self.d, 16
        self.bottom = nn.Sequential(mlp(self.M, *BOTTOM, d), nn.ReLU())
        self.layers = nn.ModuleList(self.layer(m) for m in (self.C + 1, 8))
        self.last = nn.Linear(8 * d, 1)

    def layer(self, m: int) -> nn.ModuleDict:
        k, d = min(m, self.k), self.d
        made = {"dot": mlp(m * d + k * (k - 1) // 2, 64, 4 * d), "linear": nn.Linear(m, 4), "norm": nn.LayerNorm(d)}
        made |= {"compress": nn.Linear(m, k, bias=False)} if m > k else {}
        return nn.ModuleDict(made | ({"shortcut": nn.Linear(m, 8, bias=False)} if m != 8 else {}))

    def forward(self, ids: Tensor, x: Tensor) -> Tensor:
        t = torch.cat([self.bottom(x).unsqueeze(1), self.table(ids)], 1)
        for layer in self.layers:
            y = layer["compress"](t.mT).mT if "compress" in layer else t
            row, column = torch.tril_indices(y.shape[1], y.shape[1], -1)
            dots = (y @ y.mT)[:, row, column]
            dot = layer["dot"](torch.cat([t.flatten(1), dots], 1)).unflatten(1, (4, -1))
            made = torch.cat([dot, layer["linear"](t.mT).mT], 1)
            t = layer["norm"](made + (layer["shortcut"](t.mT).mT if "shortcut" in layer else t))
        return self.last(t.flatten(1)).squeeze(1)


KINDS = {
    "fm": FM, "wide_deep": WideDeep, "deepfm": DeepFM, "dcn": DCN, "dcn_v2": DCNV2, "dlrm": DLRM, "autoint": AutoInt,
    "gdcn": GDCN, "dhen": DHEN,
}  # fmt: skip


class Runner:
    """Fused Adam over everything, or ``SparseAdam`` on the rows of the table that a batch reads."""

    def __init__(self, name: str, optimizer: str, task: Task):
        sparse = optimizer == "lazy_adam"
        self.model: Any = KINDS[name](task, sparse)
        table, *rest = self.model.parameters() if sparse else (None, *self.model.parameters())
        if sparse and table is not self.model.table.weight:
            rest = [table, *(p for p in rest if p is not self.model.table.weight)]
        self.optimizers: list[torch.optim.Optimizer] = [torch.optim.Adam(rest, lr=LR, fused=True)]
        if sparse:
            self.optimizers.append(torch.optim.SparseAdam([self.model.table.weight], lr=LR))
        offset = torch.tensor([0, *task.sizes[:-1]]).cumsum(0)
        self.data = (task.ids + offset, task.numeric, task.label)
        self.batches = list(zip(*(t.split(task.batch) for t in self.data), strict=True))
        self.batch, self.turn = task.batch, 0

    def trained(self, ids: Tensor, x: Tensor, y: Tensor) -> Tensor:
        loss = bce(self.model(ids, x), y)
        for each in self.optimizers:
            each.zero_grad()
        loss.backward()
        for each in self.optimizers:
            each.step()
        return loss

    def step(self) -> float:
        self.turn += 1
        return self.trained(*self.batches[(self.turn - 1) % len(self.batches)]).item()

    @torch.no_grad()
    def score(self) -> Tensor:
        return self.model(*self.batches[0][:2])

    def epoch(self) -> None:
        for index in torch.randperm(len(self.data[0])).split(self.batch):
            self.trained(*(t[index] for t in self.data))

    def products(self) -> None:
        """The matrix products of a step alone: of each linear layer once forward and twice backward."""
        if not hasattr(self, "operands"):
            # with real numbers: what lies in fresh memory may be denormal, which takes far longer
            self.operands = [[torch.randn(k) for k in ((r, m), (m, n), (r, n))] for r, m, n in self.shapes()]
        for x, w, g in self.operands:
            x @ w, g @ w.T, x.T @ g

    def shapes(self) -> list[tuple[int, int, int]]:
        """Of every linear layer: how many vectors it is applied to, its width in and out."""
        found: list[tuple[int, int, int]] = []

        def keep(layer: nn.Module, given: Any, _: Any) -> None:
            found.append((given[0][..., 0].numel(), layer.in_features, layer.out_features))  # type: ignore[arg-type]

        hooks = [m.register_forward_hook(keep) for m in self.model.modules() if isinstance(m, nn.Linear)]
        self.score()
        for hook in hooks:
            hook.remove()
        return found


if __name__ == "__main__":
    serve(Runner)
