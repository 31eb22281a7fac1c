"""PAL and Watch Next as they learned from the stored log of popular films first: seed 0, the tuned settings."""

from __future__ import annotations

from . import own_curve
from .clicks import Clicks, simulate
from .models import Model
from .store import fingerprint, read_json, read_tensors, weights_path, write_json, write_tensors

NAMES = ("pal", "watch_next")
ORDER, SEED, EPOCHS = "popular", 0, 20


def log() -> Clicks:
    """The clicks that the stored models learned from."""
    return simulate(ORDER, seed=SEED)


def train(name: str, clicks: Clicks) -> Model:
    """A model trained as in ``bench/position.py``."""
    return own_curve.trained(name, clicks, own_curve.settings(ORDER)[name], SEED, EPOCHS)[0]


def save(model: Model, name: str, clicks: Clicks) -> None:
    """Write the weights, and what they are of."""
    path = weights_path("movielens-100k", "places", name)
    write_tensors(path.with_name(path.name + ".safetensors"), model.state_dict())
    write_json(path.with_name(path.name + ".json"), {"model": name, "fields": fingerprint(clicks.dataset.fields)})


def load(name: str, clicks: Clicks) -> Model:
    """A stored model, in evaluation mode.

    Raises:
        ValueError: for an unknown name, a missing or damaged file, or a log with other fields than that of training.
    """
    if name not in NAMES:
        raise ValueError(f"stored_clicks: unknown name {name!r}; there are {', '.join(NAMES)}")
    path = weights_path("movielens-100k", "places", name)
    if read_json(path.with_name(path.name + ".json"))["fields"] != fingerprint(clicks.dataset.fields):
        raise ValueError(f"{path.name}: these weights were trained on other fields than those of this log")
    model = own_curve.build(name, clicks)
    model.load_state_dict(read_tensors(path.with_name(path.name + ".safetensors")))
    return model.eval()
