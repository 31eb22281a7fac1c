"""t-SNE maps of the films in every stored model, seed 0, for the explorer: a map takes seconds, too long to wait for.

    python -m bench.ranking.maps           what is missing, and maps of weights that have changed
    python -m bench.ranking.maps --fresh   everything again

Beside the coordinates stand the hashes of the weights, so that a map of other weights is not shown.
"""

from __future__ import annotations

import argparse

import sklearn
import torch
from tqdm import tqdm

from recsys_lite import data, store
from recsys_lite.data.interactions import interactions
from recsys_lite.explain import item_map
from recsys_lite.explain.film_vectors import LEAST, digest, film_vectors, known, often_rated, weights_file
from recsys_lite.store import RESULTS

FILE = RESULTS / "maps.json"
SEED, PERPLEXITY = 0, 30.0


def main() -> None:
    """Make what is asked for, and write it after each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="everything again")
    fresh = parser.parse_args().fresh
    dataset, films = data.load("movielens-100k", task="click"), interactions()
    maps: dict[str, torch.Tensor] = {}
    made: dict[str, str] = {}
    if not fresh and FILE.is_file():
        maps = store.read_tensors(FILE.with_suffix(".safetensors"))
        made = store.read_json(FILE)["models"]
    about = {"seed": SEED, "perplexity": PERPLEXITY, "scikit-learn": sklearn.__version__, "least ratings": list(LEAST)}
    for name in tqdm(known(dataset), desc="models"):
        now = digest(weights_file(name, dataset))
        if made.get(name) == now and all(f"{name}|{least}" in maps for least in LEAST):
            continue
        for least in LEAST:
            vectors = film_vectors(name, dataset, often_rated(dataset, least), films)
            maps[f"{name}|{least}"] = item_map.tsne(vectors, SEED, PERPLEXITY).half()
        made[name] = now
        store.write_tensors(FILE.with_suffix(".safetensors"), maps)
        store.write_json(FILE, {"about": about, "models": made})


if __name__ == "__main__":
    main()
