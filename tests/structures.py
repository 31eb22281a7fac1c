"""The structures that the ranking models can have, on the fields of ``tiny``."""

from recsys_lite.layers.ensemble import MODULES

SIDES = {"query": ["user", "history"], "candidate": ["item", "genres"]}
#: the structures that a model can have, beside its default
VARIANTS: dict[str, list[dict]] = {
    **{name: [{}] for name in ("logistic_regression", "fm", "deepfm", "ncf", "dlrm")},
    "wide_deep": [{"crosses": [("user", "item"), ("genres", "item")]}],
    "two_towers": [SIDES],
    "split_network": [SIDES],
    "dcn": [{}, {"cross_layers": 1}, {"hidden": ()}, {"dropout": 0.5}],
    "dcn_v2": [
        {}, {"structure": "parallel"}, {"structure": "cross"}, {"hidden": (), "structure": "parallel"},
        {"rank": 3}, {"rank": 3, "structure": "parallel", "cross_layers": 1},
        {"rank": 3, "experts": 2}, {"rank": 2, "experts": 1, "activation": "relu"},
        {"dim": {"user": 3, "item": 2, "genres": 4, "history": 2}},
    ],
    "gdcn": [{}, {"structure": "stacked", "cross_layers": 1}, {"structure": "cross"},
             {"dim": {"user": 1, "item": 2, "genres": 1, "history": 2}}],
    "autoint": [
        {}, {"layers": 1, "heads": 1}, {"heads": 4, "units": 3, "variant": "code"}, {"hidden": (8, 4), "dropout": 0.5},
    ],
    "dhen": [
        {}, {"join": "sum", "layers": 3}, {"out": 2, "bottom": ()}, {"modules": list(MODULES), "layers": 1},
        {"modules": list(MODULES), "join": "sum"}, *({"modules": [name], "out": 3} for name in MODULES),
        {"modules": ["linear", "dot", "dot"]},
    ],
}  # fmt: skip
ALL = [(name, options) for name, several in VARIANTS.items() for options in several]
