"""Worker of ``bench.speed``: FuxiCTR. The package holds layers and the training loop; its models lie in a model zoo
that is not installed, so they are put together here from the package's layers, a line of ``forward`` each."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.dataloaders.npz_dataloader import NpzDataLoader
from fuxictr.pytorch.layers import (
    CrossNet,
    CrossNetV2,
    FactorizationMachine,
    FeatureEmbedding,
    InnerProductInteraction,
    LogisticRegression,
    MLP_Block,
)
from fuxictr.pytorch.models import BaseModel
from torch import nn

from .problem import BOTTOM, CROSS_LAYERS, HIDDEN, LR, Task
from .protocol import serve


class Assembled(BaseModel):
    """A model of the package's layers; FuxiCTR's training step, loop and loss."""

    def __init__(self, name: str, columns: FeatureMap, dim: int):
        super().__init__(columns, gpu=-1, verbose=0, model_root=tempfile.gettempdir(), metrics=["AUC"])
        self.name, self.numeric = name, [n for n, spec in columns.features.items() if spec["type"] == "numeric"]
        whole = columns.num_fields * dim
        network = lambda n: MLP_Block(n, output_dim=1, hidden_units=HIDDEN)  # noqa: E731
        if name == "dlrm":
            self.embedding = FeatureEmbedding(columns, dim, not_required_feature_columns=self.numeric)
            self.bottom = MLP_Block(len(self.numeric), output_dim=dim, hidden_units=BOTTOM, output_activation="ReLU")
            vectors = columns.num_fields - len(self.numeric) + 1
            self.pairs = InnerProductInteraction(vectors, output="inner_product")
            self.mlp = network(dim + vectors * (vectors - 1) // 2)
        else:
            self.embedding = FeatureEmbedding(columns, dim)
        if name in ("fm", "deepfm"):
            self.fm = FactorizationMachine(columns)
        if name == "wide_deep":
            self.linear = LogisticRegression(columns)
        if name in ("wide_deep", "deepfm"):
            self.mlp = network(whole)
        if name in ("dcn", "dcn_v2"):
            self.cross = (CrossNet if name == "dcn" else CrossNetV2)(whole, CROSS_LAYERS)
            self.mlp = MLP_Block(whole, output_dim=None, hidden_units=HIDDEN)
            self.last = nn.Linear(whole + HIDDEN[-1], 1)
        self.compile("adam", "binary_crossentropy", LR)
        self.reset_parameters()
        self.model_to_device()
        self._max_gradient_norm = 10.0  # the default of ``fit``

    def logit(self, x: dict[str, torch.Tensor]) -> torch.Tensor:
        e = self.embedding(x)
        if self.name == "fm":
            return self.fm(x, e)
        if self.name == "wide_deep":
            return self.linear(x) + self.mlp(e.flatten(1))
        if self.name == "deepfm":
            return self.fm(x, e) + self.mlp(e.flatten(1))
        if self.name == "dlrm":
            z = self.bottom(torch.stack([x[n] for n in self.numeric], 1).float())
            return self.mlp(torch.cat([z, self.pairs(torch.cat([e, z.unsqueeze(1)], 1))], 1))
        e = e.flatten(1)
        return self.last(torch.cat([self.cross(e), self.mlp(e)], 1))

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"y_pred": self.output_activation(self.logit(self.get_inputs(inputs)))}


class Runner:
    """A step is the library's ``train_step``, an epoch its ``train_epoch`` over its ``NpzDataLoader``."""

    def __init__(self, name: str, optimizer: str, task: Task):
        if name not in ("fm", "wide_deep", "deepfm", "dcn", "dcn_v2", "dlrm"):
            raise NotImplementedError(f"FuxiCTR's package has no layer for {name}")
        folder = tempfile.TemporaryDirectory()
        self.columns = FeatureMap("invented", folder.name)
        categorical, numeric = task.names
        for n, size in zip(categorical, task.sizes, strict=True):
            self.columns.features[n] = {"type": "categorical", "source": "", "vocab_size": size}
        self.columns.features |= {n: {"type": "numeric", "source": ""} for n in numeric}
        self.columns.labels, self.columns.num_fields = ["label"], len(categorical) + len(numeric)
        self.columns.default_emb_dim = task.dim
        self.columns.set_column_index()
        self.model = Assembled(name, self.columns, task.dim)
        columns = {**task.columns, "label": task.label}
        path = Path(folder.name) / "train.npz"
        np.savez(path, **{n: column.numpy() for n, column in columns.items()})
        self.loader = NpzDataLoader(self.columns, str(path), batch_size=task.batch, shuffle=True, num_workers=0)
        folder.cleanup()
        self.model._eval_steps, self.model._total_steps, self.model._stop_training = 10**9, 0, False
        parts = [column.contiguous().split(task.batch) for column in columns.values()]
        self.batches, self.turn = [dict(zip(columns, values, strict=True)) for values in zip(*parts, strict=True)], 0

    def step(self) -> float:
        batch = self.batches[self.turn % len(self.batches)]
        self.turn += 1
        self.model.train()
        return self.model.train_step(batch).item()

    @torch.no_grad()
    def score(self) -> Any:
        self.model.eval()
        return self.model(self.batches[0])

    def epoch(self) -> Any:
        return self.model.train_epoch(self.loader)


if __name__ == "__main__":
    serve(Runner)
