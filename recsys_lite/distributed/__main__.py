"""Train any ranking model in several processes, or in one; the weights are written as ``store.load_model`` reads them.

::

    torchrun --nproc-per-node 2 -m recsys_lite.distributed --data criteo-sample --model dcn_v2 \\
        --config '{"cross_layers": 2}' --epochs 5 --batch-size 1024 --checkpoint run/state --out run/dcn_v2

A killed run goes on after its last whole epoch when it is started again with the same options, with any number of
processes whose multiple the batch size is. On several machines: ``torchrun --nnodes … --rdzv-endpoint …``, and a
folder that all of them see.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch.distributed as dist

from .. import data
from ..fields import Dataset
from ..models import MODELS
from ..store.files import write_json
from ..store.trained import save_model
from ..training.loop import seed_everything
from ..training.settings import Settings
from .engine import fit, gathered
from .processes import processes


def options() -> argparse.ArgumentParser:
    """The arguments: what is trained, every setting that is a number or a word, where things are written."""
    parser = argparse.ArgumentParser(
        "python -m recsys_lite.distributed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help=f"one of {sorted(data.DATASETS)}, or a prepared folder")
    parser.add_argument("--path", help="of your own copy of the data set")
    parser.add_argument("--task", help="of the data set")
    parser.add_argument("--model", required=True, choices=sorted(MODELS))
    parser.add_argument("--config", default="{}", type=json.loads, help="the model's settings, as JSON")
    parser.add_argument("--out", type=Path, help="weights and record, a path without suffix")
    parser.add_argument("--checkpoint", type=Path, help="the state after each epoch, a path without suffix")
    for f in fields(Settings):
        if isinstance(f.default, str | int | float) and not isinstance(f.default, bool):
            name = "--" + f.name.replace("_", "-")
            parser.add_argument(name, default=f.default, type=type(f.default), help=f"Default {f.default}")
    return parser


def load(given: argparse.Namespace) -> Dataset:
    """The data set of a name, or of a prepared folder."""
    if given.data in data.DATASETS:
        return data.load(given.data, task=given.task, path=given.path)
    if not Path(given.data).is_dir():
        raise ValueError(f"--data: expected one of {sorted(data.DATASETS)} or a prepared folder, got {given.data!r}")
    return data.load("prepared", task=given.task, path=given.data)


def run(given: argparse.Namespace) -> None:
    """Train; process 0 writes and prints."""
    names = {f.name for f in fields(Settings)}
    settings: dict[str, Any] = {k: v for k, v in vars(given).items() if k in names and k != "device"}
    with processes(given.device):
        dataset = load(given)
        seed_everything(given.seed)
        model = MODELS[given.model](dataset.fields, **given.config)
        result = fit(model, dataset, **settings)
        weights = gathered(model)
        if dist.get_rank() == 0:
            print(f"epoch {result.best_epoch}, validation {result.validation}, test {result.test}")
            if given.out is not None:
                whole = MODELS[given.model](dataset.fields, **given.config)
                whole.load_state_dict(weights)
                save_model(whole, given.out, seed=given.seed, validation=result.validation)
                write_json(given.out.with_name(given.out.name + ".result.json"), result.to_dict())


if __name__ == "__main__":
    run(options().parse_args())
