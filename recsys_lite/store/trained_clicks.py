"""PAL and Watch Next as they learned from the stored log of popular films first: seed 0, the tuned settings."""

from __future__ import annotations

from ..data.simulated.clicks import Clicks, simulate
from ..models import Model
from ..models.click_models import build
from .files import read_pair, read_tensors, save_tensors, weights_path, write_pair
from .trained import fingerprint

NAMES = ("pal", "watch_next")
ORDER, SEED, EPOCHS = "popular", 0, 20  # of their training, in ``bench``


def log() -> Clicks:
    """The clicks that the stored models learned from."""
    return simulate(ORDER, seed=SEED)


def save(model: Model, name: str, clicks: Clicks) -> None:
    """Write the weights, and what they are of."""
    path = weights_path("movielens-100k", "places", name)
    record = {"model": name, "fields": fingerprint(clicks.dataset.fields)}
    write_pair(path, ".safetensors", lambda p: save_tensors(p, model.state_dict()), record)


def load(name: str, clicks: Clicks) -> Model:
    """A stored model, in evaluation mode.

    Raises:
        ValueError: for an unknown name, a missing or damaged file, or a log with other fields than that of training.
    """
    if name not in NAMES:
        raise ValueError(f"trained_clicks: unknown name {name!r}; there are {', '.join(NAMES)}")
    path = weights_path("movielens-100k", "places", name)
    record, weights = read_pair(path, ".safetensors", {"model": str, "fields": str}, "not a record of stored clicks")
    if record["fields"] != fingerprint(clicks.dataset.fields):
        raise ValueError(f"{path.name}: these weights were trained on other fields than those of this log")
    model = build(name, clicks)
    model.load_state_dict(read_tensors(weights))
    return model.eval()
