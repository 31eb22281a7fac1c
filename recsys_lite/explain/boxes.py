"""The boxes and arrows of each architecture's drawing; :mod:`recsys_lite.plots.diagrams` draws them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A box of a drawing: its kind (a key of ``BOX_COLOURS``), two lines of text, centre and size."""

    kind: str
    label: str
    note: str
    x: float
    y: float
    width: float = 140
    height: float = 44


def _features(label: str = "features", note: str = "user, item, hour, …") -> Box:
    """The box that every drawing starts with."""
    return Box("input", label, note, 170, 26, 200)


def _ending(y: float) -> list[Box]:
    """The sum and the probability that every drawing ends with."""
    return [Box("sum", "+", "", 170, y, 34, 34), Box("output", "σ(z)", "chance of a click", 170, y + 68, 160)]


LEFT, RIGHT = 84, 256  # centres of two columns

#: name → (boxes, arrows from box to box by place)
ARCHITECTURES: dict[str, tuple[list[Box], list[tuple[int, int]]]] = {
    "logistic_regression": (
        [_features(), Box("embedding", "one weight each", "wᵢ", 170, 100, 160), *_ending(172)],
        [(0, 1), (1, 2), (2, 3)],
    ),
    "mlp": (
        [
            _features(),
            Box("embedding", "embeddings", "e₁ … e_F side by side", 170, 100, 210),
            Box("mlp", "hidden layers", "ReLU(W h + b)", 170, 174, 200),
            Box("output", "σ(z)", "chance of a click", 170, 246, 160),
        ],
        [(0, 1), (1, 2), (2, 3)],
    ),
    "cnn": (
        [
            Box("input", "other fields", "who, when, …", LEFT, 26, 148),
            Box("input", "letters", "in their order", RIGHT, 26, 148),
            Box("embedding", "embeddings", "a vector a field", LEFT, 104, 148),
            Box("embedding", "embeddings", "a vector a letter", RIGHT, 104, 148),
            Box("cross", "filters", "k letters at a time", RIGHT, 178, 152),
            Box("sum", "max", "", RIGHT, 246, 44, 44),
            Box("mlp", "hidden layers", "ReLU", 170, 316, 200),
            Box("output", "σ(z)", "chance of a click", 170, 388, 160),
        ],
        [(0, 2), (1, 3), (3, 4), (4, 5), (2, 6), (5, 6), (6, 7)],
    ),
    "rnn": (
        [
            _features("history", "x₁ … x_n, oldest first"),
            Box("embedding", "embeddings", "one vector a film", 170, 100, 200),
            Box("attention", "cell", "hₜ from hₜ₋₁ and xₜ", LEFT, 176, 158),
            Box("embedding", "all films", "the same vectors vᵢ", RIGHT, 176, 152),
            Box("cross", "⟨P hₙ, vᵢ⟩ + bᵢ", "last state only", 170, 250, 200),
            Box("output", "the first k", "of all films", 170, 322, 160),
        ],
        [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)],
    ),
    "fm": (
        [
            _features(),
            Box("embedding", "one weight each", "wᵢ", LEFT, 104, 148),
            Box("embedding", "one vector each", "vᵢ, d numbers", RIGHT, 104, 148),
            Box("cross", "all pairs", "⟨vᵢ, vⱼ⟩", RIGHT, 182, 148),
            *_ending(246),
        ],
        [(0, 1), (0, 2), (2, 3), (1, 4), (3, 4), (4, 5)],
    ),
    "wide_deep": (
        [
            _features(),
            Box("cross", "crosses", "AND(a, b), hashed", LEFT, 104, 148),
            Box("embedding", "embeddings", "d numbers a field", RIGHT, 104, 148),
            Box("embedding", "one weight each", "wide", LEFT, 182, 148),
            Box("mlp", "hidden layers", "deep, ReLU", RIGHT, 182, 148),
            *_ending(246),
        ],
        [(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5), (5, 6)],
    ),
    "deepfm": (
        [
            _features(),
            Box("embedding", "embeddings", "one table for both parts", 170, 104, 200),
            Box("cross", "FM", "weights and all pairs", LEFT, 182, 152),
            Box("mlp", "hidden layers", "deep, ReLU", RIGHT, 182, 148),
            *_ending(246),
        ],
        [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)],
    ),
    "ncf": (
        [
            _features("user and item", "ids only"),
            Box("embedding", "p, q", "of the product", LEFT, 104, 148),
            Box("embedding", "p′, q′", "of the network", RIGHT, 104, 148),
            Box("cross", "p ⊙ q", "GMF", LEFT, 182, 148),
            Box("mlp", "[p′, q′]", "network, ReLU", RIGHT, 182, 148),
            *_ending(246),
        ],
        [(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5), (5, 6)],
    ),
    "dcn": (
        [
            _features(),
            Box("embedding", "x₀", "embeddings, numbers", 170, 104, 200),
            Box("cross", "cross layers", "x₀ (xₗᵀ wₗ) + bₗ + xₗ", LEFT, 182, 158),
            Box("mlp", "hidden layers", "deep, ReLU", RIGHT, 182, 148),
            *_ending(246),
        ],
        [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)],
    ),
    "autoint": (
        [
            _features(),
            Box("embedding", "embeddings", "e₁ … e_F, numbers too", 170, 104, 200),
            Box("attention", "attention, H heads", "fields look at fields", 170, 178, 210),
            Box("attention", "… L layers", "ReLU(heads + W_res e)", 170, 252, 210),
            *_ending(320),
        ],
        [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)],
    ),
    "dlrm": (
        [
            Box("input", "numbers", "log(1 + x)", LEFT, 26, 148),
            Box("input", "categories", "user, item, …", RIGHT, 26, 148),
            Box("mlp", "bottom network", "to one vector z₀", LEFT, 104, 150),
            Box("embedding", "embeddings", "e₁ … e_C", RIGHT, 104, 148),
            Box("cross", "dots of all pairs", "and z₀ itself", 170, 182, 270),
            Box("mlp", "top network", "ReLU, one output", 170, 256, 170),
            Box("output", "σ(z)", "chance of a click", 170, 328, 160),
        ],
        [(0, 2), (1, 3), (2, 4), (3, 4), (4, 5), (5, 6)],
    ),
    "dcn_v2": (
        [
            _features(),
            Box("embedding", "x₀", "embeddings, numbers", 170, 104, 200),
            Box("cross", "cross layers", "x₀ ⊙ (Wₗ xₗ + bₗ) + xₗ", LEFT, 182, 164),
            Box("mlp", "hidden layers", "beside, or on top", RIGHT, 182, 148),
            *_ending(246),
        ],
        [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)],
    ),
    "gdcn": (
        [
            _features(),
            Box("embedding", "c₀", "embeddings, numbers", 170, 104, 200),
            Box("cross", "gated crosses", "c₀ ⊙ (W c + b) ⊙ σ(G c)", LEFT, 182, 166),
            Box("mlp", "hidden layers", "beside, or on top", RIGHT, 182, 148),
            *_ending(246),
        ],
        [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)],
    ),
    "lightgcn": (
        [
            _features("users and items", "ids, and who took what"),
            Box("embedding", "E⁰", "one vector a node", 170, 104, 200),
            Box("cross", "a hop", "Â Eᵏ: sum of neighbours", 170, 178, 230),
            Box("cross", "… K hops", "no weights, no ReLU", 170, 252, 230),
            Box("embedding", "mean of E⁰ … Eᴷ", "E, one vector a node", 170, 326, 200),
            Box("output", "⟨e_u, e_i⟩", "score of an item", 170, 400, 170),
        ],
        [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)],
    ),
    "pal": (
        [
            _features("features", "user, item, hour, …"),
            Box("input", "position", "unknown when served", RIGHT, 104, 150),
            Box("mlp", "any model", "σ(z): click if seen", LEFT, 182, 150),
            Box("embedding", "one number each", "σ(b): seen", RIGHT, 182, 150),
            Box("cross", "σ(z) · σ(b)", "served: σ(z) alone", 170, 256, 190),
            Box("output", "p", "chance of a click", 170, 328, 160),
        ],
        [(0, 2), (1, 3), (2, 4), (3, 4), (4, 5)],
    ),
    "watch_next": (
        [
            _features("features", "user, item, hour, …"),
            Box("input", "position, device", "10 % dropped", RIGHT, 104, 150),
            Box("mlp", "main model", "z: all that is served", LEFT, 182, 152),
            Box("embedding", "shallow tower", "s, 0 if unknown", RIGHT, 182, 150),
            *_ending(246),
        ],
        [(0, 2), (1, 3), (2, 4), (3, 4), (4, 5)],
    ),
    "dhen": (
        [
            _features(),
            Box("embedding", "X₀", "embeddings and z₀", 170, 104, 200),
            Box("cross", "dots, crosses", "each a module", LEFT, 182, 148),
            Box("attention", "attention", "linear, convolution", RIGHT, 182, 156),
            Box("mlp", "join, shortcut, norm", "X₁; again L times", 170, 256, 270),
            Box("output", "σ(z)", "chance of a click", 170, 328, 160),
        ],
        [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)],
    ),
    "two_towers": (
        [
            Box("input", "user", "who, history, …", LEFT, 26, 148),
            Box("input", "film", "genres, title, …", RIGHT, 26, 148),
            Box("embedding", "embeddings", "of the query", LEFT, 104, 148),
            Box("embedding", "embeddings", "of the candidate", RIGHT, 104, 148),
            Box("mlp", "query tower", "u", LEFT, 182, 148),
            Box("mlp", "candidate tower", "v, kept", RIGHT, 182, 148),
            Box("cross", "⟨u, v⟩ / τ", "or a search index", 170, 256, 190),
            Box("output", "the first k", "of all films", 170, 328, 160),
        ],
        [(0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 6), (6, 7)],
    ),
    "split_network": (
        [
            Box("input", "user", "who, history, …", LEFT, 26, 148),
            Box("input", "film", "genres, year, …", RIGHT, 26, 148),
            Box("embedding", "embeddings", "of the query", LEFT, 104, 148),
            Box("embedding", "embeddings", "of the candidate", RIGHT, 104, 148),
            Box("mlp", "query tower", "u", LEFT, 182, 148),
            Box("mlp", "candidate tower", "v, kept", RIGHT, 182, 148),
            Box("cross", "u ⊙ v", "beside u and v", 170, 256, 190),
            Box("mlp", "head", "ReLU, one output", 170, 330, 170),
            Box("output", "σ(z)", "chance of a click", 170, 402, 160),
        ],
        [(0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 6), (6, 7), (7, 8)],
    ),
    "funnel": (
        [
            Box("input", "catalogue", "all films", 170, 26, 300),
            Box("cross", "retrieval", "one product, hundreds stay", 170, 102, 270),
            Box("mlp", "ranking", "kept vectors, a small network", 170, 178, 236),
            Box("mlp", "final ranking", "all fields", 170, 254, 190),
            Box("embedding", "arranging", "a rule", 170, 330, 140),
            Box("output", "screen", "ten places", 170, 404, 120),
        ],
        [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)],
    ),
}
