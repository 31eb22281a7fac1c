"""Worker of ``bench.speed``: torch-rechub. Its linear part reads the embeddings; numbers enter as they are."""

from __future__ import annotations

import tempfile
from typing import Any

import torch
from torch_rechub.basic.features import DenseFeature, SparseFeature
from torch_rechub.models.ranking import DCN, AutoInt, DCNv2, DeepFM, WideDeep
from torch_rechub.trainers import CTRTrainer
from torch_rechub.utils.data import DataGenerator

from .problem import ATTENTION_LAYERS, CROSS_LAYERS, HEADS, HIDDEN, LR, Task
from .protocol import serve

NETWORK = {"dims": HIDDEN, "activation": "relu", "dropout": 0}


def model(name: str, sparse: list[Any], dense: list[Any]) -> torch.nn.Module:
    """A model as the library's examples build it."""
    if name == "wide_deep":
        return WideDeep(wide_features=dense + sparse, deep_features=dense + sparse, mlp_params=NETWORK)
    if name == "deepfm":
        return DeepFM(deep_features=dense + sparse, fm_features=sparse, mlp_params=NETWORK)
    if name == "dcn":
        return DCN(dense + sparse, n_cross_layers=CROSS_LAYERS, mlp_params=NETWORK)
    if name == "dcn_v2":
        return DCNv2(dense + sparse, n_cross_layers=CROSS_LAYERS, mlp_params=NETWORK, use_low_rank_mixture=False)
    if name == "autoint":
        return AutoInt(sparse, dense, num_layers=ATTENTION_LAYERS, num_heads=HEADS, mlp_params=NETWORK)
    raise NotImplementedError(f"torch-rechub has no {name}")


class Runner:
    """A model and ``CTRTrainer``; an epoch is one of its own, a step the inside of that loop."""

    def __init__(self, name: str, optimizer: str, task: Task):
        categorical, numeric = task.names
        sparse = [
            SparseFeature(n, vocab_size=size, embed_dim=task.dim)
            for n, size in zip(categorical, task.sizes, strict=True)
        ]
        self.model = model(name, sparse, [DenseFeature(n) for n in numeric])
        self.trainer = CTRTrainer(
            self.model, optimizer_params={"lr": LR, "weight_decay": 0}, n_epoch=1, model_path=tempfile.gettempdir()
        )
        x = {n: column.contiguous() for n, column in task.columns.items()}
        arrays = {n: column.numpy() for n, column in x.items()}
        generator = DataGenerator(arrays, task.label.numpy())
        self.loader, _, _ = generator.generate_dataloader(
            x_val=arrays, y_val=task.label.numpy(), x_test=arrays, y_test=task.label.numpy(), batch_size=task.batch
        )
        parts = [column.split(task.batch) for column in x.values()]
        inputs = [dict(zip(x, values, strict=True)) for values in zip(*parts, strict=True)]
        self.batches, self.turn = list(zip(inputs, task.label.split(task.batch), strict=True)), 0

    def step(self) -> float:
        x, y = self.batches[self.turn % len(self.batches)]
        self.turn += 1
        self.model.train()
        loss = self.trainer.criterion(self.model(x), y) + self.trainer.reg_loss_fn(self.model)
        self.model.zero_grad()
        loss.backward()
        self.trainer.optimizer.step()
        return float(loss)

    @torch.no_grad()
    def score(self) -> Any:
        self.model.eval()
        return self.model(self.batches[0][0])

    def epoch(self) -> Any:
        return self.trainer.train_one_epoch(self.loader)


if __name__ == "__main__":
    serve(Runner)
