"""Small models on planted pairs, for looking inside where the truth is known: ``python -m bench.ranking.planted_maps``.

Every model gets the same three learning rates, and the best by validation log loss is kept; one seed. The weights are
for looking at maps, not for saying which model is best (the chapters do that with seeds and intervals).
"""

from __future__ import annotations

from typing import Any

from recsys_lite import store
from recsys_lite.data.simulated.planted import PAIRS, planted
from recsys_lite.fields import Dataset
from recsys_lite.models import MODELS, Model
from recsys_lite.training import Result, fit, seed_everything

RATES = (0.003, 0.01, 0.03)
TRAINING: dict[str, Any] = {"epochs": 40, "batch_size": 250, "patience": 5, "progress": False}
CROSSED: dict[str, Any] = {"dim": 4, "cross_layers": 1, "hidden": (32,), "std": 0.1}
SETTINGS: dict[str, dict[str, Any]] = {
    "fm": {"dim": 4, "std": 0.1}, "deepfm": {"dim": 4, "hidden": (32,), "std": 0.1}, "dlrm": {"dim": 4},
    "dcn": CROSSED, "dcn_v2": CROSSED, "gdcn": CROSSED, "autoint": {"dim": 8, "std": 0.1},
    "dhen": {"dim": 8, "layers": 1, "modules": ("attention", "dot"), "std": 0.1},
}  # fmt: skip


def trained(name: str, dataset: Dataset) -> tuple[Model, Result, float]:
    """The best of the rates by validation log loss."""
    tried = []
    for rate in RATES:
        seed_everything(0)
        model = MODELS[name](dataset.fields, **SETTINGS[name])
        result = fit(model, dataset, lr=rate, **TRAINING)
        tried.append((min(point["log_loss"] for point in result.curve), rate, model, result))
    _, rate, model, result = min(tried, key=lambda t: t[0])
    return model, result, rate


def main() -> None:
    dataset = planted(**PAIRS)
    for name in SETTINGS:
        model, result, rate = trained(name, dataset)
        about = {"lr": rate, "test": result.test, "planted": PAIRS}
        store.save_model(model, store.weights_path("planted", "pairs", name), **about)
        print(f"{name}: test AUC {result.test['auc']:.4f} at rate {rate}")


if __name__ == "__main__":
    main()
