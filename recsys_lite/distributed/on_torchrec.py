"""The same models on TorchRec's ``DistributedModelParallel``, whose tables make their step in the backward pass.

An optional extra. FBGEMM, TorchRec's kernels, is built for one version of PyTorch: 1.8 is for torch 2.13, while the
library of 1.9 cannot be loaded there ("undefined symbol: torch::autograd::_wrap_outputs"). With CUDA::

    pip install 'recsys-lite[torchrec]'

TorchRec asks for FBGEMM's CUDA package; on a machine without a GPU take the other one by hand::

    pip install --no-deps 'torchrec==1.8.0' 'fbgemm-gpu-cpu==1.8.0'
    pip install tensordict torchmetrics pyre-extensions iopath
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..layers import FieldEmbedding

WIDTH = 4  # FBGEMM's tables have a multiple of so many columns


class Collection(nn.Module):
    """One table of a :class:`~recsys_lite.layers.FieldEmbedding` as a TorchRec ``EmbeddingCollection``.

    Shapes: row numbers (B, N) -> (B, N, d).
    """

    sparse = True  # so that single columns, too, are asked for by this module's call

    def __init__(self, table: nn.Embedding, name: str, device: torch.device):
        super().__init__()
        torchrec = _torchrec()
        one = torchrec.EmbeddingConfig(
            name=name, embedding_dim=table.embedding_dim, num_embeddings=table.num_embeddings, feature_names=[name]
        )
        self.name = name
        self.rows = torchrec.EmbeddingCollection(tables=[one], device=device)
        self.rows.embeddings[name].weight.data.copy_(table.weight.data)
        self.register_buffer("weight", torch.zeros((), dtype=table.weight.dtype), persistent=False)  # of what type

    def forward(self, index: Tensor) -> Tensor:
        B, N = index.shape
        lengths = torch.full((B,), N, dtype=torch.int32, device=index.device)
        asked = _torchrec().KeyedJaggedTensor(keys=[self.name], values=index.flatten(), lengths=lengths)
        return self.rows(asked)[self.name].values().view(B, N, -1)


def parallel(
    model: nn.Module, device: torch.device, optimizer: type[torch.optim.Optimizer] = torch.optim.SGD, **settings: Any
) -> nn.Module:  # fmt: skip
    """A model as TorchRec shares it out over the process group: tables by rows, all else copied.

    A step is that of data parallel training: the mean loss of a process's own rows, as many for each, ``backward``,
    and one step of an optimiser of the parameters that are no table; the tables have made their step by then.

    Args:
        model: the same weights in every process; changed in place. Tables whose number of columns is no multiple of 4
            (linear terms) are copied like the rest.
        device: of this process.
        optimizer, settings: of the tables.

    Raises:
        ModuleNotFoundError: without TorchRec.
    """
    torchrec = _torchrec()
    planner = importlib.import_module("torchrec.distributed.planner")
    kinds = importlib.import_module("torchrec.distributed.planner.types")
    sharder = importlib.import_module("torchrec.distributed.embedding").EmbeddingCollectionSharder()
    fused = importlib.import_module("torch.distributed.optim")._apply_optimizer_in_backward
    parts = [m for m in model.modules() if isinstance(m, FieldEmbedding) and m.dim % WIDTH == 0]
    for k, part in enumerate(parts):
        made = Collection(part.table, f"table_{k}", device)
        fused(optimizer, made.rows.parameters(), settings)
        part.table = made  # type: ignore[assignment]
    by_rows = kinds.ParameterConstraints(sharding_types=["row_wise"])
    plan = planner.EmbeddingShardingPlanner(
        topology=planner.Topology(world_size=dist.get_world_size(), compute_device=device.type),
        constraints={f"table_{k}": by_rows for k in range(len(parts))},
    ).collective_plan(model, [sharder], dist.group.WORLD)
    shared = torchrec.distributed.DistributedModelParallel(model, device=device, plan=plan, sharders=[sharder])
    assert isinstance(shared, nn.Module)
    return shared


def copied(shared: nn.Module) -> list[nn.Parameter]:
    """The parameters of a model of :func:`parallel` that are no shared-out table: those of the second optimiser."""
    return [p for name, p in shared.named_parameters() if ".rows." not in name]


def _torchrec() -> Any:
    try:
        return importlib.import_module("torchrec")
    except ModuleNotFoundError as error:
        if error.name not in ("torchrec", "fbgemm_gpu"):
            raise
        raise ModuleNotFoundError(f"{__name__} needs TorchRec, see its first lines") from error
