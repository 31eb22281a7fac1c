"""Worker of ``bench.speed``: DeepCTR-Torch. Numbers enter its networks as they are, and its FM and attention not."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import torch

sys.modules.setdefault("requests", ModuleType("requests"))  # its import would look online for a newer version

from deepctr_torch.inputs import DenseFeat, SparseFeat  # noqa: E402
from deepctr_torch.models import DCN, WDL, AutoInt, DeepFM  # noqa: E402

from .problem import ATTENTION_LAYERS, CROSS_LAYERS, HEADS, HIDDEN, Task  # noqa: E402
from .protocol import serve  # noqa: E402

KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "fm": (DeepFM, {"dnn_hidden_units": ()}),
    "wide_deep": (WDL, {}),
    "deepfm": (DeepFM, {}),
    "dcn": (DCN, {"cross_num": CROSS_LAYERS, "cross_parameterization": "vector", "l2_reg_cross": 0}),
    "dcn_v2": (DCN, {"cross_num": CROSS_LAYERS, "cross_parameterization": "matrix", "l2_reg_cross": 0}),
    "autoint": (AutoInt, {"att_layer_num": ATTENTION_LAYERS, "att_head_num": HEADS}),
}


class Runner:
    """A compiled model; an epoch is one of its ``fit``, a step the inside of that loop."""

    def __init__(self, name: str, optimizer: str, task: Task):
        if name not in KINDS:
            raise NotImplementedError(f"DeepCTR-Torch has no {name}")
        kind, options = KINDS[name]
        categorical, numeric = task.names
        features = [
            SparseFeat(n, size, embedding_dim=task.dim) for n, size in zip(categorical, task.sizes, strict=True)
        ]
        features += [DenseFeat(n, 1) for n in numeric]
        off = {"l2_reg_embedding": 0} | ({} if name == "autoint" else {"l2_reg_linear": 0})
        self.model = kind(features, features, **({"dnn_hidden_units": HIDDEN} | off | options))
        self.model.compile("adam", "binary_crossentropy")
        self.x = {n: column.numpy() for n, column in task.columns.items()}
        self.y, self.batch = task.label.numpy(), task.batch
        inputs = torch.cat([task.ids.float(), task.numeric], 1)  # the order of ``model.feature_index``
        self.batches, self.turn = list(zip(inputs.split(self.batch), task.label.split(self.batch), strict=True)), 0

    def step(self) -> float:
        x, y = self.batches[self.turn % len(self.batches)]
        self.turn += 1
        self.model.train()
        loss = self.model.loss_func(self.model(x).squeeze(), y, reduction="sum")
        total = loss + self.model.get_regularization_loss() + self.model.aux_loss
        self.model.optim.zero_grad()
        total.backward()
        self.model.optim.step()
        return loss.item() / len(y)

    @torch.no_grad()
    def score(self) -> Any:
        self.model.eval()
        return self.model(self.batches[0][0])

    def epoch(self) -> Any:
        return self.model.fit(dict(self.x), self.y, batch_size=self.batch, epochs=1, verbose=0)


if __name__ == "__main__":
    serve(Runner)
