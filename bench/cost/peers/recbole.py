"""Worker of ``bench.speed``: RecBole. A number is a field with a vector of its own, as in ours; its AutoInt has
one residual for all layers. Its data set reads text files in which every id has to occur; here it gets tensors."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from recbole.config import Config
from recbole.data.dataloader import TrainDataLoader
from recbole.data.interaction import Interaction
from recbole.sampler import Sampler
from recbole.trainer import Trainer
from recbole.utils import FeatureSource, FeatureType, get_model

from .problem import ATTENTION_LAYERS, CROSS_LAYERS, DIM, HEADS, HIDDEN, LR, Graph, Task
from .protocol import serve

NAMES = {
    "fm": "FM", "wide_deep": "WideDeep", "deepfm": "DeepFM", "dcn": "DCN", "dcn_v2": "DCNV2", "autoint": "AutoInt",
    "lightgcn": "LightGCN",
}  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "dcn": {"cross_layer_num": CROSS_LAYERS, "reg_weight": 0},
    "dcn_v2": {"cross_layer_num": CROSS_LAYERS, "reg_weight": 0, "mixed": False, "structure": "parallel"},
    "autoint": {
        "n_layers": ATTENTION_LAYERS, "num_heads": HEADS, "attention_size": DIM, "dropout_probs": [0.0, 0.0, 0.0],
        "has_residual": True,
    },
}  # fmt: skip
# RecBole 1.2.1 was written for NumPy 1 and SciPy 1.10: what it uses of them and is gone
for name, value in {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}.items():
    setattr(np, name, value)
if not hasattr(sp.dok_matrix, "_update"):
    sp.dok_matrix._update = lambda self, values: self._dict.update(values)


class Columns:
    """What RecBole's models and loaders ask of a data set."""

    uid_field, iid_field, item_feat, user_feat = "user_id", "item_id", None, None

    def __init__(self, config: Config, sizes: dict[str, int], columns: dict[str, torch.Tensor]):
        self.config, self.sizes, self.inter_feat = config, sizes, Interaction(columns)
        self.field2type = {n: FeatureType.TOKEN if sizes.get(n, 1) > 1 else FeatureType.FLOAT for n in columns}
        self.field2source = dict.fromkeys(columns, FeatureSource.INTERACTION)
        self.user_num, self.item_num = sizes.get("user_id"), sizes.get("item_id")

    def fields(self, **_: Any) -> list[str]:
        return list(self.field2type)

    def num(self, field: str) -> int:
        return self.sizes.get(field, 1)

    def join(self, rows: Interaction) -> Interaction:
        return rows

    def copy_field_property(self, *_: str) -> None:
        pass

    def inter_matrix(self, form: str) -> Any:
        ends = tuple(self.inter_feat[n].numpy() for n in ("user_id", "item_id"))
        return sp.coo_matrix((np.ones(len(ends[0])), ends), shape=(self.user_num, self.item_num))

    def __len__(self) -> int:
        return len(self.inter_feat)

    def __getitem__(self, index: Any) -> Interaction:
        return self.inter_feat[index]


class Runner:
    """A model and ``Trainer``; an epoch is its ``_train_epoch``, a step the inside of that loop."""

    def __init__(self, name: str, optimizer: str, task: Task | Graph):
        if name not in NAMES:
            raise NotImplementedError(f"RecBole has no {name}")
        options = {
            "embedding_size": task.dim, "train_batch_size": task.batch, "learning_rate": LR, "dropout_prob": 0.0,
            "mlp_hidden_size": HIDDEN, "use_gpu": False, "show_progress": False, "data_path": tempfile.gettempdir(),
            "checkpoint_dir": tempfile.mkdtemp(), "reproducibility": False,
        }  # fmt: skip
        if isinstance(task, Graph):
            options |= {"n_layers": task.layers, "reg_weight": 1e-4}
            sizes = {"user_id": task.users + 1, "item_id": task.items + 1}  # its ids count from 1
            columns = {"user_id": task.pairs[:, 0] + 1, "item_id": task.pairs[:, 1] + 1}
        else:
            options |= {
                "train_neg_sample_args": None, "eval_args": {"mode": "labeled"}, "numerical_features": task.names[1],
                "LABEL_FIELD": "label", "valid_metric": "AUC", "metrics": ["AUC"],
            }  # fmt: skip
            sizes = dict(zip(task.names[0], task.sizes, strict=True))
            pair = lambda c: torch.stack([c, torch.zeros_like(c)], 1)  # noqa: E731  a number and its bucket
            columns = {n: c if n in sizes else pair(c) for n, c in task.columns.items()}
            columns["label"] = task.label
        config = Config(model=NAMES[name], dataset="invented", config_dict=options | OPTIONS.get(name, {}))
        data = Columns(config, sizes, columns)
        torch.set_num_threads(1)  # the configuration sets its own
        os.chdir(tempfile.gettempdir())  # the trainer writes a log where it stands
        self.model = get_model(NAMES[name])(config, data)
        self.trainer = Trainer(config, self.model)
        sampler = Sampler(["train"], [data]).set_phase("train") if isinstance(task, Graph) else None
        self.loader = TrainDataLoader(config, data, sampler, shuffle=True)
        places = torch.arange(len(data)).split(task.batch)[:8]
        self.batches = [self.loader.collate_fn(place.tolist()) for place in places]
        self.turn = 0

    def step(self) -> float:
        batch = self.batches[self.turn % len(self.batches)]
        self.turn += 1
        self.model.train()
        self.trainer.optimizer.zero_grad()
        loss = self.model.calculate_loss(batch)
        loss.backward()
        self.trainer.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def score(self) -> Any:
        self.model.eval()
        return self.model.predict(self.batches[0])

    def epoch(self) -> Any:
        return self.trainer._train_epoch(self.loader, 0)


if __name__ == "__main__":
    serve(Runner)
